"""What late and failed tests reach: the time, the sources with their hours and masses, and the sealed versions.

Nothing here changes a figure; what to make of it is for people to decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from sqlalchemy import Connection, select

from calibration.late import late_tests
from calibration.reach_back import suspect_windows
from collector.calibration.overview import Standing
from collector.hours.lives import Lives
from collector.hours.sources import source_facts
from collector.store.inventories import StoredInventory, all_versions
from collector.store.plans import PlanBook, newest_plans, site_of
from collector.store.schema import hours


class Why(Enum):
    """What makes a window."""

    SUSPECT = "suspect"
    """A test found it out of its limits: nobody can tell since when, after the last good evidence."""
    LATE = "late"
    """A test came after its interval had ended."""
    LATE_OUTSIDE = "late-outside"
    """The same, and it was out of its limits."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Hours of one source and gas in a window, and their mass. [mg]"""

    agent: str
    source: str
    gas: str
    hours: int
    mass_mg: int


@dataclass(frozen=True, slots=True)
class Impact:
    """One window of one instrument.

    Attributes
    ----------
    standing : Standing
    why : Why
    event, last_good : str
        The test, and the last good evidence before it; empty where there is none.
    from_ms : int or None
        None: there is no good evidence before. [UTC ms]
    to_ms : int
        [UTC ms]
    error : Decimal or None
        Largest relative error found, with its sign; positive reads too high. [1]
    touched : tuple of Touched
    sealed : tuple of int
        Sealed inventory versions with these sources in this time.
    """

    standing: Standing
    why: Why
    event: str
    last_good: str
    from_ms: int | None
    to_ms: int
    error: Decimal | None
    touched: tuple[Touched, ...]
    sealed: tuple[int, ...]


def impacts(
    connection: Connection, book: PlanBook, lives: Lives, found: Iterable[Standing], as_known_at: int | None = None
) -> tuple[Impact, ...]:
    """Every window of some instruments, newest test first.

    Parameters
    ----------
    lives : Lives
        As known at ``as_known_at``.
    found : iterable of Standing
        The instruments asked for.
    """
    sources = _sources(connection, book, as_known_at)
    sealed = [one for one in all_versions(connection) if one.sealed_ms is not None]
    made = [
        Impact(one, why, event, last_good, begin, end, error, touched, _versions(sealed, touched, begin, end))
        for one in found
        for why, event, last_good, begin, end, error in _windows(one, lives, as_known_at)
        for touched in [_touched(connection, _of_site(sources, one.site), _behind(one, lives), begin, end)]
    ]
    return tuple(sorted(made, key=lambda one: (-one.to_ms, one.standing.instrument.id, one.why.value)))


def sources_behind(
    connection: Connection, book: PlanBook, lives: Lives, one: Standing, as_known_at: int | None = None
) -> tuple[tuple[str, str], ...]:
    """(agent, source) of what an instrument measures for, by itself or in a chain."""
    names, sources = _behind(one, lives), _sources(connection, book, as_known_at)
    found = _of_site(sources, one.site)
    return tuple((agent, source) for agent, source, instruments in found if instruments.intersection(names))


_Window = tuple[Why, str, str, int | None, int, Decimal | None]


def _windows(one: Standing, lives: Lives, as_known_at: int | None) -> Iterator[_Window]:
    events = lives.events(one.instrument.id)
    for window in suspect_windows(one.instrument, events, as_known_at, one.zone):
        yield Why.SUSPECT, window.event, window.last_good, window.from_ms, window.to_ms, window.error
    for late in late_tests(one.instrument, events, as_known_at, one.zone):
        why = Why.LATE_OUTSIDE if late.outside else Why.LATE
        yield why, late.event, "", late.from_ms, late.to_ms, late.error


def _behind(one: Standing, lives: Lives) -> frozenset[str]:
    """The instrument, and those it is in a chain with: what these measure passes through it."""
    chained = (member.instrument for chain in lives.chains(one.instrument.id) for member in chain.members)
    return frozenset({one.instrument.id, *chained})


_Source = tuple[str, str, frozenset[str]]


def _sources(connection: Connection, book: PlanBook, as_known_at: int | None) -> dict[str, list[_Source]]:
    """By site: (agent, source, instruments behind it)."""
    found: dict[str, list[_Source]] = defaultdict(list)
    for agent, plan in newest_plans(connection, book, as_known_at).items():
        for fact in source_facts(agent, plan):
            found[site_of(plan)].append((agent, fact.source, frozenset(fact.instruments)))
    return found


def _of_site(sources: dict[str, list[_Source]], site: str) -> Iterable[_Source]:
    """The sources of a site; an instrument of no plan, such as a transformer, may be behind any."""
    return sources.get(site, ()) if site else (one for own in sources.values() for one in own)


def _touched(
    connection: Connection, sources: Iterable[_Source], names: Collection[str], from_ms: int | None, to_ms: int
) -> tuple[Touched, ...]:
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for agent, source, instruments in sources:
        if not instruments.intersection(names):
            continue
        query = select(hours.c.gas, hours.c.mass_mg).where(
            hours.c.agent_id == agent, hours.c.source == source, hours.c.to_ms > (from_ms or 0), hours.c.from_ms < to_ms
        )
        for gas, mass in connection.execute(query):
            sums = counts[agent, source, gas]
            sums[0] += 1
            sums[1] += int(mass)
    return tuple(Touched(*key, *sums) for key, sums in sorted(counts.items()))


def _versions(
    sealed: Iterable[StoredInventory], touched: Iterable[Touched], from_ms: int | None, to_ms: int
) -> tuple[int, ...]:
    names = {(one.agent, one.source) for one in touched}
    return tuple(
        one.version
        for one in sealed
        if one.inventory.from_ms < to_ms
        and one.inventory.to_ms > (from_ms or 0)
        and any((row.agent, row.source) in names for row in (*one.inventory.rows, *one.inventory.cross_checks))
    )
