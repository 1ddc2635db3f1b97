"""What a new version of a plan changes, for the one who is about to put it in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.plan.model import Model, Plan

TABLES = ("buses", "scan_classes", "instruments", "points", "sources", "factors")


def changes(old: Plan, new: Plan) -> list[str]:
    """One line per thing that is new (``+``), gone (``-``) or another (``~``, with the fields), in the plan's order."""
    lines = [
        f"~ {name}" for name in ("organisation", "facility", "windows") if getattr(old, name) != getattr(new, name)
    ]
    for table in TABLES:
        lines += _changes_of(table, getattr(old, table), getattr(new, table))
    return lines


def _changes_of(table: str, old: Sequence[Model], new: Sequence[Model]) -> list[str]:
    before, after = _by_id(old), _by_id(new)
    lines = [f"+ {table} {key}" for key in after if key not in before]
    lines += [f"- {table} {key}" for key in before if key not in after]
    for key in after.keys() & before.keys():
        fields = [
            name for name in type(after[key]).model_fields if getattr(after[key], name) != getattr(before[key], name)
        ]
        if fields:
            lines.append(f"~ {table} {key}: {', '.join(fields)}")
    return lines


def _by_id(rows: Sequence[Model]) -> Mapping[str, Model]:
    return {str(getattr(row, "id")): row for row in rows}  # noqa: B009 - every row of these tables has an id
