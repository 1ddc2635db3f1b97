"""Which hours a new calibration record reaches, and how far back: those alone are made anew.

An event reaches from its own beginning, from that of the event it supersedes, and from the first instant at which the
status of what an instrument measures is another one: a failed test reaches back to the last good evidence. A record
of an instrument or a chain may change any instant.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, literal, select

from calibration.events import Event
from calibration.reach_back import changes
from collector.hours.calendar import Span
from collector.hours.lives import Lives, Trust
from collector.store.plans import PlanBook
from collector.store.schema import dirty_hours, hours, plans
from collector.store.trust import trust_known
from collector.store.upsert import upsert
from protocols.plan.bound import BoundPlan


def mark_reached(connection: Connection, book: PlanBook, about: Collection[str], event: Event | None = None) -> None:
    """Have the hours made anew that a record reaches which was just kept.

    Parameters
    ----------
    connection : Connection
        Of the transaction that keeps it.
    book : PlanBook
    about : collection of str
        Instruments it names.
    event : Event or None
        The event, a certificate as such; None for a record of an instrument or a chain.
    """
    after = trust_known(connection, about)
    before = _without(after, event)
    named = {*about, *(member.instrument for chain, _ in after.chains for member in chain.members)}
    for agent_id, own in _plans_of(connection, book, named).items():
        rows = select(func.min(hours.c.from_ms), func.max(hours.c.to_ms)).where(hours.c.agent_id == agent_id)
        from_ms, to_ms = connection.execute(rows).one()
        if from_ms is None:
            continue
        first = from_ms
        if event is not None:
            first = min(_reached_from(plan, named, event, before, after, (from_ms, to_ms)) for plan in own)
        _mark_from(connection, agent_id, first)


def _mark_from(connection: Connection, agent_id: str, from_ms: int) -> None:
    """Mark every cell of an agent that ends after an instant; in one statement, for there may be a year of them."""
    cells = (
        select(hours.c.agent_id, hours.c.from_ms, hours.c.to_ms, literal(1))
        .where(hours.c.agent_id == agent_id, hours.c.to_ms > from_ms)
        .distinct()
    )
    marked = upsert(connection, dirty_hours).from_select(["agent_id", "from_ms", "to_ms", "marks"], cells)
    connection.execute(
        marked.on_conflict_do_update(
            index_elements=["agent_id", "from_ms"], set_={"marks": dirty_hours.c.marks + 1, "error": None}
        )
    )


def _plans_of(connection: Connection, book: PlanBook, named: Collection[str]) -> dict[str, list[BoundPlan]]:
    """Plans that name one of the instruments, by agent."""
    found: dict[str, list[BoundPlan]] = {}
    for row in connection.execute(select(plans.c.agent_id, plans.c.document).order_by(plans.c.agent_id)):
        plan = book.open(row.document)
        if any(one.id in named for one in plan.plan.instruments):
            found.setdefault(row.agent_id, []).append(plan)
    return found


def _reached_from(
    plan: BoundPlan, named: Collection[str], event: Event, before: Trust, after: Trust, span: Span
) -> int:
    """The first instant that an event may change. [UTC ms]"""
    zone = ZoneInfo(plan.plan.facility.time_zone)
    replaced = [one for one, _ in (*after.certificates, *after.events) if one.id == event.supersedes]
    firsts = [one.start_ms(zone) for one in (event, *replaced)]
    lives = Lives(before), Lives(after)
    for planned in plan.plan.instruments:
        if planned.id in named:
            was, now = (one.chained(plan, planned) for one in lives)
            firsts += [change.from_ms for change in changes(was, now, span)[:1]]
    return min(firsts)


def _without(trust: Trust, event: Event | None) -> Trust:
    """What was known before the event was."""
    if event is None:
        return trust
    return replace(
        trust,
        certificates=[known for known in trust.certificates if known[0] != event],
        events=[known for known in trust.events if known[0] != event],
    )
