"""Electrical loads with exact energy: one-way loads and a load with generation behind the same meter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators.waves import Sine, Wave, positive_integral

MILLIWATT_HOURS_PER_WATT_SECOND = 1.0 / 3.6
SUB = 10**6
"""Sub-units of a milliwatt hour in which totals are added as integers."""
POWER_FACTOR = 0.95


def _total(watt_seconds: float) -> int:
    return round(watt_seconds * MILLIWATT_HOURS_PER_WATT_SECOND * SUB)


@dataclass(frozen=True, slots=True)
class Load:
    """A load that only takes energy. ``wave`` is its power, never negative [W]; ``voltage`` [V], ``frequency`` [Hz]."""

    wave: Wave
    voltage: Wave
    frequency: Wave

    def power(self, t_s: float) -> float:
        """Power, positive when the facility takes energy. [W]"""
        return self.wave.value(t_s)

    def imported(self, t_s: float) -> int:
        """Energy taken since the scenario's start. [1e-6 mWh]"""
        return _total(self.wave.integral(t_s))

    def exported(self, t_s: float) -> int:  # noqa: ARG002 - the same form as NetLoad
        """Energy given since the scenario's start: none. [1e-6 mWh]"""
        return 0


@dataclass(frozen=True, slots=True)
class NetLoad:
    """A load with generation behind the meter: base + sine changes its sign, and the meter keeps both sums."""

    base: float
    sine: Sine
    voltage: Wave
    frequency: Wave

    def power(self, t_s: float) -> float:
        """Power, positive when the facility takes energy. [W]"""
        return Wave(self.base, (self.sine,)).value(t_s)

    def imported(self, t_s: float) -> int:
        """Energy taken since the scenario's start. [1e-6 mWh]"""
        return _total(positive_integral(self.base, self.sine, t_s))

    def exported(self, t_s: float) -> int:
        """Energy given since the scenario's start. [1e-6 mWh]"""
        turned = Sine(self.sine.amplitude, self.sine.period_s, self.sine.phase + math.pi)
        return _total(positive_integral(-self.base, turned, t_s))
