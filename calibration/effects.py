"""Events compiled to effects: what each does to one requirement, from when, and since when it is known.

Both forms of ``calibration.status``, one instrument over all time and many instruments at one instant, rest on
this compilation. Order at one instant: what disturbs, then a pass, then a failure; of several passes the one
that ends first decides, whatever the order of entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calibration.checks import counts
from calibration.days import day_of, midnight_after
from calibration.events import DISTURBANCES, PERMISSIONS, TESTS, Event, Known, What, outcome
from calibration.evidence import Result
from calibration.instruments import Instrument
from calibration.intervals import OperatingTime
from calibration.requirements import Requirement
from protocols.plan.model import Regime

NEVER = 2**62
"""An instant or a tree size that is never reached."""


class Does(IntEnum):
    """What an event does; ascending is the order at one instant."""

    OUT = 0
    BACK = 1
    EXEMPT = 2
    EXTEND = 3
    POSTPONE = 4
    DISTURB = 5
    PASS = 6
    FAIL = 7


class Effect(NamedTuple):
    """One event's effect on one requirement.

    Attributes
    ----------
    does : Does
    from_ms : int
        [UTC ms]
    due_soon_ms, until_ms, grace_ms : int
        Of a pass: when it is due soon, when its interval ends, when grace ends. ``until_ms`` also ends an
        exemption, extension or postponement. [UTC ms]
    event : str
    known_from, known_until : int
        Tree sizes [from, until) at which it is evidence; it ends when what supersedes it is known.
    """

    does: Does
    from_ms: int
    due_soon_ms: int
    until_ms: int
    grace_ms: int
    event: str
    known_from: int
    known_until: int = NEVER

    def known_at(self, size: int | None) -> bool:
        """Whether it is evidence at a size of the log; None means all that is given."""
        if size is None:
            return self.known_until == NEVER
        return self.known_from <= size < self.known_until


def effects(
    instrument: Instrument,
    requirement: Requirement,
    events: Iterable[Known],
    zone: ZoneInfo,
    operating: OperatingTime | None = None,
) -> list[Effect]:
    """Effects of an instrument's events on a requirement, in the order in which they act.

    Parameters
    ----------
    instrument : Instrument
    requirement : Requirement
    events : iterable of (Event, int)
        In any order; those of other instruments or serial numbers are no evidence.
    zone : ZoneInfo
        The facility's.
    operating : OperatingTime or None
        Of the unit the instrument serves.
    """
    mine = [known for known in events if known[0].instrument == instrument.id and known[0].serial == instrument.serial]
    replaced: dict[str, int] = {}
    for event, known_from in mine:
        if event.supersedes:
            replaced[event.supersedes] = min(known_from, replaced.get(event.supersedes, NEVER))
    found = []
    for event, known_from in mine:
        effect = _effect(instrument, requirement, event, known_from, replaced.get(event.id, NEVER), zone, operating)
        if effect is not None:
            found.append(effect)
    found.sort(key=lambda e: e.event, reverse=True)
    found.sort(key=order)
    return found


def order(effect: Effect) -> tuple[int, int, int]:
    """In which effects act; of two passes at one instant the shorter one acts last and so decides."""
    return effect.from_ms, effect.does, -effect.until_ms


def seen(instrument: Instrument, found: Iterable[Effect], as_known_at: int | None) -> list[Effect]:
    """Effects that are evidence at a size of the log; under first verification only the first pass is the life."""
    known = [effect for effect in found if effect.known_at(as_known_at)]
    if instrument.regime is not Regime.FIRST_ONLY:
        return known
    first = next((effect for effect in known if effect.does is Does.PASS), None)
    return [effect for effect in known if effect.does is not Does.PASS or effect is first]


def _effect(
    instrument: Instrument,
    requirement: Requirement,
    event: Event,
    known_from: int,
    known_until: int,
    zone: ZoneInfo,
    operating: OperatingTime | None,
) -> Effect | None:
    start = event.start_ms(zone)
    does = _does(instrument, requirement, event)
    if does is None or not counts(event, instrument, requirement):
        return None
    until = soon = grace = start
    if does is Does.PASS:
        until = max(start, _ends(requirement, event, start, zone, operating))
        soon = until - min(requirement.lead_ms, (until - start) // 2)
        grace = until
        if requirement.grace is not None and instrument.regime is Regime.USER_DEFINED:
            grace = requirement.grace.ends(until, day_of(until, zone), zone, operating)
    elif event.valid_until is not None and does in (Does.EXEMPT, Does.EXTEND, Does.POSTPONE):
        until = midnight_after(event.valid_until, zone)
    return Effect(does, start, soon, until, grace, event.id, known_from, known_until)


def _does(instrument: Instrument, requirement: Requirement, event: Event) -> Does | None:
    what = event.what
    if what in TESTS:
        result = outcome(event, instrument.mpe)
        if result is Result.PASS:
            return Does.PASS if what in requirement.meets else None
        breaks = result is Result.FAIL and (what in requirement.meets or what in requirement.breaks)
        return Does.FAIL if breaks else None
    if what in DISTURBANCES:
        return Does.DISTURB
    if what in PERMISSIONS:
        if event.requirements and requirement.id not in event.requirements:
            return None
        if what is What.EXEMPTION:
            return Does.EXEMPT
        return Does.EXTEND if event.official else Does.POSTPONE
    return Does.OUT if what is What.OUT_OF_USE else Does.BACK


def _ends(requirement: Requirement, event: Event, start: int, zone: ZoneInfo, operating: OperatingTime | None) -> int:
    """End of a pass: the printed day, else the event's own interval, else the requirement's. [UTC ms]"""
    if event.valid_until is not None:
        return midnight_after(event.valid_until, zone)
    interval = event.interval or requirement.interval
    assert interval is not None  # noqa: S101 - without a validity it does not count
    return interval.ends(start, event.day(zone), zone, operating)
