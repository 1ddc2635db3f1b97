"""Analyzer status and plausibility: a check is never an emission, a doubtful value is marked and counted."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import InputErrors
from protocols.plan.bound import BoundPlan
from protocols.records import Absence, Doubt, Event, EventKind, Fate, Phase, ReadRequest, Window, WindowFlag, fate_code
from protocols.windows.fold import Folded, fold
from protocols.windows.opening import initial_state
from protocols.wire.state import read_state, state_map
from tests.plans import MAP, PLAN, Answer, float_words, sample, small_plan
from tests.protocols.plan.site import bound_site, changed

REGISTER = 'name = "doing"\nquantity = "device_status"\nfunction = 3\naddress = 11\ntype = "u16"\nunit = "1"\n'
RIG = f"{MAP}\n[[registers]]\n{REGISTER}"
GRID = '[[sources]]\nid = "grid"'
DOING = '[[points]]\nid = "stack-1.doing"\ninstrument = "stack-1"\nregister = "doing"\nscan_class = "stack"\n\n'
CO2 = 'id = "stack-1.co2"\ninstrument = "stack-1"\nregister = "co2"\nscan_class = "stack"\n'
STATUS = (
    'status = { point = "stack-1.doing", measure = [0], zero = [1], span = [2], maintenance = [3], fault = [4],'
    " zero_gas = 0, span_gas = 12.0 }\n"
)
RULES = "plausible = { low = 0, high = 20, max_step = 3, frozen_after = 4 }\n"
START = 1_767_225_600_000
STEADY = {
    "em-1.energy": 1_000_000, "gm-1.volume": 5_000,
    "stack-1.flow": float_words(10_000.0), "stack-1.temperature": float_words(120.0),
    "stack-1.pressure": float_words(101.325), "stack-1.water": float_words(10.0), "stack-1.state": 1,
}  # fmt: skip


def text_with(*rules: str) -> str:
    """The small plan with a status register and rules on its CO2 analyzer."""
    return PLAN.replace(GRID, DOING + GRID).replace(CO2, CO2 + "".join(rules))


JUDGED = small_plan(plan=text_with(STATUS), rig=RIG)
BOTH = small_plan(plan=text_with(STATUS, RULES), rig=RIG)
PLAIN = small_plan(plan=text_with(RULES), rig=RIG)
AT = {point.id: position for position, point in enumerate(BOTH.points)}


def told(values: list[tuple[float, int]]) -> Answer:
    """(CO2, status) second by second; the last one stays."""

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        co2, doing = values[min(slot - START // 1000, len(values) - 1)] if request.scan_class else (8.0, 0)
        return 20, {**STEADY, "stack-1.co2": float_words(co2), "stack-1.doing": doing}

    return answer


def run(bound: BoundPlan, values: list[tuple[float, int]], seconds: int = 20) -> Folded:
    """Fold so many seconds from the start."""
    low, high = START, START + 1000 * seconds
    return fold(bound, initial_state(bound, low), sample(bound, low, high, told(values)), (), low, high)


def stack(folded: Folded) -> list[Window]:
    """The stack's windows."""
    return [window for window in folded.windows if window.source == 2]


def counts(folded: Folded, point: str = "stack-1.co2") -> dict[int, int]:
    """Slots of a point by fate code."""
    return {one.fate: one.count for one in folded.slots if one.point == AT[point]}


CYCLE = [*[(8.0, 0)] * 5, *[(0.25, 1)] * 3, *[(11.75, 2)] * 4, (0.0, 3), *[(8.0, 0)] * 7]


def test_what_is_read_on_check_gas_is_an_event_and_never_an_emission() -> None:
    """Zero, span, maintenance: slots in calibration, two drifts, mass from the rest alone."""
    folded = run(JUDGED, CYCLE)
    zero, span, maintenance = folded.derived_events

    assert {EventKind.CALIBRATION_CHECK} == {one.kind for one in folded.derived_events}
    assert {"check": "zero", "from_ms": START + 5_020, "measured": 0.25, "expected": 0.0, "drift": 0.25} == dict(
        zero.details
    )
    assert {"check": "span", "from_ms": START + 8_020, "measured": 11.75, "expected": 12.0, "drift": -0.25} == dict(
        span.details
    )
    assert ("stack-1.co2", START + 12_020) == (span.subject, span.at_ms)
    assert {"check": "maintenance", "from_ms": START + 12_020} == dict(maintenance.details)
    assert {
        int(Fate.GOOD): 12,
        fate_code(Fate.IN_CALIBRATION, Phase.ZERO): 3,
        fate_code(Fate.IN_CALIBRATION, Phase.SPAN): 4,
        fate_code(Fate.IN_CALIBRATION, Phase.MAINTENANCE): 1,
    } == counts(folded)
    rates = {window.mass_mg * 1000 // window.measured_ms for window in stack(folded) if window.measured_ms}
    assert max(rates) == pytest.approx(min(rates), rel=1e-3)
    assert 12_000 - 20 == sum(window.measured_ms for window in stack(folded))
    assert 20_000 - 20 == sum(window.operating_ms for window in stack(folded))


def test_the_hold_ends_where_a_check_begins() -> None:
    """The last good value does not stand for the first second on zero gas."""
    first = next(window for window in stack(run(JUDGED, CYCLE)) if window.from_ms == START + 5_000)

    assert 20 == first.measured_ms


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (4, fate_code(Fate.NOT_AVAILABLE, Absence.FAULT)),
        (9, fate_code(Fate.NOT_AVAILABLE, Absence.STATUS_UNKNOWN)),
    ],
)
def test_a_fault_and_an_unknown_status_are_no_value(code: int, fate: int) -> None:
    """Neither is a check: no event, no mass."""
    folded = run(JUDGED, [*[(8.0, 0)] * 5, *[(8.0, code)] * 15])

    assert ({int(Fate.GOOD): 5, fate: 15}, ()) == (counts(folded), folded.derived_events)
    assert 5_000 == sum(window.measured_ms for window in stack(folded))


@pytest.mark.parametrize(
    ("values", "doubts"),
    [
        ([*[7.0, 8.0] * 5, 30.0, *[8.0, 7.0] * 5], {Doubt.RANGE: 1, Doubt.STEP: 1}),
        ([*[7.0, 8.0] * 5, -0.5, *[2.0, 1.0] * 5], {Doubt.RANGE: 1}),
        ([*[7.0, 8.0] * 5, *[12.0, 11.0] * 5], {Doubt.STEP: 1}),
        ([*[7.0, 8.0] * 5, *[8.5] * 6, *[7.0, 8.0] * 2], {Doubt.FROZEN: 3}),
        ([7.0, 8.0] * 10, {}),
    ],
)
def test_what_cannot_be_believed_is_uncertain_for_a_reason(values: list[float], doubts: dict[Doubt, int]) -> None:
    """Range, step, frozen value; the window that rests on it says so."""
    folded = run(PLAIN, [(value, 0) for value in values])

    assert {fate_code(Fate.UNCERTAIN, doubt): n for doubt, n in doubts.items()} == {
        code: n for code, n in counts(folded).items() if code & 0xFF == Fate.UNCERTAIN
    }
    assert bool(doubts) == any(window.flags & WindowFlag.UNCERTAIN for window in stack(folded))
    assert WindowFlag.UNCERTAIN not in {window.flags for window in stack(folded)[:2]}


def test_values_around_a_check_are_neither_a_step_nor_frozen() -> None:
    """Equal readings before and after a check are no run, and the way back from span gas is no step."""
    folded = run(BOTH, [(7.0, 0), (8.0, 0), (8.0, 0), *[(0.0, 1)] * 9, (8.0, 0), (8.0, 0), *[(7.0, 0), (8.0, 0)] * 3])

    assert {int(Fate.GOOD): 11, fate_code(Fate.IN_CALIBRATION, Phase.ZERO): 9} == counts(folded)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(1, 11), max_size=4))
def test_splitting_a_span_changes_nothing_to_the_bit(seed: int, cuts: set[int]) -> None:
    """Checks, doubts, faults and late answers across any border: equal windows, events, slots and state."""
    rng = random.Random(seed)
    past: dict[tuple[int, int], tuple[int, Mapping[str, int]] | Fate] = {}

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        key = (request.scan_class, slot)
        if key not in past:
            words = STEADY | {
                "stack-1.co2": float_words(rng.choice([8.0, 8.0, 8.0, 7.0, 13.0, 25.0, float("nan")])),
                "stack-1.doing": rng.choice([0, 0, 0, 0, 1, 1, 2, 3, 4, 9]),
            }
            past[key] = Fate.TIMEOUT if rng.random() < 0.2 else (rng.choice([0, 20, 700, 999]), words)
        return past[key]

    low, high = START, START + 60_000
    whole = fold(BOTH, initial_state(BOTH, low), sample(BOTH, low, high, answer), (), low, high)
    state = initial_state(BOTH, low)
    windows: list[Window] = []
    events: list[Event] = []
    slots: dict[tuple[int, int], int] = {}
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 12], strict=True):
        span = (START + a * 5_000, START + b * 5_000)
        part = fold(BOTH, state, sample(BOTH, *span, answer), (), *span)
        state = read_state(state_map(part.state), "state")
        windows += part.windows
        events += part.derived_events
        for one in part.slots:
            slots[one.point, one.fate] = slots.get((one.point, one.fate), 0) + one.count
    order = lambda w: (w.source, w.input, w.gas, w.from_ms)  # noqa: E731

    assert sorted(whole.windows, key=order) == sorted(windows, key=order)
    assert (whole.state, whole.derived_events) == (state, tuple(events))
    assert {(one.point, one.fate): one.count for one in whole.slots} == slots


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("measure = [0]", "measure = []", "points[6].status.measure: no code"),
        ("zero = [1]", "zero = [0]", "points[6].status.zero[0]: 0. this is measure already"),
        ("zero = [1]", "zero = []", "points[6].status.zero_gas: zero_gas without a code of zero"),
        ('"stack-1.doing", m', '"stack-1.going", m', "did you mean 'stack-1.doing'"),
        ('"stack-1.doing", m', '"stack-1.flow", m', "points[6].status.point: stack-1.flow is gas_flow"),
        ('"stack-1.doing", m', '"stack-1.co2", m', '"stack-1.co2" itself'),
        ("low = 0, high = 20, max_step = 3, frozen_after = 4", "", "points[6].plausible: no rule"),
        ("low = 0,", "low = 21,", "nothing lies between 21 and 20"),
        ('max_rate_unit = "m3/h"', 'max_rate_unit = "m3/h"\nplausible = { high = 9 }', "plausible on gas_volume"),
        ('doing"\nscan_class = "stack"', 'doing"\nscan_class = "meters"', "are read by different requests"),
    ],
)
def test_a_broken_rule_is_named(old: str, new: str, says: str) -> None:
    """Where it is, what was seen and what to do."""
    text = text_with(STATUS, RULES)
    assert 1 == text.count(old)

    with pytest.raises(InputErrors) as errors:
        small_plan(plan=text.replace(old, new), rig=RIG)

    assert says in str(errors.value)


METER = 'accuracy = { class = "1", percent_of_reading = 1.0 }\n'
RATE = 'max_rate = 1000\nmax_rate_unit = "kWh/h"\n'
RATING = "rating = { voltage_v = 230, current_a = 5, margin_percent = 20 }\nct_ratio = 100\n"


def test_a_rating_bounds_the_growth_of_an_energy_counter() -> None:
    """3 x 230 V x 500 A + 20 % is 414 kW; a stated rate beyond it is refused."""
    bound = small_plan(plan=PLAN.replace(METER, METER + RATING).replace(RATE, ""))

    assert 414 * 10**6 == bound.points[0].max_per_hour
    with pytest.raises(InputErrors, match="a rating without a transformer ratio"):
        small_plan(plan=PLAN.replace(METER, METER + RATING.replace("ct_ratio = 100\n", "")).replace(RATE, ""))
    gas = 'accuracy = { class = "1.5", percent_of_reading = 1.5 }\n'
    with pytest.raises(InputErrors, match="a rating of gm-1, which shows none"):
        small_plan(plan=PLAN.replace(gas, gas + RATING))
    with pytest.raises(InputErrors, match=r"1000 kWh/h, where 3 x 230 V x 5 A \+ 20 % allows 414 kWh/h"):
        small_plan(plan=PLAN.replace(METER, METER + RATING))


def test_a_rating_bounds_instants_by_transformer_ratios() -> None:
    """5 A x CT 40 + 20 % is 240 A on the primary side, whatever side the register shows."""
    rated = changed("pt_ratio = 1.5\n", "pt_ratio = 1.5\nrating = { voltage_v = 100, current_a = 5 }\n")
    current = bound_site(rated).points[2]

    assert current.plausible is not None
    assert (0.0, 240.0, None) == (current.plausible.low, current.plausible.high, current.plausible.max_step)
    assert bound_site().points[2].plausible is None
