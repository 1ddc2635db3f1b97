"""What an instrument was at an instant, as known at a time: a pure function of its events.

The first of these that holds is the status of one requirement; a test, a repair or a permission counts from its
instant, or from the midnight of its day in the facility's zone.

1. suspended: out of use, and not yet back.
2. failed: the last test failed, and none was passed since.
3. unknown: repaired, moved, adjusted or its seal broken since the last pass.
4. exempt: within an exemption, which has a basis, an approver and an end.
5. unknown: never passed.
6. in interval, or due soon within the lead before its end. A printed day wins over any interval; the last day
   counts to 24:00. An official extension moves the end while it holds. Within the grace of a scheme the readings
   stay good and the test is due soon; there is none under mandatory verification.
7. overdue justified: over, but put off with basis, approver and end.
8. overdue.

An exemption stands before "never passed" on purpose: a billing meter that is another party's duty may never be
seen to pass. It does not excuse a failure or a broken seal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from calibration.effects import Does, Effect, effects, seen
from calibration.events import Known
from calibration.instruments import Chain, Instrument
from calibration.intervals import OperatingTime
from calibration.requirements import TRACEABILITY, Requirement


class State(Enum):
    """The closed list; from best to worst for a chain of which it is a member."""

    IN_INTERVAL = "in-interval"
    DUE_SOON = "due-soon"
    EXEMPT = "exempt"
    OVERDUE_JUSTIFIED = "overdue-justified"
    OVERDUE = "overdue"
    UNKNOWN = "unknown"
    FAILED = "failed"
    SUSPENDED = "suspended"


STATES = tuple(State)
"""By code: the position of a state is its badness."""

BADNESS = {state: badness for badness, state in enumerate(STATES)}

VALID = frozenset({State.IN_INTERVAL, State.DUE_SOON})
"""States in which nothing speaks against a reading."""


class Reason(Enum):
    """What a state rests on, where the state alone does not say it."""

    NONE = ""
    NO_EVIDENCE = "no-evidence"
    DISTURBED = "disturbed"
    EXTENDED = "extended"
    GRACE = "grace"
    NOT_IN_PLACE = "not-in-place"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Status:
    """What an instrument is over a stretch of time.

    Attributes
    ----------
    state : State
    cause : str
        Id of the record that decides; empty where there is none.
    until_ms : int or None
        First instant at which this no longer holds, as known; None where no change is known. [UTC ms]
    reason : Reason
    """

    state: State
    cause: str
    until_ms: int | None
    reason: Reason = Reason.NONE


Interval: TypeAlias = tuple[int, int, Status]
"""Status over [from, to). [UTC ms]"""

Piece: TypeAlias = tuple[int, Status]
"""A start and what holds from then on; the status's own ``until_ms`` is not yet set."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A status over all time: ``statuses[i]`` holds from ``starts[i - 1]``; the first for ever before."""

    starts: tuple[int, ...]
    statuses: tuple[Status, ...]

    @classmethod
    def of(cls, before: Status, pieces: Iterable[Piece]) -> Timeline:
        """From what holds before everything and pieces in ascending order; equal neighbours become one."""
        starts: list[int] = []
        held = [replace(before, until_ms=None)]
        for start, status in pieces:
            bare = replace(status, until_ms=None)
            if bare != held[-1]:
                starts.append(start)
                held.append(bare)
        ends: list[int | None] = [*starts, None]
        return cls(tuple(starts), tuple(replace(s, until_ms=end) for s, end in zip(held, ends, strict=True)))

    def at(self, t_ms: int) -> Status:
        """Status at an instant. [UTC ms]"""
        return self.statuses[bisect_right(self.starts, t_ms)]

    def valid_until(self, t_ms: int) -> int | None:
        """End of the validity that holds at an instant, or of the last before it; None: there is none. [UTC ms]"""
        place = bisect_right(self.starts, t_ms)
        if self.statuses[place].state in VALID:
            ends = (end for end in range(place, len(self.starts)) if self.statuses[end + 1].state not in VALID)
        else:
            ends = (end for end in range(place - 1, -1, -1) if self.statuses[end].state in VALID)
        end = next(ends, None)
        return None if end is None else self.starts[end]

    def between(self, from_ms: int, to_ms: int) -> list[Interval]:
        """Statuses over [from, to), adjacent, ascending and without a hole; empty where nothing is between."""
        if from_ms >= to_ms:
            return []
        first, last = bisect_right(self.starts, from_ms), bisect_right(self.starts, to_ms - 1)
        edges = [from_ms, *self.starts[first:last], to_ms]
        return [(edges[i], edges[i + 1], self.statuses[first + i]) for i in range(len(edges) - 1)]


def status(
    instrument: Instrument,
    t_ms: int,
    as_known_at: int | None,
    events: Iterable[Known],
    zone: str,
    requirement: Requirement = TRACEABILITY,
    operating: OperatingTime | None = None,
) -> Status:
    """Status of an instrument at one instant.

    Parameters
    ----------
    instrument : Instrument
        Its id, serial and regime decide which events are evidence.
    t_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log; events known from a greater size are not seen. None: all that is given.
    events : iterable of (Event, int)
        In any order; those of other instruments are passed over.
    zone : str
        IANA name of the facility's zone.
    requirement : Requirement
    operating : OperatingTime or None
        Of the unit it serves, as known at that size.
    """
    return timeline(instrument, as_known_at, events, zone, requirement, operating).at(t_ms)


def timeline(
    instrument: Instrument,
    as_known_at: int | None,
    events: Iterable[Known],
    zone: str,
    requirement: Requirement = TRACEABILITY,
    operating: OperatingTime | None = None,
) -> Timeline:
    """An instrument's status over all time, to be asked many times; parameters as of ``status``."""
    found = effects(instrument, requirement, events, ZoneInfo(zone), operating)
    return timeline_of(seen(instrument, found, as_known_at))


def timeline_of(known: Sequence[Effect]) -> Timeline:
    """Status over all time from effects in the order in which they act."""
    grants = [effect for effect in known if effect.does in _GRANTS]
    edges = sorted({edge for grant in grants for edge in (grant.from_ms, grant.until_ms)})
    return Timeline.of(Status(State.UNKNOWN, "", None, Reason.NO_EVIDENCE), _pieces(known, grants, edges))


def worst(states: Iterable[State]) -> State:
    """The state of a chain of instruments is that of its worst member; of no member it is unknown."""
    return max(states, key=BADNESS.__getitem__, default=State.UNKNOWN)


def worst_of(timelines: Sequence[Timeline]) -> Timeline:
    """The worst of several at every instant, as for an instrument with several requirements; of none, unknown."""
    if not timelines:
        return timeline_of(())
    return Timeline.of(
        _worst(line.statuses[0] for line in timelines),
        ((t_ms, _worst(line.at(t_ms) for line in timelines)) for t_ms in _edges(timelines)),
    )


def of_chain(chain: Chain, lives: Mapping[str, Timeline]) -> Timeline:
    """Status of a chain: that of its worst member in place; a part with none in place breaks it.

    Parameters
    ----------
    chain : Chain
    lives : mapping of str to Timeline
        By instrument.
    """
    parts = sorted({member.part for member in chain.members}, key=lambda part: part.value)
    broken = Status(State.SUSPENDED, "", None, Reason.NOT_IN_PLACE)

    def at(t_ms: int | None) -> Status:
        found = []
        for part in parts:
            there = [
                lives[m.instrument].statuses[0] if t_ms is None else lives[m.instrument].at(t_ms)
                for m in chain.members
                if m.part is part and (m.from_ms is None if t_ms is None else m.holds_at(t_ms))
            ]
            found.append(_worst(there) if there else broken)
        return _worst(found)

    moves = {t for m in chain.members for t in (m.from_ms, m.to_ms) if t is not None}
    edges = sorted(moves | set(_edges([lives[m.instrument] for m in chain.members])))
    return Timeline.of(at(None), ((t_ms, at(t_ms)) for t_ms in edges))


def _edges(timelines: Iterable[Timeline]) -> list[int]:
    return sorted({start for line in timelines for start in line.starts})


def _worst(statuses: Iterable[Status]) -> Status:
    return max(statuses, key=lambda one: (BADNESS[one.state], one.cause, one.reason.value))


_GRANTS = frozenset({Does.EXEMPT, Does.EXTEND, Does.POSTPONE})


@dataclass(slots=True)
class _Standing:
    """What the effects so far amount to: the ids of those that still act, and the last pass."""

    out: str | None = None
    failed: str | None = None
    disturbed: str | None = None
    passed: Effect | None = None

    def take(self, effect: Effect) -> None:
        does = effect.does
        if does is Does.PASS:
            self.passed, self.failed, self.disturbed = effect, None, None
        elif does is Does.FAIL:
            self.failed = effect.event
        elif does is Does.DISTURB:
            self.disturbed = effect.event
        elif does in (Does.OUT, Does.BACK):
            self.out = effect.event if does is Does.OUT else None


def _pieces(known: Sequence[Effect], grants: Sequence[Effect], edges: Sequence[int]) -> Iterator[Piece]:
    standing = _Standing()
    acting = [effect for effect in known if effect.does not in _GRANTS]
    for t_ms in (edge for edge in edges if not acting or edge < acting[0].from_ms):
        yield t_ms, _judge(standing, grants, t_ms)
    for place, effect in enumerate(acting):
        standing.take(effect)
        end = acting[place + 1].from_ms if place + 1 < len(acting) else None
        if end == effect.from_ms:
            continue
        changes = {effect.from_ms, *edges}
        passed = standing.passed
        if passed is not None:
            changes |= {passed.due_soon_ms, passed.until_ms, passed.grace_ms}
            lead = passed.until_ms - passed.due_soon_ms
            changes |= {grant.until_ms - lead for grant in grants if grant.does is Does.EXTEND}
        for t_ms in sorted(t for t in changes if effect.from_ms <= t and (end is None or t < end)):
            yield t_ms, _judge(standing, grants, t_ms)


def _judge(standing: _Standing, grants: Sequence[Effect], t_ms: int) -> Status:
    """The list at the head of this module, from top to bottom."""
    if standing.out is not None:
        return Status(State.SUSPENDED, standing.out, None)
    if standing.failed is not None:
        return Status(State.FAILED, standing.failed, None)
    if standing.disturbed is not None:
        return Status(State.UNKNOWN, standing.disturbed, None, Reason.DISTURBED)
    active = [grant for grant in grants if grant.from_ms <= t_ms < grant.until_ms]
    exempt = _longest(active, Does.EXEMPT)
    if exempt is not None:
        return Status(State.EXEMPT, exempt.event, None)
    passed = standing.passed
    if passed is None:
        return Status(State.UNKNOWN, "", None, Reason.NO_EVIDENCE)
    until, cause, reason = passed.until_ms, passed.event, Reason.NONE
    extension = _longest(active, Does.EXTEND)
    if extension is not None and extension.until_ms > until:
        until, cause, reason = extension.until_ms, extension.event, Reason.EXTENDED
    if t_ms < until - (passed.until_ms - passed.due_soon_ms):
        return Status(State.IN_INTERVAL, cause, None, reason)
    if t_ms < until:
        return Status(State.DUE_SOON, cause, None, reason)
    if t_ms < passed.grace_ms:
        return Status(State.DUE_SOON, passed.event, None, Reason.GRACE)
    postponed = _longest(active, Does.POSTPONE)
    if postponed is not None:
        return Status(State.OVERDUE_JUSTIFIED, postponed.event, None)
    return Status(State.OVERDUE, passed.event, None)


def _longest(active: Iterable[Effect], does: Does) -> Effect | None:
    """Of several permissions the one that ends last, and of these the least id."""
    found = [grant for grant in active if grant.does is does]
    return min(found, key=lambda grant: (-grant.until_ms, grant.event), default=None)
