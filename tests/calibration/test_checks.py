from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from calibration.checks import MEANING, Code, counts, examine
from calibration.errors import CalibrationError
from calibration.events import Event, Point, What
from calibration.evidence import FORCE, Document, Kind, Result, Uncertainty, supports
from calibration.instruments import Instrument, Mpe, Range
from calibration.intervals import Interval
from calibration.requirements import TRACEABILITY, Onset, Requirement
from protocols.plan.model import Regime
from tests.calibration.happenings import STATED, YEARLY, failed, granted, happened, meter, percent

D = Decimal
SOUND = Document(
    Kind.CALIBRATION, "No. 1", "a laboratory", "CNAS L0001", issued_on=date(2024, 1, 5), sha256="0" * 64,
    scope=Range(D(0), D(100), "m3/h"),
)  # fmt: skip
USED = meter(range=Range(D(10), D(90), "m3/h"))


def calibrated(document: Document | None = SOUND, **changed: Any) -> Event:
    """A calibration that nothing speaks against, or what the changes make of it."""
    return happened("c", "2024-01-01", What.CALIBRATION, **({"document": document, "uncertainty": STATED} | changed))


def codes(event: Event, subject: Instrument = USED, requirement: Requirement = YEARLY) -> list[Code]:
    """Codes of what is found, in order."""
    return [finding.code for finding in examine(event, subject, requirement)]


def test_nothing_speaks_against_a_sound_certificate() -> None:
    """And then it counts."""
    assert [] == codes(calibrated())
    assert counts(calibrated(), USED, YEARLY)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (calibrated(serial="B-2"), Code.SERIAL),
        (calibrated(document=None), Code.NO_DOCUMENT),
        (calibrated(replace(SOUND, kind=Kind.TEST)), Code.KIND),
        (calibrated(uncertainty=None), Code.NO_UNCERTAINTY),
        (calibrated(valid_until=date(2023, 12, 31)), Code.DATES),
        (calibrated(replace(SOUND, in_scope=False)), Code.SCOPE),
        (calibrated(replace(SOUND, standards_valid_until=date(2023, 6, 1))), Code.STANDARDS),
        (calibrated(replace(SOUND, scope=Range(D(100), D(200), "m3/h"))), Code.RANGE_APART),
        (calibrated(uncertainty=Uncertainty(D("1.1"), D(2), "%")), Code.UNCERTAINTY_ABOVE_LIMIT),
    ],
)
def test_what_keeps_a_pass_from_counting(event: Event, code: Code) -> None:
    """Each with its code first; and it does not count."""
    assert code is codes(event)[0]
    assert MEANING[code].blocks
    assert not counts(event, USED, YEARLY)


def test_a_pass_needs_a_validity_from_somewhere() -> None:
    """The printed day, the event's interval, or the requirement's."""
    assert [Code.NO_VALIDITY] == codes(calibrated(), requirement=TRACEABILITY)
    assert [] == codes(calibrated(interval=Interval(months=6)), requirement=TRACEABILITY)
    assert [] == codes(calibrated(valid_until=date(2024, 12, 31)), requirement=TRACEABILITY)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (calibrated(replace(SOUND, scope=Range(D(20), D(100), "m3/h"))), Code.RANGE_PART),
        (calibrated(uncertainty=Uncertainty(D("0.005"), D(2), "1")), Code.UNCERTAINTY_LARGE),
        (calibrated(as_found=(percent("50", "1.2", uncertainty=D("0.1"), k=D(2)),)), Code.AGAINST_POINTS),
        (calibrated(replace(SOUND, issued_on=date(2023, 12, 31))), Code.ISSUED_BEFORE),
        (calibrated(replace(SOUND, authorization="")), Code.AUTHORIZATION),
        (calibrated(replace(SOUND, sha256="")), Code.NO_FILE),
    ],
)
def test_what_is_said_but_does_not_block(event: Event, code: Code) -> None:
    """A doubt for a person."""
    assert [code] == codes(event)
    assert counts(event, USED, YEARLY)


def test_two_tenths_and_two_tenths_of_a_per_cent_are_told_apart() -> None:
    """An error of 0.2 entered as a fraction, a limit a hundred times off, and a class of 20 %."""
    limit = percent("50", "0.1", limit=D("0.01"), uncertainty=D("0.001"), k=D(2))

    assert Code.UNIT_TRAP in codes(calibrated(as_found=(Point(D(50), error=D("0.2"), unit="1"),)))
    assert Code.UNIT_TRAP in codes(calibrated(as_found=(limit,)))
    assert Code.UNIT_TRAP in codes(calibrated(), replace(USED, mpe=Mpe(percent_of_reading=D(20))))
    assert Code.UNIT_TRAP not in codes(calibrated(as_found=(Point(D(50), error=D("0.002"), unit="1"),)))


def test_a_printed_day_beyond_the_regulation_is_said_and_counts() -> None:
    """The date printed on a certificate always wins."""
    capped = Requirement("capped", interval=Interval(months=12), cap_months=12)
    event = calibrated(valid_until=date(2026, 1, 1))

    assert [Code.LONGER_THAN_REGULATION] == codes(event, requirement=capped)
    assert counts(event, USED, capped)


def test_bad_news_is_stopped_by_nothing_but_a_wrong_serial() -> None:
    """A failure needs no document, no uncertainty, no fitting kind."""
    assert counts(failed("f", "2024-01-01", document=None), meter(Regime.MANDATORY_PERIODIC), YEARLY)
    assert not counts(failed("f", "2024-01-01", serial="B-2"), meter(), YEARLY)


def test_a_user_grants_nothing_under_mandatory_verification() -> None:
    """Only the authority does."""
    own = granted("x", "2024-01-01", "2024-12-31", What.EXEMPTION)

    assert [Code.UNOFFICIAL] == codes(own, meter(Regime.MANDATORY_PERIODIC))
    assert [] == codes(own)
    assert [] == codes(replace(own, official=True), meter(Regime.MANDATORY_PERIODIC))


def test_every_finding_speaks_both_languages() -> None:
    """Each code has words in Chinese and English, with the figures behind them."""
    finding = examine(calibrated(serial="B-2"), USED, YEARLY)[0]

    assert set(Code) == set(MEANING)
    assert all(meaning.zh and meaning.en for meaning in MEANING.values())
    assert "出厂编号与器具不符（B-2 / A-1）" == finding.say("zh-CN")
    assert "it is for another serial number (B-2 / A-1)" == finding.say("en")
    assert "没有证明文件" == examine(calibrated(document=None), USED, YEARLY)[0].say("zh-CN")
    assert finding.blocks


@pytest.mark.parametrize(
    ("kind", "regime", "third_party", "expected"),
    [
        (Kind.VERIFICATION, Regime.MANDATORY_PERIODIC, False, True),
        (Kind.CALIBRATION, Regime.MANDATORY_PERIODIC, False, False),
        (Kind.CALIBRATION, Regime.FIRST_ONLY, False, False),
        (Kind.CALIBRATION, Regime.USER_DEFINED, False, True),
        (Kind.TEST, Regime.USER_DEFINED, False, False),
        (Kind.REJECTION, Regime.USER_DEFINED, False, False),
        (Kind.STATEMENT, Regime.MANDATORY_PERIODIC, True, True),
        (Kind.STATEMENT, Regime.MANDATORY_PERIODIC, False, False),
    ],
)
def test_what_each_kind_of_document_can_prove(kind: Kind, regime: Regime, third_party: bool, expected: bool) -> None:
    """Per regime, and only where the duty is another party's for a statement."""
    assert expected is supports(kind, regime, third_party=third_party)
    assert FORCE[kind].zh
    assert FORCE[kind].en


@pytest.mark.parametrize(
    "make",
    [
        lambda: Document(Kind.CALIBRATION, ""),
        lambda: Document(Kind.CALIBRATION, "1", sha256="ABC"),
        lambda: Uncertainty(D(0), D(2), "%"),
        lambda: Uncertainty(D(1), D(2), ""),
        lambda: Requirement("r", meets=frozenset({What.REPAIR})),
        lambda: Requirement("r", interval=Interval(months=24), cap_months=12),
        lambda: Requirement("r", lead_ms=-1),
        Interval,
        lambda: Interval(months=0),
    ],
)
def test_records_that_make_no_sense_are_refused(make: Any) -> None:
    """Without a number, a digest, a coverage factor, a test or a length; longer than the regulation."""
    with pytest.raises(CalibrationError):
        make()


def test_a_drift_check_needs_no_document() -> None:
    """Where the requirement says so."""
    drift = Requirement(
        "d",
        meets=frozenset({What.DRIFT_CHECK}),
        interval=Interval(clock_hours=26),
        documented=False,
        onset=Onset.AT_TEST,
    )

    assert counts(happened("d", "2024-01-01", What.DRIFT_CHECK, result=Result.PASS), meter(), drift)
