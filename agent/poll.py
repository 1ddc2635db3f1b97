"""The loop of one bus: take the next due slot, ask if its unit is worth asking, report; sleep until the next is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent.breaker import Breakers
from agent.bus.bus import Bus
from agent.clock import UtcLine
from agent.holes import NO_SUCH_ADDRESS, Holes
from agent.results import Result
from agent.schedule import Agenda, Turn
from protocols.records import Fate, ReadRequest


async def poll(
    bus: Bus,
    agenda: Agenda,
    breakers: Breakers,
    requests: Sequence[ReadRequest],
    line: UtcLine,
    report: Callable[[Result], None],
    on_change: Callable[[], None] = lambda: None,
    holes: Holes | None = None,
) -> None:
    """Serve a bus's agenda until cancelled.

    A request is not repeated within the millisecond of its last answer, so that a request's stamps grow. Without a
    connection no unit is asked, so nothing is learnt about any.

    Parameters
    ----------
    report : callable
        Gets every slot exactly once.
    on_change : callable
        Called after a unit was found dead or alive again.
    holes : Holes, optional
        What is not asked because the device does not have it.
    """
    last_ms = dict.fromkeys(range(len(requests)), -1)
    while True:
        now_ms = line.now_ms()
        skipped, turn = agenda.take(now_ms)
        for late in skipped:
            fate = Fate.DEVICE_DEAD if breakers.is_dead(late.request) else Fate.BUS_BUSY
            report(Result(late.request, late.slot, fate))
        if turn is None:
            wake_ms = agenda.wake_ms()
            if wake_ms is None:
                return
            await asyncio.sleep(max(wake_ms - line.now_ms(), 0) / 1000)
            continue
        if holes is not None and holes.skips(turn.request, now_ms):
            agenda.finish()
            report(Result(turn.request, turn.slot, NO_SUCH_ADDRESS))
            continue
        if not breakers.lets_through(turn.request, now_ms):
            agenda.finish()
            report(Result(turn.request, turn.slot, Fate.DEVICE_DEAD))
            continue
        ahead_ms = last_ms[turn.request] - now_ms
        if ahead_ms >= 0:
            await asyncio.sleep((ahead_ms + 2) / 1000)
        was_connected = bus.connected
        result = await _ask(bus, requests[turn.request], turn, line)
        last_ms[turn.request] = turn.due_ms + result.delay_ms
        agenda.finish()
        if holes is not None:
            holes.met(bus, turn.request, result.fate, now_ms)
        if was_connected:
            changed = breakers.met(turn.request, result.fate, now_ms, line.now_ms())
            if result.fate != Fate.GOOD:
                agenda.put_back(breakers.failing(turn.request), line.now_ms())
            if changed:
                on_change()
        report(result)


async def _ask(bus: Bus, request: ReadRequest, turn: Turn, line: UtcLine) -> Result:
    answer = await bus.read(request.unit, request.function, request.address, request.count)
    if answer.fate != Fate.GOOD:
        return Result(turn.request, turn.slot, answer.fate)
    delay_ms = answer.at_ms + line.offset_ms - turn.due_ms
    return Result(turn.request, turn.slot, answer.fate, delay_ms, answer.registers)
