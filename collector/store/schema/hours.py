"""The hourly ledger, what of it is to be made anew, and its sums over days and months."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from collector.store.schema.base import metadata

plan_hours = Table(  # which plans' windows an hour cell was made from
    "plan_hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("plan", LargeBinary, primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)  # fmt: skip

dirty_hours = Table(
    "dirty_hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("marks", BigInteger, nullable=False),
    Column("error", Text),  # why the cell could not be made when last tried
)  # fmt: skip

hours = Table(
    "hours", metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(64), primary_key=True),
    Column("gas", String(32), primary_key=True),
    Column("to_ms", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("mass_mg", String(40), nullable=False),
    Column("added_mg", String(40), nullable=False),
    Column("activity", String(40), nullable=False),
    Column("operating_ms", BigInteger, nullable=False),
    Column("measured_ms", BigInteger, nullable=False),
    Column("stopped_ms", BigInteger, nullable=False),
    Column("method", String(16), nullable=False),
    Column("status_mg", Text, nullable=False),
    Column("status_ms", Text, nullable=False),
    Column("u_independent", Float(53), nullable=False),
    Column("u_shared", Text, nullable=False),
    Column("u_end_first", Float(53), nullable=False),
    Column("u_end_last", Float(53), nullable=False),
    Column("windows", Integer, nullable=False),
    Index("hours_time", "from_ms"),
    sqlite_with_rowid=False,
)  # fmt: skip


def _sums(name: str) -> Table:
    """Hour rows of a span [from, to) of the facility's calendar added up; their own time is [first, last)."""
    return Table(
        name, metadata,
        Column("agent_id", String(64), primary_key=True),
        Column("from_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("source", String(64), primary_key=True),
        Column("gas", String(32), primary_key=True),
        Column("to_ms", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("first_ms", BigInteger, nullable=False),
        Column("last_ms", BigInteger, nullable=False),
        Column("mass_mg", String(40), nullable=False),
        Column("added_mg", String(40), nullable=False),
        Column("activity", String(40), nullable=False),
        Column("operating_ms", BigInteger, nullable=False),
        Column("measured_ms", BigInteger, nullable=False),
        Column("stopped_ms", BigInteger, nullable=False),
        Column("methods", Text, nullable=False),
        Column("status_mg", Text, nullable=False),
        Column("status_ms", Text, nullable=False),
        Column("u_independent", Float(53), nullable=False),
        Column("u_shared", Text, nullable=False),
        Column("u_end_first", Float(53), nullable=False),
        Column("u_end_last", Float(53), nullable=False),
        Column("u_hole_first", Float(53), nullable=False),
        Column("u_hole_last", Float(53), nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip


days = _sums("days")
months = _sums("months")
