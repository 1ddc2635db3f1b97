"""All buses of a plan, polled beside each other: an agenda, the breakers and a loop for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from agent.breaker import Breakers
from agent.bus.bus import Bus
from agent.bus.opening import bus_of
from agent.clock import UtcLine
from agent.endpoint import AnyBus
from agent.holes import Holes
from agent.poll import poll
from agent.results import Result
from agent.schedule import Agenda
from agent.site import Reading

Report = Callable[[Result], None]


@asynccontextmanager
async def opened(endpoints: Sequence[AnyBus], mono_ms: Callable[[], int]) -> AsyncIterator[list[Bus]]:
    """The buses of a plan in its order, open; closed at the end."""
    buses = [bus_of(endpoint, mono_ms) for endpoint in endpoints]
    try:
        await asyncio.gather(*(bus.open() for bus in buses))
        yield buses
    finally:
        await asyncio.gather(*(bus.close() for bus in buses))


class Buses:
    """What each bus has to serve from an instant on, and which of its units are worth asking.

    Parameters
    ----------
    utc : UtcLine
        The time line that slots are due on.
    start_ms : int
        Earlier slots are not served. [ms]
    """

    def __init__(self, reading: Reading, buses: Sequence[Bus], utc: UtcLine, start_ms: int) -> None:
        own = [reading.intervals(number) for number in range(len(buses))]
        refused = reading.unsupported.keys()
        self.by_name = dict(zip((bus.id for bus in reading.bound.plan.buses), buses, strict=True))
        self.agendas = [Agenda(intervals, start_ms) for intervals in own]
        self._breakers = [
            Breakers(reading.requests, intervals, start_ms, start_ms + number, refused)
            for number, intervals in enumerate(own)
        ]
        self._requests = reading.requests
        self._utc = utc

    @property
    def timeout_s(self) -> float:
        """The longest wait for an answer."""
        return max(bus.timeout_s for bus in self.by_name.values())

    def dead(self) -> dict[str, int]:
        """Units that do not answer, as bus/unit, and since when. [ms]"""
        return {
            f"{name}/{unit}": since_ms
            for name, own in zip(self.by_name, self._breakers, strict=True)
            for unit, since_ms in own.dead().items()
        }

    @asynccontextmanager
    async def polled(
        self, report: Report, on_change: Callable[[], None] = lambda: None, holes: Holes | None = None
    ) -> AsyncIterator[None]:
        """Poll meanwhile; ``report`` gets every slot of every request once, ``on_change`` is told of dead units."""
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(
                    poll(bus, agenda, own, self._requests, self._utc, report, on_change, holes), name=f"poll {name}"
                )
                for (name, bus), agenda, own in zip(self.by_name.items(), self.agendas, self._breakers, strict=True)
            ]
            try:
                yield
            finally:
                for loop in loops:
                    loop.cancel()
