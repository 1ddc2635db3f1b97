"""What the pages of calibration show: the list of instruments, and one with its events, statuses and trends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from calibration.checks import Finding, examine
from calibration.events import LABORATORY_TESTS, Event, outcome
from calibration.evidence import Result
from calibration.instruments import Chain, Instrument
from calibration.interval_review import Bounds, Proposal, staircase
from calibration.requirements import TRACEABILITY
from calibration.status import Interval, State
from collector.accounts.reach import Reach
from collector.books import Books
from collector.calibration.impact import Impact, impacts, sources_behind
from collector.calibration.overview import Standing, standings
from collector.store.knowledge import KnownAt, known_now, size_at
from collector.web.period import read_instant
from protocols.plan.model import Regime

DAY_MS = 86_400_000
BACK_MS, AHEAD_MS = 730 * DAY_MS, 400 * DAY_MS
"""What the strip shows: two years back, a good year ahead."""

SIGNS = {
    State.IN_INTERVAL: "✓", State.DUE_SOON: "◷", State.EXEMPT: "○", State.OVERDUE_JUSTIFIED: "△", State.OVERDUE: "!",
    State.UNKNOWN: "?", State.FAILED: "✗", State.SUSPENDED: "–",
}  # fmt: skip
"""A sign beside the word and the colour of each state."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The instant and the size of the log that a page is asked for; ``known`` as it stood in the address."""

    at_ms: int
    as_known_at: int | None
    known: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with what it proves.

    Attributes
    ----------
    known_from : int
        Size of the log from which on it is known; its leaf is the one before.
    result : Result or None
        Of a test, as its points and its document say together.
    findings : tuple of Finding
    superseded_by : str
        Id of the event that replaces it, as known; empty where none does.
    """

    event: Event
    known_from: int
    result: Result | None
    findings: tuple[Finding, ...]
    superseded_by: str

    @property
    def counts(self) -> bool:
        """Whether it does what it was entered for."""
        return not self.superseded_by and not any(finding.blocks for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Trend:
    """A test point: error as a share of the limit, with its sign. [1]"""

    day: date
    event: str
    when: str
    nominal: Decimal
    share: float


@dataclass(frozen=True, slots=True)
class InstrumentPage:
    """One instrument, newest event first; ``stretches`` are its statuses over the strip's period.

    ``known`` are the ids of every instrument that the reader may see.
    """

    standing: Standing
    chains: tuple[Chain, ...]
    happened: tuple[Happened, ...]
    stretches: tuple[Interval, ...]
    marks: tuple[tuple[int, Event], ...]
    trend: tuple[Trend, ...]
    known: frozenset[str]
    impacts: tuple[Impact, ...]
    proposal: Proposal | None
    sources: tuple[tuple[str, str], ...]


def asked_of(connection: Connection, known: str, zone: ZoneInfo, now_ms: int) -> Asked:
    """What a ``known`` parameter says: a day, an instant, or a size of the log; ValueError where it is neither."""
    if not known:
        return Asked(now_ms, None, "")
    if known.isdecimal() and len(known) < 19:
        return Asked(now_ms, int(known), known)
    at_ms = read_instant(known, zone)
    if len(known) == len("2026-01-31"):
        at_ms += DAY_MS - 1  # the whole day
    return Asked(now_ms, size_at(connection, at_ms), known)


def gather(books: Books, connection: Connection, asked: Asked, reach: Reach) -> tuple[tuple[Standing, ...], KnownAt]:
    """Every instrument inside a reach; those of no plan are for whoever sees everything."""
    found = standings(connection, books.plans, books.trust, asked.at_ms, asked.as_known_at)
    inside = tuple(one for one in found if (reach.has_site(one.site) if one.site else not reach.is_limited))
    return inside, known_now(connection)


def gather_one(
    books: Books, connection: Connection, instrument: str, site: str | None, asked: Asked, reach: Reach
) -> InstrumentPage | None:
    """One instrument; None where none of that id is inside the reach."""
    inside, _ = gather(books, connection, asked, reach)
    found = [one for one in inside if one.instrument.id == instrument and (not site or one.site in ("", site))]
    if not found:
        return None
    standing = found[0]
    lives = books.trust.lives(connection, asked.as_known_at)
    subject, at = standing.instrument, ZoneInfo(standing.zone)
    events = [one for one in lives.events(subject.id) if one[0].serial == subject.serial]
    replaced = {event.supersedes: event.id for event, _ in events if event.supersedes}
    ordered = sorted(events, key=lambda one: (one[0].start_ms(at), one[1]), reverse=True)
    span = asked.at_ms - BACK_MS, asked.at_ms + AHEAD_MS
    standing_events = [event for event, _ in events if event.id not in replaced]
    return InstrumentPage(
        standing,
        tuple(lives.chains(subject.id)),
        tuple(
            Happened(
                event, known, outcome(event, subject.mpe), examine(event, subject, TRACEABILITY),
                replaced.get(event.id, ""),
            )
            for event, known in ordered
        ),
        tuple(lives.of(subject, standing.zone).between(*span)),
        tuple(sorted(
            ((event.start_ms(at), event) for event in standing_events if span[0] <= event.start_ms(at) < span[1]),
            key=lambda one: (one[0], one[1].id),
        )),
        tuple(_trend(subject, standing_events, at)),
        frozenset(one.instrument.id for one in inside),
        impacts(connection, books.plans, lives, [standing], asked.as_known_at),
        _proposal(subject, standing_events, at),
        sources_behind(connection, books.plans, lives, standing, asked.as_known_at),
    )  # fmt: skip


def _proposal(subject: Instrument, events: Sequence[Event], zone: ZoneInfo) -> Proposal | None:
    """What the staircase makes of the tests as found; None under a legal interval, or where no test says enough."""
    tests = sorted(
        (one for one in events if one.what in LABORATORY_TESTS and one.as_found), key=lambda one: one.day(zone)
    )
    ratios = [max(found) for one in tests if (found := [r for p in one.as_found if (r := p.ratio(subject.mpe))])]
    spans = [months for one in tests if (months := _months(one, zone))]
    if subject.regime is not Regime.USER_DEFINED or not ratios or not spans:
        return None
    return staircase(spans[-1], spans[0], ratios, Bounds())


def _months(event: Event, zone: ZoneInfo) -> int | None:
    if event.interval is not None and event.interval.months:
        return event.interval.months
    if event.valid_until is None:
        return None
    day = event.day(zone)
    return round((event.valid_until - day).days * 12 / 365.25) or None


def _trend(subject: Instrument, events: Sequence[Event], zone: ZoneInfo) -> list[Trend]:
    found = []
    for event in events:
        for when, points in (("found", event.as_found), ("left", event.as_left)):
            for point in points:
                limit = point.limit_of(subject.mpe)
                if limit:
                    found.append(Trend(event.day(zone), event.id, when, point.nominal, float(point.absolute / limit)))
    return sorted(found, key=lambda one: (one.day, one.when, one.nominal))
