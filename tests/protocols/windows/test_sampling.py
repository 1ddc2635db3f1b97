"""What a rate does between two samples is in the uncertainty of a window: by hand."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from protocols.records import Batch, Clock, ClockState, Fate, ReadRequest, Window
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.windows.recompute import recompute
from tests.plans import float_words, sample, small_plan

BOUND = small_plan()
START = 1_767_225_600_000
KG_PER_H = 10_000 * 273.15 / 393.15 * 0.9 * 0.01 * 44.0095 / 22.414
"""Rate per vol% of dry CO2 at the state below."""


def windows_of(co2: list[float], missing: set[int], state: list[int]) -> list[Window]:
    """Windows of the stack, second by second; repeatability is not looked at."""

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        second = min(max(slot - START // 1000, 0), len(co2) - 1) if request.scan_class else 0
        if request.scan_class and second in missing:
            return Fate.TIMEOUT
        return 0, {
            "em-1.energy": 1, "gm-1.volume": 1, "stack-1.flow": float_words(10_000.0),
            "stack-1.temperature": float_words(120.0), "stack-1.pressure": float_words(101.325),
            "stack-1.water": float_words(10.0), "stack-1.co2": float_words(co2[second]), "stack-1.state": state[second],
        }  # fmt: skip

    low, high = START, START + 1000 * len(co2)
    samples = sample(BOUND, low, high, answer)
    folded = fold(BOUND, initial_state(BOUND, low), samples, (), low, high)
    return [window for window in folded.windows if window.source == 2]


def part_of(co2: list[float], missing: set[int], state: list[int]) -> float:
    """What the second window's independent part has beyond that of a rate which never changes. [mg]"""
    with_changes, without = (windows_of(values, missing, state)[1] for values in (co2, [co2[0]] * len(co2)))
    return math.sqrt(max(with_changes.u_independent**2 - without.u_independent**2, 0.0))


MG_PER_S = KG_PER_H / 3600 * 1e6
RUNNING = [1] * 10


@pytest.mark.parametrize(
    ("co2", "missing", "expected"),
    [
        ([8.0] * 10, set(), 0.0),
        # one change of 2 vol% that 1 s of holding hid: d L / 2 and d L / sqrt(12)
        ([8.0] * 7 + [10.0] * 3, set(), math.hypot(1.0, 2 / math.sqrt(12))),
        # up and down again: the trend cancels, the scatter does not
        ([8.0] * 7 + [10.0] + [8.0] * 2, set(), 2 * math.sqrt(2 / 12)),
        # a slot is missing before the change: the value stood for 2 s
        ([8.0] * 7 + [10.0] * 3, {6}, math.hypot(2.0, 4 / math.sqrt(12))),
        # a ramp: five changes of 0.5 vol% in one direction add up
        ([8.0] * 5 + [8.0, 8.5, 9.0, 9.5, 10.0], set(), math.hypot(1.0, math.sqrt(4 * 0.25 / 12))),
    ],
)
def test_a_change_between_samples_counts_for_as_long_as_the_value_stood(
    co2: list[float], missing: set[int], expected: float
) -> None:
    """Worked out by hand from d and L; repeatability follows the level and is not quite the same in both."""
    assert expected * MG_PER_S == pytest.approx(part_of(co2, missing, RUNNING), rel=5e-3, abs=20)


def test_a_stop_is_a_change_to_zero() -> None:
    """8 vol% for one second before the state says stopped: 8 L / 2 and 8 L / sqrt(12)."""
    stopped = windows_of([8.0] * 10, set(), [1] * 7 + [0] * 3)[1]

    assert 8 * MG_PER_S / math.sqrt(3) == pytest.approx(stopped.u_independent, rel=0.01)


def test_an_understated_uncertainty_is_a_difference() -> None:
    """A batch recomputes without one; half of the uncertainty is one."""
    ramp = [8.0 + step / 10 for step in range(60)]

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        words = {point.id: float_words(50.0) for point in BOUND.points}
        return 0, words | {"stack-1.co2": float_words(ramp[slot % 60]), "stack-1.state": 1}

    low, high = START, START + 60_000
    state, samples = initial_state(BOUND, low), sample(BOUND, low, high, answer)
    folded = fold(BOUND, state, samples, (), low, high)
    clock = Clock(bytes(16), 0, ClockState.SYNCED, 1)
    batch = Batch(
        bytes(16), 0, bytes(32), BOUND.digest, low, high, clock, "", state, samples, (), folded.windows, folded.slots
    )
    lower = tuple(replace(window, u_independent=window.u_independent / 2) for window in folded.windows)

    assert ([], folded.state) == recompute(BOUND, batch)
    assert recompute(BOUND, replace(batch, windows=lower))[0]
