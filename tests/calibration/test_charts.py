from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.charts import Signal, cusum, shewhart
from calibration.errors import CalibrationError

FINE, WARN, ACT = Signal.FINE, Signal.WARN, Signal.ACT


def test_cusum_of_the_vector_s_1() -> None:
    """Deviations .1 -.2 .3 1.2 1.4 1.1 1.6 1.3: P as tabulated, drift alarm at the seventh."""
    found = cusum(np.array([0.1, -0.2, 0.3, 1.2, 1.4, 1.1, 1.6, 1.3]), 1.0)

    assert [0, 0, 0, 0.699, 1.598, 2.197, 3.296, 4.095] == pytest.approx(found.up.tolist(), abs=1e-12)
    assert [6, 7] == np.flatnonzero(found.drift_alarm).tolist()
    assert not found.precision_alarm.any()
    assert -0.7 * (0.501 + 3.296 / 4) == pytest.approx(found.adjustment[6])


def test_cusum_begins_anew_after_an_alarm_where_it_is_adjusted() -> None:
    """The eighth check is the first of a new chart."""
    found = cusum(np.array([0.1, -0.2, 0.3, 1.2, 1.4, 1.1, 1.6, 1.3]), 1.0, reset=True)

    assert 1.3 - 0.501 == pytest.approx(found.up[7])


def test_cusum_notices_lost_precision() -> None:
    """Large steps up and down without drift: S = n (16 / 2 - 1.85) s^2 after n steps."""
    found = cusum(np.array([2.0, -2.0, 2.0, -2.0]), 1.0)

    assert [0.0, 6.15, 12.3, 18.45] == pytest.approx(found.precision.tolist())
    assert [False, False, True, True] == found.precision_alarm.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-5, 5), max_size=30), st.floats(0.1, 10))
def test_cusum_is_symmetric_and_scales_with_s(values: list[float], s: float) -> None:
    """Mirrored deviations swap up and down; alarms depend on d / s only."""
    d = np.array(values, dtype=np.float64)
    one, mirrored = cusum(d, 1.0), cusum(-d, 1.0)

    assert np.array_equal(one.up, mirrored.down)
    assert np.array_equal(one.precision, mirrored.precision)
    assert np.allclose(cusum(d * s, s).up, one.up * s, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [
        ([0.0, 2.1, 0.0], [FINE, WARN, FINE]),
        ([3.1], [ACT]),
        ([2.1, 0.0, 2.1], [WARN, FINE, ACT]),
        ([2.1, 0.0, -2.1], [WARN, FINE, WARN]),
        ([2.1, 0.0, 0.0, 2.1], [WARN, FINE, FINE, WARN]),
        ([0.1] * 8, [FINE] * 7 + [ACT]),
        ([0.1] * 4 + [-0.1] + [0.1] * 4, [FINE] * 9),
    ],
)
def test_shewhart_rules(deviations: list[float], expected: list[Signal]) -> None:
    """2 s warns; 3 s, two of three beyond 2 s on one side, and eight on one side act."""
    assert expected == shewhart(np.array(deviations), 1.0)


def test_a_drifting_analyzer_is_noticed_by_the_cusum_before_it_is_out_of_its_limits() -> None:
    """0.02 % more each day at s = 0.1 %: noticed within three weeks, control lost at 0.5 % after 25 days."""
    noise = np.random.default_rng(7).normal(0.0, 0.1, 40)
    d = noise + 0.02 * np.arange(40)

    assert int(np.flatnonzero(cusum(d, 0.1).drift_alarm)[0]) < 21


@pytest.mark.parametrize(("values", "s"), [([0.0], 0.0), ([float("nan")], 1.0), ([1.0], float("inf"))])
def test_what_is_no_number_has_no_chart(values: list[float], s: float) -> None:
    """A failed check is left out by its caller, not taken for zero."""
    with pytest.raises(CalibrationError):
        cusum(np.array(values), s)
