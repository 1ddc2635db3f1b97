from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from agent.breaker import Breakers
from agent.bus.bus import Bus
from agent.bus.tcp import tcp
from agent.clock import KernelClock, UtcLine
from agent.poll import poll
from agent.results import Result
from agent.schedule import Agenda
from protocols.records import Fate, ReadRequest
from tests.agent.rig import Asked, Endpoint, behave_well
from tests.services import LOOPBACK

pytestmark = pytest.mark.clock
REQUESTS = tuple(ReadRequest(0, unit, 3, 0, 2, 0, (unit,), (0,), (2,)) for unit in (1, 2, 3))


async def slow(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """60 ms for each answer."""
    await asyncio.sleep(0.06)
    await behave_well(endpoint, asked, writer)


async def poll_for(endpoint: Endpoint, interval_ms: int, seconds: float) -> tuple[list[Result], Agenda, int, int]:
    """Results of polling three requests for a while; with the agenda, the start and the end."""
    machine = KernelClock()
    line = UtcLine(machine, machine.read().utc_ms - machine.mono_ms())
    bus = Bus(tcp(LOOPBACK, endpoint.port, 0.5, machine.mono_ms), 0.5, machine.mono_ms)
    assert await bus.open()
    start_ms = line.now_ms()
    agenda = Agenda([(position, interval_ms) for position in range(3)], start_ms)
    results: list[Result] = []
    breakers = Breakers(REQUESTS, [(position, interval_ms) for position in range(3)], start_ms, seed=1)
    task = asyncio.create_task(poll(bus, agenda, breakers, REQUESTS, line, results.append))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bus.close()
    return results, agenda, start_ms, line.now_ms()


@pytest.mark.parametrize("interval_ms", [100, 200])
async def test_every_slot_gets_one_fate_and_late_ones_are_busy(interval_ms: int) -> None:
    """Three requests of 60 ms fit into 200 ms and do not fit into 100 ms: the rest is bus busy, nothing queues."""
    endpoint = await Endpoint(behave=slow).start()
    results, _, start_ms, end_ms = await poll_for(endpoint, interval_ms, 1.5)
    await endpoint.stop()

    slots = [(result.request, result.slot) for result in results]
    first, last = -(-start_ms // interval_ms), end_ms // interval_ms - 2  # the newest two may still be open
    fates = Counter(Fate(result.fate & 0xFF) for result in results)
    assert len(slots) == len(set(slots))
    assert {(r, k) for r in range(3) for k in range(first, last)} <= set(slots)
    assert (fates[Fate.BUS_BUSY] > 0) == (interval_ms == 100)
    assert {Fate.GOOD} == set(fates) - {Fate.BUS_BUSY}


async def test_answers_are_stamped_after_their_due_time_and_in_order() -> None:
    """Delays are never negative, and a request's stamps grow strictly."""
    endpoint = await Endpoint().start()
    results, *_ = await poll_for(endpoint, 100, 0.8)
    await endpoint.stop()
    stamps = [r.slot * 100 + r.delay_ms for r in results if r.request == 0]

    assert all(0 <= result.delay_ms < 100 for result in results)
    assert sorted(set(stamps)) == stamps
    assert len(stamps) >= 6


async def test_endpoints_share_a_tick() -> None:
    """Eight servers that take 20 ms to answer are asked within 50 ms of each other and of the due time, on UTC's grid.

    One tick in ten may be off: the machine has other work.
    """
    interval_ms, machine = 200, KernelClock()
    line = UtcLine(machine, machine.read().utc_ms - machine.mono_ms())
    arrived: dict[int, list[int]] = {}

    async def note(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        slot, late_ms = divmod(line.now_ms(), interval_ms)
        arrived.setdefault(slot, []).append(late_ms)
        await asyncio.sleep(0.02)
        await behave_well(endpoint, asked, writer)

    endpoints = [await Endpoint(behave=note).start() for _ in range(8)]
    buses = [Bus(tcp(LOOPBACK, one.port, 0.5, machine.mono_ms), 0.5, machine.mono_ms) for one in endpoints]
    await asyncio.gather(*(bus.open() for bus in buses))
    own, start_ms = [(0, interval_ms)], line.now_ms()
    tasks = [
        asyncio.create_task(
            poll(bus, Agenda(own, start_ms), Breakers(REQUESTS, own, start_ms, seed=1), REQUESTS, line, lambda _: None)
        )
        for bus in buses
    ]
    await asyncio.sleep(2.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(bus.close() for bus in buses), *(one.stop() for one in endpoints))

    whole = [late for _, late in sorted(arrived.items())][:-1]
    assert len(whole) >= 10
    assert sum(len(late) == len(buses) and max(late) <= 50 for late in whole) >= 0.9 * len(whole)
