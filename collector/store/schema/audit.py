"""The audit trail; triggers, made by the revisions, keep every entry as it was written in the database itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from collector.store.schema.base import metadata

audit = Table(
    "audit", metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of its leaf in the evidence log
    Column("id", String(32), nullable=False, unique=True),  # drawn at random, so that the leaf can name it
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),  # of who: account, token, command, service or stranger
    Column("who", String(128), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),  # all of the above but the position, whose SHA-256 is in the log
    Index("audit_time", "at_ms"),
)  # fmt: skip
