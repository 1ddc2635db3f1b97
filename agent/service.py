"""The program put together: files, lock, outbox, uplink, and runs of polling one after another until told to stop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from logging import getLogger
from pathlib import Path

from agent.broker import Broker, broker_of
from agent.buses import Buses, opened
from agent.clock import Machine, UtcLine, choose_clock
from agent.config import Config
from agent.desk.asks import DeskError
from agent.desk.counter import open_counter
from agent.desk.desk import Desk
from agent.early import Early
from agent.findings import NOTHING, Findings
from agent.following import Following
from agent.health import Health, read_status
from agent.holes import Holes
from agent.identity import Identity, load_identity
from agent.lock import hold_lock
from agent.log import line
from agent.notice import keep_notice
from agent.notify import READY, STOPPING, give_signs_of_life, tell_manager
from agent.outbox import Standing
from agent.outflow import Outflow
from agent.parts import Sealer
from agent.pipeline import DISK_RETRY_S, SETTLE_SPARE_S, Pipeline
from agent.results import Result
from agent.rotation import settle_key
from agent.salvage import pending, save_end, save_items
from agent.site import Site, load_site
from agent.spans import SealedItem, next_edge
from agent.startup import Begun, Head, begin_run, finish_last_run, known_head
from agent.trust import COLLECTOR_KEY, Trust
from agent.uplink import Uplink
from agent.vitals import Vitals
from agent.waiting import comes_within
from agent.watched import Polling, Watched
from agent.witness import Witness
from agent.writer import Writer
from protocols.messages import Notice
from protocols.records import Clock, ClockState, Event, EventKind
from protocols.wire.keys import load_key

OUTBOX = "outbox.sqlite"
DRAIN_S = 2.0
CLOCK_LOOK_S = 10.0
CLOCK_STEP_MS = 1_000
"""A system clock further than this from the run's time line ends the run; the next begins with a correction."""
NEXT_START = "tried again at the next start"
OVERLAPS = "the clock was behind the last batch: the stream states this time already"

_log = getLogger(__name__)


def software() -> str:
    """Name and version as batches state them."""
    try:
        return f"emitrace-agent {version('emitrace')}"
    except PackageNotFoundError:
        return "emitrace-agent"


async def serve(config: Config, machine: Machine, stop: asyncio.Event) -> None:
    """Run the agent until ``stop``; configuration errors are raised before anything is touched."""
    site = load_site(config)
    load_key(config.key_file)
    broker = broker_of(config)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    with hold_lock(config.state_dir):
        before = read_status(config.state_dir)
        writer = await Writer.open(config.state_dir / OUTBOX, machine.read().utc_ms, config.bounds)
        try:
            await writer.call(settle_key, config, writer.outbox)
            identity = load_identity(config.key_file)
            stands = await writer.call(writer.outbox.standing)
            service = _Service(config, site, NOTHING if stands is None else stands.findings, identity, writer, machine)
            await service.save_ends(known_head(before))
            async with open_counter(config.state_dir, service.desk), service.uplink(broker):
                await service.run(stop)
        finally:
            await writer.close()


def _of_early(at_ms: int, clock: Clock, placed: int, over: int) -> list[Event]:
    """What the stream says of readings that were taken before the time was known."""
    events: list[Event] = []
    if placed:
        details = (("from_offset_ms", 0), ("to_offset_ms", clock.offset_ms), ("placed", placed))
        events.append(Event(EventKind.CLOCK_CORRECTION, at_ms, "", details))
    if over:
        events.append(Event(EventKind.GAP, at_ms, "", (("reason", OVERLAPS), ("set_aside", over))))
    return events


class _Service:
    """One process's run: what its parts share."""

    def __init__(
        self, config: Config, site: Site, findings: Findings, identity: Identity, writer: Writer, machine: Machine
    ) -> None:
        self._config = config
        self._following = Following(config, site, findings, self._refuse_plan)
        self._identity = identity
        self._key = identity.key
        self._writer = writer
        self._machine = machine
        self._lost: Head | None = None
        self._damaged: list[Path] = []
        self._agent_id = identity.agent_id
        bound = site.reading.bound
        health = Health(self._agent_id, software(), plan=bound.digest.hex(), plan_version=bound.plan.version)
        self._vitals = Vitals(config, writer, machine, health)
        self._vitals.disk_problem = lambda: "" if self._pipeline is None else self._pipeline.disk_problem
        self._pipeline: Pipeline | None = None
        self._desk: Desk | None = None
        self._watched = Watched(self._site.reading, machine, self._vitals.on_watch)
        if writer.damaged is not None:
            _log.error(line("outbox-damaged", moved_to=writer.damaged, hint="a new stream begins; keep the old file"))

    @property
    def _site(self) -> Site:
        return self._following.site

    def _refuse_plan(self, digest: bytes, reason: str) -> bool:
        """State that a pushed plan is not followed; False where nothing is polled."""
        if self._pipeline is not None:
            self._pipeline.refuse_plan(digest, reason)
        return self._pipeline is not None

    async def save_ends(self, known: Head | None) -> None:
        """Seal what a damaged predecessor had journalled, and learn the head that the new stream names."""
        fresh = await self._writer.call(self._writer.outbox.standing) is None
        for file in await pending(self._writer):
            head = known if fresh else None
            try:
                head = await save_end(self._writer, file, self._identity, software(), head)
                self._damaged.append(file)
            except sqlite3.Error as error:
                _log.error(line("journal-not-salvaged", file=file.name, error=error, hint=NEXT_START))
            if head is not None:
                self._lost = head if fresh else None

    def desk(self) -> Desk:
        """Where a technician's programs ask; DeskError while nothing is polled."""
        if self._desk is None:
            why = self._vitals.health.note or f"it is {self._vitals.health.phase}"
            zh = "现场代理现在没有采集，原因见“检查”页。请稍后再试。"
            raise DeskError("agent", f"does not poll now: {why}", "try again in a moment", zh=zh)
        return self._desk

    async def _save_items(self) -> None:
        for file in self._damaged:
            try:
                await save_items(self._writer, file, self._identity)
            except (sqlite3.Error, OSError) as error:
                _log.error(line("items-not-salvaged", file=file.name, error=error, hint=NEXT_START))
            if self._vitals.uplink is not None:
                self._vitals.uplink.wake()

    @asynccontextmanager
    async def uplink(self, broker: Broker) -> AsyncIterator[None]:
        """The session with the broker beside the runs; at the end it publishes what it can within ``DRAIN_S``."""
        trust = Trust(self._config.settings.collector.fingerprint, self._config.state_dir / COLLECTOR_KEY)
        witness = Witness(self._writer, lambda: self._machine.read().utc_ms, self._vitals.on_log)
        await witness.begin()

        def on_notice(notice: Notice, data: bytes) -> None:
            try:
                kept = keep_notice(self._config.state_dir, trust, notice, data)
            except OSError as error:  # the collector says it again
                _log.error(line("notice-not-kept", error=error, hint="check the disk"))
            else:
                self._vitals.health.notice_ms = kept.issued_ms

        uplink = self._vitals.uplink = Uplink(
            broker, self._agent_id, self._writer, trust, lambda: self._vitals.stream_id, self._vitals.health.payload,
            self._vitals.on_connection, lambda: self._machine.read().utc_ms, self._watched, self._following.take,
            Outflow(backlog_per_s=self._config.settings.outbox.backlog_per_s), witness, on_notice,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(uplink.run(), name="uplink"),
                group.create_task(self._vitals.housekeeping(), name="housekeeping"),
                group.create_task(self._save_items(), name="salvage"),
                group.create_task(give_signs_of_life(self._writer.answers), name="signs-of-life"),
            ]
            try:
                yield
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S):
                        await uplink.drained()
                        await uplink.say(self._vitals.health.payload())
            finally:
                uplink.close()
                for task in tasks:
                    task.cancel()

    async def run(self, stop: asyncio.Event) -> None:
        """Run after run until told to stop; a stepped clock ends a run, a full disk delays one, neither the service."""
        tell_manager(READY)
        while not stop.is_set():
            try:
                await self._run_once(stop)
            except sqlite3.OperationalError as error:
                problem = f"the outbox cannot be written: {error}; check the disk of the state folder"
                if problem != self._vitals.health.note:
                    await self._vitals.tell("waiting", problem)
                await comes_within(stop, DISK_RETRY_S)
        tell_manager(STOPPING)
        await self._vitals.tell("stopped")

    async def _run_once(self, stop: asyncio.Event) -> None:
        """What the last run left, then one run; it polls only after its start is safe on the disk."""
        if self._following.turn():
            bound = self._site.reading.bound
            self._vitals.health.plan, self._vitals.health.plan_version = bound.digest.hex(), bound.plan.version
            self._watched.turn_to(self._site.reading)
        self._vitals.health.unsupported = self._following.unsupported()
        before = await self._writer.call(self._writer.outbox.standing)
        if before is not None:
            await self._writer.make_room(before, self._key)
        standing = await finish_last_run(self._writer, self._key, software())
        self._vitals.stands(standing)
        bound, requests = self._site.reading.bound, self._site.reading.requests
        early = Early([bound.intervals_ms[one.scan_class] for one in requests])
        chosen = await self._clock(standing, stop, early)
        sequence = 0 if standing is None else standing.tail.sequence
        if chosen is None:
            reason = f"the time never was known; slots on the monotonic clock of boot {self._machine.boot_id().hex()}"
            await self._writer.set_aside(early.aside(early.placed(0), sequence, reason))
            return
        clock, utc = chosen
        poll_from_ms = utc.now_ms()
        stated_ms = 0 if standing is None else standing.tail.span_end_ms
        placed = early.placed(clock.offset_ms)
        over = [one for one in placed if early.due_ms(one) < stated_ms]
        placed = [one for one in placed if early.due_ms(one) >= stated_ms]
        await self._writer.set_aside(early.aside(over, sequence, OVERLAPS))
        start_ms = min([poll_from_ms, *map(early.due_ms, placed)])
        stated = _of_early(start_ms, clock, len(placed), len(over))
        try:
            async with opened(self._site.endpoints, self._machine.mono_ms) as buses:
                begun = await begin_run(
                    self._writer, self._site, self._key, software(), standing, clock, start_ms, self._lost, stated
                )
                self._lost = None
                self._vitals.stands(begun.standing)
                await self._poll_until(stop, begun, utc, Buses(self._site.reading, buses, utc, poll_from_ms), placed)
        finally:
            self._watched.polling = self._pipeline = self._desk = None

    def _counting(self, then: Callable[[Result], None]) -> Callable[[Result], None]:
        """Counts a result for its unit and hands it on."""
        reading = self._site.reading
        names = [bus.id for bus in reading.bound.plan.buses]

        def report(result: Result) -> None:
            request = reading.requests[result.request]
            self._vitals.health.count(names[request.bus], request.unit, result.fate)
            then(result)

        return report

    async def _poll_until(
        self, stop: asyncio.Event, begun: Begun, utc: UtcLine, buses: Buses, early: Sequence[Result]
    ) -> None:
        """One run: what was read early, then poll, journal and seal until told to stop or the clock steps."""
        reading = self._site.reading
        sealer = Sealer(reading.bound, begun.standing.clock, software(), self._key)
        pipeline = self._pipeline = Pipeline(
            reading, begun, buses.agendas, self._writer, sealer, utc, buses.timeout_s + SETTLE_SPARE_S,
            self._config.settings.journal.commit_s, self._on_item,
        )
        for result in early:
            pipeline.report(result)

        def taken(result: Result) -> None:
            pipeline.report(result)
            self._vitals.health.last_poll_ms = pipeline.last_poll_ms

        def show_dead() -> None:
            self._vitals.on_dead(buses.dead())

        show_dead()
        holes = Holes(reading, self._following.learn)
        await self._vitals.tell("running")
        tail, clock = begun.standing.tail, begun.standing.clock
        self._watched.polling = Polling(tail.stream_id, utc, clock, pipeline.newest)
        self._desk = Desk(
            reading, buses.by_name, self._vitals.health.shown, pipeline.newest, utc.now_ms, pipeline.note_at_once
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(pipeline.run(), name="pipeline")
            async with buses.polled(self._counting(taken), show_dead, holes):
                await self._end_of_run(stop, utc, clock)
                holes.stop()
            pipeline.stop()
        await self._vitals.tell("stopping")
        await pipeline.close()

    async def _end_of_run(self, stop: asyncio.Event, utc: UtcLine, clock: Clock) -> None:
        """Wait until told to stop, the clock steps, or a window ends after which another plan is to be followed."""
        while not await comes_within(stop, CLOCK_LOOK_S):
            if self._following.next is not None:
                edge_ms = next_edge(utc.now_ms(), self._site.reading.bound.window_ms)
                await comes_within(stop, (edge_ms - utc.now_ms()) / 1000)
                return
            now = self._machine.read()
            self._vitals.health.clock = now.state.name.lower()
            stepped = abs(utc.drift_ms(now)) > CLOCK_STEP_MS
            if stepped and choose_clock(now, clock.boot_id, clock) is not clock:
                _log.warning(line("clock-stepped", by_ms=utc.drift_ms(now)))
                return
            if stepped != self._vitals.clock_apart:
                self._vitals.clock_apart = stepped
                _log.warning(line("clock-not-followed" if stepped else "clock-agrees", by_ms=utc.drift_ms(now)))

    async def _clock(
        self, standing: Standing | None, stop: asyncio.Event, early: Early
    ) -> tuple[Clock, UtcLine] | None:
        """The clock of the next run; until it can be used, readings are kept. None when told to stop first."""
        boot_id, last = self._machine.boot_id(), None if standing is None else standing.clock
        began_ms, polls = self._machine.mono_ms(), False
        async with AsyncExitStack() as polling:
            while True:
                now = self._machine.read()
                self._vitals.health.clock = now.state.name.lower()
                clock = choose_clock(now, boot_id, last)
                utc = UtcLine(self._machine, clock.offset_ms)
                problem = self._clock_problem(clock, now.mono_ms - began_ms, utc, standing)
                if not problem:
                    self._vitals.health.offset_ms = clock.offset_ms
                    break
                if not polls:
                    polls = True
                    await polling.enter_async_context(self._polling_early(early))
                if problem != self._vitals.health.note:
                    _log.warning(line("waiting", reason=problem))
                    await self._vitals.tell("waiting", problem)
                if await comes_within(stop, 1.0):
                    return None
        return clock, utc

    @asynccontextmanager
    async def _polling_early(self, early: Early) -> AsyncIterator[None]:
        """Poll on the monotonic clock while the time is not known."""
        utc = UtcLine(self._machine, 0)
        try:
            async with (
                opened(self._site.endpoints, self._machine.mono_ms) as buses,
                Buses(self._site.reading, buses, utc, utc.now_ms()).polled(self._counting(early.report)),
            ):
                yield
        finally:
            if early.lost:
                _log.error(line("early-readings-lost", results=early.lost, hint="set the clock sooner"))

    def _clock_problem(self, clock: Clock, waited_ms: int, utc: UtcLine, standing: Standing | None) -> str:
        if clock.state is ClockState.UNSET:
            return "the clock was never set; readings are kept and placed when it is: set it or connect a time server"
        if clock.state is not ClockState.SYNCED and waited_ms < 1000 * self._config.settings.clock.sync_wait_s:
            return "the clock is not synchronised yet; readings are kept and placed when it is"
        if standing is not None and utc.now_ms() < standing.tail.span_end_ms:
            end_ms = standing.tail.span_end_ms
            return f"the clock is behind the last batch, which ends at {end_ms} ms; readings are kept meanwhile"
        return ""

    def _on_item(self, sealed: SealedItem, standing: Standing) -> None:
        _log.info(line("sealed", sequence=sealed.sequence, to_ms=sealed.to_ms, bytes=len(sealed.data)))
        self._vitals.stands(standing)
