"""The standard uncertainty of an instrument's readings over all time, beside that of its class.

A monitoring plan states what a class allows. What a certificate's U and k, the drift since the test before, the known
error and the status say is another figure; their ratio turns the one into the other. Limits that are a percentage of
the reading are compared at the worst point tested, all others at the highest one, or at the top of the range.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from calibration.effects import Effect
from calibration.errors import CalibrationError
from calibration.events import Event, Point
from calibration.instruments import Instrument, Mpe
from calibration.status import Reason, State, Timeline
from calibration.uncertainty import budget, of_limits

HOUR_MS = 3_600_000
FAR_MS = 2**62
_ONE = Decimal(1)
_LATE = frozenset({State.OVERDUE, State.OVERDUE_JUSTIFIED})


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands behind a reading: standard uncertainty relative to it, and that of the class of the plan. [1]

    ``stated`` is None where there is no test to go by, or neither a U nor limits; ``of_class`` where there are no
    limits, or none that can be compared. It holds over [from, to) [UTC ms].
    """

    stated: float | None
    of_class: float | None
    from_ms: int
    to_ms: int

    @property
    def best(self) -> float | None:
        """What is stated, else the class."""
        return self.of_class if self.stated is None else self.stated


class Course:
    """Standings of one instrument, each worked out once.

    Parameters
    ----------
    instrument : Instrument
    planned : Mpe
        The limits that the monitoring plan states.
    life : Timeline
        Its status, with suspect stretches.
    passes : sequence of Effect
        In the order in which they act.
    events : mapping of str to Event
        The tests, by id.
    """

    def __init__(
        self,
        instrument: Instrument,
        planned: Mpe,
        life: Timeline,
        passes: Sequence[Effect],
        events: Mapping[str, Event],
    ) -> None:
        self._instrument = instrument
        self._planned = planned
        self._life = life
        self._passes = passes
        self._begins = [one.from_ms for one in passes]
        self._events = events
        self._edges = sorted({*life.starts, *self._begins})
        self._found: dict[int, Standing] = {}

    def at(self, t_ms: int) -> Standing:
        """What stands behind a reading at an instant. [UTC ms]"""
        at = bisect_right(self._edges, t_ms)
        found = self._found.get(at)
        if found is None or not found.from_ms <= t_ms < found.to_ms:
            found = self._found[at] = self._at(t_ms, at)
        return found

    def _at(self, t_ms: int, at: int) -> Standing:
        status = self._life.at(t_ms)
        begin = self._edges[at - 1] if at else -FAR_MS
        end = self._edges[at] if at < len(self._edges) else FAR_MS
        number = bisect_right(self._begins, t_ms)
        if status.reason is Reason.NO_EVIDENCE or not number:
            return Standing(None, self._class(_full(self._instrument)), begin, end)
        passed = self._passes[number - 1]
        last = self._events[passed.event]
        before = self._events[self._passes[number - 2].event] if number > 1 else None
        late_ms = 0
        if status.state in _LATE:  # widened as time goes by: hour by hour
            begin, end = max(begin, t_ms - t_ms % HOUR_MS), min(end, t_ms - t_ms % HOUR_MS + HOUR_MS)
            late_ms = max(0, begin - passed.until_ms)
        reading, last, before = _compared(self._instrument, last, before)
        stated = None
        if reading is not None:
            try:
                stated = budget(
                    self._instrument, reading, status.state, last, before, overdue_ms=late_ms,
                    interval_ms=max(1, passed.until_ms - passed.from_ms),
                ).standard  # fmt: skip
            except CalibrationError:  # neither a U nor limits: nothing to restate by
                stated = None
        return Standing(stated, self._class(reading), begin, end)

    def _class(self, reading: Decimal | None) -> float | None:
        if reading is None or not self._planned.stated:
            return None
        return of_limits(float(self._planned.relative_at(reading))) or None


def _compared(instrument: Instrument, last: Event, before: Event | None) -> tuple[Decimal | None, Event, Event | None]:
    """The reading at which U and class are compared, and the tests with the points that count there."""
    top = max((abs(_place(point)) for point in (*last.as_left, *last.as_found)), default=None)
    if top and _is_relative(instrument.mpe):
        return top, last, before
    if top:
        return top, _at_top(last), None if before is None else _at_top(before)
    in_own_unit = last.uncertainty is not None and last.uncertainty.unit not in ("%", "1")
    full = _full(instrument)
    return None if full is _ONE and in_own_unit else full, last, before


def _full(instrument: Instrument) -> Decimal | None:
    """The top of its range or span; one where its limits are the same everywhere; None where nobody knows."""
    top = instrument.range.high if instrument.range is not None else instrument.mpe.span
    if top > 0:
        return top
    return _ONE if _is_relative(instrument.mpe) else None


def _is_relative(limits: Mpe) -> bool:
    return not (limits.steps or limits.absolute or limits.percent_of_span)


def _at_top(event: Event) -> Event:
    """The event with the highest of its points alone, as found and as left."""
    found, left = (
        tuple(sorted(points, key=lambda point: abs(_place(point)))[-1:]) for points in (event.as_found, event.as_left)
    )
    return replace(event, as_found=found, as_left=left)


def _place(point: Point) -> Decimal:
    return point.nominal if point.reference is None else point.reference
