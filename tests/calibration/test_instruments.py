from __future__ import annotations

from decimal import Decimal

import pytest

from calibration.errors import CalibrationError
from calibration.instruments import Chain, Instrument, Member, Mpe, Part, Range, Step, Use, from_plan, regime_of
from protocols.plan.model import Accuracy, Regime
from tests.calibration.records import instrument

D = Decimal


@pytest.mark.parametrize(
    ("uses", "listed", "first_only", "expected"),
    [
        ({Use.TRADE}, True, False, Regime.MANDATORY_PERIODIC),
        ({Use.TRADE}, True, True, Regime.FIRST_ONLY),
        ({Use.INTERNAL}, True, False, Regime.USER_DEFINED),
        ({Use.TRADE}, False, False, Regime.USER_DEFINED),
        ({Use.INTERNAL, Use.ENVIRONMENT}, True, False, Regime.MANDATORY_PERIODIC),
    ],
)
def test_mandatory_needs_the_list_and_the_use(uses: set[Use], listed: bool, first_only: bool, expected: Regime) -> None:
    """Both halves of the law's test."""
    assert expected is regime_of(uses, listed, first_only)


@pytest.mark.parametrize(
    ("mpe", "reading", "limit"),
    [
        (Mpe(percent_of_reading=D("0.2")), "50", "0.1"),
        (Mpe(percent_of_span=D("0.5"), span=D(1600)), "400", "8"),
        (Mpe(absolute=D("0.15"), percent_of_reading=D("0.2")), "-100", "0.35"),
        (Mpe(steps=(Step(D(500), D("0.5")), Step(D(2000), D(1)))), "500", "0.5"),
        (Mpe(steps=(Step(D(500), D("0.5")), Step(D(2000), D(1)))), "501", "1"),
        (Mpe(steps=(Step(D(500), D("0.5")),)), "900", "0.5"),
    ],
)
def test_limits_of_error_follow_the_kind_of_class(mpe: Mpe, reading: str, limit: str) -> None:
    """Class of reading, of span, a + b|t| of IEC 60751 class A at -100 degC, and the step table of a scale."""
    assert D(limit) == mpe.at(D(reading))


def test_limits_in_service_may_be_wider() -> None:
    """Twice for most scales."""
    scale = Mpe(steps=(Step(D(500), D("0.5")),), in_service_factor=D(2))

    assert (D("0.5"), D(1)) == (scale.at(D(100)), scale.at(D(100), in_service=True))


def test_a_relative_limit_of_a_class_of_reading_needs_no_reading() -> None:
    """0.2 means 0.2 %, which is 0.002."""
    assert D("0.002") == Mpe(percent_of_reading=D("0.2")).relative_at(D(0))
    assert D("0.02") == Mpe(percent_of_span=D("0.5"), span=D(1600)).relative_at(D(400))
    with pytest.raises(CalibrationError, match="reading of zero"):
        Mpe(absolute=D(1)).relative_at(D(0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent_of_reading": D(-1)},
        {"percent_of_span": D(1)},
        {"in_service_factor": D("0.5")},
        {"steps": (Step(D(2), D(1)), Step(D(1), D(1)))},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """Negative, of an unknown span, tighter in service, or in disorder."""
    with pytest.raises(CalibrationError):
        Mpe(**wrong)  # type: ignore[arg-type]


def test_a_range_covers_what_lies_inside_it_in_its_unit() -> None:
    """Ends count; another unit is another matter."""
    wide = Range(D(0), D(100), "m3/h")

    assert wide.covers(Range(D(0), D(100), "m3/h"))
    assert not wide.covers(Range(D(0), D(101), "m3/h"))
    assert not wide.covers(Range(D(1), D(2), "L/h"))
    with pytest.raises(CalibrationError, match="low end"):
        Range(D(2), D(1), "m")


def test_a_planned_instrument_brings_its_limits() -> None:
    """The accuracy of the plan is the model of its errors."""
    planned = instrument().model_copy(update={"accuracy": Accuracy(**{"class": "0.5", "percent_of_reading": D("0.5")})})

    assert (D("0.5"), "0.5") == (from_plan(planned).mpe.percent_of_reading, from_plan(planned).class_name)


def test_a_swap_needs_the_old_instrument_in_its_place() -> None:
    """Who takes out what is not there is told so."""
    chain = Chain("feeder", (Member(Part.METER, "a", 100, 200),))

    assert [("a", 100, 150), ("b", 150, 200)] == [
        (m.instrument, m.from_ms, m.to_ms) for m in chain.swapped(Part.METER, "a", "b", 150).members
    ]
    with pytest.raises(CalibrationError, match="no meter a in its place"):
        chain.swapped(Part.METER, "a", "b", 200)
    with pytest.raises(CalibrationError, match="no members"):
        Chain("empty", ())
    with pytest.raises(CalibrationError, match="ends in its place before"):
        Member(Part.METER, "a", 2, 1)


def test_an_instrument_needs_a_serial_number() -> None:
    """Without one no certificate can be about it."""
    with pytest.raises(CalibrationError, match="no serial number"):
        Instrument("meter", "", Regime.USER_DEFINED)
