"""PostgreSQL as the books' database: readers see one snapshot, writers take turns by an advisory lock.

Log and streams need writers in series, as SQLite has them. A writer therefore takes the books' transaction lock before
its first statement and works READ COMMITTED, so that every statement sees what the writer before it has committed. The
locks are taken on two numbers that name this application; books of different databases do not meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from protocols.errors import EmitraceError

APPLICATION = 0x454D4954
"""First key of every advisory lock taken on the books: "EMIT"."""
WRITER, LEADER = 1, 2
DRIVER = "postgresql+psycopg"
CONNECT_S = 5
KEEPALIVE = {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 5000}
"""Both ends notice within about 5 s that the other is gone without a word; over a unix socket at once. [s, ms]"""
_SERVER_KEEPALIVE = "tcp_keepalives_idle=2", "tcp_keepalives_interval=1", "tcp_keepalives_count=3"
_OPTIONS = " ".join(f"-c {one}" for one in (*_SERVER_KEEPALIVE, "tcp_user_timeout=5000", "timezone=UTC"))
MOST_CONNECTIONS = 12


def make_engine(url: URL) -> Engine:
    """Connections whose readers see a snapshot and whose writers wait for their turn; EmitraceError without psycopg."""
    try:
        engine = create_engine(
            url.set(drivername=DRIVER), isolation_level="REPEATABLE READ", pool_pre_ping=True,
            max_overflow=MOST_CONNECTIONS,
            connect_args={"connect_timeout": CONNECT_S, "options": _OPTIONS, **KEEPALIVE},
        )  # fmt: skip
    except ImportError as error:
        raise EmitraceError(
            "[database] url", f"psycopg is missing: {error}", "pip install 'emitrace[collector,postgresql]'"
        ) from error
    event.listen(engine, "begin", _begin)
    return engine


def check_database(connection: Connection) -> None:
    """EmitraceError where text is kept or ordered in another way than SQLite does it."""
    row = connection.exec_driver_sql(
        "SELECT pg_encoding_to_char(encoding) AS encoding, datcollate FROM pg_database "
        "WHERE datname = current_database()"
    ).one()
    if row.encoding != "UTF8" or row.datcollate not in {"C", "POSIX", "C.UTF-8", "C.utf8"}:
        raise EmitraceError(
            "[database] url", f"a database of encoding {row.encoding}, collation {row.datcollate}",
            "createdb --template=template0 --encoding=UTF8 --locale=C NAME: texts are then ordered alike everywhere, "
            "and no upgrade of the system's locales can damage an index.",
        )  # fmt: skip


@contextmanager
def holding_lead(url: URL) -> Iterator[bool]:
    """Hold the lock of the active collector for a while; False where another has it."""
    engine = make_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()
            yield bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({APPLICATION}, {LEADER})").scalar())
    finally:
        engine.dispose()


def database_bytes(connection: Connection) -> int:
    """Size of the database. [bytes]"""
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writing", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION}, {WRITER})")


def writing_options() -> dict[str, Any]:
    """Execution options of a connection that writes."""
    return {"isolation_level": "READ COMMITTED"}
