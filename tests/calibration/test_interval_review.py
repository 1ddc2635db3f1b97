from __future__ import annotations

from decimal import Decimal

import pytest

from calibration.errors import CalibrationError
from calibration.interval_review import Bounds, Proposal, Why, control_chart, pass_rate, staircase, trend
from protocols.plan.model import Regime

D = Decimal
WIDE = Bounds(1, 60)


@pytest.mark.parametrize(
    ("ratios", "expected", "why"),
    [
        (["1.01"], 6, Why.OUTSIDE),
        (["0.2", "0.2", "0.81"], 9, Why.CLOSE),
        (["1"], 9, Why.CLOSE),
        (["0.8"], 12, Why.KEEP),
        (["0.5", "0.5", "0.5"], 15, Why.STEADY),
        (["0.5", "0.6", "0.5"], 12, Why.KEEP),
        (["0.1", "0.1"], 12, Why.KEEP),
        ([], 12, Why.KEEP),
    ],
)
def test_the_staircase_goes_up_slowly_and_down_fast(ratios: list[str], expected: int, why: Why) -> None:
    """From twelve months, by the largest error as found over its limit."""
    found = staircase(12, 12, [D(r) for r in ratios], WIDE)

    assert (expected, why) == (found.months, found.why)
    assert found.say("zh")
    assert found.say("en")


def test_the_staircase_keeps_its_bounds() -> None:
    """Twice the base, the longest and the shortest allowed; whole months, rounded down."""
    steady = [D("0.1")] * 3

    assert 24 == staircase(22, 12, steady, WIDE).months
    assert 24 == staircase(24, 12, steady, WIDE).months
    assert 18 == staircase(16, 12, steady, Bounds(6, 18)).months
    assert 6 == staircase(9, 12, [D(2)], Bounds(6, 18)).months
    assert 3 == staircase(7, 12, [D(2)], WIDE).months


def test_a_large_uncertainty_lengthens_nothing() -> None:
    """Above a third of the limits."""
    found = staircase(12, 12, [D("0.1")] * 3, WIDE, uncertainty_ratio=D("0.34"))

    assert (12, Why.UNCERTAIN) == (found.months, found.why)
    assert 15 == staircase(12, 12, [D("0.1")] * 3, WIDE, uncertainty_ratio=D("0.33")).months


def test_only_the_users_own_interval_is_reviewed() -> None:
    """The regulation's is not."""
    with pytest.raises(CalibrationError, match="the regulation sets it"):
        staircase(12, 12, [], WIDE, regime=Regime.MANDATORY_PERIODIC)
    with pytest.raises(CalibrationError, match="the regulation sets it"):
        control_chart(trend([0, 12, 24, 36], [0, 0, 0, 0]), 36, 1, WIDE, regime=Regime.FIRST_ONLY)


def test_a_straight_drift_reaches_its_limit_when_it_does() -> None:
    """0.01 per month without scatter, 0.36 at month 36, limit 0.5: fourteen months more."""
    line = trend([0, 12, 24, 36], [0.0, 0.12, 0.24, 0.36])

    assert pytest.approx((0.0, 0.01)) == (line.level, line.slope)
    assert Proposal(14, Why.TREND) == control_chart(line, 36, 0.5 + 1e-9, WIDE)


def test_scatter_shortens_what_the_trend_allows() -> None:
    """Two standard deviations of the prediction are kept free."""
    line = trend([0, 12, 24, 36], [0.02, 0.10, 0.26, 0.34])
    found = control_chart(line, 36, 0.5, WIDE)

    assert found.months < 14
    assert line.reach(36 + found.months) <= 0.5 < line.reach(36 + found.months + 1)


def test_a_trend_already_outside_gets_the_shortest_interval() -> None:
    """Nothing shorter than the bounds is proposed."""
    found = control_chart(trend([0, 12, 24, 36], [0.0, 0.2, 0.4, 0.6]), 36, 0.5, Bounds(3, 24))

    assert (3, Why.OUTSIDE) == (found.months, found.why)


def test_a_better_test_weighs_more() -> None:
    """Weights are 1 / U^2: the outlier of a poor test hardly moves the line."""
    times, errors = [0.0, 12.0, 24.0, 36.0], [0.0, 0.0, 0.5, 0.0]

    assert abs(trend(times, errors, [0.1, 0.1, 10.0, 0.1]).level) < abs(trend(times, errors).level) / 100


@pytest.mark.parametrize(
    ("times", "errors"), [([0.0, 1.0, 2.0], [0.0, 0.0, 0.0]), ([5.0] * 4, [0.0] * 4), ([0.0, 1.0, 2.0, 3.0], [0.0])]
)
def test_a_trend_needs_four_tests_over_time(times: list[float], errors: list[float]) -> None:
    """Otherwise it would be a guess."""
    with pytest.raises(CalibrationError):
        trend(times, errors)


@pytest.mark.parametrize(
    ("passes", "tests", "confidence", "days"),
    [
        (20, 20, 0.8784, 730),
        (15, 20, 0.9137, 266.2),
        (19, 20, 0.2165, 365),
        (18, 20, 0.0, 365),
        (3, 3, 0.2710, 365),
        (0, 2, 0.99, 182.5),
    ],
)
def test_a3_of_ncsli_rp_1(passes: int, tests: int, confidence: float, days: float) -> None:
    """Interval test from 365 days with a target of 0.9: the vectors of the metrology notes."""
    found = pass_rate(passes, tests, 365)

    assert confidence == pytest.approx(found.confidence, abs=5e-5)
    assert days == pytest.approx(found.days, abs=0.05)


def test_counts_and_bounds_that_make_no_sense_are_refused() -> None:
    """More passes than tests; the longest shorter than the shortest."""
    with pytest.raises(CalibrationError):
        pass_rate(3, 2, 365)
    with pytest.raises(CalibrationError):
        Bounds(6, 3)
