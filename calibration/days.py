"""Calendar days in the facility's zone: months with their ends, last valid days, midnights as instants.

Certificates state days; readings have instants. Every rule that crosses between the two is here.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000

FIRST_YEAR, LAST_YEAR = 1950, 2199
"""Years a certificate may speak of; anything else is a slip of the pen."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS_A_QUARTER = 3


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def last_day_of_interval(performed_on: date, months: int) -> date:
    """Last valid day of an interval of whole months: one day before the same day of the last month."""
    return add_months(performed_on, months) - timedelta(days=1)


def first_of_next_quarter(day: date) -> date:
    """First day of the calendar quarter after that of a day."""
    return add_months(
        date(day.year, (day.month - 1) // _MONTHS_A_QUARTER * _MONTHS_A_QUARTER + 1, 1), _MONTHS_A_QUARTER
    )


@lru_cache(maxsize=2**16)  # a few thousand days serve thousands of instruments
def midnight(day: date, zone: ZoneInfo) -> int:
    """Start of a day in the zone. [UTC ms]"""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (local - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=2**16)
def midnight_after(day: date, zone: ZoneInfo) -> int:
    """End of a day in the zone: the last day counts to 24:00. [UTC ms]"""
    return midnight(day + timedelta(days=1), zone)


def day_of(t_ms: int, zone: ZoneInfo) -> date:
    """The zone's day that holds an instant. [UTC ms]"""
    return (_EPOCH + timedelta(milliseconds=t_ms)).astimezone(zone).date()
