from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.hours.calendar import By, buckets, span_of
from collector.hours.cells import HOUR_MS, cell_of, local_time

ZONES = ("Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "America/Santiago",
         "Australia/Lord_Howe", "Pacific/Apia", "UTC")  # fmt: skip
INSTANTS = st.integers(1_326_000_000_000, 2**42)
"""From 2012 on, since when no zone turns a clock back over its own midnight."""


def instant(text: str) -> int:
    """ISO time of UTC to UTC ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("zone", "by", "at", "start", "end"),
    [
        ("Asia/Shanghai", By.YEAR, "2026-06-01T00:00:00", "2025-12-31T16:00:00", "2026-12-31T16:00:00"),
        ("Asia/Kolkata", By.MONTH, "2026-02-28T18:29:59", "2026-01-31T18:30:00", "2026-02-28T18:30:00"),
        ("Asia/Kolkata", By.HOUR, "2026-02-28T18:29:59", "2026-02-28T18:00:00", "2026-02-28T18:30:00"),
        ("Europe/Berlin", By.DAY, "2026-03-29T12:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("Europe/Berlin", By.DAY, "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ("Australia/Lord_Howe", By.DAY, "2026-04-05T00:00:00", "2026-04-04T13:00:00", "2026-04-05T13:30:00"),
        ("America/Santiago", By.DAY, "2026-09-06T12:00:00", "2026-09-06T04:00:00", "2026-09-07T03:00:00"),
        ("Pacific/Apia", By.DAY, "2011-12-30T10:00:00", "2011-12-30T10:00:00", "2011-12-31T10:00:00"),
        ("America/St_Johns", By.DAY, "2006-10-29T03:00:00", "2006-10-29T02:30:00", "2006-10-30T03:30:00"),
    ],
)  # fmt: skip
def test_days_months_and_years_begin_at_the_facilitys_midnight(
    zone: str, by: By, at: str, start: str, end: str
) -> None:
    """A day is 23, 24 or 25 hours, may begin at a half hour, or where the clock leapt over midnight."""
    assert (instant(start), instant(end)) == span_of(instant(at), by, ZoneInfo(zone))


@given(INSTANTS, st.integers(0, 800 * 24 * HOUR_MS), st.sampled_from(By), st.sampled_from(ZONES))
def test_buckets_tile_the_period(from_ms: int, length_ms: int, by: By, name: str) -> None:
    """Each begins where the one before ends, and none is empty or reaches over the end of its kind."""
    zone = ZoneInfo(name)
    to_ms = from_ms + (length_ms % (40 * HOUR_MS) if by is By.HOUR else length_ms)
    cut = buckets(from_ms, to_ms, by, zone)

    assert [from_ms, *(end for _, end in cut)] == [*(start for start, _ in cut), to_ms]
    assert all(start < end for start, end in cut)
    assert all(span_of(start, by, zone) == span_of(end - 1, by, zone) for start, end in cut)
    assert all(span_of(a[0], by, zone) != span_of(b[0], by, zone) for a, b in pairwise(cut))


@given(INSTANTS, st.sampled_from(ZONES))
def test_coarser_spans_are_made_of_whole_finer_ones(at_ms: int, name: str) -> None:
    """A year begins with a month, a month with a day, a day with a cell of the ledger; all hold the instant."""
    zone = ZoneInfo(name)
    spans = [span_of(at_ms, by, zone) for by in (By.YEAR, By.MONTH, By.DAY, By.HOUR)]

    assert all(start <= at_ms < end for start, end in spans)
    for coarse, finer in pairwise((By.YEAR, By.MONTH, By.DAY, By.HOUR)):
        start, end = span_of(at_ms, coarse, zone)
        assert (start, end) == (span_of(start, finer, zone)[0], span_of(end - 1, finer, zone)[1])
    day = span_of(at_ms, By.DAY, zone)
    assert local_time(day[0], zone).date() == local_time(day[1] - 1, zone).date()
    assert (day[0], day[1]) == (cell_of(day[0], zone)[0], cell_of(day[1] - 1, zone)[1])
