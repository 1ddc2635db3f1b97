"""Where connections come from: readers see a snapshot, writers wait for their turn. SQLite, or PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from collector.store import postgresql, sqlite
from collector.store.migrations import bring_forward, check_version, is_older, stated_version
from protocols.errors import EmitraceError

HOW = "Write it as sqlite:////path/to/file or postgresql://user@host/database."


class Database:
    """The books' database; safe for several threads and for command-line programs beside a running service.

    ``allowed`` is asked inside every write transaction before its first statement, and raises where this program may
    not write.
    """

    def __init__(self, url: str | URL, *, migrate: bool = False) -> None:
        """Open the database, making its tables where there are none; older ones are changed only with ``migrate``."""
        parsed = parse_url(url)
        self.is_postgresql = parsed.get_backend_name() == "postgresql"
        self.engine: Engine = (postgresql if self.is_postgresql else sqlite).make_engine(parsed)
        self.allowed: Callable[[Connection], None] = lambda _connection: None
        try:
            self._prepare(migrate=migrate)
        except OperationalError as error:
            self.close()
            hint = "Check that the folder exists and is writable."
            if self.is_postgresql:
                hint = "Check that the server runs, the database exists, and user and password are right."
            raise EmitraceError(f"database {self.name}", str(error.orig).strip(), hint) from error
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What the database is called, without its password."""
        url = self.engine.url
        return url.render_as_string(hide_password=True) if self.is_postgresql else str(url.database)

    @property
    def file(self) -> Path | None:
        """The database's file; None on a server."""
        return None if self.is_postgresql else Path(self.engine.url.database or "").resolve()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one snapshot."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; commits at the end, rolls back on an error."""
        options = postgresql.writing_options() if self.is_postgresql else {}
        with self.engine.connect().execution_options(writing=True, **options) as connection, connection.begin():
            self.allowed(connection)
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _prepare(self, *, migrate: bool) -> None:
        with self.reading() as connection:
            seen = stated_version(connection)
        if seen is None or migrate:
            with self.writing() as connection:
                if self.is_postgresql:
                    postgresql.check_database(connection)
                seen = stated_version(connection)  # another program may have made the tables by now
                if seen is None or is_older(seen):
                    bring_forward(connection)
                    return
        check_version(seen)


def parse_url(url: str | URL) -> URL:
    """The URL of a database that the books can be in; EmitraceError for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise EmitraceError("[database] url", str(url), HOW) from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise EmitraceError("[database] url", f"backend {parsed.get_backend_name()}", HOW)
    return parsed
