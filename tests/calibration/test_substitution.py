from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.substitution import hj75, mrr, part75
from calibration.substitution.series import Filled, Hours, percentile
from protocols.records import Float64

HIGH, LOW = Direction.HIGH, Direction.LOW
NAN = math.nan


def hours(values: list[float] | Float64, standing: tuple[int, ...] = ()) -> Hours:
    """All operating but the places that stand still; NaN is missing."""
    operating = np.ones(len(values), dtype=np.bool_)
    operating[list(standing)] = False
    return Hours(np.array(values, dtype=np.float64), operating)


def after(good: int, gap: int, last: float = 12.0, *, missing_before: int = 0) -> Hours:
    """Missing hours, ``good`` hours counting 1, 2, ... 10 again and again, a gap, and one hour after it."""
    return hours([NAN] * missing_before + [float(n % 10 + 1) for n in range(good)] + [NAN] * gap + [last])


def said(found: Filled, place: int = -2) -> tuple[float, str]:
    """Value and method of an hour, by default the last of the gap."""
    return float(found.value[place]), found.methods[found.method[place]]


@pytest.mark.parametrize(
    ("missing_before", "gap", "expected"),
    [
        (0, 24, (11.0, "hour before and after")),  # PMA 99.0 %
        (0, 25, (11.0, "hour before and after")),  # HB/HA 11 is greater than the 90th percentile 9
        (150, 8, (11.0, "hour before and after")),  # PMA 93.8 %
        (150, 9, (11.0, "hour before and after")),
        (400, 1, (10.0, "maximum")),  # PMA 85.7 %
        (700, 1, (99.0, "maximum potential")),  # PMA 77.4 %
    ],
)
def test_part_75_tightens_as_availability_falls(missing_before: int, gap: int, expected: tuple[float, str]) -> None:
    """Bands of 75.33(b) with 2,400 good hours."""
    found = part75.substitute(after(2400, gap, missing_before=missing_before), part75.Rule(99.0))

    assert expected == said(found)


def test_part_75_takes_the_percentile_where_it_is_greater() -> None:
    """Hour before 1, hour after 1: the 90th or 95th percentile of 1 to 10 is 9 or 10."""
    low = [*range(2, 11), 1] * 240
    for missing, gap, expected in ((0, 25, (9.0, "90th percentile")), (150, 9, (10.0, "95th percentile"))):
        series = hours([NAN] * missing + [float(n) for n in low] + [NAN] * gap + [1.0])

        assert expected == said(part75.substitute(series, part75.Rule(99.0)))


def test_part_75_the_other_way_round_for_oxygen_and_moisture() -> None:
    """Where a low value raises the emission: 10th percentile, minimum, minimum potential."""
    high = [*range(1, 10), 10] * 240
    rule = part75.Rule(0.5, LOW)
    for missing, gap, expected in (
        (0, 25, (2.0, "90th percentile")),
        (150, 9, (1.0, "95th percentile")),
        (400, 1, (1.0, "maximum")),
        (700, 1, (0.5, "maximum potential")),
    ):
        series = hours([NAN] * missing + [float(n) for n in high] + [NAN] * gap + [10.0])

        assert expected == said(part75.substitute(series, rule))


def test_part_75_before_720_good_hours() -> None:
    """HB/HA, or the maximum potential where nothing was before."""
    found = part75.substitute(hours([NAN, 2.0, NAN, 4.0]), part75.Rule(99.0))

    assert [99.0, 2.0, 3.0, 4.0] == found.value.tolist()
    assert ["maximum potential", "measured", "hour before and after", "measured"] == [
        found.methods[m] for m in found.method
    ]


def test_standstill_is_no_gap_and_does_not_end_one() -> None:
    """Operating hours count; an hour of standstill is never filled."""
    series = hours([1.0, NAN, NAN, NAN, 3.0], standing=(2,))

    found = part75.substitute(series, part75.Rule(99.0))

    assert [[1, 3]] == [gap.tolist() for gap in series.gaps()]
    assert [2.0, 2.0] == found.value[[1, 3]].tolist()
    assert math.isnan(found.value[2])


def test_availability_is_over_the_last_8760_operating_hours() -> None:
    """Missing hours leave the count once they are old enough."""
    series = hours([NAN] * 100 + [1.0] * 8760)
    good, operating = part75.availability(series)

    assert (0, 1) == (good[0], operating[0])
    assert (8659, 8759) == (good[8758], operating[8758])
    assert (8660, 8760) == (good[8759], operating[8759])
    assert (8760, 8760) == (good[8859], operating[8859])


def test_three_years_back_nothing_is_looked_at() -> None:
    """A monitor with few good hours starts with the bands after three years, on what is younger than that."""
    early, silent = [50.0] * 10, [NAN] * 26_300
    found = part75.substitute(hours([*early, *silent, 1.0, NAN, 1.0]), part75.Rule(99.0))

    assert (99.0, "maximum potential") == said(found)


BITS = st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, NAN, NAN, -1.0]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(BITS)
def test_every_operating_hour_has_a_value_and_good_ones_keep_theirs(values: list[float]) -> None:
    """-1 marks standstill."""
    standing = tuple(n for n, one in enumerate(values) if one == -1)
    series = hours(values, standing)
    found = part75.substitute(series, part75.Rule(9.0, look_back=10))

    assert not np.isnan(found.value[series.operating]).any()
    assert np.isnan(found.value[~series.operating]).all()
    assert (found.value[series.good] == series.value[series.good]).all()
    assert ((found.method == 0) == ~series.missing).all()


@settings(max_examples=60, deadline=None)
@given(BITS)
def test_low_is_the_mirror_of_high(values: list[float]) -> None:
    """What low gives is minus what high gives for minus the values."""
    standing = tuple(n for n, one in enumerate(values) if one == -1)
    plain, mirrored = hours(values, standing), hours([-one for one in values], standing)

    high = part75.substitute(plain, part75.Rule(9.0, HIGH, look_back=10))
    low = part75.substitute(mirrored, part75.Rule(-9.0, LOW, look_back=10))

    assert np.array_equal(high.value, -low.value, equal_nan=True)
    assert np.array_equal(high.method, low.method)


@pytest.mark.parametrize(
    ("percent", "direction", "expected"),
    [(90, HIGH, 9.0), (95, HIGH, 10.0), (90, LOW, 2.0), (95, LOW, 1.0), (100, HIGH, 10.0)],
)
def test_percentiles_are_observed_values(percent: int, direction: Direction, expected: float) -> None:
    """By nearest rank among 1 to 10."""
    assert expected == percentile(np.arange(1.0, 11.0), percent, direction)


def borrowed(
    capture: int, gap: int, *, out_of_control: bool = False, calibrated: int | None = None
) -> tuple[float, str]:
    """HJ 75 on 3,000 good hours counting up, in an own quarter, then a quarter of 1,000 hours with that capture."""
    rising = [float(n) for n in range(3000)]
    lost = 1000 - capture - gap
    values = [*rising, *[0.5] * capture, *[NAN] * gap, 0.5, *[NAN] * max(lost - 1, 0)]
    quarter = np.array([0] * 3000 + [1] * (len(values) - 3000), dtype=np.int64)
    marks = np.full(len(values), out_of_control, dtype=np.bool_)
    places = np.array([] if calibrated is None else [calibrated], dtype=np.int64)
    return said(hj75.substitute(hours(values), quarter, marks, places), 3000 + capture)


@pytest.mark.parametrize(
    ("capture", "gap", "how"),
    [
        (950, 24, "maximum of 180 valid hours"),
        (950, 25, "maximum of 720 valid hours"),
        (800, 1, "maximum of 2,160 valid hours"),
    ],
)
def test_hj_75_takes_the_largest_of_earlier_valid_hours(capture: int, gap: int, how: str) -> None:
    """More of them, the less was captured and the longer the gap."""
    value, method = borrowed(capture, gap)

    assert how == method
    assert (0.5 if how != "maximum of 2,160 valid hours" else 2999.0) == value


def test_hj_75_looks_before_the_last_calibration_where_control_was_lost() -> None:
    """The values since then are the doubtful ones."""
    assert (999.0, "maximum of 180 valid hours") == borrowed(950, 24, out_of_control=True, calibrated=1000)
    assert (0.5, "maximum of 180 valid hours") == borrowed(950, 24, out_of_control=False, calibrated=1000)
    assert (0.5, "maximum of 180 valid hours") == borrowed(950, 24, out_of_control=True)


def test_hj_75_gives_nothing_below_75_percent() -> None:
    """It then needs the reference method; the hours are counted."""
    series = hours([1.0, NAN, NAN])
    found = hj75.substitute(series, np.zeros(3, np.int64), np.zeros(3, np.bool_), np.zeros(0, np.int64))

    assert math.isnan(found.value[1])
    assert 2 == found.unfilled
    assert all(hj75.NOT_FOR_CO2)


def test_mrr_takes_the_mean_and_two_standard_deviations() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9: mean 5, sample standard deviation sqrt(32/7)."""
    series = hours([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0, NAN, 100.0], standing=(9,))

    assert 5 + 2 * math.sqrt(32 / 7) == pytest.approx(said(mrr.substitute(series))[0], rel=1e-15)
    assert 5 - 2 * math.sqrt(32 / 7) == pytest.approx(said(mrr.substitute(series, LOW))[0], rel=1e-14)
    assert 0.0 == said(mrr.substitute(hours([0.0, 10.0, NAN]), LOW), 2)[0]


def test_mrr_refuses_a_period_without_good_hours() -> None:
    """One value has no standard deviation; where nothing is missing none is needed."""
    with pytest.raises(CalibrationError, match="1 good hours"):
        mrr.substitute(hours([1.0, NAN]))
    assert [1.0] == mrr.substitute(hours([1.0])).value.tolist()


def test_hours_have_to_fit_together() -> None:
    """Marks of another length, or an infinite value."""
    with pytest.raises(CalibrationError, match="give one for each"):
        Hours(np.zeros(2), np.ones(3, np.bool_))
    with pytest.raises(CalibrationError, match="infinite"):
        hours([math.inf])
    with pytest.raises(CalibrationError, match="another length"):
        hj75.substitute(hours([1.0]), np.zeros(2, np.int64), np.zeros(1, np.bool_), np.zeros(0, np.int64))
