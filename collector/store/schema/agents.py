"""Who may send, and how far each of their streams has come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text

from collector.store.schema.base import metadata

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
