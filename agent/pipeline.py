"""One run of polling: results into the journal every ``commit_s``, a sealed batch at every batch edge.

A span is sealed once every slot due in it has its fate, or when the time to settle is over. While the disk
refuses (full, unplugged), polling goes on in memory, up to a bound (``agent.gather``), and the write is tried
again. The same bound holds where more is read than the processor can seal. A span that cannot be sealed with its
answers is sealed without them (``agent.parts``).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from logging import getLogger

from agent.clock import UtcLine
from agent.gather import Gathering
from agent.log import line as log_line
from agent.outbox import Standing
from agent.parts import REASON_CHARACTERS, Sealer, set_aside
from agent.results import Result, encode_entry
from agent.schedule import Agenda
from agent.site import Reading
from agent.spans import SealedItem, next_edge
from agent.startup import Begun
from agent.waiting import comes_within
from agent.writer import Writer
from protocols.records import Event, EventKind, Fate

SETTLE_SPARE_S = 0.5
"""Beyond the slowest timeout: how long a batch edge waits for slots under way. [s]"""
DISK_RETRY_S = 5.0
DISK_BEHIND = "the disk refused and the memory for readings was full"
PROCESSOR_BEHIND = "more was read than could be sealed in time, and the memory for readings was full"
"""Why a span was given up, as its gap event says."""
_HINTS = {
    DISK_BEHIND: "readings are being lost: free the disk of the state folder",
    PROCESSOR_BEHIND: "readings are being lost: the processor is behind; read fewer points or less often",
}

_log = getLogger(__name__)


class Pipeline:
    """From results to sealed batches, over one run.

    Parameters
    ----------
    agendas : sequence of Agenda
        One per bus; they say which slots are still open at an edge.
    settle_s : float
        How long an edge waits for open slots. [s]
    commit_s : float
        How often results are journalled. [s]
    on_item : callable
        Told of every sealed item, after it is safe.
    """

    def __init__(
        self,
        reading: Reading,
        begun: Begun,
        agendas: Sequence[Agenda],
        writer: Writer,
        sealer: Sealer,
        line: UtcLine,
        settle_s: float,
        commit_s: float,
        on_item: Callable[[SealedItem, Standing], None],
    ) -> None:
        self.standing = begun.standing
        self.last_poll_ms = 0
        self.disk_problem = ""
        self._reading = reading
        self._agendas = tuple(agendas)
        self._writer = writer
        self._sealer = sealer
        self._line = line
        self._settle_s = settle_s
        self._commit_s = commit_s
        self._on_item = on_item
        self._gathering = Gathering(reading.requests, reading.bound.intervals_ms)
        self._events = list(begun.events)
        self._start_ms = begun.start_ms
        self._unsaved: list[Result] = []
        self._untold: list[Event] = []
        self._behind = PROCESSOR_BEHIND
        self._why_lost = ""
        self._progress = asyncio.Event()
        self._stopping = asyncio.Event()

    def report(self, result: Result) -> None:
        """Take a slot's fate; of two for one slot the first stands."""
        if self._gathering.due_ms(result) < self.standing.tail.span_end_ms or not self._gathering.add(result):
            return
        self._unsaved.append(result)
        self._shed()
        if result.fate == Fate.GOOD:
            self.last_poll_ms = self._line.now_ms()
        self._progress.set()

    def note(self, event: Event) -> None:
        """Take an event into the stream: journalled with the next results, stated by the batch that holds its time."""
        self._events.append(event)
        self._untold.append(event)

    async def note_at_once(self, event: Event) -> None:
        """The same for an event that somebody waits for: on the disk when this returns, if the disk takes anything."""
        self.note(event)
        await self._flush()

    def refuse_plan(self, digest: bytes, reason: str) -> None:
        """State that a pushed plan is not followed, and why."""
        details = (("plan", digest), ("reason", reason[:REASON_CHARACTERS]))
        self.note(Event(EventKind.PLAN_REFUSED, self._line.now_ms(), "", details))

    def newest(self, request: int) -> Result | None:
        """What a request brought last, for whoever watches; None where it brought nothing yet."""
        return self._gathering.newest(request)

    async def run(self) -> None:
        """Journal and seal until ``stop``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._journal(), name="journal")
            group.create_task(self._seal_edges(), name="seal")

    def stop(self) -> None:
        """Polling is over: let ``run`` end after what it is doing."""
        self._stopping.set()
        self._progress.set()

    async def close(self) -> None:
        """Seal what there is up to now with the stop event; what cannot be written stays for the next start."""
        to_ms = max(self._line.now_ms(), self.standing.tail.span_end_ms) + 1
        self._events.append(Event(EventKind.AGENT_STOP, to_ms))
        try:
            await self._seal(to_ms, clean=True)
        except sqlite3.Error as error:
            _log.error(log_line("stop-not-sealed", error=error, hint="the journal is sealed at the next start"))

    def _shed(self) -> None:
        """Give up the oldest span where disk or processor have been behind for too long."""
        given_up = self._gathering.shed(self._reading.bound.batch_ms)
        if given_up is None:
            return
        self._unsaved = [one for one in self._unsaved if not self._gathering.is_dropped(self._gathering.due_ms(one))]
        self._why_lost = self._behind
        hint = _HINTS[self._behind]
        _log.error(log_line("memory-full", from_ms=given_up[0], to_ms=given_up[1], hint=hint))

    async def _journal(self) -> None:
        while not await comes_within(self._stopping, self._commit_s):
            await self._flush()

    async def _flush(self) -> None:
        sealed_ms = self.standing.tail.span_end_ms
        due = [(self._gathering.due_ms(result), result) for result in self._unsaved]
        fresh = [result for due_ms, result in due if due_ms >= sealed_ms and not self._gathering.is_dropped(due_ms)]
        events = [event for event in self._untold if event in self._events]
        self._unsaved, self._untold = [], []
        if not fresh and not events:
            return
        batch_ms = self._reading.bound.batch_ms
        by_edge: dict[int, list[Result]] = {}
        for result in fresh:
            by_edge.setdefault(next_edge(self._gathering.due_ms(result), batch_ms), []).append(result)
        entries = [(edge_ms, encode_entry(results, ())) for edge_ms, results in sorted(by_edge.items())]
        entries += [(next_edge(event.at_ms, batch_ms), encode_entry((), [event])) for event in events]
        try:
            await self._writer.call(self._writer.outbox.journal, entries)
        except sqlite3.Error as error:
            self._behind, self.disk_problem = DISK_BEHIND, str(error)
            self._unsaved, self._untold = fresh + self._unsaved, events + self._untold
            _log.error(log_line("journal-failed", error=error, hint="check the disk; readings wait in memory"))
        else:
            self.disk_problem = ""

    async def _seal_edges(self) -> None:
        while True:
            edge_ms = next_edge(max(self.standing.tail.span_end_ms, self._start_ms), self._reading.bound.batch_ms)
            if await comes_within(self._stopping, (edge_ms - self._line.now_ms()) / 1000):
                return
            if not await self._settle(edge_ms):
                return
            try:
                await self._seal(edge_ms, clean=False)
            except sqlite3.Error as error:
                self._behind, self.disk_problem = DISK_BEHIND, str(error)
                _log.error(log_line("seal-failed", error=error, hint="check the disk; it is tried again"))
                if await comes_within(self._stopping, DISK_RETRY_S):
                    return
            else:
                self._behind, self.disk_problem = PROCESSOR_BEHIND, ""

    async def _settle(self, edge_ms: int) -> bool:
        """Wait for the slots due before an edge, then give up the rest; False when stopping comes first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settle_s):
                while not all(agenda.settled(edge_ms) for agenda in self._agendas):
                    if self._stopping.is_set():
                        return False
                    self._progress.clear()
                    await self._progress.wait()
        for agenda in self._agendas:
            skipped, underway = agenda.settle(edge_ms)
            for turn in skipped:
                self.report(Result(turn.request, turn.slot, Fate.BUS_BUSY))
            if underway is not None:
                self.report(Result(underway.request, underway.slot, Fate.TIMEOUT))
        return True

    async def _make_room(self) -> None:
        made = await self._writer.make_room(self.standing, self._sealer.key)
        self.standing = made.standing
        for stone in made.stones:
            self._on_item(stone, made.standing)

    async def _seal(self, to_ms: int, *, clean: bool) -> None:
        await self._make_room()
        before, gathering = self.standing, self._gathering
        from_ms = before.tail.span_end_ms
        events = [event for event in self._events if event.at_ms < to_ms or clean]
        samples = gathering.samples(from_ms, to_ms)
        stated = [*self._lost_in(from_ms, to_ms), *events]
        parts, tail = await asyncio.to_thread(self._sealer.parts, before.tail, samples, stated, to_ms)
        standing = replace(before, tail=tail, clean=clean)
        edge_ms = next_edge(to_ms - 1, self._reading.bound.batch_ms)
        items, aside = [part.item for part in parts], set_aside(parts, gathering)
        await self._writer.seal(items, standing, edge_ms, aside)
        self.standing = standing
        gathering.drop(to_ms)
        self._events = [event for event in self._events if event not in events]
        for item in items:
            self._on_item(item, standing)

    def _lost_in(self, from_ms: int, to_ms: int) -> list[Event]:
        """The event that says what of a span was given up for want of memory."""
        given_up = self._gathering.given_up(from_ms, to_ms)
        if given_up is None:
            return []
        return [Event(EventKind.GAP, given_up[0], "", (("reason", self._why_lost), ("to_ms", given_up[1])))]
