"""Where connections come from: readers see a snapshot, writers begin immediately and wait for their turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from collector.store.schema import SCHEMA_VERSION, about, metadata
from protocols.errors import EmitraceError

BUSY_TIMEOUT_MS = 30_000


class Database:
    """The books' database; safe for several threads and for command-line programs beside a running service."""

    def __init__(self, url: str) -> None:
        """Open the database, making its tables where they are missing."""
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise EmitraceError("[database] url", url, "Write it as sqlite:///path/to/file.") from error
        if parsed.get_backend_name() != "sqlite":
            raise EmitraceError(
                "[database] url", f"backend {parsed.get_backend_name()}", "Only sqlite is supported by this version."
            )
        self.engine: Engine = create_engine(parsed)
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        try:
            with self.writing() as connection:
                metadata.create_all(connection)
                _check_version(connection)
        except OperationalError as error:
            raise EmitraceError(
                f"database {parsed.database}", str(error.orig), "Check that the folder exists and is writable."
            ) from error

    @property
    def file(self) -> Path:
        """The database's file."""
        return Path(self.engine.url.database or "").resolve()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one snapshot."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; commits at the end, rolls back on an error."""
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _prepare(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _check_version(connection: Connection) -> None:
    seen = connection.scalar(select(about.c.value).where(about.c.key == "schema"))
    if seen is None:
        connection.execute(insert(about).values(key="schema", value=str(SCHEMA_VERSION)))
    elif seen != str(SCHEMA_VERSION):
        raise EmitraceError(
            "database", f"schema version {seen}, this program knows {SCHEMA_VERSION}", "Use the matching program."
        )
