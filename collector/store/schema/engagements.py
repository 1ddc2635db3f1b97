"""Verification engagements, findings and answers, as revisions that are only ever added to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from collector.store.schema.base import Serial, metadata

engagements = Table(
    "engagements", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("engagement", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("name", String(128), nullable=False),
    Column("body", String(200), nullable=False),  # the verification body
    Column("criteria", Text, nullable=False),
    Column("sites", Text, nullable=False),  # JSON: ORGANISATION/FACILITY in order
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("accounts", Text, nullable=False),  # JSON: names in order
    Column("by", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # of its leaf
    Column("document", LargeBinary, nullable=False),  # what the leaf is the digest of
    UniqueConstraint("engagement", "revision", name="engagements_revision"),
    sqlite_autoincrement=True,
)  # fmt: skip

findings = Table(
    "findings", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("finding", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("engagement", BigInteger, nullable=False),
    Column("author", String(64), nullable=False),
    Column("severity", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # open, closed
    Column("text", Text, nullable=False),
    Column("reference", Text, nullable=False),  # path of the figure on this collector's pages; empty: none
    Column("at_ms", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("finding", "revision", name="findings_revision"),
    Index("findings_engagement", "engagement"),
    sqlite_autoincrement=True,
)  # fmt: skip

answers = Table(
    "answers", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("finding", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("answers_finding", "finding"),
    sqlite_autoincrement=True,
)  # fmt: skip
