"""Tables of the books, and the triggers that make a sealed inventory immutable in the database itself.

Column types are portable; what only SQLite understands is bound to its dialect. Times are UTC milliseconds.
Bytes that came in signed stay verbatim in ``items`` or ``quarantine``; everything else is derived from them
or was entered by the central team.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION = 4

metadata = MetaData()

_Serial = BigInteger().with_variant(Integer, "sqlite")

about = Table(
    "about", metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

agents = Table(
    "agents", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger),
    Column("status", Text),
    Column("replaces", String(64), ForeignKey("agents.agent_id")),  # the agent whose meters it took over
)  # fmt: skip

streams = Table(
    "streams", metadata,
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), primary_key=True),
    Column("stream_id", LargeBinary, primary_key=True),
    Column("contiguous", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("placed", BigInteger, nullable=False),  # items read into the books, and the batches among them
    Column("batches", BigInteger, nullable=False),
    Column("last_to_ms", BigInteger),  # latest end of those
)  # fmt: skip

items = Table(
    "items", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("agent_id", String(64), nullable=False),
    Column("stream_id", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),  # ahead, placed, passed (inside a tombstone), refused
    Column("plan", LargeBinary),
    Column("from_ms", BigInteger),
    Column("to_ms", BigInteger),
    Column("received_ms", BigInteger, nullable=False),
    Column("leaf", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    UniqueConstraint("agent_id", "stream_id", "sequence", name="items_place"),
    Index("items_span", "agent_id", "from_ms"),
    sqlite_autoincrement=True,
)  # fmt: skip

tombstones = Table(
    "tombstones", metadata,
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("stream_id", LargeBinary, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("last_digest", LargeBinary, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)  # fmt: skip

leaves = Table(
    "leaves", metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("object_id", Text, nullable=False),
    Column("object_digest", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("leaves_object", "kind", "object_id"),
)  # fmt: skip

frontier = Table(
    "frontier", metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("node_hash", LargeBinary, nullable=False),
)  # fmt: skip

plans = Table(
    "plans", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("item", BigInteger, ForeignKey("items.id"), nullable=False),
    Column("known_ms", BigInteger, nullable=False),
    Column("site", String(129), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("plans_site", "site"),
)  # fmt: skip

pushes = Table(  # plans the central team wants agents to go on with
    "pushes", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("replaces", LargeBinary, nullable=False),
    Column("version", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("pushed_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, in force, refused, overtaken
    Column("settled_ms", BigInteger),
    Column("detail", Text, nullable=False),
    Index("pushes_state", "state", "agent_id"),
)  # fmt: skip

plan_hours = Table(  # which plans' windows an hour cell was made from
    "plan_hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("plan", LargeBinary, primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)  # fmt: skip

windows = Table(
    "windows", metadata,
    Column("id", _Serial, primary_key=True),
    Column("item", BigInteger, ForeignKey("items.id"), nullable=False),
    Column("agent_id", String(64), nullable=False),
    Column("plan", LargeBinary, nullable=False),
    Column("source", Integer, nullable=False),
    Column("input", Integer, nullable=False),
    Column("gas", Integer, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("activity", BigInteger, nullable=False),
    Column("mass_mg", BigInteger, nullable=False),
    Column("operating_ms", BigInteger, nullable=False),
    Column("measured_ms", BigInteger, nullable=False),
    Column("stopped_ms", BigInteger, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("u_independent", Float(53), nullable=False),
    Column("u_shared", LargeBinary, nullable=False),  # float32, little-endian, one per cause
    Column("u_end", Float(53), nullable=False),
    Index("windows_time", "agent_id", "from_ms"),
)  # fmt: skip

slots = Table(
    "slots", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("point", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("fate", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Index("slots_day", "day"),
)  # fmt: skip

dirty_hours = Table(
    "dirty_hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("marks", BigInteger, nullable=False),
    Column("error", Text),  # why the cell could not be made when last tried
)  # fmt: skip

hours = Table(
    "hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(64), primary_key=True),
    Column("gas", String(32), primary_key=True),
    Column("to_ms", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("mass_mg", String(40), nullable=False),
    Column("added_mg", String(40), nullable=False),
    Column("activity", String(40), nullable=False),
    Column("operating_ms", BigInteger, nullable=False),
    Column("measured_ms", BigInteger, nullable=False),
    Column("stopped_ms", BigInteger, nullable=False),
    Column("method", String(16), nullable=False),
    Column("status_mg", Text, nullable=False),
    Column("status_ms", Text, nullable=False),
    Column("u_independent", Float(53), nullable=False),
    Column("u_shared", Text, nullable=False),
    Column("u_end_first", Float(53), nullable=False),
    Column("u_end_last", Float(53), nullable=False),
    Column("windows", Integer, nullable=False),
    Index("hours_time", "from_ms"),
    sqlite_with_rowid=False,
)  # fmt: skip


def _sums(name: str) -> Table:
    """Hour rows of a span [from, to) of the facility's calendar added up; their own time is [first, last)."""
    return Table(
        name, metadata,
        Column("agent_id", String(64), primary_key=True),
        Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("source", String(64), primary_key=True),
        Column("gas", String(32), primary_key=True),
        Column("to_ms", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("first_ms", BigInteger, nullable=False),
        Column("last_ms", BigInteger, nullable=False),
        Column("mass_mg", String(40), nullable=False),
        Column("added_mg", String(40), nullable=False),
        Column("activity", String(40), nullable=False),
        Column("operating_ms", BigInteger, nullable=False),
        Column("measured_ms", BigInteger, nullable=False),
        Column("stopped_ms", BigInteger, nullable=False),
        Column("methods", Text, nullable=False),
        Column("status_mg", Text, nullable=False),
        Column("status_ms", Text, nullable=False),
        Column("u_independent", Float(53), nullable=False),
        Column("u_shared", Text, nullable=False),
        Column("u_end_first", Float(53), nullable=False),
        Column("u_end_last", Float(53), nullable=False),
        Column("u_hole_first", Float(53), nullable=False),
        Column("u_hole_last", Float(53), nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip


days = _sums("days")
months = _sums("months")

certificates = Table(
    "certificates", metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("number", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("leaf", BigInteger, nullable=False),
    Column("known_ms", BigInteger, nullable=False),
)  # fmt: skip

quarantine = Table(
    "quarantine", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False),
    Column("agent_id", String(64), nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    UniqueConstraint("digest", "agent_id", "reason", name="quarantine_object"),
    Index("quarantine_reason", "reason"),
    Index("quarantine_seen", "last_ms"),
    sqlite_autoincrement=True,
)  # fmt: skip

uncompared = Table(  # placed batches that wait for their comparison
    "uncompared", metadata,
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True, autoincrement=False),
)  # fmt: skip

comparisons = Table(
    "comparisons", metadata,
    Column("item", BigInteger, ForeignKey("items.id"), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("equal", Boolean, nullable=False),
    Column("differences", Text, nullable=False),
    Column("compared_ms", BigInteger, nullable=False),
)  # fmt: skip
Index("comparisons_different", comparisons.c.item, sqlite_where=comparisons.c.equal.is_(False))

inventories = Table(
    "inventories", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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

users = Table(
    "users", metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),  # a one-time password, good for nothing but to choose another
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("signed_in_ms", BigInteger),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("token_digest", LargeBinary, nullable=False, unique=True),
    Column("user", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("browser", String(200), nullable=False),
    Index("sessions_user", "user"),
    sqlite_autoincrement=True,
)  # fmt: skip

tallies = Table(
    "tallies", metadata,
    Column("name", String(16), primary_key=True),
    Column("label", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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

for _statement in SQLITE_TRIGGERS + TALLY_TRIGGERS:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
