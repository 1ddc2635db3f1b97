"""Whether a database of books is sound: its pages, its schema, and its evidence log against the frontier."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, func, select
from sqlalchemy.exc import DatabaseError

from collector.store.log import read_frontier
from collector.store.migrations import FIRST, NEWEST
from collector.store.postgresql import make_engine
from collector.store.schema import about, leaves
from protocols.transparency.tree import Frontier, leaf_data, leaf_hash

MOST_FAULTS = 20


@contextmanager
def reading_file(path: Path) -> Iterator[Connection]:
    """A connection to a database file that changes nothing in it and makes nothing beside it."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
    )
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


@contextmanager
def reading_books(url: URL) -> Iterator[Connection]:
    """A connection to books wherever they are, that changes nothing in them."""
    if url.get_backend_name() == "sqlite":
        with reading_file(Path(url.database or "")) as connection:
            yield connection
        return
    engine = make_engine(url)
    try:
        with engine.connect().execution_options(postgresql_readonly=True) as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def faults_of_pages(connection: Connection, *, deep: bool) -> list[str]:
    """What SQLite finds wrong with the file; ``deep`` compares every index with its table too.

    PostgreSQL checks pages as it reads them where the cluster has checksums, and all of them with pg_amcheck.
    """
    if connection.dialect.name != "sqlite":
        return []
    pragma = "integrity_check" if deep else "quick_check"
    try:
        said = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {pragma}({MOST_FAULTS})")]
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST_FAULTS)
    except DatabaseError as error:
        return [str(error.orig)]
    dangling = [f"{table}: row {row} refers to nothing" for table, row, *_ in broken]
    return [text for text in said if text != "ok"] + dangling


def schema_version(connection: Connection) -> str:
    """The schema version the database states; empty where it is no database of books."""
    try:
        return connection.scalar(select(about.c.value).where(about.c.key == "schema")) or ""
    except DatabaseError:
        return ""


def fault_of_schema(seen: str, *, may_be_older: bool = False) -> str | None:
    """Why this program cannot use books of that schema version, or not bring them forward."""
    if not seen:
        return "no database of books"
    known = range(FIRST if may_be_older else NEWEST, NEWEST + 1)
    return None if seen in map(str, known) else f"schema version {seen}, this program knows {NEWEST}"


def faults_of_log(connection: Connection, *, deep: bool) -> list[str]:
    """Where the evidence log contradicts itself.

    Always that its positions are gapless and the frontier has a subtree for each bit of its size; ``deep`` hashes
    every leaf anew and grows the tree from them, which takes about a second per 100,000 leaves.
    """
    kept = read_frontier(connection)
    count = int(connection.scalar(select(func.count()).select_from(leaves)) or 0)
    if count != kept.size:
        return [f"{count} leaves, but the last position says {kept.size}"]
    if len(kept.roots) != kept.size.bit_count():
        return [f"a frontier of {len(kept.roots)} subtrees for {kept.size} leaves, {kept.size.bit_count()} expected"]
    if not deep:
        return []
    tree = Frontier()
    for row in connection.execution_options(yield_per=1000).execute(select(leaves).order_by(leaves.c.position)):
        if row.leaf_hash != leaf_hash(leaf_data(row.kind, row.object_id, row.object_digest)):
            return [f"leaf {row.position} ({row.kind} {row.object_id}) has another hash than its content"]
        tree = tree.append(row.leaf_hash)
    if tree.roots != kept.roots:
        return [f"the leaves give root {tree.root.hex()}, the frontier {kept.root.hex()}"]
    return []
