from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from calibration.errors import CalibrationError
from calibration.events import What
from calibration.evidence import Result
from calibration.intervals import Interval, OperatingTime
from calibration.late import Policy
from calibration.requirements import Onset
from calibration.schemes.catalogue import SHIPPED, Confidence, Verdict, parse_scheme, scheme
from calibration.status import Reason, State, timeline
from protocols.errors import InputErrors
from protocols.plan.model import Regime
from tests.calibration.happenings import happened, meter
from tests.calibration.records import ZONE, at

HOUR_MS = 3_600_000
D = Decimal

OWN = """
schema = 1
id = "site"
version = "3"
zh = "本厂"
en = "this site"
source = "procedure QP-07"
[[checks]]
id = "weekly"
applies_to = "belt weigher"
zh = "链码检查"
en = "chain test"
test = "in-service-check"
clock_hours = 168
onset = "since-last-good"
limit = { percent_of_reading = "0.5" }
confidence = "seen"
source = "QP-07, 4.2"
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scheme_is_whole(name: str) -> None:
    """It loads, and says of every figure how sure it is; what was not seen says so in both languages."""
    found = scheme(name)

    records = [*found.types.values(), *found.checks.values(), *found.late.values()]
    assert records
    for one in records:
        assert (one.confidence is Confidence.SEEN) is (one.caution("zh-CN") == "") is (one.caution("en") == "")


def test_intervals_by_type_of_instrument() -> None:
    """52 types; those of GHG meters among them."""
    types = scheme("jjg").types

    assert 52 == len(types)
    assert {"em-static-02s05s": 72, "wm-big": 24, "tr-press": 12, "ga-co-co2": 12} == {
        name: types[name].months for name in ("em-static-02s05s", "wm-big", "tr-press", "ga-co-co2")
    }
    assert "JJG 1121" in types["fm-swirl"].regulation
    assert "JJG 633" in types["fm-roots"].regulation


def test_the_regulation_caps_a_mandatory_instrument_only() -> None:
    """A site may set a shorter interval; a longer one only where the interval is its own to set."""
    kind = scheme("jjg").type_of("em-static-02s05s")

    assert Interval(months=48) == kind.requirement(Regime.MANDATORY_PERIODIC, 48).interval
    assert Interval(months=96) == kind.requirement(Regime.USER_DEFINED, 96).interval
    assert 72 == kind.requirement(Regime.MANDATORY_PERIODIC).cap_months
    with pytest.raises(CalibrationError, match="above the regulation's 72"):
        kind.requirement(Regime.MANDATORY_PERIODIC, 96)


@pytest.mark.parametrize(
    ("zero", "span", "expected"),
    [
        ("0", "0", Verdict.WITHIN),
        ("2.5", "-2.5", Verdict.WITHIN),
        ("2.6", None, Verdict.ADJUST),
        ("5.1", "0", Verdict.OUT_OF_CONTROL),
        ("0", "-10", Verdict.ADJUST),
        (None, "-10.1", Verdict.OUT_OF_CONTROL),
    ],
)
def test_drift_beyond_the_limit_asks_for_adjustment_and_far_beyond_control_is_lost(
    zero: str | None, span: str | None, expected: Verdict
) -> None:
    """2.5 % of span; control is lost at 5 % for zero and 10 % for span."""
    check = scheme("hj75").check("gas-auto-drift")

    assert expected is check.verdict(D(zero) if zero else None, D(span) if span else None, D(100), D(80))


def test_of_several_limits_the_greatest_counts() -> None:
    """3 % of 20 m/s is 0.6; below that 0.9 m/s holds."""
    limit = scheme("hj75").check("flow-auto-drift").limit
    assert limit is not None

    assert (D("0.9"), D("1.2")) == (limit.at(D(0), D(20)), limit.at(D(0), D(40)))


def test_a_check_without_limits_asks_for_its_result() -> None:
    """It never judges by guess."""
    with pytest.raises(CalibrationError, match="no limits"):
        scheme("hj75").check("comparison-auto").verdict(D(0), D(0), D(1), D(1))


def test_a_daily_check_of_part_75_is_good_for_26_clock_hours() -> None:
    """To the minute, and from the failed test on it is out of control."""
    check = scheme("part75").check("co2-daily").requirement
    good = happened("a", None, What.DRIFT_CHECK, at_ms=at("2024-06-30T12:08"), result=Result.PASS)
    life = timeline(meter(), None, [(good, 1)], ZONE, check)

    assert Onset.AT_TEST is check.onset
    assert [State.DUE_SOON, State.OVERDUE] == [life.at(at(t)).state for t in ("2024-07-01T14:07", "2024-07-01T14:08")]


def test_linearity_of_part_75_has_168_operating_hours_of_grace() -> None:
    """After the end of the next operating quarter, counted while the unit operates."""
    check = scheme("part75").check("linearity").requirement
    test = happened("l", None, What.LINEARITY_CHECK, at_ms=at("2024-02-10T09:00"), result=Result.PASS)
    second = at("2024-04-01")
    later = at("2024-08-01")
    spans = [(second, second + 300 * HOUR_MS), (later, later + 400 * HOUR_MS)]
    life = timeline(meter(), None, [(test, 1)], ZONE, check, OperatingTime.of(spans, at("2024-12-31")))

    assert at("2024-07-01") == life.at(at("2024-06-30")).until_ms
    assert Reason.GRACE is life.at(later + 168 * HOUR_MS - 1).reason
    assert State.OVERDUE is life.at(later + 168 * HOUR_MS).state


def test_a_site_adds_its_own_scheme_without_code() -> None:
    """The same form, read by the same loader."""
    own = parse_scheme(OWN, "site.toml")

    assert Verdict.OUT_OF_CONTROL is own.check("weekly").verdict(None, D("0.6"), D(0), D(100))
    assert own.in_force(date(2024, 1, 1))
    assert not scheme("hj75").in_force(date(2017, 12, 31))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("clock_hours = 168", "", "no interval"),
        ('test = "in-service-check"', 'test = "repair"', "test: one of"),
        ('{ percent_of_reading = "0.5" }', "{}", "no limit"),
        ('{ percent_of_reading = "0.5" }', '{ absolute = "1" }', "needs its unit"),
        ('source = "QP-07, 4.2"', "", "has a source"),
        ('confidence = "seen"', 'confidence = "sure"', "sure"),
        ("clock_hours", "clock_hour", "clock_hour"),
    ],
)
def test_a_scheme_with_a_fault_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    """Each problem names the file and what is wrong."""
    with pytest.raises(InputErrors) as caught:
        parse_scheme(OWN.replace(old, new), "site.toml")

    assert "site.toml:" in str(caught.value)
    assert said in str(caught.value)


def test_a_record_may_stand_there_once_only() -> None:
    """Two of one name would leave the choice to chance."""
    with pytest.raises(InputErrors, match="twice"):
        parse_scheme(OWN + OWN[OWN.index("[[checks]]") :], "site.toml")
    with pytest.raises(InputErrors, match="neither"):
        parse_scheme(OWN[: OWN.index("[[checks]]")], "site.toml")


def test_late_rules_name_their_policy_or_leave_it_to_a_person() -> None:
    """CDM takes the limit or the error found; a replaced meter needs a test first."""
    rules = scheme("late-rules").late

    assert Policy.LARGER_OF_LIMIT_AND_ERROR is rules["cdm-late-within"].policy is rules["cdm-late-outside"].policy
    assert None is rules["cdm-replaced"].policy


def test_an_unknown_scheme_or_record_names_what_there_is() -> None:
    """The valid names are said."""
    with pytest.raises(CalibrationError, match="one of jjg, hj75"):
        scheme("nowhere")
    with pytest.raises(CalibrationError, match="co2-daily"):
        scheme("part75").check("yearly")
    with pytest.raises(CalibrationError, match="em-static"):
        scheme("jjg").type_of("nothing")
