"""A gas boiler and its stack, from one balance: what the fuel brings is what the stack carries.

Reference state of the fuel is 0 degC and 101.325 kPa. The air is taken as free of CO2, so that the stack's CO2
is the fuel's CO2 and there is one truth for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simulators.schedule import Schedule, State
from simulators.waves import Wave

GAS_CONSTANT = 8.314462618
"""Molar gas constant. [J/(mol K)] CODATA 2018, exact by the SI since 2019."""
MOLAR_MASS_CO2 = 44.0095
"""[g/mol] IUPAC conventional atomic weights."""
MOLAR_MASS_C = 12.011
"""[g/mol] IUPAC conventional atomic weights."""
OXYGEN_IN_AIR = 0.2095
"""Mole fraction of oxygen in dry air; the rest is nitrogen and argon, which pass unchanged."""
ZERO_CELSIUS = 273.15
SUB = 10**6
"""Sub-units of a base unit in which totals are added as integers."""

N = TypeVar("N", float, NDArray[np.float64])
"""One instant, or many."""


@dataclass(frozen=True, slots=True)
class Fuel:
    """What the gas truly is.

    Attributes
    ----------
    ncv : Fraction
        Net calorific value at 0 degC. [GJ/m3]
    carbon : Fraction
        Carbon content. [tC/GJ]
    oxidation : Fraction
        Part of the carbon that becomes CO2. [1]
    ch4, n2o : Fraction
        Emission factors of the boiler. [kg/TJ]
    hydrogen_per_carbon : float
        Atoms of hydrogen per atom of carbon. [1]
    """

    ncv: Fraction
    carbon: Fraction
    oxidation: Fraction
    ch4: Fraction
    n2o: Fraction
    hydrogen_per_carbon: float

    def mg_per_ml(self, gas: str) -> Fraction:
        """Mass of a gas per volume of fuel at 0 degC. [mg/mL]"""
        if gas == "CO2":  # t/m3 = 1e9 mg / 1e6 mL
            return self.ncv * self.carbon * self.oxidation * Fraction(44, 12) * 1000
        factor = {"CH4": self.ch4, "N2O": self.n2o}[gas]
        return self.ncv * factor / 1000  # GJ/m3 x kg/TJ = g/m3 = 1e3 mg / 1e6 mL


@dataclass(frozen=True, slots=True)
class FlueGas:
    """The gas in the stack at one instant.

    Attributes
    ----------
    flow : float
        Volume flow as it is, wet. [m3/h]
    temperature : float
        [degC]
    pressure : float
        Absolute. [kPa]
    co2_wet, co2_dry, o2_wet, water : float
        Volume fractions. [vol%]
    """

    flow: float
    temperature: float
    pressure: float
    co2_wet: float
    co2_dry: float
    o2_wet: float
    water: float


@dataclass(frozen=True, slots=True)
class Boiler:
    """The boiler as a function of the seconds since the scenario's start.

    ``load`` is the gas flow of the open burner at 0 degC [m3/h]; its sines' periods divide the schedule's
    cycle. ``excess_air`` is the air ratio [1], ``start_excess`` what a closed burner adds to it.
    ``air_humidity`` is moles of water per mole of dry air.
    """

    fuel: Fuel
    schedule: Schedule
    load: Wave
    excess_air: Wave
    start_excess: float
    air_humidity: float
    stack_temperature: Wave
    stack_pressure: Wave

    def state(self, t_s: float) -> State:
        """Operating state."""
        return self.schedule.at(t_s)[0].state

    def gas_flow(self, t_s: float) -> float:
        """Fuel flow at 0 degC. [m3/h]"""
        segment, inside = self.schedule.at(t_s)
        return segment.opening(inside) * self.load.value(inside)

    def gas_total(self, t_ms: int) -> int:
        """Fuel used since the scenario's start, at 0 degC. [1e-6 mL]

        Whole cycles are an integer each, so that the total neither drifts nor depends on the way it was asked for.
        """
        cycle_ms = round(self.schedule.cycle_s * 1000)
        cycles, rest_ms = divmod(t_ms, cycle_ms)
        return cycles * self.part(self.schedule.cycle_s) + self.part(rest_ms / 1000)

    def part(self, inside_s: float) -> int:
        """Fuel used since the cycle's start, at 0 degC. [1e-6 mL]"""
        return round(self.schedule.integral(self.load, inside_s) / 3600.0 * 1e6 * SUB)

    def flue_gas(self, t_s: float) -> FlueGas:
        """The gas in the stack; humid air that stands still while the burner is closed."""
        segment, inside = self.schedule.at(t_s)
        ratio = self.excess_air.value(t_s) + self.start_excess * (1.0 - segment.opening(inside))
        temperature, pressure = self.stack_temperature.value(t_s), self.stack_pressure.value(t_s)
        fuel_flow = self.gas_flow(t_s)
        if fuel_flow <= 0.0:
            o2, water = self.still_air()
            return FlueGas(0.0, temperature, pressure, 0.0, 0.0, o2, water)
        flow, co2_wet, co2_dry, o2, water = self.burnt(fuel_flow, ratio, temperature, pressure)
        return FlueGas(flow, temperature, pressure, co2_wet, co2_dry, o2, water)

    def still_air(self) -> tuple[float, float]:
        """Oxygen and water in the humid air of a closed burner's stack. [vol%]"""
        dry_air = 1.0 / (1.0 + self.air_humidity)
        return 100.0 * OXYGEN_IN_AIR * dry_air, 100.0 * self.air_humidity * dry_air

    def burnt(self, fuel_flow: N, ratio: N, temperature: N, pressure: N) -> tuple[N, N, N, N, N]:
        """The gas of an open burner, of one instant or of many: flow [m3/h], CO2 wet and dry, O2, water [vol%]."""
        co2 = float(self.fuel.mg_per_ml("CO2")) * 1000.0 / MOLAR_MASS_CO2  # mol per m3 of fuel: mg/mL is kg/m3
        carbon = float(self.fuel.ncv * self.fuel.carbon) * 1e6 / MOLAR_MASS_C
        hydrogen = carbon * self.fuel.hydrogen_per_carbon
        air = ratio * (carbon + hydrogen / 4.0) / OXYGEN_IN_AIR
        oxygen = OXYGEN_IN_AIR * air - co2 - hydrogen / 4.0
        rest = (1.0 - OXYGEN_IN_AIR) * air
        water = hydrogen / 2.0 + self.air_humidity * air
        dry = co2 + oxygen + rest
        wet = dry + water
        kelvin = temperature + ZERO_CELSIUS
        flow = fuel_flow * wet * GAS_CONSTANT * kelvin / (pressure * 1000.0)
        return flow, 100.0 * co2 / wet, 100.0 * co2 / dry, 100.0 * oxygen / wet, 100.0 * water / wet
