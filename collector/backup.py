"""Backups: one archive with the books as they stood at one instant, verified before it gets its name.

The archive is a zip of stored members: ``books.sqlite``, ``collector.toml``, the keys where asked for, and
``manifest.json``, which names the digest of each. It holds password hashes, so it is readable by its owner only.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, func, inspect, select

from collector.books import Books
from collector.config import LOG_KEY
from collector.disk import sync_folder
from collector.evidence.container import CHUNK, ContainerWriter, open_container
from collector.log import clean
from collector.store.checkpoints import all_origins
from collector.store.log import read_frontier
from collector.store.schema import agents, items, origins, streams
from collector.store.soundness import fault_of_schema, faults_of_log, faults_of_pages, reading_file, schema_version
from protocols.errors import EmitraceError

FORMAT = 1
BOOKS, CONFIG, KEY, MANIFEST = "books.sqlite", "collector.toml", "collector.key", "manifest.json"
PAGES_AT_A_TIME = 2000
MOST_MANIFEST = 64 * 1024 * 1024

Progress = Callable[[int, int], None]
"""(bytes copied, bytes in all)"""


class BackupError(EmitraceError):
    """A backup that could not be made, or an archive that is not to be believed."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream of an agent had come: everything up to ``contiguous``; the newest item ends at ``to_ms``."""

    agent: str
    name: str
    stream: str
    contiguous: int
    to_ms: int | None


@dataclass(frozen=True, slots=True)
class BooksState:
    """What a database of books is: schema version, size, root and origin of its evidence log, streams."""

    schema: str
    tree_size: int
    root: str
    streams: tuple[StreamState, ...]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself; ``collector`` is the fingerprint of the key these books belong to.

    ``files`` is (name, bytes, SHA-256) of every other member.
    """

    made_ms: int
    software: str
    collector: str
    books: BooksState
    files: tuple[tuple[str, int, str], ...]


def write_backup(books: Books, out: Path, at_ms: int, progress: Progress, *, with_key: bool) -> Manifest:
    """Write and verify an archive while the service runs; ``out`` appears whole or not at all.

    Writers go on meanwhile: the copy reads one snapshot, the write-ahead log grows until it is done.
    """
    source = books.database.file
    if source is None:
        raise BackupError(
            f"books {books.database.name}", "are on a PostgreSQL server",
            "pg_dump --format=custom --file=books.dump DATABASE, and keep a copy of collector.key; see "
            "docs/central-team.md.",
        )  # fmt: skip
    draft, snapshot = (out.with_name(f".{out.name}.{os.getpid()}.{part}") for part in ("draft", "books"))
    try:
        _check_room(out, source)
        copy_books(source, snapshot, progress)
        state = check_books(snapshot)
        config = clean(books.config.file.read_text(encoding="utf-8")).encode()
        keys = {}
        if with_key:
            keys = {KEY: books.config.key_file.read_bytes(), LOG_KEY: books.config.log_key_file.read_bytes()}
        with _private(draft) as file:
            manifest = _write_archive(file, snapshot, config, keys, (at_ms, books.collector_id, state))
        if read_manifest(draft) != manifest:
            raise BackupError(f"backup {out}", "reads back differently from what was written", "Check the disk.")
        draft.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise BackupError(f"backup {out}", str(error), "Name a file in a folder that can be written.") from error
    finally:
        draft.unlink(missing_ok=True)
        snapshot.unlink(missing_ok=True)
    return manifest


def check_books(path: Path, *, may_be_older: bool = False) -> BooksState:
    """What a database of books is; BackupError where it is not sound from its pages to the root of its log."""
    with reading_file(path) as connection:
        faults = faults_of_pages(connection, deep=True)
        if not faults:
            unknown = fault_of_schema(schema_version(connection), may_be_older=may_be_older)
            faults = [unknown] if unknown else faults_of_log(connection, deep=True)
        if faults:
            raise BackupError(f"books {path.name}", "; ".join(faults), "Run emitrace-collector doctor --deep.")
        tree = read_frontier(connection)
        return BooksState(
            schema_version(connection), tree.size, tree.root.hex(), _streams(connection), _origin(connection)
        )


def read_manifest(archive: Path) -> Manifest:
    """The manifest of an archive whose every byte was read and whose every member has the digest it names."""
    try:
        with archive.open("rb") as file:
            container = open_container(file)
            if MANIFEST not in container.members:
                raise BackupError(f"backup {archive}", f"holds no {MANIFEST}", "Name a file that backup has written.")
            manifest = _manifest(json.loads(container.content(MANIFEST, MOST_MANIFEST)))
    except EmitraceError as error:
        if isinstance(error, BackupError):
            raise
        raise BackupError(f"backup {archive}", str(error), "Take another copy of the archive.") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BackupError(f"backup {archive}", f"{type(error).__name__}: {error}", "Take another archive.") from error
    held = {name: member.sha256.hex() for name, member in container.members.items() if name != MANIFEST}
    named = {name: digest for name, _, digest in manifest.files}
    if held != named or not {BOOKS, CONFIG} <= held.keys() <= {BOOKS, CONFIG, KEY, LOG_KEY}:
        wrong = sorted(name for name in held.keys() | named.keys() if held.get(name) != named.get(name)) or sorted(held)
        raise BackupError(f"backup {archive}", f"not what its manifest says: {', '.join(wrong)}", "Take another copy.")
    return manifest


def _check_room(out: Path, source: Path) -> None:
    """The copy of the books and the archive stand side by side for a moment."""
    wanted = 2 * source.stat().st_size + 64 * CHUNK
    free = shutil.disk_usage(out.parent).free
    if free < wanted:
        raise BackupError(
            f"backup {out}", f"{free >> 20} MiB free, about {wanted >> 20} MiB needed", "Name a file on a larger disk."
        )


def copy_books(source: Path, target: Path, progress: Progress) -> None:
    """Copy one snapshot page by page; the open read transaction keeps it the same while others write."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    reader = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)
    writer = sqlite3.connect(target)
    try:
        size = int(reader.execute("PRAGMA page_size").fetchone()[0])
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(
            writer, pages=PAGES_AT_A_TIME, progress=lambda _, left, all_: progress((all_ - left) * size, all_ * size)
        )
        writer.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file, nothing beside it
    except sqlite3.Error as error:
        raise BackupError(f"books {source}", str(error), "Run emitrace-collector doctor.") from error
    finally:
        writer.close()
        reader.close()


def _write_archive(
    file: BinaryIO, snapshot: Path, config: bytes, keys: dict[str, bytes], about: tuple[int, str, BooksState]
) -> Manifest:
    at_ms, collector, state = about
    archive = ContainerWriter(file)
    members = [archive.add(BOOKS, _chunks(snapshot))]
    members += [archive.add(name, [data]) for name, data in sorted({**keys, CONFIG: config}.items())]
    files = tuple((member.name, member.size, member.sha256.hex()) for member in members)
    manifest = Manifest(at_ms, version("emitrace"), collector, state, files)
    archive.add(MANIFEST, [json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, ensure_ascii=False).encode()])
    archive.close()
    file.flush()
    os.fsync(file.fileno())
    return manifest


def _manifest(told: dict[str, Any]) -> Manifest:
    if told["format"] != FORMAT:
        seen = f"format {told['format']}, this program knows {FORMAT}"
        raise BackupError(MANIFEST, seen, "Use the matching program.")
    books = told["books"]
    state = BooksState(
        str(books["schema"]), int(books["tree_size"]), str(books["root"]),
        tuple(StreamState(**stream) for stream in books["streams"]), str(books.get("origin", "")),
    )  # fmt: skip
    files = tuple((str(name), int(size), str(digest)) for name, size, digest in told["files"])
    collector = str(told["collector"] if "collector" in told else told["origin"])  # as archives before said it
    return Manifest(int(told["made_ms"]), str(told["software"]), collector, state, files)


def _origin(connection: Connection) -> str:
    """The log's name; empty where these are books of before it had one."""
    known = all_origins(connection) if inspect(connection).has_table(origins.name) else []
    return known[-1].name if known else ""


def _streams(connection: Connection) -> tuple[StreamState, ...]:
    newest = (
        select(func.max(items.c.to_ms))
        .where(items.c.agent_id == streams.c.agent_id, items.c.stream_id == streams.c.stream_id)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(streams, agents.c.name, newest.label("to_ms"))
        .join(agents, agents.c.agent_id == streams.c.agent_id)
        .order_by(agents.c.name, streams.c.agent_id, streams.c.first_ms)
    )
    return tuple(
        StreamState(row.agent_id, row.name, row.stream_id.hex(), row.contiguous, row.to_ms) for row in rows
    )


def _private(path: Path) -> BinaryIO:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
