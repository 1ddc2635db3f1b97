"""Everything the agent must not lose, in one SQLite file: journal, sealed items, and where the stream stands.

One transaction seals a span: the item, the new state and the end of the span's journal rows stand together or
not at all. The file is in WAL mode with full synchronisation. File, log and index together stay within a cap
(``Bounds``): up to it an item leaves only when the collector has acknowledged it and the retention has passed; at
it ``agent.room`` lets items go, and a tombstone takes the place of those nobody has. Raw results that no batch
could hold are kept in ``set_aside``, with the reason; where they pass their own bound the oldest lose their bytes
and keep the line that says so.

All calls belong to one thread (``agent.writer``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from agent.bounds import DEFAULT, Backlog, Bounds, Fill
from agent.findings import NOTHING, Findings, read_findings
from agent.held_log import HeldLog
from agent.old_streams import OldStreams, sealed_of
from agent.outbox_schema import ADDED, FORMAT, SCHEMA
from agent.parts import SetAside
from agent.spans import SealedItem, Tail
from protocols.errors import EmitraceError
from protocols.records import Clock, ClockState, ItemKind
from protocols.wire import cbor
from protocols.wire.state import read_state, state_map

DAY_MS = 86_400_000
ASIDE_LINES = 10_000
"""Lines of ``set_aside`` at most, with or without bytes."""
RATE_BATCHES = 64
"""So many of the newest batches say how fast the outbox grows."""
VACUUM_PAGES = 512
"""Free pages given back to the disk in one transaction."""


class OutboxError(EmitraceError):
    """An outbox that cannot be used as it is."""


class OutboxDamagedError(OutboxError):
    """The file is not a sound outbox any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the stream stands: its tail, and of the run that wrote it clock, clean end, and how it read the plan."""

    tail: Tail
    clock: Clock
    clean: bool
    findings: Findings = NOTHING


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that waits for the collector, without its bytes."""

    sequence: int
    digest: bytes
    from_ms: int
    to_ms: int


class Outbox:
    """An open outbox; opening creates what is missing and changes nothing that is there."""

    def __init__(self, path: Path, bounds: Bounds = DEFAULT) -> None:
        self.path = path
        self.bounds = bounds
        try:
            self._db = Database(sqlite3.connect(path))
            self.old_streams, self.held_log = OldStreams(self._db), HeldLog(self._db)
            self._prepare()
        except sqlite3.OperationalError as error:
            raise OutboxError(f"outbox {path}", str(error), "check the folder, its owner and the free space") from error
        except sqlite3.DatabaseError as error:
            raise OutboxDamagedError(f"outbox {path}", str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def standing(self) -> Standing | None:
        """Where the stream stands; None before its first item."""
        rows = list(self._db.query("select * from state"))
        return standing_of(rows[0]) if rows else None

    def document(self, plan: bytes) -> bytes:
        """The plan document with a digest."""
        row = self._db.execute("select document from plans where digest = ?", [plan]).fetchone()
        if row is None:
            raise OutboxDamagedError(f"outbox {self.path}", f"no plan document {plan.hex()}")
        return bytes(row[0])

    def append_plan(self, item: SealedItem, document: bytes, standing: Standing) -> None:
        """A plan takes its place in the stream, with its document."""
        with self._db.atomic():
            self._db.table("plans").insert(
                {"digest": standing.tail.plan, "document": document}, pk="digest", replace=True
            )
            self._append(item, standing)

    def begin_run(self, standing: Standing, edge_ms: int, entry: bytes) -> None:
        """A run starts: its clock is noted together with its first journal entry."""
        with self._db.atomic():
            self._save(standing)
            self._db.table("journal").insert({"edge_ms": edge_ms, "entry": entry})

    def journal(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Keep entries, each with the batch edge that will seal it, in one transaction."""
        with self._db.atomic():
            self._db.table("journal").insert_all({"edge_ms": edge, "entry": entry} for edge, entry in entries)

    def journalled(self) -> list[bytes]:
        """Entries of the spans not sealed yet, in the order they were written."""
        return [bytes(row[0]) for row in self._db.execute("select entry from journal order by id")]

    def seal(self, item: SealedItem, standing: Standing, edge_ms: int) -> None:
        """One transaction: the item stands, the state moves on, the journal up to the edge is over."""
        self.seal_all([item], standing, edge_ms)

    def seal_all(
        self, items: Sequence[SealedItem], standing: Standing, edge_ms: int, aside: Sequence[SetAside] = ()
    ) -> None:
        """The same for a span in several parts; what they could not hold is set aside in the same transaction."""
        with self._db.atomic():
            for item in items:
                self._append(item, standing)
            self._db.table("set_aside").insert_all(asdict(one) for one in aside)
            if aside:
                self._bound_aside()
            self._db.execute("delete from journal where edge_ms <= ?", [edge_ms])

    def restore(
        self, standing: Standing, plans: Sequence[tuple[bytes, bytes]], entries: Sequence[tuple[int, bytes]]
    ) -> None:
        """Into an empty outbox: where a stream stands, its plan documents, and its journal."""
        with self._db.atomic():
            self._save(standing)
            self._db.table("plans").insert_all({"digest": digest, "document": text} for digest, text in plans)
            self._db.table("journal").insert_all({"edge_ms": edge, "entry": entry} for edge, entry in entries)

    def set_aside_results(self, aside: Sequence[SetAside]) -> None:
        """Keep results that no batch of this stream could hold."""
        with self._db.atomic():
            self._db.table("set_aside").insert_all(asdict(one) for one in aside)
            self._bound_aside()

    def set_aside(self) -> list[SetAside]:
        """Everything that was set aside, oldest first."""
        rows = self._db.query("select sequence, from_ms, to_ms, reason, results, entry from set_aside order by id")
        return [SetAside(**row) for row in rows]

    def results_set_aside(self) -> int:
        """How many results that is."""
        return int(self._db.execute("select coalesce(sum(results), 0) from set_aside").fetchone()[0])

    def unacknowledged(self, most: int) -> list[int]:
        """The oldest sequences the collector has not acknowledged."""
        rows = self._db.execute(
            "select sequence from items where acked_ms is null order by sequence limit ?", [most]
        )
        return [row[0] for row in rows]

    def waiting(self, oldest: int, newest: int) -> tuple[list[int], list[int]]:
        """The oldest and the newest items without an acknowledgement, each in order.

        An item goes by its sequence, one that was salvaged by a negative number of its own, older than all others.
        """
        rows = self._db.execute(
            "select sequence from items where acked_ms is null order by sequence desc limit ?", [newest]
        )
        return (self.old_streams.waiting(oldest) + self.unacknowledged(oldest))[:oldest], [row[0] for row in rows][::-1]

    def item(self, sequence: int) -> SealedItem | None:
        """A stored item, bytes as they were sealed; None where it is not here (any more)."""
        if sequence < 0:
            return self.old_streams.item(sequence)
        rows = list(self._db.query("select * from items where sequence = ?", [sequence]))
        return sealed_of(rows[0]) if rows else None

    def stored(self, first: int, last: int, most: int) -> list[int]:
        """Sequences in first..last that are here, at most ``most``."""
        rows = self._db.execute(
            "select sequence from items where sequence between ? and ? order by sequence limit ?", [first, last, most]
        )
        return [row[0] for row in rows]

    def acknowledged(self, first: int, last: int, most: int) -> list[int]:
        """Those of them that the collector has acknowledged."""
        rows = self._db.execute(
            "select sequence from items where sequence between ? and ? and acked_ms is not null"
            " order by sequence limit ?", [first, last, most],
        )
        return [row[0] for row in rows]

    def mark_acknowledged(self, contiguous: int, beyond: Sequence[tuple[int, int]], now_ms: int) -> int:
        """Note what the collector has committed; the number of items newly acknowledged."""
        marked = 0
        with self._db.atomic():
            for first, last in ((0, contiguous), *beyond):
                marked += self._db.execute(
                    "update items set acked_ms = ? where acked_ms is null and sequence between ? and ?",
                    [now_ms, first, last],
                ).rowcount
        return marked

    def evict(self, before_ms: int) -> int:
        """Drop items acknowledged before an instant; the newest item stays. The number dropped."""
        with self._db.atomic():
            return self.old_streams.evict(before_ms) + int(
                self._db.execute(
                    "delete from items where acked_ms < ? and sequence < (select max(sequence) from items)", [before_ms]
                ).rowcount
            )

    def backlog(self) -> Backlog:
        """What waits for the collector; what a tombstone under way stands for was never acknowledged."""
        items, size, oldest, newest, buried = self._db.execute(
            "select count(*), coalesce(sum(length(data)), 0), min(sequence), (select max(sequence) from items),"
            " (select min(first) from buried join items on sequence = stone where acked_ms is null)"
            " from items where acked_ms is null"
        ).fetchone()
        more, bytes_more = self.old_streams.backlog()
        items, size = items + more, size + bytes_more
        first = min((one for one in (oldest, buried) if one is not None), default=None)
        acknowledged = first - 1 if first is not None else -1 if newest is None else newest
        return Backlog(items, size, -1 if oldest is None else oldest, acknowledged)

    def fill(self) -> Fill:
        """How full the outbox is, and when it would be."""
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm"))
        size = sum(file.stat().st_size for file in files if file.exists())
        oldest_ms = self._db.execute(
            "select from_ms from items where acked_ms is null order by sequence limit 1"
        ).fetchone()
        grown, from_ms, to_ms = self._db.execute(
            "select sum(size), min(from_ms), max(to_ms) from (select length(data) as size, from_ms, to_ms from items"
            " where kind = ? order by sequence desc limit ?)", [ItemKind.BATCH.value, RATE_BATCHES],
        ).fetchone()
        full_in_s = None
        if grown is not None and to_ms > from_ms:
            full_in_s = max(self.bounds.high - self.backlog().size, 0) * (to_ms - from_ms) // (1000 * grown)
        return Fill(size, self.bounds.max_bytes, None if oldest_ms is None else oldest_ms[0], full_in_s)

    def excess(self) -> int:
        """By how much the pages in use pass the mark from which room is made, down to the lower one. [bytes]"""
        used = self._in_use()
        return used - self.bounds.low if used > self.bounds.high else 0

    def give_up_acknowledged(self, size: int) -> int:
        """Let the oldest acknowledged items go, of so many bytes together; the newest item stays. The number gone."""
        gone = self._oldest("acked_ms is not null", size)
        with self._db.atomic():
            self._delete(gone)
        return len(gone)

    def oldest_waiting(self, size: int) -> list[Waiting]:
        """The oldest batches without an acknowledgement, of so many bytes together; never the newest item."""
        return self._oldest(f"acked_ms is null and kind = '{ItemKind.BATCH.value}'", size)

    def bury(self, gone: Sequence[Waiting], stones: Sequence[tuple[int, int, SealedItem]], standing: Standing) -> None:
        """One transaction: batches go, and tombstones (first, last, item) stand for them at the stream's end."""
        with self._db.atomic():
            self._delete(gone)
            for first, last, stone in stones:
                self._append(stone, standing)
                self._db.table("buried").insert({"stone": stone.sequence, "first": first, "last": last})

    def shrink(self) -> int:
        """Give free pages back to the disk where they are most of the file; the bytes given back.

        Moving pages wears the flash, so what the next batches will fill again stays.
        """
        free, pages, page = self._pages()
        if 2 * free <= pages:
            return 0
        self._db.execute(f"pragma incremental_vacuum({VACUUM_PAGES})").fetchall()
        self._db.execute("pragma wal_checkpoint(truncate)").fetchall()
        return page * (pages - self._pages()[1])

    def _pages(self) -> tuple[int, int, int]:
        """Free pages, all pages, and the size of one. [bytes]"""
        names = ("freelist_count", "page_count", "page_size")
        free, pages, page = (int(self._db.execute(f"pragma {name}").fetchone()[0]) for name in names)
        return free, pages, page

    def _in_use(self) -> int:
        free, pages, page = self._pages()
        return page * (pages - free)

    def _oldest(self, which: str, size: int) -> list[Waiting]:
        rows = self._db.execute(
            f"select sequence, digest, from_ms, to_ms, length(data) from items where {which}"  # noqa: S608 - our own
            " and sequence < (select max(sequence) from items) order by sequence"
        )
        found: list[Waiting] = []
        for sequence, digest, from_ms, to_ms, length in rows:
            if size <= 0:
                break
            found.append(Waiting(sequence, digest, from_ms, to_ms))
            size -= length
        rows.close()
        return found

    def _delete(self, gone: Sequence[Waiting]) -> None:
        self._db.conn.executemany("delete from items where sequence = ?", [(one.sequence,) for one in gone])
        self._db.conn.executemany("delete from buried where stone = ?", [(one.sequence,) for one in gone])

    def _bound_aside(self) -> None:
        """Take the bytes of the oldest results set aside where all of them pass their bound, and of too many lines."""
        size = 0
        for key, length in self._db.execute("select id, length(entry) from set_aside order by id desc").fetchall():
            size += length
            if length and size > self.bounds.aside:
                self._db.execute("update set_aside set entry = x'' where id = ?", [key])
        self._db.execute("delete from set_aside where id <= (select max(id) from set_aside) - ?", [ASIDE_LINES])

    def _prepare(self) -> None:
        self._db.execute("pragma auto_vacuum = incremental").fetchall()  # an older file keeps its own way
        self._db.execute("pragma journal_mode = wal").fetchall()
        self._db.execute("pragma synchronous = full").fetchall()
        page = self._pages()[2]
        self._db.execute(f"pragma max_page_count = {self.bounds.file // page}").fetchall()
        self._db.execute(f"pragma journal_size_limit = {self.bounds.log // 2}").fetchall()
        self._db.execute(f"pragma wal_autocheckpoint = {min(1000, self.bounds.log // 4 // page)}").fetchall()
        found = self._db.execute("pragma user_version").fetchone()[0]
        if found not in (0, FORMAT):
            seen = f"format {found}, this agent knows {FORMAT}"
            raise OutboxError(f"outbox {self.path}", seen, "install a newer agent")
        sound = self._db.execute("pragma quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise OutboxDamagedError(f"outbox {self.path}", sound)
        with self._db.atomic():
            for statement in SCHEMA:
                self._db.execute(statement)
            for table, column, kind in ADDED:
                if column not in self._db.table(table).columns_dict:
                    self._db.execute(f"alter table {table} add column {column} {kind}")
            self._db.execute(f"pragma user_version = {FORMAT}")

    def _append(self, item: SealedItem, standing: Standing) -> None:
        self._db.table("items").insert(
            {
                "sequence": item.sequence, "kind": item.kind.value, "data": item.data, "digest": item.digest,
                "from_ms": item.from_ms, "to_ms": item.to_ms, "acked_ms": None,
            },
            pk="sequence",
        )
        self._save(standing)

    def _save(self, standing: Standing) -> None:
        tail, clock = standing.tail, standing.clock
        self._db.table("state").insert(
            {
                "id": 1, "stream_id": tail.stream_id, "sequence": tail.sequence, "previous": tail.previous,
                "span_end_ms": tail.span_end_ms, "plan": tail.plan, "fold": cbor.encode(state_map(tail.fold)),
                "boot_id": clock.boot_id, "offset_ms": clock.offset_ms, "clock_state": int(clock.state),
                "uncertainty_ms": clock.uncertainty_ms, "clean": int(standing.clean),
                "findings": standing.findings.text(),
            },
            pk="id", replace=True,
        )


def open_outbox(path: Path, now_ms: int, bounds: Bounds = DEFAULT) -> tuple[Outbox, Path | None]:
    """Open the outbox; a damaged file is moved aside (its new place is returned) and an empty one takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return Outbox(path, bounds), None
    except OutboxDamagedError:
        aside = path.with_name(f"{path.name}.damaged-{now_ms}")
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return Outbox(path, bounds), aside


def standing_of(row: dict[str, Any]) -> Standing:
    """What a row of ``state`` says."""
    return Standing(
        Tail(
            row["stream_id"], row["sequence"], row["previous"], row["span_end_ms"], row["plan"],
            read_state(cbor.decode(row["fold"]), "outbox state"),
        ),
        Clock(row["boot_id"], row["offset_ms"], ClockState(row["clock_state"]), row["uncertainty_ms"]),
        bool(row["clean"]),
        read_findings(row.get("findings", "")),
    )
