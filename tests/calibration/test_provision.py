from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.instruments import Level
from calibration.provision.accuracy import good_enough, of_chain, order
from calibration.provision.required import (
    EnergyUser,
    Need,
    ProcessRequirement,
    Provision,
    Verdict,
    need,
    process_provision,
    provision,
)
from calibration.provision.tables import SHIPPED, edition, electricity_user, parse_edition
from calibration.schemes.catalogue import Confidence
from calibration.status import State
from protocols.errors import InputErrors

D = Decimal
OLD, NEW = (edition(name) for name in SHIPPED)
ORGANISATION, UNIT, EQUIPMENT = Level.ORGANISATION, Level.SECONDARY_UNIT, Level.EQUIPMENT


def motors(count: int, metered: int, kw: str = "100") -> list[EnergyUser]:
    """That many motors of a rating, the first ones metered each by a meter of its own."""
    return [
        EnergyUser(f"motor-{n}", EQUIPMENT, "electricity", "workshop", D(kw), "kW", (f"m{n}",) if n < metered else ())
        for n in range(count)
    ]


def rate(users: list[EnergyUser], states: dict[str, State]) -> Provision:
    """The one row of a register of one level and kind."""
    found = provision(users, states, OLD)
    assert isinstance(found, tuple)
    (row,) = found
    return row


def test_tables_1_to_3_of_the_2006_edition() -> None:
    """Fifteen kinds of energy; electricity 100, 100, 95 from 10 kW of a unit and 100 kW of equipment."""
    electricity = OLD.kind("electricity")

    assert 15 == len(OLD.kinds)
    assert [100, 100, 95] == [electricity.rate.at(level) for level in Level]
    assert [("10", "kW"), ("100", "kW")] == [
        (str(t.value), t.unit) for t in (electricity.secondary_unit_from, electricity.equipment_from)
    ]
    assert None is OLD.kind("waste-energy").rate.at(EQUIPMENT)
    assert [100, 80, 70] == [OLD.kind("steam").rate.at(level) for level in Level]


def test_what_is_not_verified_says_so() -> None:
    """Every class of table 4 and the rates of crude oil and water."""
    assert {Confidence.UNVERIFIED} == {one.confidence for one in OLD.classes}
    assert OLD.kind("crude-oil").caution("en").startswith("Unverified")
    assert "" == OLD.kind("electricity").caution("zh")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (EnergyUser("a", EQUIPMENT, "electricity", amount=D(100), unit="kW"), Need.REQUIRED),
        (EnergyUser("a", EQUIPMENT, "electricity", amount=D("99.9"), unit="kW"), Need.BELOW),
        (EnergyUser("a", UNIT, "electricity", amount=D(10), unit="kW"), Need.REQUIRED),
        (EnergyUser("a", ORGANISATION, "electricity"), Need.REQUIRED),
        (EnergyUser("a", UNIT, "steam"), Need.AMOUNT_UNKNOWN),
        (EnergyUser("a", UNIT, "hot-water", excused="seasonal heating"), Need.EXCUSED),
    ],
)
def test_required_meters_follow_from_the_thresholds(user: EnergyUser, expected: Need) -> None:
    """From the threshold on; everything at the boundary; an unknown amount counts as required."""
    assert expected is need(user, OLD)


def test_an_amount_in_another_unit_is_refused() -> None:
    """With the unit that the table has."""
    with pytest.raises(CalibrationError, match="give it in kW"):
        need(EnergyUser("a", UNIT, "electricity", amount=D(1), unit="MW"), OLD)
    with pytest.raises(CalibrationError, match="no energy kind 'wind'"):
        need(EnergyUser("a", UNIT, "wind"), OLD)


@pytest.mark.parametrize(("metered", "expected"), [(19, Verdict.MET), (18, Verdict.NOT_MET)])
def test_a_rate_exactly_at_its_limit_is_met(metered: int, expected: Verdict) -> None:
    """19 of 20 is 95 %; nothing is rounded up."""
    row = rate(motors(20, metered), {f"m{n}": State.IN_INTERVAL for n in range(20)})

    assert (expected, expected) == (row.plain, row.strict)
    assert 20 - metered == len(row.without)


def test_the_strict_rate_counts_instruments_in_their_interval_only() -> None:
    """Due soon still counts; overdue, exempt, failed and unknown do not."""
    states = {
        "m0": State.IN_INTERVAL, "m1": State.DUE_SOON, "m2": State.OVERDUE, "m3": State.EXEMPT, "m4": State.FAILED,
        "m5": State.UNKNOWN,
    }  # fmt: skip
    row = rate(motors(6, 6), states)

    assert (6, 2, Verdict.MET, Verdict.NOT_MET) == (row.installed, row.valid, row.plain, row.strict)
    assert ("motor-2", "motor-3", "motor-4", "motor-5") == row.not_valid


def test_an_instrument_that_is_not_there_meters_nothing() -> None:
    """Named in the register, but of no known state."""
    assert 0 == rate(motors(1, 1), {}).installed


def test_where_nothing_is_needed_no_rate_applies() -> None:
    """Ten small motors."""
    row = rate(motors(10, 0, "7.5"), {})

    assert (0, Verdict.NOT_APPLICABLE) == (row.needed, row.plain)


def test_a_level_without_a_requirement_says_so() -> None:
    """Waste energy at equipment."""
    assert Verdict.NO_REQUIREMENT is rate([EnergyUser("a", EQUIPMENT, "waste-energy")], {}).plain


def test_an_edition_without_tables_is_not_evaluated() -> None:
    """The 2025 edition says so in both languages, whatever the register."""
    assert Verdict.NOT_EVALUATED is provision(motors(3, 3), {}, NEW)
    assert "尚未录入" in NEW.notice(date(2026, 3, 1), "zh-CN")
    assert "Not evaluated" in NEW.notice(date(2026, 3, 1), "en")


def test_the_old_edition_asks_which_applies_once_the_next_is_in_force() -> None:
    """From 2026-02-01 on."""
    assert "" == OLD.notice(date(2026, 1, 31), "en")
    assert "confirm which applies" in OLD.notice(date(2026, 2, 1), "en")


def test_one_flow_stands_in_the_register_once() -> None:
    """Twice would count twice."""
    with pytest.raises(CalibrationError, match="motor-0 twice"):
        provision([*motors(1, 1), *motors(1, 1)], {}, OLD)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(Level), st.sampled_from([k.id for k in OLD.kinds]), st.integers(0, 3)), max_size=30
    )
)
def test_every_required_point_is_counted_once(flows: list[tuple[Level, str, int]]) -> None:
    """Installed and missing add up, valid and not valid too; an added meter never lowers a rate."""
    states = {"m1": State.IN_INTERVAL, "m2": State.OVERDUE}
    users = [
        EnergyUser(f"u{n}", level, kind, instruments=tuple(f"m{k}" for k in range(meters)))
        for n, (level, kind, meters) in enumerate(flows)
    ]
    found = provision(users, states, OLD)
    more = provision([replace(user, instruments=(*user.instruments, "m1")) for user in users], states, OLD)

    assert isinstance(found, tuple)
    assert isinstance(more, tuple)
    assert len(users) == sum(row.needed for row in found)
    for row, better in zip(found, more, strict=True):
        assert row.needed == row.installed + len(row.without)
        assert row.installed == row.valid + len(row.not_valid)
        assert better.valid >= row.valid


def test_a_process_requirement_needs_all_of_its_instruments() -> None:
    """Installed and in their interval; one without instruments is not met."""
    asked = ProcessRequirement("calcination", "煅烧", "calcination", ("scale", "analyzer"), "QP-12")

    assert (Verdict.MET, Verdict.MET) == process_provision(
        asked, {"scale": State.DUE_SOON, "analyzer": State.IN_INTERVAL}
    )
    assert (Verdict.MET, Verdict.NOT_MET) == process_provision(
        asked, {"scale": State.OVERDUE, "analyzer": State.IN_INTERVAL}
    )
    assert (Verdict.NOT_MET, Verdict.NOT_MET) == process_provision(asked, {"scale": State.IN_INTERVAL})
    assert (Verdict.NOT_MET, Verdict.NOT_MET) == process_provision(replace(asked, instruments=()), {})


def test_classes_in_their_order() -> None:
    """0.2S before 0.2 before 0.5S before 0.5 before 1 before 2; the chain's is the worst."""
    ladder = ["0.2S", "0.2", "0.5S", "0.5", "1", "2"]

    assert ladder == sorted(["2", "0.2", "0.5", "1", "0.2S", "0.5S"], key=order)
    assert order("1.0") == order("1")
    assert "0.5" == of_chain(["0.2S", "0.5", "0.2"])
    with pytest.raises(CalibrationError, match="'fine'"):
        order("fine")


@pytest.mark.parametrize(
    ("name", "row", "level", "expected"),
    [
        ("0.5S", "ac-meter-i", ORGANISATION, True),
        ("0.5", "ac-meter-i", ORGANISATION, False),
        ("0.5", "ac-meter-i", EQUIPMENT, True),
        ("1", "ac-meter-i", EQUIPMENT, True),
        ("2", "ac-meter-i", EQUIPMENT, False),
        ("2.0", "natural-gas-flow", ORGANISATION, True),
        ("2.5", "natural-gas-flow", EQUIPMENT, False),
    ],
)
def test_a_class_does_or_does_not(name: str, row: str, level: Level, expected: bool) -> None:
    """Within the organisation an electricity meter may be one class lower; others may not."""
    assert expected is good_enough(name, OLD.accuracy(row), level)


@pytest.mark.parametrize(
    ("kwh", "kva", "expected"),
    [
        ("5000000", None, "i"),
        (None, "10000", "i"),
        ("4999999", "2000", "ii"),
        ("100000", None, "iii"),
        ("1", "314", "iv"),
    ],
)
def test_classes_of_electricity_users(kwh: str | None, kva: str | None, expected: str) -> None:
    """By use or by capacity, whichever puts it higher."""
    assert expected == electricity_user(D(kwh) if kwh else None, D(kva) if kva else None)
    assert "v" == electricity_user(None, None, single_phase=True)


def test_a_user_of_unknown_size_has_no_class() -> None:
    """It is asked for, not guessed."""
    with pytest.raises(CalibrationError, match="neither use nor capacity"):
        electricity_user(None, None)


TABLES = """
schema = 1
edition = "GB 17167-2025"
zh = "新版"
en = "new edition"
issued = 2025-01-24
entered = true
source = "the standard"
[[kinds]]
id = "electricity"
zh = "电力"
en = "electricity"
rate = { organisation = 100 }
secondary_unit_from = { value = "10", unit = "kW" }
equipment_from = { value = "100", unit = "kW" }
confidence = "unverified"
"""


def test_somebody_who_has_the_standard_enters_its_tables() -> None:
    """In the same form; then it is evaluated."""
    entered = parse_edition(TABLES, "gb17167-2025.toml")

    assert isinstance(provision([EnergyUser("a", ORGANISATION, "electricity")], {}, entered), tuple)
    with pytest.raises(CalibrationError, match="no row"):
        entered.accuracy("dc-meter")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("entered = true", "entered = false", "not entered"),
        ("organisation = 100", "organisation = 101", "100"),
        ("rate = { organisation = 100 }", "", "rate"),
        (TABLES[TABLES.index("[[kinds]]") :], "", "no [[kinds]]"),
    ],
)
def test_tables_with_a_fault_are_refused(old: str, new: str, said: str) -> None:
    """With file and field."""
    with pytest.raises(InputErrors) as caught:
        parse_edition(TABLES.replace(old, new), "own.toml")

    assert said in str(caught.value)
    with pytest.raises(CalibrationError, match="not shipped"):
        edition("gb17167-1997")
