"""How much the books hold, counted as it grows by triggers of the database itself, which the revisions make."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from collector.store.schema.base import metadata

tallies = Table(
    "tallies", metadata,
    Column("name", String(16), primary_key=True),
    Column("label", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
