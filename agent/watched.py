"""Which points pages want live, until when, and the message that shows their newest values. Never evidence.

Nothing is kept for it: a value is looked up in what the next batch will hold, at most once a second and only
while somebody watches. So an unwatched agent pays nothing, and a slow line gets newer values, never more of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agent.clock import Machine, UtcLine
from agent.results import Result
from agent.site import Reading
from agent.trust import Refused
from protocols.messages import Live, LiveReading, Watch
from protocols.modbus.decode import join_words
from protocols.records import Clock, Fate
from protocols.wire import limits
from protocols.wire.codec import encode_live

ISSUED_WITHIN_MS = 120_000
"""How far a watch's time of issue may be from our clock: an old one sent again is refused, clocks may differ."""


@dataclass(frozen=True, slots=True)
class Polling:
    """A run of polling: its stream, time line and clock, and the newest result of the request at a position."""

    stream_id: bytes
    line: UtcLine
    clock: Clock
    newest: Callable[[int], Result | None]


class Watched:
    """The union of the points that are wanted now.

    Parameters
    ----------
    on_change : callable
        Told until when somebody watches; 0 when nobody does any more. [UTC ms]
    """

    def __init__(self, reading: Reading, machine: Machine, on_change: Callable[[int], None]) -> None:
        self.polling: Polling | None = None
        self._reading = reading
        self._machine = machine
        self._on_change = on_change
        self._until_ms: dict[int, int] = {}  # point -> end, on the monotonic clock
        self._issued_ms = -1
        self._chosen: list[tuple[int, list[int]]] = []  # request -> places of wanted points, by point
        self._shown: dict[int, int] = {}  # request -> slot shown last
        self._wanted = asyncio.Event()

    def turn_to(self, reading: Reading) -> None:
        """Another plan is in force: what was wanted of the old one is over."""
        self._reading = reading
        self._until_ms.clear()
        self._choose()
        self._shown.clear()
        self._wanted.clear()

    async def begins(self) -> None:
        """Wait until somebody watches."""
        await self._wanted.wait()

    def want(self, watch: Watch) -> None:
        """Take a watch of the collector on the own stream; Refused where it is old, repeated or of another plan."""
        now, bound = self._machine.read(), self._reading.bound
        if watch.plan != bound.digest:
            raise Refused(f"it speaks of plan {watch.plan.hex()[:12]}, ours is {bound.digest.hex()[:12]}")
        if watch.points[-1] >= len(bound.points):
            raise Refused(f"it wants point {watch.points[-1]} of a plan with {len(bound.points)}")
        if watch.issued_ms <= self._issued_ms:
            raise Refused("a watch that was issued no later than one taken before")
        away_ms = now.utc_ms - watch.issued_ms
        if abs(away_ms) > ISSUED_WITHIN_MS:
            raise Refused(f"a watch issued {away_ms} ms ago by our clock; an old one, or one of the clocks is wrong")
        self._issued_ms = watch.issued_ms
        if len(self._until_ms.keys() | set(watch.points)) > limits.LIVE_POINTS:
            self._until_ms.clear()
        self._until_ms.update(dict.fromkeys(watch.points, now.mono_ms + 1000 * watch.for_s))
        self._shown.clear()  # whoever asks anew has missed what was shown before
        self._choose()
        self._wanted.set()
        self._on_change(now.utc_ms + 1000 * watch.for_s)

    def message(self) -> bytes | None:
        """What is new since the last message; None where nothing is, or nobody watches any more."""
        self._forget_ended()
        polling = self.polling
        if polling is None or not self._chosen:
            return None
        readings = []
        for position, places in self._chosen:
            result = polling.newest(position)
            if result is not None and self._shown.get(position) != result.slot:
                self._shown[position] = result.slot
                readings.append(self._show(result, places))
        if not readings:
            return None
        stated = (polling.line.now_ms(), *(one.due_ms + one.delay_ms for one in readings))
        bound = self._reading.bound
        return encode_live(Live(polling.stream_id, bound.digest, polling.clock, max(stated), tuple(readings)))

    def _show(self, result: Result, places: list[int]) -> LiveReading:
        request = self._reading.requests[result.request]
        points = tuple(request.points[place] for place in places)
        due_ms = result.slot * self._reading.bound.intervals_ms[request.scan_class]
        if result.fate != Fate.GOOD:
            return LiveReading(due_ms, 0, result.fate, points, ())
        registers = np.frombuffer(result.registers, dtype=">u2").astype(np.uint16).reshape(1, request.count)
        words = join_words(registers, request)[0, places]
        return LiveReading(due_ms, max(result.delay_ms, 0), result.fate, points, tuple(words.tolist()))

    def _forget_ended(self) -> None:
        now_ms = self._machine.mono_ms()
        ended = [point for point, until_ms in self._until_ms.items() if until_ms <= now_ms]
        if not ended:
            return
        for point in ended:
            del self._until_ms[point]
        self._choose()
        if not self._until_ms:
            self._shown.clear()
            self._wanted.clear()
            self._on_change(0)

    def _choose(self) -> None:
        self._chosen = []
        for position, request in enumerate(self._reading.requests):
            places = [place for place, point in enumerate(request.points) if point in self._until_ms]
            if places:
                self._chosen.append((position, sorted(places, key=request.points.__getitem__)))
