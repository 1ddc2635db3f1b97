"""Certificates of instruments, as they were entered."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text

from collector.store.schema.base import metadata

certificates = Table(
    "certificates", metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("instrument", String(64), nullable=False),
    Column("number", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("leaf", BigInteger, nullable=False),
    Column("known_ms", BigInteger, nullable=False),
)  # fmt: skip
