"""The ledger's uncertainty of an instrument over that which the edge states from the plan's class.

Only the shared part of an instrument is restated, and only where its class is known to the plan and a test stands
behind it, or its chain has more members: their uncertainties combine in quadrature. What the edge stated is in the
windows and stays there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.course import FAR_MS, Course
from calibration.instruments import Member
from calibration.uncertainty import of_chain
from protocols.plan.bound import Cause

_PREFIX = "instrument:"


@dataclass(frozen=True, slots=True)
class Measure:
    """An instrument of a plan, and whatever else is in the chains it belongs to."""

    own: Course
    others: tuple[tuple[Member, Course], ...] = ()


class Scales:
    """Factors on the shared uncertainties of one plan's windows.

    Parameters
    ----------
    measures : mapping of str to Measure
        By instrument.
    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        self._measures = measures
        self._held: dict[tuple[Cause, ...], tuple[int, int, tuple[float, ...]]] = {}

    def at(self, causes: tuple[Cause, ...], at_ms: int) -> tuple[float, ...]:
        """A factor for each cause, at an instant. [1]"""
        held = self._held.get(causes)
        if held is None or not held[0] <= at_ms < held[1]:
            held = self._held[causes] = self._factors(causes, at_ms)
        return held[2]

    def _factors(self, causes: Sequence[Cause], at_ms: int) -> tuple[int, int, tuple[float, ...]]:
        begin, end, factors = -FAR_MS, FAR_MS, []
        for cause in causes:
            measure = self._measures.get(cause.name.removeprefix(_PREFIX)) if cause.name.startswith(_PREFIX) else None
            if measure is None:
                factors.append(1.0)
                continue
            from_ms, to_ms, factor = _factor(measure, at_ms)
            begin, end = max(begin, from_ms), min(end, to_ms)
            factors.append(factor)
        return begin, end, tuple(factors)


def _factor(measure: Measure, at_ms: int) -> tuple[int, int, float]:
    """(from, to, factor) of one instrument at an instant. [UTC ms]"""
    own = measure.own.at(at_ms)
    begin, end = own.from_ms, own.to_ms
    found = [] if own.best is None else [own.best]
    for member, course in measure.others:
        for edge in (member.from_ms, member.to_ms):
            if edge is not None and edge <= at_ms:
                begin = max(begin, edge)
            elif edge is not None:
                end = min(end, edge)
        if member.holds_at(at_ms):
            standing = course.at(at_ms)
            begin, end = max(begin, standing.from_ms), min(end, standing.to_ms)
            found += [] if standing.best is None else [standing.best]
    return begin, end, of_chain(found) / own.of_class if own.of_class and found else 1.0
