from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from simulators.schedule import State, build_schedule
from simulators.waves import Sine, Wave, positive_integral


def midpoint(function: Callable[[float], float], to_s: float, steps: int = 200_000) -> float:
    """Independent oracle: midpoint quadrature from 0."""
    width = to_s / steps
    return math.fsum(function((i + 0.5) * width) for i in range(steps)) * width


def test_integral_of_a_wave_is_its_quadrature() -> None:
    """The closed form of base plus sines agrees with quadrature."""
    wave = Wave(38.0, (Sine(6.0, 97.0, 1.1), Sine(2.5, 31.0, -0.4)))

    assert wave.integral(123.4) == pytest.approx(midpoint(wave.value, 123.4), rel=1e-10)


@pytest.mark.parametrize("base", [-15.9, -6.0, 0.0, 6.0, 15.9, 16.0])
def test_integral_of_the_positive_part_is_its_quadrature(base: float) -> None:
    """A sum that changes its sign has its positive part integrated over whole and broken periods."""
    sine = Sine(16.0, 240.0, 2.2)
    expected = midpoint(lambda t: max(Wave(base, (sine,)).value(t), 0.0), 777.7)

    assert positive_integral(base, sine, 777.7) == pytest.approx(expected, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("inside_s", [0.0, 3.0, 20.0, 111.1, 565.0, 570.0, 580.0, 600.0])
def test_integral_of_a_cycle_is_its_quadrature(inside_s: float) -> None:
    """Ramps times sines agree with quadrature at any place of the cycle."""
    schedule = build_schedule([(State.STARTING, 20), (State.RUNNING, 550), (State.STOPPED, 30)], 10)
    load = Wave(300.0, (Sine(45.0, 200.0, 0.3), Sine(12.0, 50.0, 4.0)))

    def flow(t: float) -> float:
        segment, inside = schedule.at(t)
        return segment.opening(inside) * load.value(inside)

    assert schedule.integral(load, inside_s) == pytest.approx(midpoint(flow, inside_s), rel=1e-8, abs=1e-6)


def test_states_follow_the_schedule_and_repeat() -> None:
    """The state is that of the phase, in every cycle, and the opening has no jump."""
    schedule = build_schedule([(State.STARTING, 20), (State.RUNNING, 550), (State.STOPPED, 30)], 10)
    seen = [schedule.at(cycle * 600 + t)[0].state for cycle in (0, 7) for t in (0, 19.9, 20, 569.9, 570, 599.9)]

    expected = [State.STARTING, State.STARTING, State.RUNNING, State.RUNNING, State.STOPPED, State.STOPPED]
    assert expected * 2 == seen
    for before, after in zip(schedule.segments, schedule.segments[1:], strict=False):
        assert before.opening(before.to_s) == pytest.approx(after.opening(after.from_s))


def test_a_running_phase_shorter_than_closing_is_refused() -> None:
    """A schedule the burner can't follow names both figures."""
    with pytest.raises(ValueError, match=r"running phase of 5 s.*closing_s = 10"):
        build_schedule([(State.RUNNING, 5), (State.STOPPED, 5)], 10)
