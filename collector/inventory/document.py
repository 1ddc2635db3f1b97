"""An inventory as plain data and as bytes: what the API shows, the store seals and the verifier compares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from collector.hours.model import COARSE
from collector.inventory.model import Inventory, InventoryRow, Pinned, Total

_PINNED_BEFORE = tuple(field.name for field in fields(Pinned) if field.name not in ("hour_rules", "records"))

SAFE = 10**15
"""Integers above this are strings in JSON, because common readers keep only 53 bits."""


def plain(value: object) -> object:
    """A frozen value as dicts, lists, strings and numbers; integers above 1e15 become strings."""
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if -SAFE <= value <= SAFE else str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a document")


def encode_inventory(inventory: Inventory) -> bytes:
    """Canonical bytes: JSON, keys sorted, no spaces, ASCII; equal inventories give equal bytes.

    An empty ``by_cell`` is left out, and of the coarse rules of hours what was not pinned, so that documents from
    before these were kept stay what they were.
    """
    table = {field.name: plain(getattr(inventory, field.name)) for field in fields(inventory)}
    if not inventory.by_cell:
        del table["by_cell"]
    if inventory.pinned.hour_rules == COARSE:
        table["pinned"] = {name: plain(getattr(inventory.pinned, name)) for name in _PINNED_BEFORE}
    return json.dumps(table, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode_inventory(data: bytes) -> Inventory:
    """The inventory that ``encode_inventory`` wrote."""
    table = json.loads(data)
    return Inventory(
        from_ms=int(table["from_ms"]), to_ms=int(table["to_ms"]), pinned=_pinned(table["pinned"]),
        rows=tuple(_row(row) for row in table["rows"]),
        cross_checks=tuple(_row(row) for row in table["cross_checks"]),
        by_gas=tuple(_total(row) for row in table["by_gas"]),
        by_source=tuple(_total(row) for row in table["by_source"]),
        by_category=tuple(_total(row) for row in table["by_category"]),
        by_cell=tuple(_total(row) for row in table.get("by_cell", ())),
        total=_total(table["total"]),
        covered_ms=int(table["covered_ms"]), expected_ms=int(table["expected_ms"]),
        status_co2e_mg=_pairs(table["status_co2e_mg"]),
    )  # fmt: skip


def _pairs(rows: list[list[object]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(key), int(str(amount))) for key, amount in rows)


def _pinned(table: dict[str, Any]) -> Pinned:
    return Pinned(
        origin=str(table["origin"]), tree_size=int(table["tree_size"]),
        plans=tuple(str(digest) for digest in table["plans"]),
        certificates=tuple(str(digest) for digest in table["certificates"]), gwp_set=str(table["gwp_set"]),
        profile=str(table["profile"]), profile_version=str(table["profile_version"]),
        profile_digest=str(table["profile_digest"]), hour_rules=int(table.get("hour_rules", COARSE)),
        records=tuple(str(digest) for digest in table.get("records", ())),
    )  # fmt: skip


def _row(table: dict[str, object]) -> InventoryRow:
    values: dict[str, object] = {}
    for field in fields(InventoryRow):
        raw = table[field.name]
        if isinstance(raw, list):
            values[field.name] = _pairs(raw)
        elif field.name in ("u_mg", "u_co2e_mg"):
            values[field.name] = float(str(raw))
        elif field.name.endswith("_mg") or field.name.endswith("_ms") or field.name == "category":
            values[field.name] = int(str(raw))
        else:
            values[field.name] = raw
    return InventoryRow(**values)  # type: ignore[arg-type]


def _total(table: dict[str, object]) -> Total:
    mass = table["mass_mg"]
    return Total(
        str(table["key"]), None if mass is None else int(str(mass)), int(str(table["co2e_mg"])),
        float(str(table["u_co2e_mg"])),
    )  # fmt: skip
