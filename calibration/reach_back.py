"""What a late or a failed test means for the time before it, and what new knowledge changes.

No reading and no earlier answer ever changes: what is found here lies over the readings, each with the size of
the evidence log from which on it is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from calibration.checks import counts
from calibration.days import midnight_after
from calibration.events import Event, Known, found_outside, outcome
from calibration.evidence import Result
from calibration.instruments import Instrument, Mpe
from calibration.requirements import TRACEABILITY, Onset, Requirement
from calibration.status import Interval, Reason, State, Status, Timeline


@dataclass(frozen=True, slots=True)
class Suspect:
    """Readings that nobody can vouch for any more, because a later test found the instrument out of its limits.

    Attributes
    ----------
    from_ms : int or None
        End of the last good evidence; None where there is none before. [UTC ms]
    to_ms : int
        When the test found it. [UTC ms]
    event, last_good : str
        The test, and the last good evidence ("" where there is none).
    error : Decimal or None
        Largest relative error found, with its sign; positive reads too high. [1]
    known_from : int
        Size of the evidence log from which on both are known.
    """

    from_ms: int | None
    to_ms: int
    event: str
    last_good: str
    error: Decimal | None
    known_from: int


def suspect_windows(
    instrument: Instrument,
    events: Iterable[Known],
    as_known_at: int | None,
    zone: str,
    requirement: Requirement = TRACEABILITY,
) -> tuple[Suspect, ...]:
    """Suspect windows (t0, t1] of an instrument, ascending; none where the scheme counts from the test on.

    t0 is the end of the last evidence that the instrument kept its limits: a pass as it was left, or a passed
    check in service. Parameters as of ``calibration.status.status``.
    """
    if requirement.onset is Onset.AT_TEST:
        return ()
    at = ZoneInfo(zone)
    known = evidence_of(instrument, events, as_known_at)
    ordered = sorted(known, key=lambda one: (one[0].start_ms(at), one[0].id))
    tests = requirement.meets | requirement.breaks
    good = [one for one in ordered if one[0].what in tests and _is_good(one[0], instrument, requirement)]
    found = []
    for event, known_from in ordered:
        if event.what not in tests or not found_outside(event, instrument.mpe):
            continue
        start = event.start_ms(at)
        before = [one for one in good if one[0].start_ms(at) < start]
        last = before[-1] if before else None
        begin = None if last is None else _end_of(last[0], at)
        if begin is not None and begin >= start:
            continue
        found.append(
            Suspect(
                begin, start, event.id, last[0].id if last else "", largest_error(event, instrument.mpe),
                known_from if last is None else max(known_from, last[1]),
            )
        )  # fmt: skip
    return tuple(found)


def evidence_of(instrument: Instrument, events: Iterable[Known], as_known_at: int | None) -> list[Known]:
    """An instrument's own events as known at a size of the log, without those that were superseded by then."""
    mine = [
        (event, known_from)
        for event, known_from in events
        if event.instrument == instrument.id
        and event.serial == instrument.serial
        and (as_known_at is None or known_from <= as_known_at)
    ]
    replaced = {event.supersedes for event, _ in mine if event.supersedes}
    return [one for one in mine if one[0].id not in replaced]


def largest_error(event: Event, mpe: Mpe) -> Decimal | None:
    """The relative error found, with its sign, at the point that is furthest out of its limits. [1]"""
    points = [point for point in event.as_found if point.relative is not None]
    if not points:
        return None
    worst = max(points, key=lambda point: (point.ratio(mpe) or Decimal(0), abs(point.relative or 0)))
    return worst.relative


def _is_good(event: Event, instrument: Instrument, requirement: Requirement) -> bool:
    if outcome(event, instrument.mpe) is not Result.PASS:
        return False
    return event.what not in requirement.meets or counts(event, instrument, requirement)


def _end_of(event: Event, zone: ZoneInfo) -> int:
    """When the evidence of a test ends: at its instant, or with the day it is dated by. [UTC ms]"""
    return event.at_ms if event.at_ms is not None else midnight_after(event.day(zone), zone)


@dataclass(frozen=True, slots=True)
class Validity:
    """A stretch of one status of one instrument under one requirement, as known from a size of the log on.

    Derived and only ever added to: the same knowledge gives the same stretches.
    """

    instrument: str
    requirement: str
    from_ms: int
    to_ms: int
    status: Status
    suspect: str
    known_from: int


def validity_intervals(
    instrument: Instrument,
    requirement: Requirement,
    life: Timeline,
    suspects: Sequence[Suspect],
    span: tuple[int, int],
    known_from: int,
) -> tuple[Validity, ...]:
    """Stretches over [from, to), each with its status and the test that makes it suspect, if any.

    Parameters
    ----------
    life : Timeline
        As known at ``known_from``.
    suspects : sequence of Suspect
        Likewise.
    span : tuple of int
        [UTC ms]
    known_from : int
        Size of the evidence log.
    """
    begin, end = span
    edges = {t for s in suspects for t in (s.from_ms, s.to_ms) if t is not None and begin < t < end}
    found: list[Validity] = []
    for a, b, status in life.between(begin, end):
        cuts = [a, *sorted(edge for edge in edges if a < edge < b), b]
        for from_ms, to_ms in itertools.pairwise(cuts):
            found.append(
                Validity(
                    instrument.id, requirement.id, from_ms, to_ms, status, suspect_at(suspects, from_ms), known_from
                )
            )
    return tuple(found)


def suspect_at(suspects: Iterable[Suspect], t_ms: int) -> str:
    """Id of the earliest test that makes an instant suspect; empty where none does. [UTC ms]"""
    over = [s for s in suspects if (s.from_ms is None or s.from_ms <= t_ms) and t_ms < s.to_ms]
    return min(over, key=lambda s: (s.to_ms, s.event)).event if over else ""


_FAVOURABLE = frozenset({State.IN_INTERVAL, State.DUE_SOON, State.EXEMPT, State.OVERDUE_JUSTIFIED})


def overlaid(life: Timeline, suspects: Sequence[Suspect]) -> Timeline:
    """A status over all time in which a suspect stretch shows: what speaks for a reading there is unknown, suspect.

    Nobody can tell when the instrument left its limits. What is overdue, failed or suspended says so already and
    stays what it is; the suspect window itself lies over it all the same.
    """
    if not suspects:
        return life
    edges = {t for one in suspects for t in (one.from_ms, one.to_ms) if t is not None}

    def at(t_ms: int | None, found: Status) -> Status:
        if found.state not in _FAVOURABLE:
            return found
        test = _suspect_before_all(suspects) if t_ms is None else suspect_at(suspects, t_ms)
        return Status(State.UNKNOWN, test, None, Reason.SUSPECT) if test else found

    return Timeline.of(
        at(None, life.statuses[0]), ((t_ms, at(t_ms, life.at(t_ms))) for t_ms in sorted(edges.union(life.starts)))
    )


def _suspect_before_all(suspects: Iterable[Suspect]) -> str:
    return suspect_at([one for one in suspects if one.from_ms is None], -(2**62))


@dataclass(frozen=True, slots=True)
class Change:
    """Where two answers differ: what was said before and what is said now, over [from, to). [UTC ms]"""

    from_ms: int
    to_ms: int
    before: State
    after: State


def changes(before: Timeline, after: Timeline, span: tuple[int, int]) -> tuple[Change, ...]:
    """Where new knowledge changes the state over [from, to): what an impact assessment is about."""
    found: list[Change] = []
    edges = sorted({a for a, _, _ in _both(before, after, span)} | {span[1]})
    for from_ms, to_ms in itertools.pairwise(edges):
        was, now = before.at(from_ms).state, after.at(from_ms).state
        if was is now:
            continue
        last = found[-1] if found else None
        if last is not None and (last.to_ms, last.before, last.after) == (from_ms, was, now):
            found[-1] = Change(last.from_ms, to_ms, was, now)
        else:
            found.append(Change(from_ms, to_ms, was, now))
    return tuple(found)


def _both(before: Timeline, after: Timeline, span: tuple[int, int]) -> list[Interval]:
    return [*before.between(*span), *after.between(*span)]
