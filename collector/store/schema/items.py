"""Signed items as they came in, what stands for lost ones, what was refused, and what comparing them gave."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from collector.store.schema.base import Serial, metadata

items = Table(
    "items", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
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

quarantine = Table(
    "quarantine", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
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
_DIFFERENT = comparisons.c.equal.is_(False)
Index("comparisons_different", comparisons.c.item, sqlite_where=_DIFFERENT, postgresql_where=_DIFFERENT)
