"""Server-sent events: a site's values as JSON, at once and whenever they change.

``site`` is the whole site, first of all and every half minute; ``values`` are the points that have changed since.
A comment every 15 s shows that the line lives. Between two events lies half a second at least.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from collector.api.shapes import fate_name
from collector.clock import now_ms
from collector.live.hub import Hub, Looker
from collector.live.point import AgentNow, Shown, Slot, state_of, text_of

HEARTBEAT_S = 15.0
APART_S = 0.5
RETRY_MS = 3000
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy must neither keep an event nor wait for more of them."""


class EventStream(StreamingResponse):
    """The answer to one looker, who leaves when it ends, however it ends."""

    def __init__(self, hub: Hub, looker: Looker, inside: ExitStack) -> None:
        super().__init__(events(hub, looker), media_type="text/event-stream", headers=HEADERS)
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the service, the session or the reader's patience ends."""
        with self._inside:
            await super().__call__(scope, receive, send)


async def events(hub: Hub, looker: Looker) -> AsyncGenerator[bytes, None]:
    """The stream of one looker, until the service ends; it may be left at any point."""
    number = 0
    yield f"retry: {RETRY_MS}\n\n".encode()
    while not hub.is_closed():
        if number == 0 or hub.is_due(looker.site):
            await run_in_threadpool(hub.renew, looker.site)
            hub.changes(looker)
            number += 1
            yield event(number, "site", site_json(looker.site, hub.agents(looker.site), now_ms()))
        began_s = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S):
                await looker.news.wait()
        if hub.is_closed():
            return
        changed = hub.changes(looker)
        if not changed:
            yield b": still here\n\n"
            continue
        number += 1
        yield event(number, "values", values_json(hub, looker.site, changed, now_ms()))
        await asyncio.sleep(max(0.0, began_s + APART_S - time.monotonic()))


def event(number: int, name: str, data: Mapping[str, Any]) -> bytes:
    """One event; the data is one line, because JSON has no line breaks of its own."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {number}\nevent: {name}\ndata: {text}\n\n".encode()


def site_json(site: str, agents: Iterable[AgentNow], at_ms: int) -> dict[str, Any]:
    """Everything known of a site."""
    agents = tuple(agents)
    return {
        "site": site,
        "at_ms": at_ms,
        "agents": [
            {"agent": one.agent_id, "name": one.name, "phase": one.phase, "batch_to_ms": one.batch_to_ms}
            for one in agents
        ],
        "readings": [reading for one in agents for reading in readings_json(one, one.points, at_ms)],
    }


def values_json(hub: Hub, site: str, changed: Mapping[str, Mapping[int, Shown]], at_ms: int) -> dict[str, Any]:
    """The points that have changed."""
    readings: list[dict[str, Any]] = []
    for agent_id, points in changed.items():
        agent = hub.agent(site, agent_id)
        if agent is not None:
            readings.extend(readings_json(agent, points, at_ms))
    return {"site": site, "at_ms": at_ms, "readings": readings}


def readings_json(agent: AgentNow, points: Mapping[int, Shown], at_ms: int) -> list[dict[str, Any]]:
    """Points of an agent, each with value, unit, quality and age."""
    found = []
    for index, shown in points.items():
        point = agent.plan.points[index]
        held = None if shown.last is shown.newest or shown.last is None else shown.last
        found.append(
            {
                "agent": agent.agent_id,
                "point": point.id,
                **_slot_json(shown, shown.newest, at_ms),
                "unit": point.register.unit,
                "quality": shown.newest.quality,
                "fate": fate_name(shown.newest.fate),
                "due_ms": shown.newest.due_ms,
                "interval_ms": point.interval_ms,
                "stale_after_ms": shown.stale_after_ms(agent.plan, point),
                "state": state_of(agent.plan, index, shown.newest.value),
                "live": shown.live,
                "last": None if held is None else _slot_json(shown, held, at_ms),
            }
        )
    return found


def _slot_json(shown: Shown, slot: Slot, at_ms: int) -> dict[str, Any]:
    value = None if slot.value is None else text_of(slot.value)
    return {"value": value, "at_ms": slot.at_ms, "age_ms": shown.age_ms(slot, at_ms)}
