"""While polling: what is not asked because the device does not have it, and finding out what that is.

A request refused for an address is cut out of turn: each part waits for the bus like a poll does, so that no unit
loses its slot. Once a day an unsupported value is asked for again: a firmware may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent.bus.bus import Bus
from agent.site import Reading
from protocols.modbus.holes import RETRY_AFTER_MS, cutting
from protocols.records import Fate, ReadRequest

NO_SUCH_ADDRESS = Fate.EXCEPTION | 2 << 8

Found = Callable[[ReadRequest, Sequence[ReadRequest], Sequence[int]], None]
"""Told of a request, its parts that are answered, and the positions of the points that are not supported."""


class Holes:
    """What one run of polling knows of refused addresses.

    Parameters
    ----------
    found : callable
        Told what became of a request that was cut.
    """

    def __init__(self, reading: Reading, now_ms: int, found: Found) -> None:
        self._requests = reading.requests
        self._retry_ms = dict.fromkeys(reading.unsupported, now_ms + RETRY_AFTER_MS)
        self._found = found
        self._looked_at: set[int] = set()
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
            elif fate == Fate.GOOD:
                self._found(request, (request,), ())
        elif fate == NO_SUCH_ADDRESS and position not in self._looked_at:
            self._looked_at.add(position)
            task = asyncio.create_task(self._look(bus, position), name="holes")
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    def stop(self) -> None:
        """What is being looked at is left."""
        for task in self._looks:
            task.cancel()

    async def _look(self, bus: Bus, position: int) -> None:
        """Cut a request; given up, until it is refused again, where the device answers anything else."""
        request = self._requests[position]
        steps = cutting(request)
        try:
            part = next(steps)
            while True:
                answer = await bus.read(part.unit, part.function, part.address, part.count)
                if answer.fate not in {Fate.GOOD, NO_SUCH_ADDRESS}:
                    self._looked_at.discard(position)
                    return
                part = steps.send(answer.fate == Fate.GOOD)
        except StopIteration as end:
            answered, unsupported = end.value
            if unsupported or len(answered) > 1:
                self._found(request, answered, unsupported)
