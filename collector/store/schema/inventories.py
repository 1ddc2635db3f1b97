"""Inventory versions, and the triggers that make a sealed one immutable in the database itself."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, event

from collector.store.schema.base import Serial, metadata

inventories = Table(
    "inventories", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("gwp_set", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("built_ms", BigInteger, nullable=False),
    Column("sealed_ms", BigInteger),
    Column("leaf", BigInteger),
    sqlite_autoincrement=True,
)  # fmt: skip

inventory_rows = Table(
    "inventory_rows", metadata,
    Column("inventory", BigInteger, ForeignKey("inventories.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("agent_id", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("category", Integer, nullable=False),
    Column("gas", String(32), nullable=False),
    Column("mass_mg", String(40), nullable=False),
    Column("co2e_mg", String(40), nullable=False),
)  # fmt: skip

_SEALED = "RAISE(ABORT, 'a sealed inventory version is immutable')"
_PARENT = "(SELECT sealed_ms FROM inventories WHERE id = {row}.inventory) IS NOT NULL"

_TRIGGERS = {
    # INSERT OR REPLACE deletes without firing delete triggers, so the insert itself is refused.
    "inventories_no_insert": (
        "INSERT ON inventories", "EXISTS (SELECT 1 FROM inventories WHERE id = NEW.id AND sealed_ms IS NOT NULL)"
    ),
    "inventories_no_update": ("UPDATE ON inventories", "OLD.sealed_ms IS NOT NULL"),
    "inventories_no_delete": ("DELETE ON inventories", "OLD.sealed_ms IS NOT NULL"),
    "inventory_rows_no_insert": ("INSERT ON inventory_rows", _PARENT.format(row="NEW")),
    "inventory_rows_no_update": (
        "UPDATE ON inventory_rows", f"{_PARENT.format(row='OLD')} OR {_PARENT.format(row='NEW')}"
    ),
    "inventory_rows_no_delete": ("DELETE ON inventory_rows", _PARENT.format(row="OLD")),
}  # fmt: skip
SQLITE_TRIGGERS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {what} WHEN {when} BEGIN SELECT {_SEALED}; END"
    for name, (what, when) in _TRIGGERS.items()
)
"""Held by the database itself: no program, ours included, changes a sealed inventory version."""

for _statement in SQLITE_TRIGGERS:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
