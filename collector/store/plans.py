"""Monitoring plans the agents have sent, opened once and kept open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from collector.hours.sources import SourceFacts, source_facts
from collector.store.schema import items, plan_hours, plans
from collector.store.upsert import upsert
from protocols.errors import EmitraceError
from protocols.plan.bound import BoundPlan
from protocols.plan.document import document_digest, open_document
from protocols.plan.model import Instrument
from protocols.wire.errors import Reason, WireError

KEPT_OPEN = 64


@dataclass(frozen=True, slots=True)
class Site:
    """A facility as its newest plan states it, and the agents that sent plans of it; ``id`` is ORG/FACILITY."""

    id: str
    name_zh: str
    name_en: str
    zone: ZoneInfo
    agents: frozenset[str]


def site_of(plan: BoundPlan) -> str:
    """What a plan is of: its organisation and facility."""
    return f"{plan.plan.organisation.id}/{plan.plan.facility.id}"


class PlanBook:
    """Opened plans by digest; a plan never changes, so an opened one stays right."""

    def __init__(self) -> None:
        self._opened: dict[bytes, BoundPlan] = {}

    def open(self, document: bytes) -> BoundPlan:
        """Open a plan document; WireError ``plan-invalid`` where it does not open."""
        digest = document_digest(document)
        plan = self._opened.get(digest)
        if plan is None:
            try:
                plan = open_document(document)
            except WireError:
                raise
            except (EmitraceError, ValueError) as error:
                raise WireError(Reason.PLAN_INVALID, f"plan {digest.hex()[:12]}", str(error)) from error
            while len(self._opened) >= KEPT_OPEN:
                self._opened.pop(next(iter(self._opened)))
            self._opened[digest] = plan
        return plan

    def of(self, connection: Connection, agent_id: str, digest: bytes) -> BoundPlan | None:
        """The plan of that digest, if this agent has sent it."""
        document = connection.scalar(
            select(plans.c.document).where(plans.c.agent_id == agent_id, plans.c.digest == digest)
        )
        return None if document is None else self.open(document)


def plans_used(connection: Connection, from_ms: int, to_ms: int) -> list[tuple[str, bytes]]:
    """(agent, plan digest) of the windows that made the hours which start in [from, to)."""
    made = select(plan_hours.c.plan).where(
        plan_hours.c.agent_id == plans.c.agent_id, plan_hours.c.plan == plans.c.digest,
        plan_hours.c.from_ms >= from_ms, plan_hours.c.from_ms < to_ms,
    )  # fmt: skip
    rows = connection.execute(select(plans.c.agent_id, plans.c.digest).where(made.exists()))
    return sorted((row.agent_id, row.digest) for row in rows)


def note_plans_used(connection: Connection, agent_id: str, used: Mapping[int, Iterable[bytes]]) -> None:
    """Note whose windows made an agent's hour cells: plan digests by the start of the cell."""
    rows = [
        {"agent_id": agent_id, "plan": digest, "from_ms": start} for start, own in used.items() for digest in own
    ]
    if rows:
        connection.execute(upsert(connection, plan_hours).on_conflict_do_nothing(), rows)


def sources_known(connection: Connection, book: PlanBook) -> tuple[SourceFacts, ...]:
    """Every source of every agent, as its newest plan that names it states it."""
    facts: dict[tuple[str, str], SourceFacts] = {}
    for row in connection.execute(select(plans).order_by(plans.c.item)):
        for fact in source_facts(row.agent_id, book.open(row.document)):
            facts[fact.agent, fact.source] = fact
    return tuple(facts[key] for key in sorted(facts))


def sites_known(connection: Connection, book: PlanBook) -> tuple[Site, ...]:
    """Every site of any plan, the one with the newest plan first."""
    newest = select(func.max(plans.c.item)).group_by(plans.c.site)
    agents: dict[str, set[str]] = {}
    for row in connection.execute(select(plans.c.site, plans.c.agent_id).distinct()):
        agents.setdefault(row.site, set()).add(row.agent_id)
    found = []
    for row in connection.execute(
        select(plans.c.site, plans.c.document).where(plans.c.item.in_(newest)).order_by(plans.c.item.desc())
    ):
        facility = book.open(row.document).plan.facility
        found.append(
            Site(row.site, facility.name.zh, facility.name.en, ZoneInfo(facility.time_zone),
                 frozenset(agents[row.site]))
        )  # fmt: skip
    return tuple(found)


def site_zone(connection: Connection, book: PlanBook) -> ZoneInfo:
    """The zone of the newest plan's facility; UTC before the first plan."""
    document = connection.scalar(select(plans.c.document).order_by(plans.c.item.desc()).limit(1))
    return ZoneInfo("UTC") if document is None else ZoneInfo(book.open(document).plan.facility.time_zone)


def newest_plan(connection: Connection, book: PlanBook, agent_id: str) -> BoundPlan | None:
    """An agent's newest plan; None before its first."""
    document = connection.scalar(
        select(plans.c.document).where(plans.c.agent_id == agent_id).order_by(plans.c.item.desc()).limit(1)
    )
    return None if document is None else book.open(document)


def agent_zone(connection: Connection, book: PlanBook, agent_id: str) -> ZoneInfo:
    """The zone of the facility of an agent's newest plan; UTC before its first."""
    plan = newest_plan(connection, book, agent_id)
    return ZoneInfo("UTC" if plan is None else plan.plan.facility.time_zone)


def newest_plans(
    connection: Connection, book: PlanBook, as_known_at: int | None = None
) -> dict[str, BoundPlan]:  # fmt: skip
    """The newest plan of every agent, by agent, as known at a size of the log (None: of all)."""
    newest = select(func.max(plans.c.item)).group_by(plans.c.agent_id)
    if as_known_at is not None:
        newest = newest.join(items, items.c.id == plans.c.item).where(items.c.leaf < as_known_at)
    rows = connection.execute(select(plans.c.agent_id, plans.c.document).where(plans.c.item.in_(newest)))
    return {row.agent_id: book.open(row.document) for row in sorted(rows, key=lambda row: row.agent_id)}


def instruments_known(
    connection: Connection, book: PlanBook, agents: Collection[str] | None = None
) -> tuple[Instrument, ...]:
    """Every instrument of the newest plan of every agent, or of some."""
    return tuple(
        one
        for agent_id, plan in newest_plans(connection, book).items()
        if agents is None or agent_id in agents
        for one in plan.plan.instruments
    )
