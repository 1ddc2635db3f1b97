"""The loop of one bus: take the next due slot, ask, report; sleep until the next one is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent.bus import Bus
from agent.clock import UtcLine
from agent.results import Result
from agent.schedule import Agenda, Turn
from protocols.records import Fate, ReadRequest


async def poll(
    bus: Bus, agenda: Agenda, requests: Sequence[ReadRequest], line: UtcLine, report: Callable[[Result], None]
) -> None:
    """Serve a bus's agenda until cancelled; ``report`` gets every slot exactly once.

    A request is not repeated within the millisecond of its last answer, so that a request's stamps grow.
    """
    last_ms = dict.fromkeys(range(len(requests)), -1)
    while True:
        skipped, turn = agenda.take(line.now_ms())
        for late in skipped:
            report(Result(late.request, late.slot, Fate.BUS_BUSY))
        if turn is None:
            wake_ms = agenda.wake_ms()
            if wake_ms is None:
                return
            await asyncio.sleep(max(wake_ms - line.now_ms(), 0) / 1000)
            continue
        ahead_ms = last_ms[turn.request] - line.now_ms()
        if ahead_ms >= 0:
            await asyncio.sleep((ahead_ms + 2) / 1000)
        result = await _ask(bus, requests[turn.request], turn, line)
        last_ms[turn.request] = turn.due_ms + result.delay_ms
        agenda.finish()
        report(result)


async def _ask(bus: Bus, request: ReadRequest, turn: Turn, line: UtcLine) -> Result:
    answer = await bus.read(request.unit, request.function, request.address, request.count)
    if answer.fate != Fate.GOOD:
        return Result(turn.request, turn.slot, answer.fate)
    delay_ms = answer.at_ms + line.offset_ms - turn.due_ms
    return Result(turn.request, turn.slot, answer.fate, delay_ms, answer.registers)
