"""The plant: loads and boiler of a scenario under one seed, and its signals by name.

Times are UTC in milliseconds; the plant counts from the scenario's start and knows nothing before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from simulators import boiler as boilers
from simulators import loads
from simulators import stops as stopping
from simulators.faults.fault import instant_ms
from simulators.faults.process import Stop
from simulators.scenario import Scenario, ScenarioError
from simulators.schedule import build_schedule
from simulators.timeline import milliseconds
from simulators.waves import Wave

NORMAL_KELVIN = 273.15
NORMAL_KPA = 101.325


@dataclass(frozen=True, slots=True)
class Plant:
    """A scenario brought to life.

    ``instants`` are signals as functions of seconds since the start, in the base unit of their quantity;
    ``counters`` are totals since the start in 1e-6 base units, as functions of milliseconds since the start.
    ``halted`` are the signals that a stop changes.
    """

    scenario: Scenario
    seed: int
    start_ms: int
    boiler: boilers.Boiler
    loads: dict[str, loads.Load | loads.NetLoad]
    factors: dict[str, Fraction]
    instants: dict[str, Callable[[float], float]]
    counters: dict[str, Callable[[int], int]]
    halted: frozenset[str] = frozenset()

    def since_start(self, at_ms: int) -> int:
        """Milliseconds since the scenario's start; 0 before it."""
        return max(at_ms - self.start_ms, 0)

    def instant(self, signal: str, at_ms: int) -> float:
        """A signal's true value, in the base unit of its quantity."""
        return self.instants[signal](self.since_start(at_ms) / 1000)

    def total(self, signal: str, at_ms: int) -> int:
        """A counter signal's true total since the start. [1e-6 base units]"""
        return self.counters[signal](self.since_start(at_ms))


def build_plant(scenario: Scenario, seed: int, start: datetime | None = None) -> Plant:
    """Draw what the seed decides and join the parts.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    start : datetime or None
        Instant the plant counts from; the scenario's own where None. A plant that is started again with the
        same start, seed and scenario shows the same registers as if it had never stopped.

    Returns
    -------
    Plant
    """
    boiler = _build_boiler(scenario, seed)
    built = {name: _build_load(scenario, name, seed) for name in scenario.loads}
    factors = {
        name: source.factor_kg_per_kwh.draw(seed, "factor", name)
        for name, source in scenario.sources.items()
        if source.factor_kg_per_kwh is not None
    }
    instants, counters = _boiler_signals(boiler, scenario, seed)
    for name, load in built.items():
        for signal, function in _load_signals(load).items():
            instants[f"{name}.{signal}"] = function
        counters[f"{name}.import"] = _in_seconds(load.imported)
        counters[f"{name}.export"] = _in_seconds(load.exported)
    start_ms = milliseconds(start if start is not None else scenario.start)
    halted = _halt(scenario, start_ms, boiler, instants, counters)
    plant = Plant(scenario, seed, start_ms, boiler, built, factors, instants, counters, halted)
    for source_id, source in scenario.sources.items():
        for name in source.loads:
            if name not in built:
                known = ", ".join(built)
                raise ScenarioError(f"scenario {scenario.name}: source {source_id}: no load {name!r}. Loads: {known}")
    return plant


def _halt(
    scenario: Scenario,
    start_ms: int,
    boiler: boilers.Boiler,
    instants: dict[str, Callable[[float], float]],
    counters: dict[str, Callable[[int], int]],
) -> frozenset[str]:
    """Let the scenario's stops take hold of the signals; those that were changed."""
    stops = [fault for fault in scenario.faults if isinstance(fault, Stop)]
    owners = {"boiler": stopping.boiler_at_rest(boiler), **{n: stopping.load_at_rest(n) for n in scenario.loads}}
    halted: set[str] = set()
    for stop in stops:
        if stop.of and stop.of not in owners:
            seen = f"stop: no load {stop.of!r}"
            raise ScenarioError(f"scenario {scenario.name}: {seen}. Name one of {', '.join(owners)}, or none for all")
    for owner, rest in owners.items():
        spans = stopping.merged(
            (max(stop.begins_ms(start_ms) - start_ms, 0), instant_ms(stop.ends, start_ms) - start_ms)
            for stop in stops
            if stop.of in ("", owner)
        )
        if spans:
            for signal, instead in rest.items():
                instants[signal] = stopping.replaced(instants[signal], instead, spans)
            totals = [signal for signal in counters if signal.startswith(f"{owner}.")]
            for signal in totals:
                counters[signal] = stopping.standing_still(counters[signal], spans)
            halted.update(rest, totals)
    return frozenset(halted)


def _in_seconds(total: Callable[[float], int]) -> Callable[[int], int]:
    return lambda t_ms: total(t_ms / 1000)


def _build_boiler(scenario: Scenario, seed: int) -> boilers.Boiler:
    table = scenario.boiler
    fuel = boilers.Fuel(
        table.fuel.ncv_gj_per_m3.draw(seed, "fuel", "ncv"),
        table.fuel.carbon_t_per_gj.draw(seed, "fuel", "carbon"),
        min(table.fuel.oxidation.draw(seed, "fuel", "oxidation"), Fraction(1)),
        table.fuel.ch4_kg_per_tj.draw(seed, "fuel", "ch4"),
        table.fuel.n2o_kg_per_tj.draw(seed, "fuel", "n2o"),
        table.fuel.hydrogen_per_carbon,
    )
    schedule = build_schedule([(p.code, p.seconds) for p in table.phases], table.closing_s)
    load = table.load_m3_per_h.build(seed, "boiler", "load")
    for sine in load.sines:
        turns = schedule.cycle_s / sine.period_s
        if abs(turns - round(turns)) > 1e-9:
            raise ScenarioError(
                f"scenario {scenario.name}: boiler.load_m3_per_h: a swing of {sine.period_s} s does not divide the "
                f"cycle of {schedule.cycle_s:g} s. Take a whole number of swings per cycle"
            )
    if load.lowest <= 0:
        seen = f"boiler.load_m3_per_h can fall to {load.lowest:g}"
        raise ScenarioError(f"scenario {scenario.name}: {seen}. Keep it above 0")
    return boilers.Boiler(
        fuel,
        schedule,
        load,
        table.excess_air.build(seed, "boiler", "excess-air"),
        table.start_excess,
        table.air_humidity,
        table.stack_temperature_c.build(seed, "stack", "temperature"),
        table.stack_pressure_kpa.build(seed, "stack", "pressure"),
    )


def _build_load(scenario: Scenario, name: str, seed: int) -> loads.Load | loads.NetLoad:
    table = scenario.loads[name]
    wave = table.power_w.build(seed, name, "power")
    voltage, frequency = table.voltage_v.build(seed, name, "voltage"), table.frequency_hz.build(seed, "frequency")
    if not table.net:
        if wave.lowest < 0:
            raise ScenarioError(f"scenario {scenario.name}: load {name} can fall to {wave.lowest:g} W. Say net = true")
        return loads.Load(wave, voltage, frequency)
    if len(wave.sines) != 1 or abs(wave.base) > wave.sines[0].amplitude:
        raise ScenarioError(f"scenario {scenario.name}: load {name}: net needs one swing that is greater than the base")
    return loads.NetLoad(wave.base, wave.sines[0], voltage, frequency)


def _load_signals(load: loads.Load | loads.NetLoad) -> dict[str, Callable[[float], float]]:
    def current(t_s: float) -> float:
        return abs(load.power(t_s)) / (3.0 * load.voltage.value(t_s) * loads.POWER_FACTOR)

    return {
        "power": load.power,
        "phase_power": lambda t_s: load.power(t_s) / 3.0,
        "voltage": load.voltage.value,
        "frequency": load.frequency.value,
        "current": current,
    }


def _boiler_signals(
    boiler: boilers.Boiler, scenario: Scenario, seed: int
) -> tuple[dict[str, Callable[[float], float]], dict[str, Callable[[int], int]]]:
    temperature = scenario.boiler.line_temperature_c.build(seed, "line", "temperature")
    pressure = scenario.boiler.line_pressure_kpa.build(seed, "line", "pressure")
    mean = Wave(temperature.base), Wave(pressure.base)  # the actual volume is told at mean line conditions
    swelling = Fraction((mean[0].base + NORMAL_KELVIN) / NORMAL_KELVIN * NORMAL_KPA / mean[1].base).limit_denominator(
        10**6
    )
    instants: dict[str, Callable[[float], float]] = {
        "boiler.gas_flow": boiler.gas_flow,
        "boiler.state": lambda t_s: float(boiler.state(t_s)),
        "boiler.line_temperature": temperature.value,
        "boiler.line_pressure": pressure.value,
        "stack.flow": lambda t_s: boiler.flue_gas(t_s).flow,
        "stack.temperature": boiler.stack_temperature.value,
        "stack.pressure": boiler.stack_pressure.value,
        "stack.co2_wet": lambda t_s: boiler.flue_gas(t_s).co2_wet,
        "stack.co2_dry": lambda t_s: boiler.flue_gas(t_s).co2_dry,
        "stack.o2_wet": lambda t_s: boiler.flue_gas(t_s).o2_wet,
        "stack.water": lambda t_s: boiler.flue_gas(t_s).water,
        "zero": lambda t_s: 0.0,  # noqa: ARG005 - a signal like any other
    }
    counters: dict[str, Callable[[int], int]] = {
        "boiler.gas": boiler.gas_total,
        "boiler.gas_actual": lambda t_ms: round(boiler.gas_total(t_ms) * swelling),
    }
    return instants, counters
