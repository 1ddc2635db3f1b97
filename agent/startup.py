"""What comes before polling: seal what the last run left, open or extend the stream, account for the absence.

A run that was killed left a journal. It is sealed under that run's plan and clock up to its last result; the
slots after it were missed while the agent was down, and the batches that follow say so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.gather import Gathering
from agent.outbox import Standing
from agent.results import decode_entry, encode_entry
from agent.site import Reading, Site, open_reading
from agent.spans import NO_PREVIOUS, Tail, gap_edges, next_edge, seal_plan, seal_span
from agent.writer import Writer
from protocols.records import Clock, Event, EventKind
from protocols.windows.fold import initial_state, migrate

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
    reading = open_reading(await writer.call(outbox.document, standing.tail.plan))
    gathering, events = _restore(reading, entries)
    stamps = [event.at_ms for event in events]
    last_ms = gathering.last_stamp_ms()
    to_ms = 1 + max([standing.tail.span_end_ms, *stamps, *([] if last_ms is None else [last_ms])])
    samples = gathering.samples(standing.tail.span_end_ms, to_ms)
    sealed, tail = await asyncio.to_thread(
        seal_span, reading.bound, standing.tail, standing.clock, software, samples, events, to_ms, key
    )
    after = replace(standing, tail=tail)
    await writer.call(outbox.seal, sealed, after, next_edge(to_ms, reading.bound.batch_ms))
    return after


async def begin_run(
    writer: Writer,
    site: Site,
    key: Ed25519PrivateKey,
    software: str,
    last: Standing | None,
    clock: Clock,
    now_ms: int,
    lost: Head | None,
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
    """
    outbox, reading = writer.outbox, site.reading
    events: list[Event] = []
    if last is None:
        at_ms = now_ms
        previous = NO_PREVIOUS if lost is None else lost.digest
        tail = Tail(os.urandom(16), 0, previous, at_ms, b"", initial_state(reading.bound, at_ms))
        state = tail.fold
        after = "first start"
        if lost is not None:
            events.append(
                Event(
                    EventKind.NEW_STREAM, now_ms, "",
                    (("stream", lost.stream_id), ("sequence", lost.sequence), ("digest", lost.digest)),
                )
            )
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
        await writer.call(outbox.append_plan, sealed, site.document, Standing(tail, clock, clean=False))
    tail = await _seal_absence(writer, reading, tail, clock, software, now_ms, key)
    events.append(Event(EventKind.AGENT_START, now_ms, "", (("after", after), ("software", software))))
    standing = Standing(tail, clock, clean=False)
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
    for edge_ms in gap_edges(tail.span_end_ms, now_ms, GAP_SPAN_MS):
        samples = nothing.samples(tail.span_end_ms, edge_ms)
        sealed, tail = await asyncio.to_thread(
            seal_span, reading.bound, tail, clock, software, samples, (), edge_ms, key
        )
        await writer.call(writer.outbox.seal, sealed, Standing(tail, clock, clean=False), edge_ms)
    return tail


def _restore(reading: Reading, entries: list[bytes]) -> tuple[Gathering, list[Event]]:
    gathering = Gathering(reading.requests, reading.bound.intervals_ms)
    events: list[Event] = []
    for entry in entries:
        results, told = decode_entry(entry)
        events.extend(told)
        for result in results:
            gathering.add(result)
    return gathering, events
