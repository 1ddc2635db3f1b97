"""What holds now, as the books, the disk and the broker say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, exists, func, select

from calibration.status import VALID, State
from collector.alerts.model import Condition, Kind
from collector.calibration.overview import Standing, due
from collector.config import AlertsTable
from collector.store.endings import Ending, endings
from collector.store.healings import current_healing
from collector.store.schema import (
    agents,
    comparisons,
    dirty_hours,
    items,
    quarantine,
    quarantine_decisions,
    streams,
    tombstones,
)

MINUTE_MS, DAY_MS = 60_000, 86_400_000
GIB = 1 << 30
NAMED = 5
"""So many instruments are named; the page lists them all."""
RECENT_MS = DAY_MS
"""What happens once, such as a refused message, is the matter for so long."""


def conditions(connection: Connection, rules: AlertsTable, now_ms: int) -> Iterator[Condition]:
    """Everything in the books that a person must be told of."""
    names: dict[str, str] = {}
    ended = endings(connection)
    for row in connection.execute(select(agents).order_by(agents.c.agent_id)):
        names[row.agent_id] = row.name
        if row.agent_id not in ended:
            yield from _silent(row, rules, now_ms)
        yield from _log_alarm(row)
    revoked = {agent for agent, one in ended.items() if one.ending is Ending.REVOKED}  # its gaps are never filled
    yield from (one for one in _gaps(connection, names, rules, now_ms) if one.subject not in revoked)
    healing = current_healing(connection)
    if healing is not None:
        yield Condition(Kind.HEALING, "", {"cause": healing.cause, "since_ms": healing.opened_ms})
    yield from _lost(connection, names, now_ms)
    yield from _refused(connection, names, now_ms)
    different = select(comparisons.c.agent_id, func.count()).where(comparisons.c.equal.is_(False))
    for agent, count in connection.execute(different.group_by(comparisons.c.agent_id)):
        yield Condition(Kind.DIFFERENT, agent, {"name": names.get(agent, agent[:12]), "count": count})
    broken = select(dirty_hours.c.agent_id, func.count()).where(dirty_hours.c.error.is_not(None))
    for agent, count in connection.execute(broken.group_by(dirty_hours.c.agent_id)):
        yield Condition(Kind.HOURS, agent, {"name": names.get(agent, agent[:12]), "count": count})


def calibration_conditions(found: Iterable[Standing], rules: AlertsTable) -> Iterator[Condition]:
    """Instruments that failed, are overdue, or end within ``due_days``: one condition per facility and state."""
    grouped: dict[tuple[str, State], list[Standing]] = {}
    for one in due(tuple(found)):
        state = one.status.state
        soon = state in VALID and one.days is not None and one.days < rules.due_days
        if soon or state in (State.FAILED, State.OVERDUE):
            grouped.setdefault((one.site, State.DUE_SOON if soon else state), []).append(one)
    for (site, state), some in grouped.items():
        names = ", ".join(one.instrument.id for one in some[:NAMED])
        facts = {"site": site or "–", "state": state.value, "count": len(some), "names": names[:200]}
        yield Condition(Kind.CALIBRATION, f"{site}/{state.value}", facts)


def disk_condition(folder: Path, rules: AlertsTable) -> Iterator[Condition]:
    """Too little room where the books lie."""
    free = shutil.disk_usage(folder).free
    if free < rules.disk_free_gib * GIB:
        yield Condition(Kind.DISK, "", {"free": f"{free / GIB:.1f}", "least": f"{rules.disk_free_gib:g}"})


def _silent(row: Any, rules: AlertsTable, now_ms: int) -> Iterator[Condition]:
    """An agent that was heard of once and is not any more; one that never spoke is being set up."""
    if row.last_seen_ms is not None and now_ms - row.last_seen_ms > rules.silent_minutes * MINUTE_MS:
        yield Condition(Kind.AGENT_SILENT, row.agent_id, {"name": row.name, "since_ms": row.last_seen_ms})


def _log_alarm(row: Any) -> Iterator[Condition]:
    """What an agent that keeps the newest checkpoint says of one that contradicts it."""
    try:
        status = json.loads(row.status or "{}")
    except ValueError:
        return
    alarm = status.get("log_alarm") if isinstance(status, dict) else None
    if alarm:
        yield Condition(Kind.LOG, row.agent_id, {"name": row.name, "said": str(alarm)[:200]})


def _gaps(connection: Connection, names: dict[str, str], rules: AlertsTable, now_ms: int) -> Iterator[Condition]:
    """Items that wait behind a missing one for longer than asking for it takes."""
    waiting = (
        select(streams.c.agent_id, streams.c.contiguous, func.count(), func.min(items.c.received_ms).label("since"))
        .join_from(
            streams, items,
            (items.c.agent_id == streams.c.agent_id) & (items.c.stream_id == streams.c.stream_id)
            & (items.c.sequence > streams.c.contiguous),
        )
        .group_by(streams.c.agent_id, streams.c.stream_id, streams.c.contiguous)
        .having(func.min(items.c.received_ms) < now_ms - rules.gap_minutes * MINUTE_MS)
    )  # fmt: skip
    for agent, contiguous, count, since_ms in connection.execute(waiting):
        facts = {"name": names.get(agent, agent[:12]), "count": count, "after": contiguous, "since_ms": since_ms}
        yield Condition(Kind.GAP, agent, facts)


def _lost(connection: Connection, names: dict[str, str], now_ms: int) -> Iterator[Condition]:
    recent = (
        select(tombstones.c.agent_id, func.sum(tombstones.c.last - tombstones.c.first + 1))
        .join_from(tombstones, items, tombstones.c.item == items.c.id)
        .where(items.c.received_ms > now_ms - RECENT_MS)
        .group_by(tombstones.c.agent_id)
    )
    for agent, count in connection.execute(recent):
        yield Condition(Kind.LOST, agent, {"name": names.get(agent, agent[:12]), "count": int(count)})


def _refused(connection: Connection, names: dict[str, str], now_ms: int) -> Iterator[Condition]:
    """Recent objects in quarantine about which nobody has decided."""
    decided = exists().where(quarantine_decisions.c.entry == quarantine.c.id)
    recent = (
        select(quarantine.c.agent_id, quarantine.c.reason, func.count())
        .where(quarantine.c.last_ms > now_ms - RECENT_MS, ~decided)
        .group_by(quarantine.c.agent_id, quarantine.c.reason)
    )
    strangers: dict[str, int] = {}
    for agent, reason, count in connection.execute(recent):
        if agent in names:
            facts = {"name": names[agent], "reason": reason, "count": count}
            yield Condition(Kind.QUARANTINE, f"{agent}/{reason}", facts)
        else:  # anybody can make up senders: one alert for all of them
            strangers[reason] = strangers.get(reason, 0) + count
    for reason, count in strangers.items():
        yield Condition(Kind.QUARANTINE, f"/{reason}", {"name": "?", "reason": reason, "count": count})
