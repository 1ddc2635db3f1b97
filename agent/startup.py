"""What comes before polling: seal what the last run left, open or extend the stream, account for the absence.

A run that was killed left a journal. It is sealed under that run's plan and clock up to its last result; the
slots after it were missed while the agent was down, and the batches that follow say so. What of the journal
cannot be read or sealed is set aside with its reason; it never keeps the agent from starting.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.gather import Gathering
from agent.outbox import Standing
from agent.parts import Sealer, SetAside, set_aside, told
from agent.results import Result, decode_entry, encode_entry
from agent.site import Reading, Site, open_reading
from agent.spans import NO_PREVIOUS, Tail, gap_edges, next_edge, seal_plan
from agent.writer import Writer
from protocols.records import Clock, Event, EventKind, Fate
from protocols.windows.opening import initial_state, migrate
from protocols.wire.errors import WireError

JOURNAL_SPAN_MS = 86_400_000
"""A journal is sealed with every batch: nothing in it is this far from the last one."""
GAP_SPAN_MS = 3_600_000
"""An absence is sealed in spans of this length, so that no batch grows without bound."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last item known of a stream that was lost with its outbox."""

    stream_id: bytes
    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """A run ready to poll: where the stream stands, the events of its start, and from when slots are served."""

    standing: Standing
    events: tuple[Event, ...]
    start_ms: int


async def finish_last_run(writer: Writer, key: Ed25519PrivateKey, software: str) -> Standing | None:
    """Seal what the last run journalled and did not seal; where the stream stands then, None for a new outbox."""
    outbox = writer.outbox
    standing = await writer.call(outbox.standing)
    if standing is None:
        return None
    entries = await writer.call(outbox.journalled)
    if not entries:
        return standing
    reading = open_reading(await writer.call(outbox.document, standing.tail.plan), standing.findings)
    tail = standing.tail
    gathering, events, unread = _restore(reading, entries, tail.span_end_ms)
    stamps = [event.at_ms for event in events]
    last_ms = gathering.last_stamp_ms()
    to_ms = 1 + max([tail.span_end_ms, *stamps, *([] if last_ms is None else [last_ms])])
    if unread:
        details = (("reason", f"journal: {unread[0][0]}"), ("set_aside_entries", len(unread)))
        events.append(Event(EventKind.GAP, tail.span_end_ms, "", details))
    samples = gathering.samples(tail.span_end_ms, to_ms)
    sealer = Sealer(reading.bound, standing.clock, software, key)
    parts, after = await asyncio.to_thread(sealer.parts, tail, samples, events, to_ms)
    aside = [SetAside(tail.sequence, tail.span_end_ms, to_ms, reason, 1, entry) for reason, entry in unread]
    aside += set_aside(parts, gathering)
    stands = replace(standing, tail=after)
    edge_ms = next_edge(to_ms, reading.bound.batch_ms)
    await writer.seal([part.item for part in parts], stands, edge_ms, aside)
    return stands


async def begin_run(
    writer: Writer,
    site: Site,
    key: Ed25519PrivateKey,
    software: str,
    last: Standing | None,
    clock: Clock,
    now_ms: int,
    lost: Head | None,
    stated: Sequence[Event] = (),
) -> Begun:
    """Put the plan in its place, seal the absence, and note the start.

    Parameters
    ----------
    last : Standing or None
        Where the stream stands; None begins a new stream at ``now_ms``.
    clock : Clock
        Of the run that starts.
    now_ms : int
        The start, not before the last span's end. [UTC ms]
    lost : Head or None
        Last known head of a damaged predecessor.
    stated : sequence of Event
        What else is to be said of the start.
    """
    outbox, reading = writer.outbox, site.reading
    events: list[Event] = []
    if lost is not None:
        events.append(
            Event(
                EventKind.NEW_STREAM, now_ms, "",
                (("stream", lost.stream_id), ("sequence", lost.sequence), ("digest", lost.digest)),
            )
        )
    if last is None:
        at_ms = now_ms
        previous = NO_PREVIOUS if lost is None else lost.digest
        tail = Tail(os.urandom(16), 0, previous, at_ms, b"", initial_state(reading.bound, at_ms))
        state = tail.fold
        after = "first start"
    else:
        tail, state = last.tail, last.tail.fold
        after = "stop" if last.clean else "crash"
        if last.clock.boot_id == clock.boot_id and last.clock.offset_ms != clock.offset_ms:
            events.append(
                Event(
                    EventKind.CLOCK_CORRECTION, now_ms, "",
                    (("from_offset_ms", last.clock.offset_ms), ("to_offset_ms", clock.offset_ms)),
                )
            )
    if tail.plan != reading.bound.digest:
        if last is not None:
            old = open_reading(await writer.call(outbox.document, tail.plan))
            state = migrate(tail.fold, old.bound, reading.bound)
        sealed, tail = seal_plan(tail, site.document, reading.bound.digest, state, key)
        await writer.call(outbox.append_plan, sealed, site.document, Standing(tail, clock, False, reading.findings))
    tail = await _seal_absence(writer, reading, tail, clock, software, now_ms, key)
    events.extend(stated)
    events.append(Event(EventKind.AGENT_START, now_ms, "", (("after", after), ("software", software))))
    standing = Standing(tail, clock, False, reading.findings)
    edge_ms = next_edge(now_ms, reading.bound.batch_ms)
    await writer.call(outbox.begin_run, standing, edge_ms, encode_entry((), events))
    return Begun(standing, tuple(events), now_ms)


def known_head(status: Mapping[str, Any]) -> Head | None:
    """The last head that the status file of an earlier run speaks of."""
    try:
        return Head(bytes.fromhex(status["stream"]), int(status["sequence"]), bytes.fromhex(status["head"]))
    except (KeyError, TypeError, ValueError):
        return None


async def _seal_absence(
    writer: Writer, reading: Reading, tail: Tail, clock: Clock, software: str, now_ms: int, key: Ed25519PrivateKey
) -> Tail:
    """Whole hours of a long absence become batches without samples."""
    nothing = Gathering(reading.requests, reading.bound.intervals_ms)
    sealer = Sealer(reading.bound, clock, software, key)
    for edge_ms in gap_edges(tail.span_end_ms, now_ms, GAP_SPAN_MS):
        samples = nothing.samples(tail.span_end_ms, edge_ms)
        parts, tail = await asyncio.to_thread(sealer.parts, tail, samples, (), edge_ms)
        items = [part.item for part in parts]
        await writer.seal(items, Standing(tail, clock, False, reading.findings), edge_ms)
    return tail


def _restore(
    reading: Reading, entries: list[bytes], from_ms: int
) -> tuple[Gathering, list[Event], list[tuple[str, bytes]]]:
    """Results and events of the journal, and the entries that say nothing, each with the reason."""
    gathering = Gathering(reading.requests, reading.bound.intervals_ms)
    events: list[Event] = []
    unread: list[tuple[str, bytes]] = []
    for entry in entries:
        try:
            results, stated = decode_entry(entry)
            for result in results:
                _check(result, reading, from_ms)
        except (ValueError, TypeError, WireError) as error:
            unread.append((told(error), entry))
            continue
        events.extend(stated)
        for result in results:
            gathering.add(result)
    return gathering, events, unread


def _check(result: Result, reading: Reading, from_ms: int) -> None:
    """ValueError where a result is not of this read plan, or of a time that no journal spans."""
    requests = reading.requests
    if not 0 <= result.request < len(requests):
        raise ValueError(f"request {result.request} of a read plan of {len(requests)}")
    due_ms = result.slot * reading.bound.intervals_ms[requests[result.request].scan_class]
    if not from_ms - JOURNAL_SPAN_MS <= due_ms <= from_ms + JOURNAL_SPAN_MS:
        raise ValueError(f"slot {result.slot} of request {result.request}, days away from the last sealed batch")
    count = requests[result.request].count if result.fate == Fate.GOOD else 0
    if len(result.registers) != 2 * count:
        raise ValueError(f"{len(result.registers)} bytes for {count} registers of request {result.request}")
