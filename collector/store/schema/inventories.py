"""Inventory versions; triggers, made by the revisions, keep a sealed one as it is in the database itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table

from collector.store.schema.base import Serial, metadata

inventories = Table(
    "inventories", metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("gwp_set", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("built_ms", BigInteger, nullable=False),
    Column("sealed_ms", BigInteger),
    Column("leaf", BigInteger),
    sqlite_autoincrement=True,
)  # fmt: skip

inventory_rows = Table(
    "inventory_rows", metadata,
    Column("inventory", BigInteger, ForeignKey("inventories.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("agent_id", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("category", Integer, nullable=False),
    Column("gas", String(32), nullable=False),
    Column("mass_mg", String(40), nullable=False),
    Column("co2e_mg", String(40), nullable=False),
)  # fmt: skip
