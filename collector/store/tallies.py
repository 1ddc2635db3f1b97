"""How much the books hold, as the database counts it itself; and the same counted anew, to check it by."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from collector.store.schema import items, quarantine, slots, tallies

Tallies = dict[tuple[str, str], int]
"""(name, label) -> count: items and bytes by kind, quarantine by reason, readings."""


def read_tallies(connection: Connection) -> Tallies:
    """The counts the database keeps; a few dozen rows, however much there is."""
    return {(row.name, row.label): int(row.value) for row in connection.execute(select(tallies))}


def count_anew(connection: Connection) -> Tallies:
    """The same counts, by reading everything."""
    found: Tallies = {}
    for kind, n, size in connection.execute(
        select(items.c.kind, func.count(), func.sum(func.length(items.c.bytes))).group_by(items.c.kind)
    ):
        found |= {("items", kind): int(n), ("bytes", kind): int(size)}
    by_reason = select(quarantine.c.reason, func.count()).group_by(quarantine.c.reason)
    found |= {("quarantine", reason): int(n) for reason, n in connection.execute(by_reason)}
    readings = connection.scalar(select(func.sum(slots.c.count)).where(slots.c.fate < 2))
    return found | ({("readings", ""): int(readings)} if readings is not None else {})
