"""What the edge states: windows, and the fates of slots by point and day."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table

from collector.store.schema.base import Serial, metadata

windows = Table(
    "windows", metadata,
    Column("id", Serial, primary_key=True),
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
