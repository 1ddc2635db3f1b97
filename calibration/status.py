"""What an instrument was at an instant, as known at a time: in interval, overdue, or unknown.

Rules, in the facility's zone and by whole days, because that is what certificates state:

1. Only records known at the asked knowledge time, for this instrument and this serial, and not superseded by
   another such record, are evidence. The order of entry does not matter.
2. A passed document that supports the instrument's regime opens an interval at the start of the day it was
   performed on. It ends with the last valid day as printed, else one day before performed_on + interval.
3. A later performance date decides from its day on, even over a longer validity before it. On one day a
   failure decides over a pass, and of two passes the shorter validity.
4. After the interval: overdue. Before the first document: unknown.
5. A failed document of any kind means overdue from its day until the next pass: the instrument has shown that it
   must not be relied on. It also reaches back: what was in interval since the day after the last pass turns
   unknown, because nobody can tell when the instrument left its limits.
6. Under first verification only, the first pass is the whole life: later passes extend nothing, and after a
   failure the instrument is replaced, not verified again.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from calibration.certificates import Certificate, Result, supports
from protocols.plan.model import Instrument, Regime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Known: TypeAlias = tuple[Certificate, int]
"""A certificate and the size of the evidence log from which on it is known."""


class State(Enum):
    """The closed list; from best to worst."""

    IN_INTERVAL = "in-interval"
    OVERDUE = "overdue"
    UNKNOWN = "unknown"


_BADNESS = {state: badness for badness, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Status:
    """What an instrument is over a stretch of time.

    Attributes
    ----------
    state : State
    certificate : str
        Id of the record that decides; empty where there is none.
    until_ms : int or None
        First instant at which this no longer holds, as known; None where no change is known. [UTC ms]
    """

    state: State
    certificate: str
    until_ms: int | None


Interval: TypeAlias = tuple[int, int, Status]
"""Status over [from, to). [UTC ms]"""


@dataclass(frozen=True, slots=True)
class Timeline:
    """An instrument's status over all time: ``statuses[i]`` holds from ``starts[i]``; the first for ever before."""

    starts: tuple[int, ...]
    statuses: tuple[Status, ...]

    def at(self, t_ms: int) -> Status:
        """Status at an instant. [UTC ms]"""
        return self.statuses[bisect_right(self.starts, t_ms)]

    def between(self, from_ms: int, to_ms: int) -> list[Interval]:
        """Statuses over [from, to), adjacent, ascending and without a hole; empty where nothing is between."""
        if from_ms >= to_ms:
            return []
        first, last = bisect_right(self.starts, from_ms), bisect_right(self.starts, to_ms - 1)
        edges = [from_ms, *self.starts[first:last], to_ms]
        return [(edges[i], edges[i + 1], self.statuses[first + i]) for i in range(len(edges) - 1)]


def status(
    instrument: Instrument, t_ms: int, as_known_at: int | None, certificates: Iterable[Known], zone: str
) -> Status:
    """Status of an instrument at one instant.

    Parameters
    ----------
    instrument : Instrument
        Its id, serial and regime decide which certificates are evidence.
    t_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log; records known from a greater size are not seen. None: all that is given.
    certificates : iterable of (Certificate, int)
        In any order; those of other instruments are passed over.
    zone : str
        IANA name of the facility's zone.
    """
    return timeline(instrument, as_known_at, certificates, zone).at(t_ms)


def status_intervals(
    instrument: Instrument,
    from_ms: int,
    to_ms: int,
    as_known_at: int | None,
    certificates: Iterable[Known],
    zone: str,
) -> list[Interval]:
    """Statuses of an instrument over [from, to): adjacent stretches that agree with ``status`` everywhere."""
    return timeline(instrument, as_known_at, certificates, zone).between(from_ms, to_ms)


def timeline(
    instrument: Instrument, as_known_at: int | None, certificates: Iterable[Known], zone: str
) -> Timeline:
    """An instrument's status over all time, to be asked many times."""
    decisions = _decisions(instrument, _evidence(instrument, as_known_at, certificates))
    pieces = list(_pieces(decisions, ZoneInfo(zone)))
    starts = tuple(start for start, _, _ in pieces)
    held = [(State.UNKNOWN, ""), *((state, certificate) for _, state, certificate in pieces)]
    ends: list[int | None] = [*starts, None]
    return Timeline(starts, tuple(Status(s, c, end) for (s, c), end in zip(held, ends, strict=True)))


def worst(states: Iterable[State]) -> State:
    """The state of a chain of instruments is that of its worst member; of no member it is unknown."""
    return max(states, key=_BADNESS.__getitem__, default=State.UNKNOWN)


def last_valid_day(certificate: Certificate) -> date | None:
    """The day whose end closes the interval; None for a document without validity."""
    if certificate.result is Result.FAIL:
        return None
    if certificate.valid_until is not None:
        return certificate.valid_until
    if certificate.interval_months is None:
        return None
    return add_months(certificate.performed_on, certificate.interval_months) - timedelta(days=1)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _evidence(instrument: Instrument, as_known_at: int | None, certificates: Iterable[Known]) -> list[Certificate]:
    """Rule 1."""
    mine = [
        certificate
        for certificate, known_from in certificates
        if certificate.instrument == instrument.id
        and certificate.serial == instrument.serial
        and (as_known_at is None or known_from <= as_known_at)
    ]
    replaced = {certificate.supersedes for certificate in mine if certificate.supersedes}
    return [certificate for certificate in mine if certificate.id not in replaced]


@dataclass(frozen=True, slots=True)
class _Decision:
    """What the documents of one day say: a pass with its last valid day, or a failure (None)."""

    day: date
    last_day: date | None
    certificate: str


def _decisions(instrument: Instrument, evidence: Iterable[Certificate]) -> Sequence[_Decision]:
    """Rules 2, 3 and 6: one decision per day, ascending."""
    by_day: dict[date, _Decision] = {}
    for certificate in evidence:
        last_day = last_valid_day(certificate)
        failed = certificate.result is Result.FAIL
        if not failed and (last_day is None or not supports(certificate.kind, instrument.regime)):
            continue
        decision = _Decision(certificate.performed_on, None if failed else last_day, certificate.id)
        rival = by_day.get(decision.day)
        if rival is None or _rank(decision) < _rank(rival):
            by_day[decision.day] = decision
    ordered = [by_day[day] for day in sorted(by_day)]
    if instrument.regime is not Regime.FIRST_ONLY:
        return ordered
    first_pass = next((i for i, d in enumerate(ordered) if d.last_day is not None), len(ordered))
    return ordered[: first_pass + 1] + [d for d in ordered[first_pass + 1 :] if d.last_day is None]


def _rank(decision: _Decision) -> tuple[date, str]:
    """Least first: a failure, then the shorter validity, then the id."""
    return decision.last_day or date.min, decision.certificate


def _pieces(decisions: Sequence[_Decision], zone: ZoneInfo) -> Iterator[tuple[int, State, str]]:
    """Rules 4 and 5: (start, state, deciding record), ascending."""
    for place, decision in enumerate(decisions):
        following = decisions[place + 1] if place + 1 < len(decisions) else None
        start = _midnight(decision.day, zone)
        if decision.last_day is None:
            yield start, State.OVERDUE, decision.certificate
            continue
        yield start, State.IN_INTERVAL, decision.certificate
        end = _midnight_after(decision.last_day, zone)
        stop = end if following is None else _midnight(following.day, zone)
        if following is not None and following.last_day is None:
            reach = _midnight_after(decision.day, zone)
            if reach < min(end, stop):
                yield reach, State.UNKNOWN, following.certificate
        if following is None or end < stop:
            yield end, State.OVERDUE, decision.certificate


@lru_cache(maxsize=2**16)  # a few thousand days serve thousands of instruments
def _midnight(day: date, zone: ZoneInfo) -> int:
    """Start of a day in the zone. [UTC ms]"""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (local - _EPOCH) // timedelta(milliseconds=1)


def _midnight_after(day: date, zone: ZoneInfo) -> int:
    """End of a day in the zone. [UTC ms]"""
    return _midnight(day + timedelta(days=1), zone)
