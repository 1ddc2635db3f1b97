"""Standard uncertainty over time: certificate, drift and status against the class of the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import hypot, sqrt
from zoneinfo import ZoneInfo

import pytest

from calibration.course import Course
from calibration.effects import Does, effects, seen
from calibration.events import Event, Point, What
from calibration.evidence import Uncertainty
from calibration.instruments import Instrument, Mpe
from calibration.reach_back import overlaid, suspect_windows
from calibration.requirements import TRACEABILITY
from calibration.status import timeline_of
from tests.calibration.happenings import CLASS_1, failed, happened, known, meter, percent
from tests.calibration.records import ZONE, at

CLASS = 0.01 / sqrt(3)
STATED = 0.001 / 2
UNTIL = date(2022, 12, 31)


def course(*events: Event, subject: Instrument | None = None, planned: Mpe = CLASS_1) -> Course:
    """Of the meter, as everything is known."""
    subject = subject or meter()
    found = seen(subject, effects(subject, TRACEABILITY, known(*events), ZoneInfo(ZONE)), None)
    life = overlaid(timeline_of(found), suspect_windows(subject, known(*events), None, ZONE))
    passes = [one for one in found if one.does is Does.PASS]
    return Course(subject, planned, life, passes, {event.id: event for event in events})


def ratio(found: Course, day: str) -> float | None:
    """What is stated over the class, at the beginning of a day."""
    standing = found.at(at(day))
    assert standing.from_ms <= at(day) < standing.to_ms
    return None if standing.stated is None or standing.of_class is None else standing.stated / standing.of_class


def calibrated(name: str, day: str, until: date = UNTIL, **changed: object) -> Event:
    """A calibration with U = 0.1 %, k = 2."""
    return happened(name, day, What.CALIBRATION, valid_until=until, **changed)


def test_a_certificate_states_less_than_the_class_and_before_it_there_is_the_class_alone() -> None:
    """U / k against limits / sqrt 3."""
    found = course(calibrated("a", "2022-01-01"))

    assert STATED / CLASS == pytest.approx(ratio(found, "2022-06-01"), rel=1e-9)
    assert ratio(found, "2021-06-01") is None
    assert CLASS == pytest.approx(found.at(at("2021-06-01")).best, rel=1e-9)


def test_a_verification_is_the_class() -> None:
    """It states no U."""
    assert pytest.approx(1.0, rel=1e-12) == ratio(course(happened("v", "2022-01-01", valid_until=UNTIL)), "2022-06-01")


def test_overdue_is_widened_hour_by_hour_to_twice_the_class() -> None:
    """One and a half times one interval later, twice at most."""
    found = course(happened("v", "2021-01-01", valid_until=date(2021, 12, 31)))

    assert pytest.approx(1.5, rel=1e-9) == ratio(found, "2023-01-01")
    assert pytest.approx(2.0, rel=1e-9) == ratio(found, "2026-01-01")
    late, later = (found.at(at(f"2022-06-01T{hour}:00")) for hour in ("10", "11"))
    assert late.to_ms == later.from_ms
    assert late.stated is not None
    assert later.stated is not None
    assert late.stated < later.stated


def test_what_is_suspect_or_failed_is_twice_the_class() -> None:
    """From the day after the last good evidence."""
    found = course(calibrated("a", "2022-01-01"), failed("bad", "2022-08-01"))

    assert [pytest.approx(2.0, rel=1e-9)] * 2 == [ratio(found, day) for day in ("2022-03-01", "2022-09-01")]


def test_drift_since_the_test_before_and_the_known_error_count() -> None:
    """0.2 % as left before, 0.5 % as found now: a drift of 0.3 %; its own error is not corrected."""
    points = (percent("100", "0.5", uncertainty=Decimal("0.1"), k=Decimal(2)),)
    found = course(
        calibrated("a", "2021-01-01", as_found=(percent("100", "0.2", uncertainty=Decimal("0.1"), k=Decimal(2)),)),
        calibrated("b", "2022-01-01", as_found=points),
    )
    expected = hypot(STATED, 0.003 / sqrt(3), 0.005 / sqrt(3)) / CLASS

    assert expected == pytest.approx(ratio(found, "2022-06-01"), rel=1e-9)


def test_limits_of_span_are_compared_at_the_highest_point() -> None:
    """A relative U at the lowest point would say nothing of the instrument."""
    limits = Mpe(percent_of_span=Decimal(2), span=Decimal(100))
    points = tuple(
        Point(Decimal(n), reference=Decimal(n), indication=Decimal(n), uncertainty=Decimal("0.5"), k=Decimal(2))
        for n in (10, 90)
    )
    found = course(calibrated("a", "2022-01-01", as_found=points), subject=meter(mpe=limits), planned=limits)

    assert (0.25 / 90) / (2 / 90 / sqrt(3)) == pytest.approx(ratio(found, "2022-06-01"), rel=1e-9)


def test_without_anything_to_compare_at_the_class_stands() -> None:
    """U in the instrument's unit, and nobody knows what it reads."""
    bare = replace(calibrated("a", "2022-01-01"), uncertainty=Uncertainty(Decimal("0.5"), Decimal(2), "kWh"))

    assert ratio(course(bare), "2022-06-01") is None
