"""Status behind windows: chains, entered instruments, suspect stretches, and the properties of an hour's masses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.events import Event, Known, What
from calibration.instruments import Chain, Instrument, Member, Part, from_plan
from calibration.status import Reason, State
from collector.hours.assemble import WindowSpan, assemble
from collector.hours.lives import Lives, Trust
from collector.hours.model import COARSE, HourRow
from protocols.plan.model import Regime
from protocols.records import Window
from tests.calibration.happenings import DAYS, KNOWN_AT, failed, happened
from tests.calibration.records import at
from tests.collector.test_hours import GRID, MINUTE_MS, PLAN, RULE, STACK, window

ZONE = PLAN.plan.facility.time_zone
METER = next(one for one in PLAN.plan.instruments if one.id == "em-1")
CT = Instrument("ct-1", "CT1", Regime.USER_DEFINED)


def made(windows: list[Window], trust: Trust, size: int | None = None) -> tuple[HourRow, ...]:
    """Hour rows as known at a size of the log."""
    return assemble("a" * 64, [WindowSpan(PLAN, windows)], RULE, Lives(trust, size))


def from_instant(one: Window, at_ms: int) -> Window:
    """The window moved to begin at an instant."""
    return replace(one, from_ms=at_ms, to_ms=at_ms + MINUTE_MS)


def of_meter(event: Event) -> Event:
    """The same event of the plan's meter."""
    return _renamed(event, "em-1", "E1")


def _renamed(event: Event, name: str, serial: str) -> Event:
    return replace(event, instrument=name, serial=serial)


def _state(trust: Trust, day: str, size: int | None = None) -> tuple[State, str, Reason]:
    found = Lives(trust, size).chained(PLAN, METER).at(at(day, ZONE))
    return found.state, found.cause, found.reason


def test_a_failed_test_makes_what_was_in_interval_unknown_and_says_by_which_test() -> None:
    """Since the day after the last pass nobody can tell; what was overdue already stays overdue."""
    passed = of_meter(happened("pass", "2021-01-01", valid_until=_day("2021-06-30")))
    bad = of_meter(failed("bad", "2021-08-01"))
    trust = Trust(events=[(passed, 1), (bad, 2)])

    assert (State.UNKNOWN, "bad", Reason.SUSPECT) == _state(trust, "2021-03-01")
    assert (State.IN_INTERVAL, "pass", Reason.NONE) == _state(trust, "2021-03-01", 1)
    assert (State.OVERDUE, "pass", Reason.NONE) == _state(trust, "2021-07-15")
    assert State.FAILED is _state(trust, "2021-08-15")[0]


def _day(text: str) -> date:
    return date.fromisoformat(text)


def test_an_entered_record_counts_for_its_own_serial_number_only() -> None:
    """The same id with another serial number is another instrument, and proves nothing of the plan's."""
    report = of_meter(happened("cal", "2021-01-01", What.CALIBRATION, valid_until=_day("2021-12-31")))
    own = Instrument("em-1", "E1", Regime.USER_DEFINED)
    other = Instrument("em-1", "E9", Regime.USER_DEFINED)

    assert State.UNKNOWN is _state(Trust(events=[(report, 1)]), "2021-06-01")[0]
    assert State.IN_INTERVAL is _state(Trust(events=[(report, 1)], instruments=[(own, 2)]), "2021-06-01")[0]
    assert State.UNKNOWN is _state(Trust(events=[(report, 1)], instruments=[(own, 2)]), "2021-06-01", 1)[0]
    assert State.UNKNOWN is _state(Trust(events=[(report, 1)], instruments=[(own, 2), (other, 3)]), "2021-06-01")[0]


def test_a_chain_is_its_worst_member_and_a_swap_changes_members() -> None:
    """The meter is in interval; the first transformer goes overdue, the second replaces it in mid-window."""
    swap_ms = at("2021-03-05T10:20:30", ZONE)
    meter = of_meter(happened("m", "2021-01-01", valid_until=_day("2022-12-31")))
    first = _renamed(happened("c1", "2020-01-01", valid_until=_day("2021-02-28")), "ct-1", "CT1")
    second = _renamed(happened("c2", "2021-01-01", valid_until=_day("2022-12-31")), "ct-2", "CT2")
    chain = Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1")))
    swapped = chain.swapped(Part.CURRENT_TRANSFORMER, "ct-1", "ct-2", swap_ms)
    trust = Trust(
        events=[(meter, 1), (first, 1), (second, 1)],
        instruments=[(CT, 1), (Instrument("ct-2", "CT2", Regime.USER_DEFINED), 1)],
        chains=[(chain, 2), (swapped, 3)],
    )
    one = from_instant(window(GRID, 0, 60), swap_ms // MINUTE_MS * MINUTE_MS)

    assert [(("overdue", 60),), (("overdue", 30), ("in-interval", 30))] == [
        tuple(sorted(row.status_mg, reverse=True)) for size in (2, 3) for row in made([one], trust, size)
    ]
    assert (("in-interval", 60),) == made([one], trust, 1)[0].status_mg


def test_a_member_that_nobody_registered_is_unknown() -> None:
    """A chain names what it needs; where no record says what that is, nothing speaks for it."""
    meter = of_meter(happened("m", "2021-01-01", valid_until=_day("2022-12-31")))
    chain = Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.VOLTAGE_TRANSFORMER, "pt-9")))

    assert State.UNKNOWN is _state(Trust(events=[(meter, 1)], chains=[(chain, 1)]), "2021-06-01")[0]


def test_the_coarse_rules_know_certificates_alone_and_split_no_window() -> None:
    """As documents of before were made: three states, each window on that of its beginning."""
    passed = of_meter(happened("pass", "2021-01-01", valid_until=_day("2021-06-30")))
    bad = of_meter(failed("bad", "2021-04-01"))
    trust = Trust(certificates=[(passed, 1)], events=[(bad, 1)])
    one = from_instant(window(GRID, 0, 60), at("2021-07-01", ZONE) - MINUTE_MS // 2)

    (row,) = assemble("a" * 64, [WindowSpan(PLAN, [one])], RULE, Lives(trust, rules=COARSE))
    both = Trust(certificates=[(passed, 1), (bad, 1)])
    (failing,) = assemble("a" * 64, [WindowSpan(PLAN, [one])], RULE, Lives(both, rules=COARSE))

    assert (("in-interval", 60),) == row.status_mg
    assert (("overdue", 60),) == failing.status_mg


def test_the_ledger_states_an_instruments_uncertainty_anew() -> None:
    """By its certificate, with the transformer of its chain; the factor's part stays, and without a test all."""
    until = _day("2022-12-31")
    own = Instrument("em-1", "E1", Regime.USER_DEFINED, mpe=from_plan(METER).mpe)
    meter = of_meter(happened("m", "2021-01-01", What.CALIBRATION, valid_until=until))
    of_ct = _renamed(happened("c", "2021-01-01", What.CALIBRATION, valid_until=until), "ct-1", "CT1")
    chain = Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1")))
    one = from_instant(window(GRID, 0, 60), at("2021-06-01T10:00", ZONE))
    alone = Trust(events=[(meter, 1)], instruments=[(own, 1)])
    chained = replace(alone, events=[(meter, 1), (of_ct, 1)], instruments=[(own, 1), (CT, 1)], chains=[(chain, 1)])

    def shared(trust: Trust, size: int | None = None) -> dict[str, float]:
        return dict(made([one], trust, size)[0].u_shared)

    ratio = 0.0005 / (float(METER.accuracy.percent_of_reading) / 100 / 3**0.5)  # U = 0.1 %, k = 2
    assert {"factor:grid-factor": 2.0, "instrument:em-1": 2.0} == shared(alone, 0)
    assert {"factor:grid-factor": 2.0, "instrument:em-1": 2.0 * ratio} == pytest.approx(shared(alone), rel=1e-9)
    assert 2.0 * ratio * 2**0.5 == pytest.approx(shared(chained)["instrument:em-1"], rel=1e-9)
    assert one.u_shared == (2.0, 2.0)


@st.composite
def histories(draw: st.DrawFn) -> Trust:
    """Events of the plan's instruments and a transformer, with a chain, entered at any time."""
    whose = [("em-1", "E1"), ("stack-1", "S1"), ("ct-1", "CT1")]
    found: list[Known] = []
    for place in range(draw(st.integers(0, 8))):
        day = draw(DAYS).isoformat()
        kind = draw(st.sampled_from(["pass", "pass", "fail", "out", "back", "moved"]))
        name = f"e{place}"
        if kind == "pass":
            event = happened(name, day, valid_until=_day(f"2023-{draw(st.integers(1, 12)):02}-15"))
        elif kind == "fail":
            event = failed(name, day)
        else:
            event = happened(name, day, {"out": What.OUT_OF_USE, "back": What.BACK_IN_USE, "moved": What.MOVE}[kind])
        found.append((_renamed(event, *draw(st.sampled_from(whose))), draw(st.integers(1, 20))))
    chain = Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1")))
    return Trust(
        events=found, instruments=[(CT, draw(st.integers(1, 20)))],
        chains=[(chain, draw(st.integers(1, 20)))] if draw(st.booleans()) else (),
    )  # fmt: skip


@st.composite
def hours(draw: st.DrawFn) -> list[Window]:
    """Windows around a midnight at which statuses may change, and half a minute off it."""
    begin = at(draw(DAYS).isoformat(), ZONE) - draw(st.integers(0, 3)) * MINUTE_MS - 30_000
    masses = draw(st.lists(st.integers(-(10**9), 10**12), min_size=1, max_size=6))
    known = [draw(st.integers(0, 60_000)) for _ in masses]
    return [
        from_instant(window(source, 0, mass, 60_000, measured), begin + place * MINUTE_MS)
        for place, (mass, measured) in enumerate(zip(masses, known, strict=True)) for source in (GRID, STACK)
    ]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(histories(), hours(), KNOWN_AT)
def test_masses_per_status_add_to_the_hour(trust: Trust, windows: list[Window], size: int | None) -> None:
    """To the milligram and the millisecond, whatever happened to the instruments and whenever it became known."""
    for row in made(windows, trust, size):
        assert row.mass_mg == sum(mass for _, mass in row.status_mg)
        assert row.measured_ms + row.stopped_ms == sum(ms for _, ms in row.status_ms)
        assert {name for name, _ in row.status_mg} <= {state.value for state in State}


@settings(max_examples=60, deadline=None)
@given(histories(), histories(), hours(), st.integers(0, 20))
def test_later_knowledge_never_changes_an_earlier_hour(
    trust: Trust, more: Trust, windows: list[Window], size: int
) -> None:
    """What becomes known from a greater tree size is not seen at a smaller one."""
    later = Trust(
        events=[*trust.events, *((replace(one, id=f"later-{one.id}"), size + known) for one, known in more.events)],
        instruments=[*trust.instruments, *((one, size + known) for one, known in more.instruments)],
        chains=[*trust.chains, *((one, size + known) for one, known in more.chains)],
    )

    assert made(windows, trust, size) == made(windows, later, size)


@settings(max_examples=60, deadline=None)
@given(histories(), hours(), KNOWN_AT, st.randoms(use_true_random=False))
def test_hours_are_the_same_from_any_order_and_again(
    trust: Trust, windows: list[Window], size: int | None, chance: Random
) -> None:
    """The order in which records are given changes nothing, nor does asking twice."""
    shuffled = list(trust.events)
    chance.shuffle(shuffled)
    lives = Lives(trust, size)
    twice = [assemble("a" * 64, [WindowSpan(PLAN, windows)], RULE, lives) for _ in range(2)]

    assert (
        twice[0]
        == twice[1]
        == made(windows, Trust(events=shuffled, instruments=trust.instruments, chains=trust.chains), size)
    )
