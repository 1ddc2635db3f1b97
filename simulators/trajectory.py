"""The plant's signals over many instants at once, equal to the scalar plant to the last bit.

Arithmetic runs in numpy in the scalar functions' own order; sines go through ``math.sin`` one by one, because
numpy's own differ from it, and from processor to processor, in the last bit. A signal without a form of its
own here is asked instant by instant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulators.boiler import Boiler
from simulators.loads import POWER_FACTOR, Load, NetLoad
from simulators.plant import Plant
from simulators.waves import Wave

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass
class Trajectory:
    """A plant asked for one set of instants after another; what several registers share is computed once."""

    plant: Plant
    _gas_parts: dict[int, int] = field(default_factory=dict)
    _at_ms: Int64 | None = None
    _known: dict[str, Float64] = field(default_factory=dict)

    def instants(self, signal: str, at_ms: Int64) -> Float64:
        """What ``Plant.instant`` gives at each instant."""
        if self._at_ms is not at_ms:
            self._at_ms, self._known = at_ms, {}
        if signal not in self._known:
            t_s = np.maximum(at_ms - self.plant.start_ms, 0) / 1000
            self._known.update(self._compute(signal, t_s))
        return self._known[signal]

    def totals(self, signal: str, at_ms: Int64) -> list[int]:
        """What ``Plant.total`` gives at each instant. [1e-6 base units]"""
        if signal != "boiler.gas" or signal in self.plant.halted:
            return [self.plant.total(signal, at) for at in at_ms.tolist()]
        cycle_ms = round(self.plant.boiler.schedule.cycle_s * 1000)
        cycles, rests = np.divmod(np.maximum(at_ms - self.plant.start_ms, 0), cycle_ms)
        whole = self.plant.boiler.part(self.plant.boiler.schedule.cycle_s)
        return [n * whole + self._gas_part(rest) for n, rest in zip(cycles.tolist(), rests.tolist(), strict=True)]

    def _gas_part(self, rest_ms: int) -> int:
        known = self._gas_parts.get(rest_ms)
        if known is None:
            known = self._gas_parts[rest_ms] = self.plant.boiler.part(rest_ms / 1000)
        return known

    def _compute(self, signal: str, t_s: Float64) -> dict[str, Float64]:
        owner, _, name = signal.partition(".")
        if signal in self.plant.halted:
            return {signal: _one_by_one(self.plant.instants[signal], t_s)}
        if owner == "stack":
            gas = {f"stack.{key}": value for key, value in flue_gas(self.plant.boiler, t_s).items()}
            return {name: value for name, value in gas.items() if name not in self.plant.halted}
        if signal == "boiler.gas_flow":
            return {signal: gas_flow(self.plant.boiler, t_s)}
        load = self.plant.loads.get(owner)
        form = None if load is None else _LOAD_SIGNALS.get(name)
        if load is not None and form is not None:
            return {signal: form(load, t_s)}
        function = self.plant.instants[signal]
        return {signal: _one_by_one(function, t_s)}


def wave(signal: Wave, t_s: Float64) -> Float64:
    """``Wave.value`` at each time."""
    swing = np.zeros_like(t_s)
    for sine in signal.sines:
        swing = swing + sine.amplitude * _one_by_one(math.sin, sine.omega * t_s + sine.phase)
    return signal.base + swing


def opening(boiler: Boiler, t_s: Float64) -> tuple[Float64, Float64]:
    """How far the burner is open, and the time inside the cycle. [1, s]"""
    segments = boiler.schedule.segments
    inside = np.fmod(t_s, boiler.schedule.cycle_s)
    number = np.searchsorted(np.array([s.to_s for s in segments]), inside, side="right")
    first, slope, from_s = (
        np.array(column)[number]
        for column in ([s.first for s in segments], [s.slope for s in segments], [s.from_s for s in segments])
    )
    return first + slope * (inside - from_s), inside


def gas_flow(boiler: Boiler, t_s: Float64) -> Float64:
    """``Boiler.gas_flow`` at each time. [m3/h]"""
    share, inside = opening(boiler, t_s)
    return share * wave(boiler.load, inside)


def flue_gas(boiler: Boiler, t_s: Float64) -> dict[str, Float64]:
    """``Boiler.flue_gas`` at each time, by the names of the stack's signals."""
    share, inside = opening(boiler, t_s)
    ratio = wave(boiler.excess_air, t_s) + boiler.start_excess * (1.0 - share)
    temperature, pressure = wave(boiler.stack_temperature, t_s), wave(boiler.stack_pressure, t_s)
    fuel_flow = share * wave(boiler.load, inside)
    still = fuel_flow <= 0.0
    flow, co2_wet, co2_dry, o2_wet, water = boiler.burnt(fuel_flow, ratio, temperature, pressure)
    still_o2, still_water = boiler.still_air()
    return {
        "flow": np.where(still, 0.0, flow),
        "temperature": temperature,
        "pressure": pressure,
        "co2_wet": np.where(still, 0.0, co2_wet),
        "co2_dry": np.where(still, 0.0, co2_dry),
        "o2_wet": np.where(still, still_o2, o2_wet),
        "water": np.where(still, still_water, water),
    }


def power(load: Load | NetLoad, t_s: Float64) -> Float64:
    """The load's power at each time. [W]"""
    return wave(load.wave if isinstance(load, Load) else Wave(load.base, (load.sine,)), t_s)


_LOAD_SIGNALS: dict[str, Callable[[Load | NetLoad, Float64], Float64]] = {
    "power": power,
    "phase_power": lambda load, t_s: power(load, t_s) / 3.0,
    "voltage": lambda load, t_s: wave(load.voltage, t_s),
    "frequency": lambda load, t_s: wave(load.frequency, t_s),
    "current": lambda load, t_s: np.abs(power(load, t_s)) / (3.0 * wave(load.voltage, t_s) * POWER_FACTOR),
}


def _one_by_one(function: Callable[[float], float], values: Float64) -> Float64:
    return np.fromiter(map(function, values.tolist()), dtype=np.float64, count=values.size)
