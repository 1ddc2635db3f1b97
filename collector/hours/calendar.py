"""Hours, days, months and years of the facility's calendar, as spans of UTC milliseconds.

An hour is a cell of the ledger (``cells``); days, months and years begin at the facility's midnight. The spans
of a kind tile the time line: each begins where the one before ends, whatever the clocks do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from collector.hours.cells import cell_of, day_start, local_time

Span = tuple[int, int]
"""[from, to). [UTC ms]"""


class By(Enum):
    """How finely a period is cut."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


def span_of(at_ms: int, by: By, zone: ZoneInfo) -> Span:
    """The hour, day, month or year that holds the instant. [UTC ms]"""
    if by is By.HOUR:
        return cell_of(at_ms, zone)
    first = _first(local_time(at_ms, zone).date(), by)
    # A clock set back over midnight shows a date again that is over, one set forward skips the date's beginning.
    while day_start(first, zone) > at_ms:
        first = _first(first - timedelta(days=1), by)
    while day_start(_next(first, by), zone) <= at_ms:
        first = _next(first, by)
    return day_start(first, zone), day_start(_next(first, by), zone)


def buckets(from_ms: int, to_ms: int, by: By, zone: ZoneInfo) -> tuple[Span, ...]:
    """[from, to) cut where an hour, day, month or year of the facility ends.

    The first and the last bucket are what of theirs lies inside the period.

    Parameters
    ----------
    from_ms, to_ms : int
        The period; empty where ``to_ms`` is not after ``from_ms``. [UTC ms]
    by : By
        How finely.
    zone : ZoneInfo
        The facility's zone.

    Returns
    -------
    tuple of (int, int)
        In order, each beginning where the one before ends. [UTC ms]
    """
    return tuple(_cut(from_ms, to_ms, by, zone))


def _cut(from_ms: int, to_ms: int, by: By, zone: ZoneInfo) -> Iterator[Span]:
    at_ms = from_ms
    while at_ms < to_ms:
        end_ms = min(span_of(at_ms, by, zone)[1], to_ms)
        yield at_ms, end_ms
        at_ms = end_ms


def _first(day: date, by: By) -> date:
    """First day of the day, month or year that holds a day."""
    if by is By.DAY:
        return day
    return day.replace(day=1) if by is By.MONTH else day.replace(month=1, day=1)


def _next(first: date, by: By) -> date:
    """First day of the following day, month or year."""
    if by is By.DAY:
        return first + timedelta(days=1)
    return _first(first + timedelta(days=31 if by is By.MONTH else 366), by)
