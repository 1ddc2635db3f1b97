"""Whether a database of books is sound: its pages, its schema, and its evidence log against the frontier."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.exc import DatabaseError

from collector.store.log import read_frontier
from collector.store.schema import SCHEMA_VERSION, about, leaves
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


def faults_of_pages(connection: Connection, *, deep: bool) -> list[str]:
    """What SQLite finds wrong with the file; ``deep`` compares every index with its table too."""
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


def fault_of_schema(seen: str) -> str | None:
    """Why this program cannot use books of that schema version."""
    if not seen:
        return "no database of books"
    return None if seen == str(SCHEMA_VERSION) else f"schema version {seen}, this program knows {SCHEMA_VERSION}"


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
