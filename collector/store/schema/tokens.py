"""Tokens of programs that read the books in the name of an account."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text

from collector.store.schema.base import Serial, metadata

tokens = Table(
    "tokens", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256; the token itself is kept nowhere
    Column("user", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("scope", Text, nullable=False),  # permissions, in order, a space between
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("used_from", String(64)),  # address of the last use
    Column("revoked_ms", BigInteger),
)  # fmt: skip
