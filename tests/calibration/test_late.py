from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.events import What
from calibration.late import Correction, Late, Policy, late_tests
from tests.calibration.happenings import YEARLY, failed, granted, happened, known, meter, percent
from tests.calibration.records import ZONE, at

D = Decimal
MPE = D("0.002")


def correction(
    policy: Policy = Policy.LARGER_OF_LIMIT_AND_ERROR, error: str = "0.001", direction: Direction = Direction.HIGH
) -> Correction:
    """Over a window of 1,000 ms at a class 0.2 meter."""
    return Correction(policy, 0, 1000, direction, MPE, D(error))


def test_late_and_then_passed_is_late_but_fine() -> None:
    """From the end of the interval to the test; the error found is known."""
    events = known(happened("v", "2022-01-10"), happened("w", "2023-03-05", as_found=(percent("100", "0.4"),)))

    assert (Late(at("2023-01-10"), at("2023-03-05"), "w", False, D("0.004")),) == late_tests(
        meter(), events, None, ZONE, YEARLY
    )


def test_late_and_then_out_of_limits() -> None:
    """The same window, found outside, with the sign of the error."""
    events = known(happened("v", "2022-01-10"), failed("f", "2023-03-05", as_found=(percent("100", "-1.4"),)))

    assert (Late(at("2023-01-10"), at("2023-03-05"), "f", True, D("-0.014")),) == late_tests(
        meter(), events, None, ZONE, YEARLY
    )


def test_a_postponed_test_is_late_all_the_same() -> None:
    """Justified and unjustified time are one window."""
    events = known(
        happened("v", "2022-01-10"),
        granted("p", "2023-02-01", "2023-02-20", What.EXTENSION),
        happened("w", "2023-03-05"),
    )

    assert [(at("2023-01-10"), at("2023-03-05"))] == [
        (one.from_ms, one.to_ms) for one in late_tests(meter(), events, None, ZONE, YEARLY)
    ]


def test_a_test_in_time_or_still_to_come_is_not_late() -> None:
    """No window closes without a test."""
    assert () == late_tests(
        meter(), known(happened("v", "2022-01-10"), happened("w", "2022-12-10")), None, ZONE, YEARLY
    )
    assert () == late_tests(meter(), known(happened("v", "2022-01-10")), None, ZONE, YEARLY)


@pytest.mark.parametrize(
    ("error", "direction", "expected"),
    [
        ("0.001", Direction.LOW, "0.998"),  # CDM, export: within the limits, MPE off
        ("0.001", Direction.HIGH, "1.002"),  # CDM, import: MPE on
        ("0.005", Direction.LOW, "0.995"),  # CDM: error found larger than MPE
        ("-0.005", Direction.HIGH, "1.005"),
        ("0.002", Direction.HIGH, "1.002"),
    ],
)
def test_cdm_applies_the_limit_or_the_error_if_larger(error: str, direction: Direction, expected: str) -> None:
    """In the conservative direction, whatever the sign of the error."""
    assert Fraction(expected) == correction(error=error, direction=direction).factor(0)


def test_other_policies_at_the_ends_and_the_middle_of_the_window() -> None:
    """Constant error, linear drift from zero, the later half."""
    wrong = [
        correction(policy, "0.25").factor(t)
        for policy in (Policy.CONSTANT_ERROR, Policy.LINEAR_DRIFT, Policy.LATER_HALF)
        for t in (0, 499, 500)
    ]

    assert [Fraction(4, 5)] * 3 == wrong[:3]
    assert [Fraction(1), 1 / (1 + Fraction(499, 4000)), Fraction(8, 9)] == wrong[3:6]
    assert [Fraction(1), Fraction(1), Fraction(4, 5)] == wrong[6:]


def test_drift_starts_from_where_the_instrument_was_left() -> None:
    """As left 0.1, as found 0.3: 0.2 in the middle."""
    drift = Correction(Policy.LINEAR_DRIFT, 0, 1000, Direction.HIGH, MPE, D("0.3"), D("0.1"))

    assert Fraction(10, 12) == drift.factor(500)


@pytest.mark.parametrize(
    ("error", "direction", "expected"),
    [
        ("-0.2", Direction.HIGH, "1.25"),
        ("0.25", Direction.HIGH, "1"),
        ("0.25", Direction.LOW, "0.8"),
        ("-0.2", Direction.LOW, "1"),
    ],
)
def test_one_sided_raises_low_readings_and_leaves_high_ones(error: str, direction: Direction, expected: str) -> None:
    """For an inventory; for credits the other way round."""
    assert Fraction(expected) == correction(Policy.ONE_SIDED, error, direction).factor(0)


def test_keep_changes_nothing() -> None:
    """It needs no error found."""
    assert 12345 == Correction(Policy.KEEP, 0, 1000, Direction.HIGH, MPE).adjust(12345, 999)


def test_a_mass_is_rounded_half_to_even_once() -> None:
    """1.5 mg becomes 2, 2.5 mg becomes 2, and a year's mass keeps its last digit."""
    half = Correction(Policy.LARGER_OF_LIMIT_AND_ERROR, 0, 10, Direction.HIGH, D("0.25"), D("0.25"))

    assert (2, 12) == (half.adjust(2, 0), half.adjust(10, 0))
    assert 1_002_000_000_000_000_001 == correction().adjust(1_000_000_000_000_000_001, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"limit": D("20")}, "0.2 % is 0.002"),
        ({"error_found": D("0.6")}, "60.0 %"),
        ({"error_found": None}, "no error found"),
        ({"to_ms": 0}, "an empty window"),
    ],
)
def test_slips_of_units_and_missing_results_are_refused(fields: dict[str, object], said: str) -> None:
    """0.2 for 0.2 % first of all."""
    good: dict[str, object] = {
        "policy": Policy.CONSTANT_ERROR, "from_ms": 0, "to_ms": 10, "direction": Direction.HIGH, "limit": MPE,
        "error_found": D("0.001"),
    }  # fmt: skip

    with pytest.raises(CalibrationError, match=said):
        Correction(**(good | fields))  # type: ignore[arg-type]


def test_outside_its_window_a_correction_says_nothing() -> None:
    """The end is outside."""
    with pytest.raises(CalibrationError, match="outside its window"):
        correction().factor(1000)
