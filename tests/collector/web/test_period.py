from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from collector.hours.calendar import By
from collector.hours.cells import HOUR_MS
from collector.web.language import Words
from collector.web.period import Period, PeriodError, around, read_instant, read_period

EN = Words("en")
CHINA, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NOW_MS = read_instant("2026-11-27T20:00", CHINA)
USUAL = around(NOW_MS, By.MONTH, CHINA)


def asked(query: dict[str, str], zone: ZoneInfo = CHINA) -> Period:
    """The period of an address."""
    return read_period(query, EN, zone, NOW_MS, USUAL)


def shown(period: Period) -> tuple[str, str, str]:
    """Its parameters."""
    query = period.query
    return query["from"], query["to"], query["by"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("2026-11-01", "2026-12-01", "day")),
        ({"by": "hour"}, ("2026-11-01", "2026-12-01", "hour")),
        ({"from": "2026"}, ("2026-01-01", "2027-01-01", "month")),
        ({"from": "2026-02"}, ("2026-02-01", "2026-03-01", "day")),
        ({"from": "2026-02-28"}, ("2026-02-28", "2026-03-01", "hour")),
        ({"from": "2026-01-01", "to": "2026-02-01"}, ("2026-01-01", "2026-02-01", "day")),
        ({"from": "2020-01-01", "to": "2026-01-01"}, ("2020-01-01", "2026-01-01", "year")),
        ({"from": "2026-01-01T05:00", "to": "2026-01-01T06:00"},
         ("2026-01-01T05:00+08:00", "2026-01-01T06:00+08:00", "hour")),
    ],
)  # fmt: skip
def test_an_address_names_a_period(query: dict[str, str], expected: tuple[str, str, str]) -> None:
    """A year, a month or a day alone is all of it; the step fits the length; what is written reads back the same."""
    period = asked(query)

    assert expected == shown(period)
    assert period == asked(dict(zip(("from", "to", "by"), expected, strict=True)))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "soon"}, "“soon” is not a time"),
        ({"from": "2026-13"}, "is not a time"),
        ({"from": "2026-01-05", "to": "2026-01-05"}, "not after the start"),
        ({"from": "2026-01-05T00:30", "to": "2026-01-06"}, "not a full hour"),
        ({"from": "2030"}, "begins only at"),
        ({"from": "0001"}, "1970 to 9998"),
        ({"from": "1971-01-01", "to": "9998-01-01", "by": "hour"}, "more than 800 steps"),
        ({"by": "minute"}, "no step “minute”"),
        ({"to": "2026-01-01"}, "is not a time"),
    ],
)
def test_what_is_no_period_is_said_with_what_to_change(query: dict[str, str], said: str) -> None:
    """In the words of the page, at once, however long the time asked for."""
    with pytest.raises(PeriodError, match=said):
        asked(query)


def test_the_neighbours_of_a_period() -> None:
    """Month follows month whatever its length; days keep their midnights over a change of the clock."""
    february = asked({"from": "2026-02"})
    summer = asked({"from": "2026-03-28", "to": "2026-03-30"}, BERLIN)
    hours = asked({"from": "2026-01-01T05:00", "to": "2026-01-01T09:00"})

    assert ("2026-01-01", "2026-02-01", "day") == shown(february.shifted(-1))
    assert ("2026-03-01", "2026-04-01", "day") == shown(february.shifted(1))
    assert (("2026-03-26", "2026-03-28"), ("2026-03-30", "2026-04-01")) == (
        shown(summer.shifted(-1))[:2], shown(summer.shifted(1))[:2]
    )  # fmt: skip
    assert ("2026-01-01T01:00+08:00", "2026-01-01T05:00+08:00") == shown(hours.shifted(-1))[:2]


def test_a_step_opens_one_step_finer() -> None:
    """Year, month, day, hour; an hour opens no further."""
    year = asked({"from": "2026", "by": "year"})
    opened = [year]
    while (finer := opened[-1].opened((opened[-1].from_ms, opened[-1].to_ms))) is not None:
        opened.append(finer)

    assert [By.YEAR, By.MONTH, By.DAY, By.HOUR] == [one.by for one in opened]


def test_an_hour_that_comes_twice_is_told_by_its_offset() -> None:
    """When the clock is set back, both hours have an address of their own."""
    first = read_instant("2026-10-25T02:00+02:00", BERLIN)
    period = Period(first, first + HOUR_MS, By.HOUR, BERLIN)

    assert ("2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00") == shown(period)[:2]
    assert period == read_period(period.query, EN, BERLIN, NOW_MS, USUAL)
