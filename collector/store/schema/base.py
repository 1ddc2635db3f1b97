"""What every table of the books rests on: one metadata, portable types, and what the books say of themselves."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

metadata = MetaData()

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key that the database numbers itself."""

about = Table(
    "about", metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip
