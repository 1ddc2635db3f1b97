"""The cells of the hourly ledger: UTC hours, cut at the facility's midnight where that falls inside one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def local_time(at_ms: int, zone: ZoneInfo) -> datetime:
    """The instant on the clock of the zone."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)


def days_of(from_ms: int, to_ms: int, zone: ZoneInfo) -> tuple[str, str]:
    """The first and the last day that [from, to) has a part of, as ISO dates in the zone."""
    return local_time(from_ms, zone).date().isoformat(), local_time(to_ms - 1, zone).date().isoformat()


def day_start(day: date, zone: ZoneInfo) -> int:
    """When a day begins: at its first midnight, or where the clock leaps over that, with the leap. [UTC ms]"""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return (midnight - _EPOCH) // _MILLISECOND


def midnight_inside(hour_ms: int, zone: ZoneInfo) -> int | None:
    """Where the facility's day turns strictly inside the UTC hour that starts at ``hour_ms``. [UTC ms]"""
    first, last = local_time(hour_ms, zone).date(), local_time(hour_ms + HOUR_MS - 1, zone).date()
    if first == last:
        return None
    at_ms = day_start(last, zone)
    return at_ms if hour_ms < at_ms < hour_ms + HOUR_MS else None


def cell_of(at_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """The cell [from, to) that holds the instant. [UTC ms]"""
    hour_ms = at_ms - at_ms % HOUR_MS
    cut_ms = midnight_inside(hour_ms, zone)
    if cut_ms is None:
        return hour_ms, hour_ms + HOUR_MS
    return (hour_ms, cut_ms) if at_ms < cut_ms else (cut_ms, hour_ms + HOUR_MS)


def cells_between(from_ms: int, to_ms: int, zone: ZoneInfo) -> tuple[tuple[int, int], ...]:
    """Every cell that touches [from, to), in order. [UTC ms]"""
    cells: list[tuple[int, int]] = []
    at_ms = from_ms
    while at_ms < to_ms:
        cell = cell_of(at_ms, zone)
        cells.append(cell)
        at_ms = cell[1]
    return tuple(cells)
