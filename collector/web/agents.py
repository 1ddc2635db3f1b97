"""What the pages of agents show: each one's state in the books, and what it says of itself, which is never evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from collector.books import Books
from collector.store.agents import AgentView, find_agent, view_agents
from collector.store.endings import Ended, endings
from collector.store.enrolments import Enrolment, EnrolmentToken, enrolments_of, open_tokens, waiting_enrolments
from collector.store.plans import newest_plan, sites_known
from collector.store.schema import slots
from collector.web.shown import instant
from protocols.records import fate_of
from protocols.wire.keys import fingerprint

ACTIVE = "active"
SHOWN = 200
"""Characters of one thing that an agent says."""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent.

    Attributes
    ----------
    state : str
        active, revoked or retired.
    said : mapping
        What it says of itself, by name; texts and whole numbers only, shortened.
    plan_version : str
        Of the newest plan that it sent, signed.
    points, answering : int
        Points of that plan, and how many of them brought a value today.
    last_to_ms : int or None
        End of its newest batch in the books. [UTC ms]
    """

    view: AgentView
    state: str
    ended: Ended | None
    said: Mapping[str, Any]
    plan_version: str
    points: int
    answering: int
    last_to_ms: int | None


@dataclass(frozen=True, slots=True)
class Agents:
    """The list: agents, requests that wait with the digits to compare, and invitations that nobody has used."""

    rows: tuple[AgentRow, ...]
    waiting: tuple[tuple[Enrolment, str], ...]
    tokens: tuple[EnrolmentToken, ...]
    facilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentPage:
    """One agent with its history: its keys' fingerprints, how it was enrolled, whom it replaced, who replaced it."""

    row: AgentRow
    keys: tuple[str, ...]
    enrolments: tuple[Enrolment, ...]
    replaced: AgentView | None
    successor: AgentView | None


def gather_agents(books: Books, now_ms: int) -> Agents:
    """The list, of one moment."""
    with books.database.reading() as connection:
        ended = endings(connection)
        views = view_agents(connection)
        rows = tuple(_row(connection, books, view, ended.get(view.agent_id), now_ms) for view in views)
        waiting = tuple((one, one.digits(books.public_key)) for one in waiting_enrolments(connection))
        tokens = tuple(open_tokens(connection, now_ms))
        known = {site.id.partition("/")[2] for site in sites_known(connection, books.plans)}
    return Agents(rows, waiting, tokens, tuple(sorted(known)))


def gather_agent(books: Books, agent_id: str, now_ms: int) -> AgentPage | None:
    """One agent; None where there is none."""
    with books.database.reading() as connection:
        views = view_agents(connection)
        found = next((view for view in views if view.agent_id == agent_id), None)
        if found is None:
            return None
        row = _row(connection, books, found, endings(connection).get(agent_id), now_ms)
        agent = find_agent(connection, agent_id)
        keys = () if agent is None else tuple(fingerprint(key) for key in agent.ring.keys)
        return AgentPage(
            row, keys, tuple(enrolments_of(connection, agent_id)),
            next((view for view in views if view.agent_id == found.replaces), None),
            next((view for view in views if view.replaces == agent_id), None),
        )  # fmt: skip


def _row(connection: Connection, books: Books, view: AgentView, ended: Ended | None, now_ms: int) -> AgentRow:
    plan = newest_plan(connection, books.plans, view.agent_id)
    points = {point.id for point in plan.points} if plan is not None else set()
    answering = 0
    if plan is not None:
        day = instant(now_ms, ZoneInfo(plan.plan.facility.time_zone), "%Y-%m-%d")
        today = select(slots.c.point, slots.c.fate).where(
            slots.c.agent_id == view.agent_id, slots.c.day == day, slots.c.count > 0
        )
        brought = {point for point, fate in connection.execute(today) if fate_of(fate).has_value}
        answering = len(points & brought)
    last = [stream.last_to_ms for stream in view.streams if stream.last_to_ms is not None]
    return AgentRow(
        view, ACTIVE if ended is None else ended.ending.value, ended, said_by(view.status),
        "" if plan is None else plan.plan.version, len(points), answering, max(last, default=None),
    )  # fmt: skip


def said_by(status: str | None) -> dict[str, Any]:
    """What a status message says, as far as it can be shown."""
    try:
        found = json.loads(status or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        str(name): value[:SHOWN] if isinstance(value, str) else value
        for name, value in found.items()
        if isinstance(value, str) or (type(value) is int and abs(value) < 2**53)
    }
