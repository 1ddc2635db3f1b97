"""An insert that says what to do where the row is there already, in the dialect of the connection."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert with ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
