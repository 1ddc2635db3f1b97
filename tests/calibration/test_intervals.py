from __future__ import annotations

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.intervals import Interval, OperatingTime
from tests.calibration.records import ZONE, at

HOUR_MS = 3_600_000
SHANGHAI = ZoneInfo(ZONE)


@st.composite
def operations(draw: st.DrawFn) -> OperatingTime:
    """Up to six spans within a thousand milliseconds, known to somewhere after them."""
    edges = sorted(draw(st.sets(st.integers(0, 1000), max_size=12)))
    spans = list(pairwise(edges))[::2]
    return OperatingTime.of(spans, max([b for _, b in spans], default=0) + draw(st.integers(0, 100)))


@settings(max_examples=60, deadline=None)
@given(operations(), st.integers(-100, 1500), st.integers(1, 900))
def test_operating_time_is_counted_instant_by_instant(operating: OperatingTime, t_ms: int, wanted: int) -> None:
    """Against counting every millisecond; after what is known each one counts."""

    def runs(t: int) -> bool:
        return t >= operating.known_until_ms or any(
            a <= t < b for a, b in zip(operating.starts, operating.ends, strict=True)
        )

    assert sum(runs(t) for t in range(t_ms, t_ms + wanted)) == operating.between(t_ms, t_ms + wanted)
    end = operating.after(t_ms, wanted)
    assert wanted == operating.between(t_ms, end)
    assert wanted - 1 == operating.between(t_ms, end - 1)


@pytest.mark.parametrize("spans", [[(0, 5), (4, 9)], [(3, 3)], [(0, 200)]])
def test_operating_time_that_makes_no_sense_is_refused(spans: list[tuple[int, int]]) -> None:
    """Overlapping, empty, or beyond what is known."""
    with pytest.raises(CalibrationError):
        OperatingTime.of(spans, 100)


def test_hours_run_from_the_instant_and_months_from_the_day() -> None:
    """26 clock hours from 08:30; a month to the end of the day before."""
    start = at("2024-03-10T08:30")

    assert at("2024-03-11T10:30") == Interval(clock_hours=26).ends(start, date(2024, 3, 10), SHANGHAI)
    assert at("2024-04-10") == Interval(months=1).ends(start, date(2024, 3, 10), SHANGHAI)


def test_a_day_of_summer_time_has_its_own_length() -> None:
    """Months end at local midnight, hours after as many hours."""
    berlin = ZoneInfo("Europe/Berlin")
    start = at("2024-03-30T12:00", "Europe/Berlin")

    assert at("2024-04-30", "Europe/Berlin") == Interval(months=1).ends(start, date(2024, 3, 30), berlin)
    assert at("2024-03-31T13:00", "Europe/Berlin") == Interval(clock_hours=24).ends(start, date(2024, 3, 30), berlin)


def test_without_a_counter_operating_hours_give_way_to_the_calendar() -> None:
    """And where there is no other rule every hour counts."""
    start = at("2024-01-01")

    assert at("2025-01-01") == Interval(months=12, operating_hours=100).ends(start, date(2024, 1, 1), SHANGHAI)
    assert start + 100 * HOUR_MS == Interval(operating_hours=100).ends(start, date(2024, 1, 1), SHANGHAI)


def test_quarters_of_little_operation_put_a_test_off() -> None:
    """Fewer than 168 operating hours: the quarter does not count, for three of them in a row at most."""
    start, day = at("2024-02-10"), date(2024, 2, 10)
    ran = at("2024-08-01")
    some = OperatingTime.of([(ran, ran + 200 * HOUR_MS)], at("2030-01-01"))
    none = OperatingTime.of([], at("2030-01-01"))

    assert at("2024-07-01") == Interval(quarters=1).ends(start, day, SHANGHAI)
    assert at("2024-10-01") == Interval(quarters=1).ends(start, day, SHANGHAI, some)
    assert at("2025-04-01") == Interval(quarters=1).ends(start, day, SHANGHAI, none)
    assert at("2025-04-01") == Interval(quarters=4).ends(start, day, SHANGHAI)
