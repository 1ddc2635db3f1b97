"""What the overview page shows, gathered from the books in one snapshot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from collector.api.shapes import fate_name
from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.inventory.model import Inventory
from collector.inventory.profile import load_profile
from collector.store import quarantine
from collector.store.agents import AgentView, view_agents
from collector.store.certificates import certificate_digests
from collector.store.comparisons import Comparison, Verdicts, differing, verdicts
from collector.store.hours import VersionedHour, read_hours
from collector.store.inventories import StoredInventory, all_versions, compose_inventory
from collector.store.knowledge import KnownAt, known_now
from collector.store.log import read_frontier
from collector.store.plans import sources_known
from collector.store.quarantine import Quarantined
from collector.store.refresh import dirty_cells
from collector.store.schema import plans, slots
from protocols.ghg.gwp import co2e_mg, gwp_set, species
from protocols.plan.model import Method
from protocols.records import fate_of

CHART_HOURS = 24
FAR_MS = 2**48
RECENT_HOURS = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the chart: CO2e of the primary sources and how much of the hour is covered, 0 to 1."""

    from_ms: int
    co2e_mg: int
    covered: float


@dataclass(frozen=True, slots=True)
class SlotSummary:
    """Slots of a day: how many there were, how many brought a value, and the others by reason."""

    day: str
    total: int
    answered: int
    missing: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Month:
    """The running month, provisional; ``due_ms`` is what of its period has gone by, per source and gas."""

    inventory: Inventory
    due_ms: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page."""

    now_ms: int
    zone: ZoneInfo
    facilities: tuple[tuple[str, str], ...]
    names: Mapping[tuple[str, str], tuple[str, str]]
    month: Month | None
    bars: tuple[Bar, ...]
    recent: tuple[VersionedHour, ...]
    dirty: int
    versions: tuple[StoredInventory, ...]
    agents: tuple[AgentView, ...]
    statuses: dict[str, dict[str, Any]]
    quarantined: tuple[Quarantined, ...]
    reasons: dict[str, int]
    verdicts: Verdicts
    differing: tuple[Comparison, ...]
    slots: tuple[SlotSummary, ...]
    certificates: int
    known: KnownAt
    root: str


def gather(books: Books, now_ms: int) -> Overview:
    """Read the page's content."""
    with books.database.reading() as connection:
        zone, facilities = _facilities(connection, books)
        tree = read_frontier(connection)
        views = view_agents(connection)
        return Overview(
            now_ms=now_ms, zone=zone, facilities=facilities, names=_names(connection, books),
            month=_month(connection, books, zone, now_ms),
            bars=_bars(connection, books, now_ms),
            recent=_recent(connection), dirty=dirty_cells(connection), versions=tuple(all_versions(connection, 10)),
            agents=views, statuses={view.agent_id: _status(view) for view in views},
            quarantined=tuple(quarantine.latest(connection, 20)), reasons=quarantine.count_by_reason(connection),
            verdicts=verdicts(connection), differing=tuple(differing(connection, 10)), slots=_slots(connection),
            certificates=len(certificate_digests(connection)),
            known=known_now(connection), root=tree.root.hex(),
        )  # fmt: skip


def _facilities(connection: Connection, books: Books) -> tuple[ZoneInfo, tuple[tuple[str, str], ...]]:
    """Names of the facilities whose plans are known, and the zone of the newest plan."""
    zone, names = ZoneInfo("UTC"), {}
    for row in connection.execute(select(plans.c.document).order_by(plans.c.item)):
        facility = books.plans.open(row.document).plan.facility
        zone = ZoneInfo(facility.time_zone)
        names[facility.id] = (facility.name.zh, facility.name.en)
    return zone, tuple(names.values())


def _names(connection: Connection, books: Books) -> dict[tuple[str, str], tuple[str, str]]:
    """(agent, source) -> what people call the source, Chinese and English."""
    known = sources_known(connection, books.plans)
    return {(fact.agent, fact.source): (fact.name_zh, fact.name_en) for fact in known}


def month_of(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """From the first of the month to the end of the hour that runs. [UTC ms]"""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)).astimezone(zone)
    first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    from_ms = (first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return from_ms, now_ms - now_ms % HOUR_MS + HOUR_MS


def _month(connection: Connection, books: Books, zone: ZoneInfo, now_ms: int) -> Month | None:
    """The running month: from its midnight, or from the first hour ever where that is later, to the running hour."""
    first = read_hours(connection, 0, FAR_MS, limit=1)
    from_ms, to_ms = month_of(now_ms, zone)
    if not first or first[0].row.from_ms >= to_ms:
        return None
    begin_ms = max(from_ms, first[0].row.from_ms)
    begin_ms = min([begin_ms, *(hour.row.from_ms for hour in read_hours(connection, begin_ms, begin_ms + 1))])
    profile, _ = load_profile(books.config.settings.inventory.profile)
    inventory = compose_inventory(
        connection, books.plans, begin_ms, to_ms, profile.gwp.default, profile.id
    )  # fmt: skip
    covered = max((row.covered_ms for row in inventory.rows), default=0)  # a clock ahead of ours may cover more
    return Month(inventory, max(now_ms - begin_ms, covered))


def _bars(connection: Connection, books: Books, now_ms: int) -> tuple[Bar, ...]:
    end_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
    start_ms = end_ms - CHART_HOURS * HOUR_MS
    profile, _ = load_profile(books.config.settings.inventory.profile)
    weights = gwp_set(profile.gwp.default)
    facts = {(fact.agent, fact.source): fact for fact in sources_known(connection, books.plans) if fact.primary}
    series = sum(len(fact.gases) for fact in facts.values())
    mass: dict[int, int] = defaultdict(int)
    covered: dict[int, int] = defaultdict(int)
    for hour in read_hours(connection, start_ms, end_ms):
        row = hour.row
        fact = facts.get((row.agent, row.source))
        if fact is not None:
            cell = row.from_ms - row.from_ms % HOUR_MS
            mass[cell] += co2e_mg(row.mass_mg, species(row.gas, Method(fact.method), weights), weights)
            covered[cell] += row.measured_ms + row.stopped_ms
    return tuple(
        Bar(cell, mass[cell], min(1.0, covered[cell] / (HOUR_MS * series)) if series else 0.0)
        for cell in range(start_ms, end_ms, HOUR_MS)
    )


def _recent(connection: Connection) -> tuple[VersionedHour, ...]:
    """Rows of the newest few hours, newest first."""
    newest = read_hours(connection, 0, FAR_MS, limit=1, newest_first=True)
    if not newest:
        return ()
    from_ms = newest[0].row.from_ms - (RECENT_HOURS - 1) * HOUR_MS
    return tuple(read_hours(connection, from_ms, FAR_MS, limit=200, newest_first=True))


def _slots(connection: Connection) -> tuple[SlotSummary, ...]:
    """Slots of the newest days by fate."""
    days: dict[str, dict[int, int]] = defaultdict(dict)
    newest = select(slots.c.day).distinct().order_by(slots.c.day.desc()).limit(7)
    counted = select(slots.c.day, slots.c.fate, func.sum(slots.c.count).label("n")).where(slots.c.day.in_(newest))
    for row in connection.execute(counted.group_by(slots.c.day, slots.c.fate)):
        days[row.day][row.fate] = int(row.n)
    summaries = []
    for day in sorted(days, reverse=True):
        fates = days[day]
        missing = sorted(((fate_name(f), n) for f, n in fates.items() if not fate_of(f).has_value), key=lambda p: -p[1])
        answered = sum(n for f, n in fates.items() if fate_of(f).has_value)
        summaries.append(SlotSummary(day, sum(fates.values()), answered, tuple(missing)))
    return tuple(summaries)


def _status(view: AgentView) -> dict[str, Any]:
    status = json.loads(view.status) if view.status else {}
    return status if isinstance(status, dict) else {}
