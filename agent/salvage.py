"""What a damaged outbox still gives: its items go out as they are, its journal becomes the sealed end of its stream.

The damaged file is only read and stays where it was moved. Items that nobody has acknowledged are signed evidence of
the old stream: they go into ``salvaged`` byte for byte and leave behind the new stream's. The journal can be sealed
where the file still says how the stream stood and nobody knows of a later item; what cannot be sealed is set aside.
A file that was begun and not finished is gone through again at the next start; nothing is kept twice.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from logging import getLogger
from pathlib import Path
from typing import Any

from agent.identity import Identity
from agent.log import line
from agent.old_streams import Salvaged
from agent.outbox import Outbox, standing_of
from agent.parts import SetAside, told
from agent.results import decode_entry
from agent.spans import SealedItem, Tail
from agent.startup import Head, finish_last_run
from agent.writer import Writer
from protocols.errors import EmitraceError
from protocols.wire.codec import item_digest
from protocols.wire.errors import WireError
from protocols.wire.items import kind_of

CHUNK = 10
"""Items taken over in one transaction, so that the journal never waits long."""
MISSES = 5_000
"""Rows that cannot be read one after another, before the rest is tried from the end."""

_log = getLogger(__name__)
_UNSOUND = (sqlite3.Error, ValueError, TypeError, KeyError, LookupError, WireError, EmitraceError)


async def pending(writer: Writer) -> list[Path]:
    """Damaged files beside the outbox that were not gone through yet, oldest first."""
    path, done = writer.outbox.path, await writer.call(writer.outbox.old_streams.rescued)
    found = sorted(path.parent.glob(f"{path.name}.damaged-*"))
    return [one for one in found if one.name not in done and not one.name.endswith(("-wal", "-shm"))]


async def save_end(
    writer: Writer, damaged: Path, own: Identity, software: str, known: Head | None
) -> Head | None:
    """Seal what a damaged file's journal holds as the end of its stream; the last head known of that stream."""
    found = await asyncio.to_thread(_last_head, damaged, own)
    if found is not None and (
        known is None or found.stream_id != known.stream_id or found.sequence > known.sequence
    ):
        known = found
    items: list[Salvaged] = []
    end = await Writer.open(Path(":memory:"), 0)
    try:
        entries = await end.call(_copy_end, damaged, end.outbox)
        standing = await end.call(end.outbox.standing)
        if standing is None or not _is_end(known, standing.tail):
            aside = _aside(entries, "the state of its stream was lost")
        else:
            after = await finish_last_run(end, own.key, software) or standing
            made = [await end.call(end.outbox.item, one) for one in await end.call(end.outbox.stored, 0, 2**62, 10**6)]
            items = [Salvaged(after.tail.stream_id, item) for item in made if item is not None]
            aside = await end.call(end.outbox.set_aside)
            known = Head(after.tail.stream_id, after.tail.sequence - 1, after.tail.previous)
    except _UNSOUND as error:
        _log.error(line("journal-not-salvaged", file=damaged.name, reason=told(error)))
        return known
    finally:
        await end.close()
    await writer.call(writer.outbox.old_streams.keep, items)
    await writer.set_aside(aside)
    _log.warning(line("journal-salvaged", entries=len(entries), items=len(items), file=damaged.name))
    return known


async def save_items(writer: Writer, damaged: Path, own: Identity) -> None:
    """Take over the waiting items of a damaged file, a few at a time; they leave with the backlog."""
    with closing(_Source(damaged, own)) as source:
        saved = 0
        while chunk := await asyncio.to_thread(source.take, CHUNK):
            saved += await writer.call(writer.outbox.old_streams.keep, chunk)
    await writer.call(writer.outbox.old_streams.note_rescued, damaged.name)
    _log.warning(line("items-salvaged", items=saved, unreadable=source.unsound, file=damaged.name))


class _Source:
    """Items of a damaged file, as far as they can be read and carry the agent's own signature."""

    def __init__(self, damaged: Path, own: Identity) -> None:
        self._connection = _open(damaged)
        self._rows = _rows(self._connection, "items", ("sequence", "data", "from_ms", "to_ms", "acked_ms"))
        self._own = own
        self.unsound = 0

    def take(self, most: int) -> list[Salvaged]:
        """The next that wait for the collector; none when there are no more."""
        taken: list[Salvaged] = []
        for _, data, from_ms, to_ms, acked_ms in self._rows:
            if acked_ms is None:
                try:
                    taken.append(_salvaged(data, from_ms, to_ms, self._own))
                except _UNSOUND:
                    self.unsound += 1
            if len(taken) == most:
                break
        return taken

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _salvaged(data: bytes, from_ms: int, to_ms: int, own: Identity) -> Salvaged:
    item = own.read(data)
    sealed = SealedItem(item.sequence, kind_of(item), data, item_digest(data), int(from_ms), int(to_ms))
    return Salvaged(item.stream_id, sealed)


def _last_head(damaged: Path, own: Identity) -> Head | None:
    """The newest item that can be read."""
    with closing(_open(damaged)) as connection, suppress(sqlite3.DatabaseError):
        for (data,) in connection.execute("select data from items order by sequence desc"):
            with suppress(*_UNSOUND):
                last = _salvaged(data, 0, 0, own)
                return Head(last.stream_id, last.item.sequence, last.item.digest)
    return None


def _copy_end(damaged: Path, end: Outbox) -> list[bytes]:
    """State, plans and journal of a damaged file into an outbox of their own; the journal's entries."""
    with closing(_open(damaged)) as connection:
        entries = [(edge_ms, entry) for _, edge_ms, entry in _rows(connection, "journal", ("id", "edge_ms", "entry"))]
        plans = [(digest, text) for _, digest, text in _rows(connection, "plans", ("rowid", "digest", "document"))]
        try:
            connection.row_factory = sqlite3.Row
            row = connection.execute("select * from state").fetchone()
            standing = None if row is None else standing_of(dict(row))
        except _UNSOUND:
            standing = None
    if standing is not None:
        end.restore(standing, plans, entries)
    return [entry for _, entry in entries]


def _open(damaged: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _rows(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Rows by their key, the first column, stepping over what cannot be read; from the end where that is too much."""
    wanted = f"select {', '.join(columns)} from {table} where {columns[0]}"  # noqa: S608 - our own names
    with suppress(sqlite3.DatabaseError):
        connection.execute("select count(*) from sqlite_master").fetchone()
        after, misses = -1, 0
        while misses < MISSES:
            try:
                for row in connection.execute(f"{wanted} > ? order by {columns[0]}", [after]):
                    after, misses = row[0], 0
                    yield row
            except sqlite3.DatabaseError:
                after, misses = after + 1, misses + 1
            else:
                return
        yield from connection.execute(f"{wanted} > ? order by {columns[0]} desc", [after])


def _is_end(known: Head | None, tail: Tail) -> bool:
    """Whether the state found is not older than the last head known: otherwise its next item exists already."""
    return known is None or (known.stream_id == tail.stream_id and known.sequence < tail.sequence)


def _aside(entries: Sequence[bytes], reason: str) -> list[SetAside]:
    """Journal entries that cannot be sealed, to be kept as they are."""
    aside: list[SetAside] = []
    for entry in entries:
        try:
            results, stamps = len(decode_entry(entry)[0]), ""
        except (ValueError, TypeError, WireError) as error:
            results, stamps = 1, f"; {told(error)}"
        aside.append(SetAside(0, 0, 0, f"from a damaged outbox: {reason}{stamps}", results, entry))
    return aside
