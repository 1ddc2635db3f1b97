"""From a figure of the ledger down to signed words; each level reads its own rows and no more."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from collector.hours.calendar import By, Span, span_of
from collector.hours.sources import SourceFacts, source_facts
from collector.hours.sums import add_up
from collector.store.explain import ExplainedHour, explain_hour
from collector.store.explain_window import ExplainedWindow, explain_window
from collector.store.plans import PlanBook, site_of
from collector.store.schema import hours, plans
from collector.store.series import SeriesRow, read_series
from protocols.errors import EmitraceError
from protocols.exact import sum_exact

_DAY_MS = 86_400_000
_FINER = {By.YEAR: By.MONTH, By.MONTH: By.DAY, By.DAY: By.HOUR}
_BY_LENGTH = ((By.HOUR, 3 * _DAY_MS), (By.DAY, 93 * _DAY_MS), (By.MONTH, 1_500 * _DAY_MS))
"""The step that leaves a readable number of parts of a period that is no year, month or day."""


@dataclass(frozen=True, slots=True)
class Named:
    """A source and gas whose figures are asked for, as the newest plan that has it states it."""

    facts: SourceFacts
    gas: str
    site: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Level:
    """A period of one source and gas, and the parts it is the sum of; a part of which nothing is known has no row."""

    from_ms: int
    to_ms: int
    by: By
    parts: tuple[SeriesRow, ...]
    total: SeriesRow | None

    @property
    def adds_up(self) -> bool:
        """Whether the parts' masses are the total's, to the milligram."""
        return sum_exact(one.mass_mg for one in self.parts) == (self.total.mass_mg if self.total else 0)


@dataclass(frozen=True, slots=True)
class Trail:
    """The levels from a figure to an hour, that hour, and one of its windows; None where nothing is known."""

    named: Named
    levels: tuple[Level, ...]
    hour: ExplainedHour | None
    window: ExplainedWindow | None


def find_series(connection: Connection, book: PlanBook, agent: str, source: str, gas: str) -> Named:
    """A source and gas of an agent.

    Raises
    ------
    EmitraceError
        No plan of this agent has it; the hint names those there are.
    """
    there: set[str] = set()
    for document in connection.scalars(
        select(plans.c.document).where(plans.c.agent_id == agent).order_by(plans.c.item.desc())
    ):
        plan = book.open(document)
        for facts in source_facts(agent, plan):
            if facts.source == source and gas in facts.gases:
                return Named(facts, gas, site_of(plan), ZoneInfo(plan.plan.facility.time_zone))
            there |= {f"{facts.source} {name}" for name in facts.gases}
    raise EmitraceError(
        f"{source} {gas} of agent {agent[:12]}", "no monitoring plan of this agent has it",
        f"It has {', '.join(sorted(there))}." if there else "Choose an agent from the overview.",
    )  # fmt: skip


def read_level(connection: Connection, named: Named, from_ms: int, to_ms: int) -> Level:
    """A period with its parts, one step finer. [UTC ms]"""
    own = {"agent": named.facts.agent, "source": named.facts.source, "gas": named.gas}
    by = step_of(from_ms, to_ms, named.zone)
    parts = read_series(connection, from_ms, to_ms, by, named.zone, **own)
    whole = read_series(connection, from_ms, to_ms, By.YEAR, named.zone, **own)
    total = SeriesRow(from_ms, to_ms, add_up([one.total for one in whole])) if whole else None
    return Level(from_ms, to_ms, by, tuple(parts), total)


def step_of(from_ms: int, to_ms: int, zone: ZoneInfo) -> By:
    """What a period is cut into: a year into months, a month into days, a day into hours, others by length."""
    for by, finer in _FINER.items():
        if span_of(from_ms, by, zone) == (from_ms, to_ms):
            return finer
    return next((by for by, longest in _BY_LENGTH if to_ms - from_ms <= longest), By.YEAR)


def read_trail(
    connection: Connection, book: PlanBook, agent: str, source: str, gas: str, span: Span, at_ms: int | None = None
) -> Trail:
    """The way from a period's figure down to the window that holds an instant, or to its first one.

    Parameters
    ----------
    span : (int, int)
        The figure's period. [UTC ms]
    at_ms : int or None
        Which way down; None takes the first hour that is known.

    Raises
    ------
    EmitraceError
        There is no such source and gas.
    """
    named = find_series(connection, book, agent, source, gas)
    levels = [read_level(connection, named, *span)]
    if at_ms is None:
        at_ms = connection.scalar(
            select(func.min(hours.c.from_ms)).where(
                hours.c.agent_id == agent, hours.c.from_ms >= span[0], hours.c.from_ms < span[1],
                hours.c.source == source, hours.c.gas == gas,
            )
        )  # fmt: skip
    if at_ms is None:
        return Trail(named, tuple(levels), None, None)
    while levels[-1].by is not By.HOUR:
        low, high = span_of(at_ms, levels[-1].by, named.zone)
        levels.append(read_level(connection, named, max(low, levels[-1].from_ms), min(high, levels[-1].to_ms)))
    hour = explain_hour(connection, book, agent, source, gas, at_ms)
    stated = [one.window for one in hour.windows]
    inside = next((one for one in stated if one.from_ms <= at_ms < one.to_ms), stated[0] if stated else None)
    window = None
    if inside is not None:
        window = explain_window(connection, book, agent, source, gas, inside.from_ms, inside.input)
    return Trail(named, tuple(levels), hour, window)

