"""What people decided about objects in quarantine; rows are added, never changed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from collector.store.schema.base import Serial, metadata

quarantine_decisions = Table(
    "quarantine_decisions", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("entry", BigInteger, ForeignKey("quarantine.id"), nullable=False),
    Column("decision", String(16), nullable=False),  # accept, reject
    Column("outcome", String(16), nullable=False),  # stored, duplicate, refused; rejected
    Column("by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("quarantine_decisions_entry", "entry"),
    sqlite_autoincrement=True,
)  # fmt: skip
