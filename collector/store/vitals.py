"""How the service stands, at a cost that does not grow with what is stored: newest items, sizes, work waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from collector.store.log import tree_size
from collector.store.plans import PlanBook
from collector.store.postgresql import database_bytes
from collector.store.schema import agents, dirty_hours, items, plans, slots, streams
from protocols.records import Fate, fate_of


@dataclass(frozen=True, slots=True)
class AgentVitals:
    """One agent: its newest stream's head, items ahead, end of its newest batch, its slots today by fate code.

    ``status`` is its own unsigned word; what is not known is None.
    """

    agent_id: str
    name: str
    last_seen_ms: int | None
    status: str | None
    contiguous: int | None
    ahead: int | None
    newest_ms: int | None
    slots_today: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Leaves of the log, bytes of the database, and cells whose hours wait to be made anew."""

    leaves: int
    database: int
    dirty_cells: int


def read_sizes(connection: Connection) -> Sizes:
    """How large the books are."""
    if connection.dialect.name == "postgresql":
        size = database_bytes(connection)
    else:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        size = pages * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    dirty = connection.scalar(select(func.count()).select_from(dirty_hours))
    return Sizes(tree_size(connection), size, int(dirty or 0))


def read_agents(connection: Connection, book: PlanBook, now: datetime | None = None) -> tuple[AgentVitals, ...]:
    """Every registered agent, by name; each question is answered by an index."""
    at = now or datetime.now(UTC)
    found = []
    for row in connection.execute(select(agents).order_by(agents.c.name, agents.c.agent_id)).all():
        contiguous, ahead, newest_ms = _head(connection, row.agent_id)
        today = _slots_today(connection, book, row.agent_id, at)
        found.append(
            AgentVitals(row.agent_id, row.name, row.last_seen_ms, row.status, contiguous, ahead, newest_ms, today)
        )
    return tuple(found)


def _head(connection: Connection, agent_id: str) -> tuple[int | None, int | None, int | None]:
    """Contiguous head of the agent's newest stream, items ahead, end of its newest batch; None before there is one."""
    stream = connection.execute(
        select(streams).where(streams.c.agent_id == agent_id).order_by(streams.c.first_ms.desc()).limit(1)
    ).first()
    if stream is None:
        return None, None, None
    ahead = connection.scalar(
        select(func.count()).where(
            items.c.agent_id == agent_id, items.c.stream_id == stream.stream_id, items.c.sequence > stream.contiguous
        )
    )
    return stream.contiguous, ahead, stream.last_to_ms


def _slots_today(connection: Connection, book: PlanBook, agent_id: str, now: datetime) -> dict[int, int]:
    """Slots by fate code of the points of the agent's newest plan, on the facility's day."""
    document = connection.scalar(
        select(plans.c.document).where(plans.c.agent_id == agent_id).order_by(plans.c.item.desc()).limit(1)
    )
    if document is None:
        return {}
    plan = book.open(document)
    day = now.astimezone(ZoneInfo(plan.plan.facility.time_zone)).date().isoformat()
    counts: dict[int, int] = {}
    rows = connection.execute(
        select(slots.c.fate, slots.c.count)
        .where(slots.c.agent_id == agent_id, slots.c.point.in_([point.id for point in plan.points]), slots.c.day == day)
    )  # fmt: skip
    for fate, count in rows:  # an exception counts as one fate, whatever its number
        code = int(Fate.EXCEPTION) if fate_of(fate) is Fate.EXCEPTION else fate
        counts[code] = counts.get(code, 0) + int(count)
    return counts
