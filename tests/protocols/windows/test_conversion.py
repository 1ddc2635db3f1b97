"""Volumes converted to a reference state: by hand, over any split, and nothing is lost while conditions are unknown."""

import random
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import InputErrors
from protocols.ghg.volume import volume_factor
from protocols.quantities import Temperature
from protocols.records import Absence, Fate, ReadRequest, Window, fate_code
from protocols.windows.continuity import implausible
from protocols.windows.fold import Folded, fold
from protocols.windows.opening import initial_state
from tests.plans import MAP, PLAN, float_words, sample, small_plan

START = 1_767_225_600_000
VOLUME = 'id = "gm-1.volume"\ninstrument = "gm-1"\nregister = "volume"\nscan_class = "meters"\nmax_rate = 1000\n'
MEASURED = (
    'conversion = { to = "0C", temperature = "stack-1.temperature", pressure = "stack-1.pressure",'
    " compressibility = 0.98, usual_temperature_c = 15, usual_pressure_kpa = 400 }\n"
)
ACTUAL = MAP.replace('temperature = "0C"', 'temperature = "actual"')
AT_20 = MAP.replace('temperature = "0C"', 'temperature = "20C"')


def text_with(conversion: str) -> str:
    """The small plan with a conversion of its gas meter."""
    assert 1 == PLAN.count(VOLUME)
    return PLAN.replace(VOLUME, VOLUME + conversion)


BOUND = small_plan(plan=text_with(MEASURED), rig=ACTUAL)
FACTOR = 400 / 101.325 * 273.15 / 288.15 / 0.98


def run(silent: range = range(0), seconds: int = 60) -> Folded:
    """20 L/s at 15 degC and 400 kPa; the conditions do not answer in the seconds named."""

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        if request.scan_class and slot - START // 1000 in silent:
            return Fate.TIMEOUT
        words = {point.id: float_words(1.0) for point in BOUND.points} | {"em-1.energy": 1, "stack-1.state": 0}
        words |= {"stack-1.temperature": float_words(15.0), "stack-1.pressure": float_words(400.0)}
        return 20, words | {"gm-1.volume": 5_000 + (due_ms - START) // 500}

    low, high = START, START + 1000 * seconds
    return fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, answer), (), low, high)


def boiler(folded: Folded) -> list[Window]:
    """The boiler's windows."""
    return [window for window in folded.windows if window.source == 1]


def test_a_volume_at_conditions_becomes_one_at_the_reference_state() -> None:
    """Activity and mass of five seconds, worked out by hand; the first reading has no conditions yet."""
    windows = boiler(run())

    assert {round(100_000 * FACTOR)} == {window.activity for window in windows[1:]}
    assert 100_000 * FACTOR * 2.162 == pytest.approx(windows[1].mass_mg, abs=1)
    assert START + 5_020 == windows[0].from_ms


def test_what_is_counted_without_conditions_waits_for_them() -> None:
    """Twenty silent seconds: four readings wait, and the volume is all there afterwards."""
    folded = run(range(20, 40))
    whole = boiler(run())
    slots = {one.fate: one.count for one in folded.slots if BOUND.points[one.point].id == "gm-1.volume"}

    assert sum(w.activity for w in whole) == pytest.approx(sum(w.activity for w in boiler(folded)), abs=4)
    assert 5 == slots[fate_code(Fate.NOT_AVAILABLE, Absence.NO_CONDITIONS)]  # the first one, and 25, 30, 35, 40 s
    assert any(window.flags for window in boiler(folded))


def test_the_uncertainty_is_of_the_volume_at_the_reference_state() -> None:
    """Meter 1.5 %; temperature 2 % of 15 degC and pressure 2 %, both of one instrument, so they add."""
    causes = {cause.name: cause.relative for cause in BOUND.sources[1].counters[0].causes}
    window = boiler(run())[3]

    assert 0.015 / 3**0.5 == pytest.approx(causes["instrument:gm-1"])
    assert (0.02 * 15 / 288.15 + 0.02) / 3**0.5 == pytest.approx(causes["instrument:stack-1"])
    assert 10_000 * FACTOR * 2.162 / 12**0.5 < window.u_end


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(1, 11), max_size=4))
def test_splitting_a_span_changes_nothing_to_the_bit(seed: int, cuts: set[int]) -> None:
    """Late and missing answers of meter and conditions: equal windows, slots and state; openings stay plausible."""
    rng = random.Random(seed)
    past: dict[tuple[object, ...], tuple[int, Mapping[str, int]] | Fate] = {}

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        key = (request.unit, request.scan_class, slot)
        if key not in past:
            delay = rng.choice([0, 20, 700, 999])
            words = {point.id: float_words(rng.uniform(1.0, 500.0)) for point in BOUND.points}
            words |= {"em-1.energy": 1, "stack-1.state": 0, "gm-1.volume": (due_ms + delay - START) // 500}
            if rng.random() < 0.05:
                words["gm-1.volume"] = 0
            past[key] = Fate.TIMEOUT if rng.random() < 0.3 else (delay, words)
        return past[key]

    low, high = START, START + 60_000
    whole = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, answer), (), low, high)
    state = initial_state(BOUND, low)
    windows: list[Window] = []
    slots: dict[tuple[int, int], int] = {}
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 12], strict=True):
        span = (START + a * 5_000, START + b * 5_000)
        part = fold(BOUND, state, sample(BOUND, *span, answer), (), *span)
        state = part.state
        windows += part.windows
        assert not implausible(state, BOUND)
        for one in part.slots:
            slots[one.point, one.fate] = slots.get((one.point, one.fate), 0) + one.count
    order = lambda w: (w.source, w.input, w.gas, w.from_ms)  # noqa: E731

    assert sorted(whole.windows, key=order) == sorted(windows, key=order)
    assert whole.state == state
    assert {(one.point, one.fate): one.count for one in whole.slots} == slots


def test_between_reference_states_the_ratio_is_exact() -> None:
    """A register at 20 degC for a factor at 0 degC."""
    point = small_plan(plan=text_with('conversion = { to = "0C" }\n'), rig=AT_20).points[1]

    assert Fraction(10_000) * Fraction("273.15") / Fraction("293.15") == point.ratio
    assert (Temperature.C0, None) == (point.reference.temperature, point.conversion)


@pytest.mark.parametrize(
    ("celsius", "kpa"), [(-273.15, 100.0), (-300.0, 100.0), (15.0, 0.0), (15.0, -1.0), (15.0, 1e9)]
)
def test_no_gas_in_such_a_state_has_no_factor(celsius: float, kpa: float) -> None:
    """Absolute zero, no pressure, a garbled word."""
    assert np.isnan(volume_factor(np.array([celsius]), np.array([kpa]), Temperature.C0, 1.0)[0])


@pytest.mark.parametrize(
    ("conversion", "rig", "says"),
    [
        ('conversion = { to = "0C" }\n', MAP, "the register is at 0C already"),
        ('conversion = { to = "0C" }\n', ACTUAL, "points[1].conversion.temperature: no temperature"),
        (MEASURED, AT_20, "from 20C to 0C the ratio is exact"),
        ('conversion = { to = "0C", compressibility = 0.9 }\n', AT_20, "nothing is compressed"),
        (MEASURED.replace("stack-1.pressure", "stack-1.water"), ACTUAL, "stack-1.water is water_fraction"),
        (MEASURED.replace("stack-1.pressure", "stack-1.presure"), ACTUAL, "did you mean 'stack-1.pressure'"),
        (MEASURED.replace("kpa = 400", "kpa = 20000").replace("0.98", "0.1"), ACTUAL, "no gas is so usually"),
        ('conversion = { to = "15C" }\n', AT_20, "reference state 0C, but the volume is at 15C"),
        ("", ACTUAL, "reference state 0C, but the volume is at actual"),
    ],
)
def test_a_broken_conversion_is_named(conversion: str, rig: str, says: str) -> None:
    """What was seen and what to do."""
    with pytest.raises(InputErrors) as errors:
        small_plan(plan=text_with(conversion), rig=rig)

    assert says in str(errors.value)
