"""What somebody must look after, and who was told of it by which way."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from collector.store.schema.base import Serial, metadata

alerts = Table(
    "alerts", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("facts", Text, nullable=False),
    Column("raised_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_by", String(64)),
    Column("note", Text, nullable=False, default=""),
    Index("alerts_open", "ended_ms", "kind", "subject"),
    sqlite_autoincrement=True,
)  # fmt: skip

tellings = Table(
    "tellings", metadata,
    Column("alert", BigInteger, ForeignKey("alerts.id"), primary_key=True, autoincrement=False),
    Column("way", String(16), primary_key=True),  # mail, webhook
    Column("word", String(16), primary_key=True),  # raised, ended
    Column("at_ms", BigInteger, nullable=False),
)  # fmt: skip
