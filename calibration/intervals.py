"""When a test falls due: calendar months, clock hours, operating hours, quarters, or whichever comes first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from calibration.days import HOUR_MS, first_of_next_quarter, last_day_of_interval, midnight, midnight_after
from calibration.errors import CalibrationError
from protocols.records import Int64

QA_QUARTER_HOURS = 168
"""Operating hours that make a calendar quarter a quality-assurance operating quarter (40 CFR 72.2)."""

SKIPPED_QUARTERS = 3
"""Most quarters of little operation in a row that put a test off (40 CFR 75 App. B 2.2.3, 2.3.3)."""


@dataclass(frozen=True, slots=True)
class OperatingTime:
    """When a unit operated, as far as known; after ``known_until_ms`` every hour counts as operating.

    Assuming operation where nothing is known makes a test due earlier, never later.

    Attributes
    ----------
    starts, ends : ndarray of int64, shape (spans,)
        Disjoint, ascending, [from, to). [UTC ms]
    before : ndarray of int64, shape (spans,)
        Operating time before each span. [ms]
    known_until_ms : int
        [UTC ms]
    """

    starts: Int64
    ends: Int64
    before: Int64
    known_until_ms: int

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]], known_until_ms: int) -> OperatingTime:
        """From disjoint spans [from, to) in any order. [UTC ms]"""
        ordered = sorted(spans)
        starts = np.array([a for a, _ in ordered], dtype=np.int64)
        ends = np.array([b for _, b in ordered], dtype=np.int64)
        if bool(np.any(starts >= ends)) or bool(np.any(ends[:-1] > starts[1:])):
            raise CalibrationError("operating time", "spans that are empty or overlap", "give each time once")
        if ends.size and int(ends[-1]) > known_until_ms:
            raise CalibrationError("operating time", "a span after what is known", "give when knowledge ends")
        lengths = ends - starts
        return cls(starts, ends, np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))[:-1], known_until_ms)

    def until(self, t_ms: int) -> int:
        """Operating time before an instant, since the beginning of what is known. [ms]"""
        beyond = max(0, t_ms - self.known_until_ms)
        place = int(np.searchsorted(self.starts, t_ms, side="right")) - 1
        if place < 0:
            return beyond
        inside = min(t_ms, int(self.ends[place])) - int(self.starts[place])
        return int(self.before[place]) + inside + beyond

    def between(self, from_ms: int, to_ms: int) -> int:
        """Operating time within [from, to). [ms]"""
        return self.until(to_ms) - self.until(from_ms)

    def after(self, t_ms: int, operating_ms: int) -> int:
        """First instant at which that much operating time has passed since ``t_ms``. [UTC ms]"""
        wanted = self.until(t_ms) + operating_ms
        place = int(np.searchsorted(self.before, wanted, side="left")) - 1
        if place >= 0:
            at_ms = int(self.starts[place]) + wanted - int(self.before[place])
            if at_ms <= int(self.ends[place]):
                return at_ms
        whole = self.until(self.known_until_ms)
        return max(t_ms, self.known_until_ms) + wanted - max(whole, self.until(t_ms))


@dataclass(frozen=True, slots=True)
class Interval:
    """How long a passed test stands; of several, whichever ends first.

    Attributes
    ----------
    months : int or None
        Calendar months; the last day counts to 24:00 in the facility's zone.
    clock_hours : int or None
        From the test's instant.
    operating_hours : int or None
        Of the unit. Without a counter the others rule; where there are none, every hour counts.
    quarters : int or None
        To the end of the n-th quality-assurance operating quarter after the test's own quarter.
    """

    months: int | None = None
    clock_hours: int | None = None
    operating_hours: int | None = None
    quarters: int | None = None

    def __post_init__(self) -> None:
        parts = [n for n in (self.months, self.clock_hours, self.operating_hours, self.quarters) if n is not None]
        if not parts or min(parts) < 1:
            raise CalibrationError(
                "interval", "no length", "give months, clock_hours, operating_hours or quarters >= 1"
            )

    def ends(self, at_ms: int, day: date, zone: ZoneInfo, operating: OperatingTime | None = None) -> int:
        """First instant at which a test no longer stands. [UTC ms]

        Parameters
        ----------
        at_ms : int
            When the test was completed. [UTC ms]
        day : date
            The day it was performed on, which months count from.
        zone : ZoneInfo
        operating : OperatingTime or None
            None: no counter.
        """
        found: list[int] = []
        if self.months is not None:
            found.append(midnight_after(last_day_of_interval(day, self.months), zone))
        if self.clock_hours is not None:
            found.append(at_ms + self.clock_hours * HOUR_MS)
        if self.quarters is not None:
            found.append(self._quarters_end(day, self.quarters, zone, operating))
        if self.operating_hours is not None and (operating is not None or not found):
            length = self.operating_hours * HOUR_MS
            found.append(at_ms + length if operating is None else operating.after(at_ms, length))
        return min(found)

    @staticmethod
    def _quarters_end(day: date, count: int, zone: ZoneInfo, operating: OperatingTime | None) -> int:
        """End of the count-th quarter in which the unit operated enough; few skipped, as the rule has it."""
        start = first_of_next_quarter(day)
        skipped = 0
        while True:
            following = first_of_next_quarter(start)
            span = midnight(start, zone), midnight(following, zone)
            idle = operating is not None and operating.between(*span) < QA_QUARTER_HOURS * HOUR_MS
            if idle and skipped < SKIPPED_QUARTERS:
                skipped += 1
            else:
                count -= 1
                if count == 0:
                    return span[1]
            start = following
