from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from calibration.errors import CalibrationError
from calibration.events import What
from calibration.evidence import Uncertainty
from calibration.instruments import Mpe
from calibration.status import State
from calibration.uncertainty import (
    budget,
    of_certificate,
    of_chain,
    of_drift,
    of_limits,
    of_resolution,
    of_uncorrected,
    widening,
)
from tests.calibration.happenings import happened, meter, percent

D = Decimal
SQRT3 = math.sqrt(3)
CALIBRATED = happened("c", "2024-01-01", What.CALIBRATION)


def near(value: float) -> object:
    """Equal to 1e-12."""
    return pytest.approx(value, rel=1e-12, abs=1e-15)


def test_the_formulas_of_the_parts() -> None:
    """Rectangular limits, U / k, drift, resolution, an uncorrected error, a chain."""
    assert near(0.01 / SQRT3) == of_limits(0.01)
    assert near(0.05) == of_certificate(0.1, 2)
    assert near(0.004 / SQRT3) == of_drift(0.005, 0.001)
    assert near(0.1 / math.sqrt(12)) == of_resolution(0.1)
    assert near(0.003 / SQRT3) == of_uncorrected(-0.003)
    assert near(math.sqrt(0.002**2 + 0.001**2 + 0.001**2)) == of_chain([0.002, 0.001, 0.001])


def test_with_a_certificate_its_uncertainty_counts() -> None:
    """U 0.1 %, k 2: 0.05 %."""
    found = budget(meter(), D(50), State.IN_INTERVAL, CALIBRATED)

    assert ("certificate", near(0.0005)) == (found.basis, found.standard)


def test_uncertainty_of_the_points_wins_over_that_of_the_document() -> None:
    """The largest of them, relative to the reading; the known error counts unless it is corrected."""
    points = (percent("100", "0.3", uncertainty=D("0.4"), k=D(2)), percent("50", "-0.1", uncertainty=D("0.2"), k=D(2)))
    event = replace(CALIBRATED, as_found=points)

    raw = budget(meter(), D(50), State.IN_INTERVAL, event)
    corrected = budget(meter(), D(50), State.IN_INTERVAL, event, corrected=True)

    assert (near(0.002), near(0.003 / SQRT3)) == (raw.trueness, raw.uncorrected)
    assert near(0.002) == corrected.standard


def test_an_absolute_uncertainty_is_relative_to_the_reading() -> None:
    """U 0.5 of the instrument's unit at 50, k 2: 0.5 %."""
    event = replace(CALIBRATED, uncertainty=Uncertainty(D("0.5"), D(2), "m3/h"))

    assert near(0.005) == budget(meter(), D(50), State.IN_INTERVAL, event).trueness


def test_drift_is_from_as_left_before_to_as_found_now() -> None:
    """0.1 % left, 0.4 % found."""
    before = replace(CALIBRATED, as_found=(percent("100", "0.9"),), as_left=(percent("100", "0.1"),))
    now = replace(CALIBRATED, as_found=(percent("100", "0.4"),))

    assert near(0.003 / SQRT3) == budget(meter(), D(100), State.IN_INTERVAL, now, before).drift


def test_without_u_the_class_counts() -> None:
    """A verification certificate of a class 1 meter: 1 % / sqrt 3; of span, relative to the reading."""
    verified = happened("v", "2024-01-01")
    of_span = replace(meter(), mpe=Mpe(percent_of_span=D("0.5"), span=D(1600)))

    assert ("class", near(0.01 / SQRT3)) == _said(budget(meter(), D(50), State.IN_INTERVAL, verified))
    assert near(0.02 / SQRT3) == budget(of_span, D(400), State.IN_INTERVAL, verified).standard


def _said(found: object) -> tuple[str, float]:
    return found.basis, found.standard  # type: ignore[attr-defined]


def test_overdue_widens_the_limits() -> None:
    """One and a half after one more interval, twice at most; a better certificate does not help."""
    assert [1.0, 1.25, 1.5, 2.0, 2.0] == [widening(part, 100) for part in (0, 50, 100, 200, 900)]
    assert ("class, widened", near(0.015 / SQRT3)) == _said(
        budget(meter(), D(50), State.OVERDUE, CALIBRATED, overdue_ms=100, interval_ms=100)
    )
    assert ("class, widened", near(0.015 / SQRT3)) == _said(
        budget(meter(), D(50), State.OVERDUE_JUSTIFIED, None, overdue_ms=100, interval_ms=100)
    )


def test_overdue_never_makes_a_reading_better() -> None:
    """Where the certificate gives more than the widened class, it counts."""
    coarse = replace(CALIBRATED, uncertainty=Uncertainty(D(4), D(2), "%"))

    assert ("certificate", near(0.02)) == _said(
        budget(meter(), D(50), State.OVERDUE, coarse, overdue_ms=1, interval_ms=100)
    )


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN, State.SUSPENDED])
def test_failed_or_unknown_is_twice_the_class(state: State) -> None:
    """Whatever the last certificate said."""
    assert ("class, widened", near(0.02 / SQRT3)) == _said(budget(meter(), D(50), state, CALIBRATED))


def test_resolution_and_installation_come_on_top() -> None:
    """In quadrature."""
    found = budget(meter(), D(10), State.IN_INTERVAL, CALIBRATED, resolution=D("0.1"), installation=0.003)

    assert near(math.hypot(0.0005, 0.01 / math.sqrt(12), 0.003)) == found.standard


def test_what_cannot_be_said_is_refused() -> None:
    """At zero, and with neither U nor class."""
    with pytest.raises(CalibrationError, match="reading of zero"):
        budget(meter(), D(0), State.IN_INTERVAL, CALIBRATED)
    with pytest.raises(CalibrationError, match="state its class"):
        budget(meter(mpe=Mpe()), D(1), State.UNKNOWN, None)
    with pytest.raises(CalibrationError, match="k is positive"):
        of_certificate(0.1, 0)
    with pytest.raises(CalibrationError, match="positive interval"):
        widening(1, 0)
