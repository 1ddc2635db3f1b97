"""What each point of a site showed last, from the newest committed batch of each agent: evidence, read for people."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, select

from collector.live.point import AgentNow, Shown, Slot, slot_of
from collector.store.agents import find_agent
from collector.store.plans import PlanBook, site_of
from collector.store.schema import agents, items, plans
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Fate, Samples

BATCHES_BACK = 4
"""Batches looked through for a point that has no slot in the newest: one that a stop has cut short has few."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What an agent's batches said, up to the item of this number."""

    item: int
    points: dict[int, Shown]


class Latest:
    """Reads the newest batches and remembers what they said; a batch never changes."""

    def __init__(self, book: PlanBook) -> None:
        self._book = book
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def of_site(self, connection: Connection, site: str) -> tuple[AgentNow, ...]:
        """Every agent whose newest plan is of this site, by name; ``site`` is ORG/FACILITY."""
        known = select(plans.c.agent_id).where(plans.c.site == site).distinct()
        rows = connection.execute(
            select(agents).where(agents.c.agent_id.in_(known)).order_by(agents.c.name, agents.c.agent_id)
        )
        found = (self._of_agent(connection, row) for row in rows.all())
        return tuple(one for one in found if one is not None and site_of(one.plan) == site)

    def _of_agent(self, connection: Connection, agent: Row[Any]) -> AgentNow | None:
        rows = connection.execute(
            select(items.c.id, items.c.stream_id, items.c.plan, items.c.to_ms)
            .where(
                items.c.agent_id == agent.agent_id, items.c.from_ms.is_not(None), items.c.kind == "batch",
                items.c.state == "placed",
            )
            .order_by(items.c.from_ms.desc(), items.c.id.desc())
            .limit(BATCHES_BACK)
        ).all()  # fmt: skip
        if not rows:
            return self._before_any_batch(connection, agent)
        newest = rows[0]
        plan = self._book.of(connection, agent.agent_id, newest.plan)
        if plan is None:
            return None
        with self._lock:
            kept = self._kept.get(agent.agent_id)
        if kept is None or kept.item != newest.id:
            same_plan = [row.id for row in rows if row.plan == newest.plan]
            kept = _Kept(newest.id, _read(connection, agent.agent_id, plan, same_plan))
            with self._lock:
                self._kept[agent.agent_id] = kept
        return AgentNow(
            agent.agent_id, agent.name, phase_of(agent.status), newest.stream_id, plan, newest.to_ms, kept.points
        )

    def _before_any_batch(self, connection: Connection, agent: Row[Any]) -> AgentNow | None:
        """An agent whose plan is here and nothing else yet."""
        row = connection.execute(
            select(plans.c.document, items.c.stream_id)
            .join(items, items.c.id == plans.c.item)
            .where(plans.c.agent_id == agent.agent_id)
            .order_by(plans.c.item.desc())
            .limit(1)
        ).first()
        if row is None:
            return None
        plan = self._book.open(row.document)
        return AgentNow(agent.agent_id, agent.name, phase_of(agent.status), row.stream_id, plan, None)


def phase_of(status: str | None) -> str:
    """The phase in an agent's own unsigned status; empty where it has said nothing that can be read."""
    said = json.loads(status) if status else {}
    phase = said.get("phase") if isinstance(said, dict) else None
    return phase[:32] if isinstance(phase, str) else ""


def _read(connection: Connection, agent_id: str, plan: BoundPlan, newest_first: list[int]) -> dict[int, Shown]:
    """The last slot of every point and the last that has a value, from as few batches as that takes."""
    newest: dict[int, Slot] = {}
    last: dict[int, Slot] = {}
    agent = find_agent(connection, agent_id)
    if agent is None:
        return {}
    for item in newest_first:
        batch = agent.read(connection.execute(select(items.c.bytes).where(items.c.id == item)).scalar_one())
        if isinstance(batch, Batch):
            for samples in batch.samples:
                for point, slot, valued in _last_slots(plan, samples):
                    newest.setdefault(point, slot)
                    if valued is not None:
                        last.setdefault(point, valued)
        if len(last) == len(plan.points):
            break
    return {point: Shown(slot, last.get(point)) for point, slot in newest.items()}


def _last_slots(plan: BoundPlan, samples: Samples) -> Iterator[tuple[int, Slot, Slot | None]]:
    """Of each point of a request: its last slot, and the last with a value."""
    if not samples.fates.size:
        return
    interval_ms = plan.intervals_ms[samples.request.scan_class]
    answered = np.flatnonzero(samples.fates == Fate.GOOD)
    end = samples.fates.size - 1
    for column, index in enumerate(samples.request.points):
        point = plan.points[index]
        latest: Slot | None = None
        valued: Slot | None = None
        for row in reversed(range(len(answered))):
            due_ms = (samples.first_slot + int(answered[row])) * interval_ms
            slot = slot_of(point, due_ms, int(samples.delay_ms[row]), int(Fate.GOOD), int(samples.words[row, column]))
            latest = latest or slot
            if slot.value is not None:
                valued = slot
                break
        if latest is None or answered[-1] != end:
            latest = slot_of(point, (samples.first_slot + end) * interval_ms, 0, int(samples.fates[end]), None)
        yield index, latest, valued
