"""While polling: what is not asked because the device does not have it, and finding out what that is.

A request refused for an address is cut out of turn: each part waits for the bus like a poll does, so that no unit
loses its slot. A device that starts may refuse everything for a while: a refusal is believed where the unit answers
something else and then refuses the same again. Once a day a value that is not supported is asked for again: a
firmware may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from logging import getLogger

from agent.bus.bus import Bus
from agent.log import line
from agent.site import Reading
from protocols.modbus.holes import RETRY_AFTER_MS, cutting, part_of
from protocols.records import Fate, ReadRequest

NO_SUCH_ADDRESS = Fate.EXCEPTION | 2 << 8
LOOK_AGAIN_MS = 60_000
"""A request that is refused still, after a look from which nothing followed, is looked at again."""

Found = Callable[[ReadRequest, Sequence[ReadRequest], Sequence[int], int], None]
"""Told of a request, its parts that are answered, the positions of the points that are not supported, and when."""

_log = getLogger(__name__)


class _NothingFollowsError(Exception):
    """A look in which the device did not say the same twice, or nothing but refusals."""


class Holes:
    """What one run of polling knows of refused addresses.

    Parameters
    ----------
    found : callable
        Told what became of a request that was cut, and of a value that was asked for again.
    """

    def __init__(self, reading: Reading, found: Found) -> None:
        self._requests = reading.requests
        self._retry_ms = {position: at_ms + RETRY_AFTER_MS for position, at_ms in reading.unsupported.items()}
        self._found = found
        self._look_from_ms: dict[int, int] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def skips(self, position: int, now_ms: int) -> bool:
        """Whether a request is not worth asking now."""
        return now_ms < self._retry_ms.get(position, 0)

    def met(self, bus: Bus, position: int, fate: int, now_ms: int) -> None:
        """Take what became of a request that was sent."""
        request = self._requests[position]
        if position in self._retry_ms:
            if fate == NO_SUCH_ADDRESS:
                self._retry_ms[position] = now_ms + RETRY_AFTER_MS
                self._found(request, (), request.points, now_ms)
            elif fate == Fate.GOOD:
                del self._retry_ms[position]
                self._found(request, (request,), (), now_ms)
        elif fate == NO_SUCH_ADDRESS and now_ms >= self._look_from_ms.get(position, now_ms):
            self._look_from_ms[position] = now_ms + LOOK_AGAIN_MS
            task = asyncio.create_task(self._look(bus, position, now_ms), name="holes")
            self._looks.add(task)
            task.add_done_callback(self._looked)

    def stop(self) -> None:
        """What is being looked at is left."""
        for task in self._looks:
            task.cancel()

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error(line("cutting-failed", error=error), exc_info=error)

    async def _look(self, bus: Bus, position: int, now_ms: int) -> None:
        """Cut a request and tell what was found; where nothing follows it is looked at again later."""
        request = self._requests[position]
        try:
            answered, unsupported = await self._cut(bus, request)
            if unsupported and not answered:
                await self._must_answer(bus, position)
            for point in unsupported:
                if await _answers(bus, part_of(request, [request.points.index(point)])):
                    raise _NothingFollowsError(f"it answers {request.function}/{request.address} now")
        except _NothingFollowsError as error:
            _log.info(line("nothing-cut", unit=request.unit, address=request.address, reason=error))
        else:
            if unsupported or len(answered) > 1:
                self._found(request, answered, unsupported, now_ms)

    async def _cut(self, bus: Bus, request: ReadRequest) -> tuple[tuple[ReadRequest, ...], tuple[int, ...]]:
        steps = cutting(request)
        try:
            part = next(steps)
            while True:
                part = steps.send(await _answers(bus, part))
        except StopIteration as end:
            answered, unsupported = end.value
            return answered, unsupported

    async def _must_answer(self, bus: Bus, position: int) -> None:
        """_NothingFollowsError where the unit answers none of its other requests either."""
        request = self._requests[position]
        for other, one in enumerate(self._requests):
            same = (one.bus, one.unit) == (request.bus, request.unit)
            if same and other != position and other not in self._retry_ms and await _answers(bus, one):
                return
        raise _NothingFollowsError("the unit refuses everything")


async def _answers(bus: Bus, request: ReadRequest) -> bool:
    """Whether a device answers with values or refuses the address; _NothingFollowsError where it does neither."""
    answer = await bus.read(request.unit, request.function, request.address, request.count)
    if answer.fate not in {Fate.GOOD, NO_SUCH_ADDRESS}:
        raise _NothingFollowsError(f"fate {answer.fate} at {request.function}/{request.address}")
    return answer.fate == Fate.GOOD
