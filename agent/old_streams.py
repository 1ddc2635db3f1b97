"""Items of streams whose outbox was damaged, as they wait in the outbox that took its place.

An item goes by a negative number of its own, so that it counts as older than every item of the outbox's stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from agent.spans import SealedItem
from protocols.records import ItemKind

_BEFORE = 2**60
"""An item's number is its row less this."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """An item of a stream whose outbox was damaged."""

    stream_id: bytes
    item: SealedItem


class OldStreams:
    """Two tables of an open outbox, ``salvaged`` and ``rescued``; calls belong to the outbox's thread."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def keep(self, salvaged: Sequence[Salvaged]) -> int:
        """Items of a stream whose outbox was damaged, in one transaction; the number that was not here yet."""
        with self._db.atomic():
            before = self._db.conn.total_changes
            self._db.conn.executemany(
                "insert or ignore into salvaged (stream_id, sequence, kind, data, digest, from_ms, to_ms)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (one.stream_id, one.item.sequence, one.item.kind.value, one.item.data, one.item.digest,
                     one.item.from_ms, one.item.to_ms)
                    for one in salvaged
                ],
            )
            return self._db.conn.total_changes - before

    def streams(self) -> set[bytes]:
        """Streams of which salvaged items are here."""
        return {bytes(row[0]) for row in self._db.execute("select distinct stream_id from salvaged")}

    def mark(self, stream_id: bytes, contiguous: int, beyond: Sequence[tuple[int, int]], now_ms: int) -> int:
        """Note what the collector has committed of a salvaged stream; the number of items newly acknowledged."""
        marked = 0
        with self._db.atomic():
            for first, last in ((0, contiguous), *beyond):
                marked += self._db.execute(
                    "update salvaged set acked_ms = ? where acked_ms is null and stream_id = ?"
                    " and sequence between ? and ?",
                    [now_ms, stream_id, first, last],
                ).rowcount
        return marked

    def acknowledged(self, stream_id: bytes, first: int, last: int, most: int) -> list[int]:
        """Of a salvaged stream's items first..last those that the collector has acknowledged."""
        rows = self._db.execute(
            "select id from salvaged where stream_id = ? and sequence between ? and ? and acked_ms is not null"
            " order by sequence limit ?", [stream_id, first, last, most],
        )
        return [row[0] - _BEFORE for row in rows]

    def rescued(self) -> set[str]:
        """Names of the damaged files that were gone through."""
        return {row[0] for row in self._db.execute("select name from rescued")}

    def note_rescued(self, name: str) -> None:
        """A damaged file was gone through."""
        with self._db.atomic():
            self._db.table("rescued").insert({"name": name}, pk="name", ignore=True)

    def give_up(self, size: int) -> int:
        """Let the oldest salvaged items go, acknowledged ones first, of so many bytes together; the number gone."""
        gone: list[tuple[int]] = []
        rows = self._db.execute("select id, length(data) from salvaged order by acked_ms is null, id")
        for key, length in rows:
            if size <= 0:
                break
            gone.append((key,))
            size -= length
        rows.close()
        with self._db.atomic():
            self._db.conn.executemany("delete from salvaged where id = ?", gone)
        return len(gone)

    def waiting(self, most: int) -> list[int]:
        """The oldest items without an acknowledgement, in order."""
        rows = self._db.execute("select id from salvaged where acked_ms is null order by id limit ?", [most])
        return [row[0] - _BEFORE for row in rows]

    def item(self, number: int) -> SealedItem | None:
        """An item, bytes as they were sealed; None where it is not here (any more)."""
        rows = list(self._db.query("select * from salvaged where id = ?", [number + _BEFORE]))
        return sealed_of(rows[0]) if rows else None

    def evict(self, before_ms: int) -> int:
        """Drop items acknowledged before an instant, within the caller's transaction; the number dropped."""
        return int(self._db.execute("delete from salvaged where acked_ms < ?", [before_ms]).rowcount)

    def backlog(self) -> tuple[int, int]:
        """Items that wait, and their bytes."""
        items, size = self._db.execute(
            "select count(*), coalesce(sum(length(data)), 0) from salvaged where acked_ms is null"
        ).fetchone()
        return items, size


def sealed_of(row: dict[str, Any]) -> SealedItem:
    """The item that a row holds."""
    kind = ItemKind(row["kind"])
    return SealedItem(row["sequence"], kind, row["data"], row["digest"], row["from_ms"], row["to_ms"])
