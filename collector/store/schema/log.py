"""The evidence log: its leaves, and the roots of its complete subtrees."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from collector.store.schema.base import metadata

leaves = Table(
    "leaves", metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("object_id", Text, nullable=False),
    Column("object_digest", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("leaves_object", "kind", "object_id"),
)  # fmt: skip

frontier = Table(
    "frontier", metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("node_hash", LargeBinary, nullable=False),
)  # fmt: skip
