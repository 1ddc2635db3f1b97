from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.correction import Curve
from calibration.errors import CalibrationError
from calibration.events import Point, What
from calibration.relative_accuracy import relative_accuracy
from tests.calibration.happenings import happened, percent

D = Decimal
CALIBRATED = happened(
    "c", "2024-01-01", What.CALIBRATION, as_found=(percent("100", "2"), percent("10", "1"), percent("50", "-1"))
)


def test_a_reading_is_corrected_by_the_error_between_two_points() -> None:
    """1 % at 10, -1 % at 50, 2 % at 100; in the middle of 10 and 50 nothing."""
    value, outside = Curve.of(CALIBRATED).corrected(np.array([10.0, 30.0, 50.0, 75.0, 100.0, math.nan]))

    assert [10 / 1.01, 30.0, 50 / 0.99, 75 / 1.005, 100 / 1.02] == pytest.approx(value[:5].tolist(), rel=1e-14)
    assert math.isnan(value[5])
    assert not outside.any()


def test_beyond_the_points_the_nearest_error_counts_and_is_flagged() -> None:
    """Below 10 and above 100."""
    value, outside = Curve.of(CALIBRATED).corrected(np.array([5.0, 200.0]))

    assert [5 / 1.01, 200 / 1.02] == pytest.approx(value.tolist(), rel=1e-14)
    assert [True, True] == outside.tolist()


def test_absolute_errors_are_subtracted() -> None:
    """One point serves everywhere, and is flagged everywhere else."""
    event = replace(CALIBRATED, as_found=(Point(D(0), error=D("0.3")),))
    value, outside = Curve.of(event, relative=False).corrected(np.array([0.0, 10.0]))

    assert [-0.3, 9.7] == pytest.approx(value.tolist())
    assert [False, True] == outside.tolist()


def test_after_an_adjustment_the_errors_as_left_count() -> None:
    """What was found before is past."""
    event = replace(CALIBRATED, as_left=(percent("10", "0"), percent("100", "0")))

    assert [42.0] == Curve.of(event).corrected(np.array([42.0]))[0].tolist()


@pytest.mark.parametrize(
    "changed",
    [
        {"as_found": ()},
        {"as_found": (percent("10", "1"), percent("10", "2"))},
        {"uncertainty": None},
        {"as_found": (Point(D(0), error=D("0.1")), percent("10", "1"))},
    ],
)
def test_errors_that_are_not_known_well_enough_correct_nothing(changed: dict[str, object]) -> None:
    """No points, two of one place, no U, a relative error at zero."""
    with pytest.raises(CalibrationError):
        Curve.of(replace(CALIBRATED, **changed))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.floats(10, 100), st.sampled_from([10.0, 50.0, 100.0]))
def test_the_correction_of_the_true_indication_gives_the_reference(reference: float, place: float) -> None:
    """At the points exactly; in between the curve is continuous."""
    curve = Curve.of(CALIBRATED)
    near = curve.corrected(np.array([place - 1e-9, place + 1e-9]))[0]

    assert near[0] == pytest.approx(near[1], rel=1e-9)
    assert abs(curve.corrected(np.array([reference]))[0][0] / reference - 1) <= 0.0205


REFERENCE = [15.0, 15.2, 14.9, 15.1, 15.3, 15.0, 14.8, 15.2, 15.1]


def test_relative_accuracy_of_nine_runs() -> None:
    """By hand: d = 0.3, s_d = 0.1, cc = 2.306 x 0.1 / 3."""
    differences = [0.2, 0.4, 0.2, 0.4, 0.2, 0.4, 0.3, 0.3, 0.3]
    cems = [r - d for r, d in zip(REFERENCE, differences, strict=True)]
    found = relative_accuracy(REFERENCE, cems)
    s = math.sqrt(6 * 0.01 / 8)

    assert (0.3, 2.306 * s / 3) == pytest.approx((found.difference, found.confidence))
    assert (0.3 + 2.306 * s / 3) / (sum(REFERENCE) / 9) * 100 == pytest.approx(found.percent)
    assert 1 + 0.3 / (sum(cems) / 9) == pytest.approx(found.bias_factor)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 20), st.floats(1, 20)), min_size=9, max_size=16))
def test_a_bias_factor_is_never_below_one(runs: list[tuple[float, float]]) -> None:
    """A CEMS that reads high is not rewarded."""
    found = relative_accuracy([r for r, _ in runs], [c for _, c in runs])

    assert found.bias_factor >= 1
    assert (found.bias_factor > 1) == (found.difference > abs(found.confidence))


def test_too_few_runs_or_nothing_measured_is_refused() -> None:
    """Eight pairs, unequal numbers, means of zero."""
    for reference, cems in ((REFERENCE[:8], REFERENCE[:8]), (REFERENCE, REFERENCE[:8]), ([0.0] * 9, [0.0] * 9)):
        with pytest.raises(CalibrationError):
            relative_accuracy(reference, cems)
