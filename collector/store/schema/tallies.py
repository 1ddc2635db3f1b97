"""How much the books hold, counted by the database itself as it grows."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, String, Table, event

from collector.store.schema.base import metadata

tallies = Table(
    "tallies", metadata,
    Column("name", String(16), primary_key=True),
    Column("label", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

_TALLIES = {
    "tally_item": ("INSERT ON items", (("items", "NEW.kind", "1"), ("bytes", "NEW.kind", "length(NEW.bytes)"))),
    "tally_item_given_back": (
        "DELETE ON items", (("items", "OLD.kind", "-1"), ("bytes", "OLD.kind", "-length(OLD.bytes)"))
    ),
    "tally_refused": ("INSERT ON quarantine", (("quarantine", "NEW.reason", "1"),)),
    "tally_slots": ("INSERT ON slots WHEN NEW.fate < 2", (("readings", "''", "NEW.count"),)),
    "tally_more_slots": ("UPDATE OF count ON slots WHEN NEW.fate < 2", (("readings", "''", "NEW.count - OLD.count"),)),
}  # fmt: skip
_COUNT = "INSERT INTO tallies VALUES ('{0}', {1}, {2}) ON CONFLICT (name, label) DO UPDATE SET value = value + {2};"
TALLY_TRIGGERS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {what} BEGIN {' '.join(_COUNT.format(*one) for one in counts)} END"
    for name, (what, counts) in _TALLIES.items()
)
"""Counted by the database in the transaction itself: how much there is can be said without reading it all."""

for _statement in TALLY_TRIGGERS:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
