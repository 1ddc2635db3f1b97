"""Smooth signals with a closed-form integral: a constant plus sines, and its positive part."""

from __future__ import annotations

import math
from dataclasses import dataclass

TURN = 2.0 * math.pi


@dataclass(frozen=True, slots=True)
class Sine:
    """``amplitude * sin(2 pi t / period_s + phase)``; the period is in seconds, the phase in radians."""

    amplitude: float
    period_s: float
    phase: float

    @property
    def omega(self) -> float:
        """Angular frequency. [rad/s]"""
        return TURN / self.period_s


@dataclass(frozen=True, slots=True)
class Wave:
    """A base value plus sines, as a function of the seconds since the scenario's start."""

    base: float
    sines: tuple[Sine, ...] = ()

    def value(self, t_s: float) -> float:
        """The value at a time."""
        swing = 0.0
        for sine in self.sines:  # one by one: what sum() gives for floats depends on the Python version
            swing += sine.amplitude * math.sin(sine.omega * t_s + sine.phase)
        return self.base + swing

    def integral(self, t_s: float) -> float:
        """Integral from 0 to ``t_s``. [unit x s]"""
        swing = (s.amplitude / s.omega * (math.cos(s.phase) - math.cos(s.omega * t_s + s.phase)) for s in self.sines)
        return self.base * t_s + math.fsum(swing)

    @property
    def lowest(self) -> float:
        """A bound the value never goes below."""
        return self.base - sum(abs(s.amplitude) for s in self.sines)


def positive_integral(base: float, sine: Sine, t_s: float) -> float:
    """Integral from 0 to ``t_s`` of ``max(base + sine, 0)``.

    Parameters
    ----------
    base : float
        Magnitude not above the amplitude, so that the sum changes its sign (or touches zero).
    sine : Sine
        With a positive amplitude.
    t_s : float
        [s]

    Returns
    -------
    float
        [unit x s]
    """
    rise = math.asin(-base / sine.amplitude)  # the sum is positive for angles from rise to pi - rise
    arc = math.pi - 2.0 * rise

    def arc_integral(angle: float) -> float:
        return base * angle + sine.amplitude * (math.cos(rise) - math.cos(rise + angle))

    def since_rise(angle: float) -> float:
        turns = math.floor((angle - rise) / TURN)
        rest = angle - rise - turns * TURN
        return turns * arc_integral(arc) + arc_integral(min(rest, arc))

    start = sine.phase
    return (since_rise(start + sine.omega * t_s) - since_rise(start)) / sine.omega
