from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from calibration.errors import CalibrationError
from calibration.events import Event, Point, What, found_outside, from_certificate, outcome, worst_ratio
from calibration.evidence import Kind, Result
from calibration.instruments import Mpe, Step
from calibration.intervals import Interval
from tests.calibration.happenings import CLASS_1, failed, happened, percent
from tests.calibration.records import certificate, failure

D = Decimal


@pytest.mark.parametrize(
    ("point", "absolute", "relative"),
    [
        (Point(D(100), D(100), D("100.5")), "0.5", "0.005"),
        (Point(D(50), error=D("0.4"), unit="%"), "0.200", "0.004"),
        (Point(D(50), error=D("0.004"), unit="1"), "0.200", "0.004"),
        (Point(D(50), D(40), error=D("-0.2")), "-0.2", "-0.005"),
    ],
)
def test_an_error_is_the_same_in_every_unit(point: Point, absolute: str, relative: str) -> None:
    """Stated as a difference, in the instrument's unit, in per cent or as a fraction."""
    assert (D(absolute), D(relative)) == (point.absolute, point.relative)


def test_at_zero_there_is_no_relative_error() -> None:
    """A zero point has an absolute one."""
    assert (None, D("0.1")) == (Point(D(0), D(0), D("0.1")).relative, Point(D(0), D(0), D("0.1")).absolute)


def test_the_limit_printed_for_a_point_wins_over_the_class() -> None:
    """0.5 % at a limit of 0.4 % is outside, whatever the class."""
    assert D("1.25") == percent("100", "0.5", limit=D("0.4")).ratio(CLASS_1)
    assert D("0.5") == percent("100", "0.5").ratio(CLASS_1)
    assert None is percent("100", "0.5").ratio(Mpe())


def test_a_limit_of_zero_is_kept_by_no_error_only() -> None:
    """Nothing divides by zero."""
    assert D(0) == Point(D(0), error=D(0)).ratio(CLASS_1)
    assert D("Infinity") == Point(D(0), error=D("0.1")).ratio(CLASS_1)


def test_uncertainty_is_that_of_the_error() -> None:
    """U and k of a relative error, at 50: 0.2 % / 2 = 0.05."""
    assert D("0.05") == percent("50", "0.1", uncertainty=D("0.2"), k=D(2)).standard_uncertainty
    assert None is percent("50", "0.1").standard_uncertainty


def test_the_worst_point_decides() -> None:
    """Largest |error| / limit; nothing where nothing can be judged."""
    assert D("0.8") == worst_ratio([percent("10", "0.1"), percent("20", "-0.8")], CLASS_1)
    assert None is worst_ratio([], CLASS_1)


def test_the_outcome_is_the_worse_of_verdict_and_points() -> None:
    """As left, else as found."""
    out, fine = (percent("100", "1.1"),), (percent("100", "0.1"),)

    assert Result.PASS is outcome(happened("a", "2024-01-01", as_found=out, as_left=fine), CLASS_1)
    assert Result.FAIL is outcome(happened("a", "2024-01-01", as_found=fine, as_left=out), CLASS_1)
    assert Result.FAIL is outcome(failed("a", "2024-01-01", as_found=fine), CLASS_1)
    assert Result.PASS is outcome(happened("a", "2024-01-01", result=None, as_found=fine), CLASS_1)
    assert None is outcome(happened("a", "2024-01-01", result=None, as_found=fine), Mpe())
    assert None is outcome(happened("a", "2024-01-01", What.REPAIR), CLASS_1)


def test_in_service_a_scale_is_judged_by_its_wider_limits() -> None:
    """At verification 0.5 e, in service twice that."""
    scale = Mpe(steps=(Step(D(500), D("0.5")),), in_service_factor=D(2))
    points = (Point(D(100), error=D("0.8")),)

    assert Result.FAIL is outcome(happened("v", "2024-01-01", as_found=points), scale)
    assert Result.PASS is outcome(
        happened("c", "2024-01-01", What.IN_SERVICE_CHECK, result=Result.PASS, as_found=points), scale
    )
    assert not found_outside(happened("v", "2024-01-01", as_found=points), scale)


def test_found_outside_speaks_of_before_the_adjustment() -> None:
    """Points as found, else a plain failure."""
    out, fine = (percent("100", "1.1"),), (percent("100", "0.1"),)

    assert found_outside(happened("a", "2024-01-01", as_found=out, as_left=fine), CLASS_1)
    assert found_outside(failed("a", "2024-01-01"), CLASS_1)
    assert found_outside(failed("a", "2024-01-01", as_found=fine), CLASS_1)
    assert not found_outside(happened("a", "2024-01-01"), CLASS_1)
    assert not found_outside(happened("a", "2024-01-01", What.MOVE), CLASS_1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"performed_on": None}, "no time"),
        ({"result": None}, "a test without a result"),
        ({"what": What.REPAIR}, "a result of a repair"),
        ({"what": What.EXEMPTION, "result": None}, "without end, basis or approver"),
        ({"result": Result.FAIL, "valid_until": date(2025, 1, 1)}, "a validity of what was not passed"),
        ({"supersedes": "e"}, "supersedes itself"),
        ({"performed_on": date(1066, 1, 1)}, "the year 1066"),
    ],
)
def test_events_that_make_no_sense_are_refused(changed: dict[str, object], said: str) -> None:
    """Each says what is wrong with it."""
    fields: dict[str, object] = {
        "id": "e", "instrument": "meter", "serial": "A-1", "what": What.VERIFICATION, "performed_on": date(2024, 1, 1),
        "result": Result.PASS,
    }  # fmt: skip

    with pytest.raises(CalibrationError, match=said):
        Event(**(fields | changed))  # type: ignore[arg-type]


def test_a_point_needs_an_error_or_what_it_follows_from() -> None:
    """A reference alone shows nothing."""
    with pytest.raises(CalibrationError, match="neither an error"):
        Point(D(1), D(1))
    with pytest.raises(CalibrationError, match="of no error"):
        Point(D(1), D(1), D(2), unit="%")


def test_a_certificate_record_becomes_the_event_it_is_about() -> None:
    """Its kind says which test it was; the interval stays the document's own."""
    paper = certificate("c", "2024-01-01", interval_months=24, kind="calibration-certificate", uncertainty="0.1",
                        uncertainty_unit="%", k="2")  # fmt: skip

    event = from_certificate(paper)

    assert (What.CALIBRATION, Interval(months=24), Kind.CALIBRATION) == (
        event.what, event.interval, event.document.kind if event.document else None,
    )  # fmt: skip
    assert D("0.1") == (event.uncertainty.expanded if event.uncertainty else None)
    assert What.VERIFICATION is from_certificate(failure("f", "2024-01-01")).what


@pytest.mark.parametrize(
    "fields",
    [
        {"error": D("NaN")},
        {"error": D(1), "limit": D("Infinity")},
        {"error": D(1), "k": D(0)},
        {"error": D(1), "uncertainty": D(-1)},
        {"error": D(1), "unit": "bar"},
    ],
)
def test_figures_that_are_no_numbers_are_refused(fields: dict[str, object]) -> None:
    """Not a number, infinite, k of zero, a negative U, an error in a foreign unit."""
    with pytest.raises(CalibrationError):
        Point(D(1), **fields)  # type: ignore[arg-type]
