"""Monitoring plans as they came in, and those the central team wants agents to go on with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from collector.store.schema.base import Serial, metadata

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
    Column("id", Serial, primary_key=True, autoincrement=True),
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
