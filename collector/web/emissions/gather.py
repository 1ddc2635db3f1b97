"""What the emissions explorer shows: a period by bucket, source and gas, from the ledger's sums.

CO2e is an exact integer per source and gas over the whole period, as in an inventory of that period; buckets share
it out by cumulative rounding (the mass up to a bucket, weighed, less what earlier buckets have), so that rows and
columns add up to the same total, to the last milligram.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.books import Books
from collector.hours.calendar import By, Span, buckets
from collector.hours.sources import SourceFacts
from collector.hours.sums import HourSum, add_up
from collector.inventory.uncertainty import parts_of
from collector.store.knowledge import KnownAt, known_now
from collector.store.plans import Site, sources_known
from collector.store.series import SeriesRow, read_extent, read_series
from collector.web.period import Period
from protocols.exact import sum_exact
from protocols.ghg.gwp import GwpSet, co2e_mg, gwp_set, species
from protocols.ghg.uncertainty import Parts, across, scaled
from protocols.plan.model import Method

DAY_MS = 86_400_000
LONGEST_HOURLY_MAP = 35 * DAY_MS
LONGEST_DAILY_MAP = 3 * 366 * DAY_MS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the sources is asked for; None is all of them."""

    site: Site | None = None
    agent: str | None = None
    source: str | None = None
    gas: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One source and gas over the period.

    Attributes
    ----------
    total : HourSum or None
        What is known of it, None where nothing is.
    co2e : tuple of int or None
        Its CO2e per bucket, adding to ``co2e_mg``; None where nothing is known. [mg]
    co2e_mg : int
        CO2e over the period. [mg]
    covered_ms : tuple of int
        Time known per bucket. [ms]
    parts : Parts
        Of the standard uncertainty over the period. [mg CO2e]
    """

    fact: SourceFacts
    gas: str
    total: HourSum | None
    co2e: tuple[int | None, ...]
    co2e_mg: int
    covered_ms: tuple[int, ...]
    parts: Parts


@dataclass(frozen=True, slots=True)
class Step:
    """One bucket over all lines: CO2e or None where nothing is known, its standard uncertainty, share known."""

    span: Span
    co2e_mg: int | None
    u_mg: float | None
    covered: float | None


@dataclass(frozen=True, slots=True)
class Explored:
    """Everything on the page.

    ``facts`` are all sources that could be asked for, ``extent`` is the time of which the ledger has anything, and
    ``due_ms`` what of the period has gone by.
    """

    period: Period
    gwp: str
    facts: tuple[SourceFacts, ...]
    lines: tuple[Line, ...]
    steps: tuple[Step, ...]
    co2e_mg: int
    u_mg: float
    due_ms: int
    extent: Span | None
    knowledge: KnownAt

    @property
    def known(self) -> bool:
        """Whether anything at all is known of the period."""
        return any(step.co2e_mg is not None for step in self.steps)

    @property
    def covered_ms(self) -> int:
        """Time known, over all lines. [ms]"""
        return sum_exact(ms for line in self.lines for ms in line.covered_ms)


@dataclass(frozen=True, slots=True)
class Map:
    """A finer look at the period for the heat map: steps of an hour or a day."""

    by: By
    steps: tuple[Step, ...]


def explore(books: Books, period: Period, wanted: Wanted, gwp: str, now_ms: int) -> Explored:
    """Read the page's content in one snapshot; GwpError where the set has no value for a gas."""
    spans = buckets(period.from_ms, period.to_ms, period.by, period.zone)
    weights = gwp_set(gwp)
    with books.database.reading() as connection:
        facts = _facts(connection, books, wanted.site)
        asked = _asked(facts, wanted)
        rows = _rows(connection, period, period.by, wanted)
        extent = read_extent(connection, wanted.site.id if wanted.site else None)
        knowledge = known_now(connection)
    places = {span: place for place, span in enumerate(spans)}
    gathered: dict[tuple[str, str, str], dict[int, SeriesRow]] = defaultdict(dict)
    for row in rows:
        gathered[row.agent, row.source, row.gas][places[row.from_ms, row.to_ms]] = row
    lines = tuple(
        _line(fact, gas, gathered.get((fact.agent, fact.source, gas), {}), len(spans), weights)
        for fact in asked for gas in fact.gases if wanted.gas in (None, gas)
    )  # fmt: skip
    return Explored(
        period=period, gwp=gwp, facts=facts, lines=lines, steps=_steps(spans, lines, gathered, weights, now_ms),
        co2e_mg=sum_exact(line.co2e_mg for line in lines), u_mg=across(line.parts for line in lines).standard,
        due_ms=max(0, min(period.to_ms, now_ms) - period.from_ms), extent=extent,
        knowledge=knowledge,
    )  # fmt: skip


def finer(books: Books, found: Explored, wanted: Wanted, now_ms: int) -> Map | None:
    """The period by hour or by day for a heat map, without uncertainty; None where it is too short or too long."""
    period = found.period
    length = period.to_ms - period.from_ms
    if length <= DAY_MS or length > LONGEST_DAILY_MAP:
        return None
    by = By.HOUR if length <= LONGEST_HOURLY_MAP else By.DAY
    if by is period.by:
        return Map(by, found.steps)
    weights = gwp_set(found.gwp)
    species_of = {(line.fact.agent, line.fact.source, line.gas): _weighed(line.fact, line.gas, weights)
                  for line in found.lines}  # fmt: skip
    mass: dict[Span, int] = {}
    covered: dict[Span, int] = defaultdict(int)
    with books.database.reading() as connection:
        rows = _rows(connection, period, by, wanted)
    for row in rows:
        weighed = species_of.get((row.agent, row.source, row.gas))
        if weighed is not None and _says(row):
            span = (row.from_ms, row.to_ms)
            mass[span] = mass.get(span, 0) + co2e_mg(row.mass_mg, weighed, weights)
            covered[span] += row.covered_ms
    steps = [
        Step(span, mass.get(span), None, _share(covered[span], span, len(found.lines), now_ms))
        for span in buckets(period.from_ms, period.to_ms, by, period.zone)
    ]
    return Map(by, tuple(steps))


def _facts(connection: Connection, books: Books, site: Site | None) -> tuple[SourceFacts, ...]:
    known = sources_known(connection, books.plans)
    return tuple(fact for fact in known if site is None or fact.agent in site.agents)


def _asked(facts: Iterable[SourceFacts], wanted: Wanted) -> list[SourceFacts]:
    """Sources that count; one that only checks another is shown where it is asked for by name, never added."""
    if wanted.source is None:
        return [fact for fact in facts if fact.primary]
    return [fact for fact in facts if fact.source == wanted.source and wanted.agent in (None, fact.agent)]


def _rows(connection: Connection, period: Period, by: By, wanted: Wanted) -> list[SeriesRow]:
    rows = read_series(
        connection, period.from_ms, period.to_ms, by, period.zone,
        site=wanted.site.id if wanted.site else None, agent=wanted.agent, source=wanted.source, gas=wanted.gas,
    )  # fmt: skip
    return [row for row in rows if wanted.site is None or row.agent in wanted.site.agents]


def _line(fact: SourceFacts, gas: str, rows: dict[int, SeriesRow], count: int, weights: GwpSet) -> Line:
    weighed = _weighed(fact, gas, weights)
    cumulative, given = 0, 0
    shares: list[int | None] = []
    for place in range(count):
        row = rows.get(place)
        if row is None or not _says(row):
            shares.append(None)
            continue
        cumulative += row.mass_mg
        up_to = co2e_mg(cumulative, weighed, weights)
        shares.append(up_to - given)
        given = up_to
    total = add_up([rows[place].total for place in sorted(rows)]) if rows else None
    parts = scaled(parts_of(total), float(weights.potential(weighed).exact)) if total else across(())
    covered = tuple(rows[place].covered_ms if place in rows else 0 for place in range(count))
    return Line(fact, gas, total, tuple(shares), given, covered, parts)


def _steps(
    spans: Sequence[Span], lines: Sequence[Line], gathered: dict[tuple[str, str, str], dict[int, SeriesRow]],
    weights: GwpSet, now_ms: int,
) -> tuple[Step, ...]:  # fmt: skip
    factors = {
        (line.fact.agent, line.fact.source, line.gas): float(
            weights.potential(_weighed(line.fact, line.gas, weights)).exact
        )
        for line in lines
    }
    steps = []
    for place, (from_ms, to_ms) in enumerate(spans):
        known = [share for line in lines if (share := line.co2e[place]) is not None]
        covered_ms = sum_exact(line.covered_ms[place] for line in lines)
        u_mg = across(
            scaled(row.parts, factor)
            for key, factor in factors.items()
            if (row := gathered.get(key, {}).get(place)) is not None
        ).standard
        covered = _share(covered_ms, (from_ms, to_ms), len(lines), now_ms)
        steps.append(Step((from_ms, to_ms), sum_exact(known) if known else None, u_mg if known else None, covered))
    return tuple(steps)


def _says(row: SeriesRow) -> bool:
    """Whether a row knows anything; one that covers no time and adds no mass is as good as none."""
    return bool(row.covered_ms or row.mass_mg)


def _weighed(fact: SourceFacts, gas: str, weights: GwpSet) -> str:
    """The record of the set that weighs a gas of a source."""
    return species(gas, Method(fact.method), weights)


def _share(covered_ms: int, span: Span, lines: int, now_ms: int) -> float | None:
    """Share known of what has gone by of a bucket; None where it has not begun or nothing is expected."""
    due_ms = max(0, min(span[1], now_ms) - span[0]) * lines
    return min(1.0, covered_ms / due_ms) if due_ms else None
