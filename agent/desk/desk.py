"""What a technician can have done over open buses: read, identify, trace, report, and take events into the stream.

Each question takes its turn on the bus between two polls. Nothing here can write to a device: the bus refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from agent.bus.answer import Answer
from agent.bus.bus import Bus
from agent.desk.asks import (
    Ask,
    DeskError,
    IdentifyAsk,
    NoteAsk,
    ReadAsk,
    ReportAsk,
    StatusAsk,
    TraceAsk,
    ValuesAsk,
)
from agent.results import Result
from agent.site import Reading
from protocols.modbus.decode import exact_value, join_words
from protocols.modbus.provenance import shown_value
from protocols.quantities import Kind
from protocols.records import Event, EventKind, Fate, fate_text

Told = dict[str, Any]
_QUEUE = 4_096
"""Frames that wait for a slow terminal; what is more is counted as left out."""
_SILENCE_S = 0.1
"""Of a line after which what came is told as one frame: serial drivers hand bytes on in pieces."""


class Desk:
    """The desk over the buses of a site.

    Parameters
    ----------
    buses : mapping of str to Bus
        Open, by their id in the plan.
    status : callable
        How the agent goes, ready for JSON.
    newest : callable
        What the request at a position of the read plan brought last.
    now_ms : callable
        UTC. [ms]
    note : callable
        Takes an event into the stream.
    """

    def __init__(
        self,
        reading: Reading,
        buses: Mapping[str, Bus],
        status: Callable[[], Told],
        newest: Callable[[int], Result | None],
        now_ms: Callable[[], int],
        note: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._reading = reading
        self._buses = buses
        self._status = status
        self._newest = newest
        self._now_ms = now_ms
        self._note = note
        self._traced: set[str] = set()
        self._since_ms = now_ms()

    async def answer(self, ask: Ask) -> AsyncGenerator[Told, None]:
        """One object, or one per frame of a trace; DeskError where it cannot be done."""
        match ask:
            case StatusAsk():
                yield self._status()
            case ReadAsk():
                bus = self._bus(ask.bus)
                yield _told(await bus.read(ask.unit, ask.function, ask.address, ask.count))
            case IdentifyAsk():
                bus = self._bus(ask.bus)
                ask_it = bus.identification if ask.by == "identification" else bus.server_id
                yield _told(await ask_it(ask.unit))
            case ReportAsk():
                yield self._report()
            case ValuesAsk():
                yield {"values": self._values(), "at_ms": self._now_ms()}
            case TraceAsk():
                async for frame in self._trace(ask):
                    yield frame
            case NoteAsk():
                yield await self._take(ask)

    def _bus(self, name: str) -> Bus:
        found = self._buses.get(name)
        if found is None:
            raise DeskError(f"bus {name}", "the plan has no such bus", f"its buses: {', '.join(self._buses)}")
        return found

    def _report(self) -> Told:
        buses = {
            name: {"connected": bus.connected, "problem": bus.problem, "units": bus.tally.shown()}
            for name, bus in self._buses.items()
        }
        return {"since_ms": self._since_ms, "at_ms": self._now_ms(), "buses": buses}

    def _values(self) -> list[Told]:
        bound = self._reading.bound
        shown: list[Told] = []
        for position, request in enumerate(self._reading.requests):
            result = self._newest(position)
            if result is None:
                continue
            at_ms = result.slot * bound.intervals_ms[request.scan_class] + result.delay_ms
            words: Sequence[int | None] = [None] * len(request.points)
            if result.fate == Fate.GOOD:
                registers = np.frombuffer(result.registers, dtype=">u2").astype(np.uint16).reshape(1, request.count)
                words = join_words(registers, request)[0].tolist()
            for point, word in zip(request.points, words, strict=True):
                one = bound.points[point]
                value = None if word is None else exact_value(word, one.register)
                unit = "" if one.kind is Kind.STATE else one.register.unit
                fate = fate_text(result.fate) if word is None or value is not None else "not_available"
                shown.append({
                    "point": one.id, "value": None if value is None else shown_value(value), "unit": unit,
                    "fate": fate, "at_ms": at_ms,
                })  # fmt: skip
        return sorted(shown, key=lambda row: row["point"])

    async def _trace(self, ask: TraceAsk) -> AsyncGenerator[Told, None]:
        bus, loop = self._bus(ask.bus), asyncio.get_running_loop()
        if ask.bus in self._traced:
            raise DeskError(f"bus {ask.bus}", "is being traced already", "end the other trace first")
        frames: asyncio.Queue[Told] = asyncio.Queue(_QUEUE)
        left_out = 0

        def hear(way: str, at_s: float, data: bytes) -> None:
            nonlocal left_out
            if frames.full():
                left_out += 1
                return
            at_ms = self._now_ms() - round(1000 * (loop.time() - at_s))
            frames.put_nowait({"way": way, "at_ms": at_ms, "bytes": data.hex(" ")})

        self._traced.add(ask.bus)
        bus.listen(hear)
        until_s = loop.time() + ask.for_s
        came: Told | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout_at(until_s if came is None else min(until_s, loop.time() + _SILENCE_S)):
                        frame = await frames.get()
                except TimeoutError:
                    if came is not None:
                        yield came
                        came = None
                    if loop.time() >= until_s:
                        return
                    continue
                if left_out:
                    frame["left_out"], left_out = left_out, 0
                if came is not None and frame["way"] == "came" and "left_out" not in frame:
                    came["bytes"] += " " + frame["bytes"]
                    continue
                if came is not None:
                    yield came
                came = frame if frame["way"] == "came" else None
                if came is None:
                    yield frame
        finally:
            bus.listen(None)
            self._traced.discard(ask.bus)

    async def _take(self, ask: NoteAsk) -> Told:
        plan = self._reading.bound.plan
        kind = EventKind[ask.kind.upper()]
        known = [one.id for one in (plan.sources if kind is EventKind.OPERATING_STOP else plan.instruments)]
        if ask.subject not in known:
            hint, zh = f"name one of: {', '.join(known)}", f"监测计划中没有“{ask.subject}”。可选：{'、'.join(known)}。"
            raise DeskError(f"{ask.kind.replace('_', ' ')} of '{ask.subject}'", "the plan has no such id", hint, zh=zh)
        event = Event(kind, self._now_ms(), ask.subject, ask.details)
        await self._note(event)
        return {"kind": ask.kind, "subject": ask.subject, "at_ms": event.at_ms}


def _told(answer: Answer) -> Told:
    return {"fate": fate_text(answer.fate), "good": answer.fate == Fate.GOOD, "registers": answer.registers.hex()}
