"""The closed list of quantities, their base units, and the state a gas or heat amount refers to.

A quantity says what a number means: its unit, the meaning of its sign, and whether it is a *counter*
(an index that only grows and whose differences count) or an *instant* (a value that holds for a time).
Register maps and plans name quantities from this list only; a new meaning is a new member here.

Counters become integers once, in the base unit given here (design: exactness). Instants are float64 in
their base unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


class Kind(Enum):
    """How a quantity behaves in time."""

    COUNTER = "counter"
    INSTANT = "instant"
    STATE = "state"


class Temperature(Enum):
    """Temperature a gas volume is stated at; the pressure is 101.325 kPa unless ACTUAL."""

    ACTUAL = "actual"
    C0 = "0C"
    C15 = "15C"
    C20 = "20C"


class Moisture(Enum):
    """Whether a gas amount or fraction includes its water vapour."""

    WET = "wet"
    DRY = "dry"


class Heating(Enum):
    """Calorific basis of a heat amount or of a factor per unit of heat."""

    NCV = "NCV"
    HHV = "HHV"


@dataclass(frozen=True, slots=True)
class Reference:
    """The state a quantity or a factor refers to. A part that does not apply is None."""

    temperature: Temperature | None = None
    moisture: Moisture | None = None
    heating: Heating | None = None

    def __str__(self) -> str:
        parts = [p.value for p in (self.temperature, self.moisture, self.heating) if p is not None]
        return " ".join(parts) if parts else "no reference state"


NO_REFERENCE = Reference()


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of the list: meaning, base unit, accepted units with their exact ratio to the base unit."""

    kind: Kind
    base_unit: str
    units: dict[str, Fraction]
    sign: str
    zh: str
    en: str
    needs_temperature: bool = False
    needs_moisture: bool = False


class Quantity(Enum):
    """Every quantity a point can carry. The value is its name in register maps and plans."""

    ACTIVE_ENERGY_IMPORT = "active_energy_import"
    ACTIVE_ENERGY_EXPORT = "active_energy_export"
    ACTIVE_POWER = "active_power"
    VOLTAGE = "voltage"
    CURRENT = "current"
    FREQUENCY = "frequency"
    GAS_VOLUME = "gas_volume"
    MASS = "mass"
    GAS_FLOW = "gas_flow"
    CO2_FRACTION = "co2_fraction"
    CH4_FRACTION = "ch4_fraction"
    N2O_FRACTION = "n2o_fraction"
    O2_FRACTION = "o2_fraction"
    WATER_FRACTION = "water_fraction"
    GAS_TEMPERATURE = "gas_temperature"
    GAS_PRESSURE_ABSOLUTE = "gas_pressure_absolute"
    THERMAL_ENERGY = "thermal_energy"
    THERMAL_POWER = "thermal_power"
    LIQUID_VOLUME = "liquid_volume"
    LIQUID_FLOW = "liquid_flow"
    MASS_FLOW = "mass_flow"
    FLUID_TEMPERATURE = "fluid_temperature"
    OPERATING_STATE = "operating_state"
    DEVICE_STATUS = "device_status"

    @property
    def definition(self) -> Definition:
        """The line of the list for this quantity."""
        return DEFINITIONS[self]


_F = Fraction
_ENERGY = {"mWh": _F(1), "Wh": _F(1000), "kWh": _F(10**6), "MWh": _F(10**9)}
_VOLUME = {"mL": _F(1), "L": _F(1000), "m3": _F(10**6)}
_MASS = {"mg": _F(1), "g": _F(1000), "kg": _F(10**6), "t": _F(10**9)}
_FRACTION = {"vol%": _F(1), "ppm": _F(1, 10**4), "1": _F(100)}
_UP = "never negative; only grows"
_PLAIN = "never negative"

DEFINITIONS: dict[Quantity, Definition] = {
    Quantity.ACTIVE_ENERGY_IMPORT: Definition(
        Kind.COUNTER, "mWh", _ENERGY, _UP + "; energy taken by the facility", "正向有功电能", "active energy, import"
    ),
    Quantity.ACTIVE_ENERGY_EXPORT: Definition(
        Kind.COUNTER, "mWh", _ENERGY, _UP + "; energy given by the facility", "反向有功电能", "active energy, export"
    ),
    Quantity.ACTIVE_POWER: Definition(
        Kind.INSTANT,
        "W",
        {"W": _F(1), "kW": _F(1000), "MW": _F(10**6)},
        "positive when the facility takes energy",
        "有功功率",
        "active power",
    ),
    Quantity.VOLTAGE: Definition(Kind.INSTANT, "V", {"V": _F(1), "kV": _F(1000)}, _PLAIN, "电压", "voltage"),
    Quantity.CURRENT: Definition(Kind.INSTANT, "A", {"A": _F(1), "mA": _F(1, 1000)}, _PLAIN, "电流", "current"),
    Quantity.FREQUENCY: Definition(Kind.INSTANT, "Hz", {"Hz": _F(1)}, _PLAIN, "频率", "frequency"),
    Quantity.GAS_VOLUME: Definition(
        Kind.COUNTER, "mL", _VOLUME, _UP, "气体累积体积", "gas volume, totalised", needs_temperature=True
    ),
    Quantity.MASS: Definition(Kind.COUNTER, "mg", _MASS, _UP, "累积质量", "mass, totalised"),
    Quantity.GAS_FLOW: Definition(
        Kind.INSTANT,
        "m3/h",
        {"m3/h": _F(1), "m3/s": _F(3600)},
        "positive towards the stack's mouth",
        "气体流量",
        "gas flow",
        needs_temperature=True,
        needs_moisture=True,
    ),
    Quantity.CO2_FRACTION: Definition(
        Kind.INSTANT, "vol%", _FRACTION, _PLAIN, "二氧化碳体积分数", "CO2 volume fraction", needs_moisture=True
    ),
    Quantity.CH4_FRACTION: Definition(
        Kind.INSTANT, "vol%", _FRACTION, _PLAIN, "甲烷体积分数", "CH4 volume fraction", needs_moisture=True
    ),
    Quantity.N2O_FRACTION: Definition(
        Kind.INSTANT, "vol%", _FRACTION, _PLAIN, "氧化亚氮体积分数", "N2O volume fraction", needs_moisture=True
    ),
    Quantity.O2_FRACTION: Definition(
        Kind.INSTANT, "vol%", _FRACTION, _PLAIN, "氧气体积分数", "O2 volume fraction", needs_moisture=True
    ),
    Quantity.WATER_FRACTION: Definition(
        Kind.INSTANT, "vol%", _FRACTION, _PLAIN, "烟气湿度", "water vapour volume fraction"
    ),
    Quantity.GAS_TEMPERATURE: Definition(
        Kind.INSTANT, "Cel", {"Cel": _F(1)}, "degrees Celsius, either sign", "气体温度", "gas temperature"
    ),
    Quantity.GAS_PRESSURE_ABSOLUTE: Definition(
        Kind.INSTANT,
        "kPa",
        {"kPa": _F(1), "Pa": _F(1, 1000), "hPa": _F(1, 10)},
        "absolute, never negative",
        "气体绝对压力",
        "gas pressure, absolute",
    ),
    Quantity.THERMAL_ENERGY: Definition(
        Kind.COUNTER,
        "mWh",
        _ENERGY | {"MJ": _F(10**7, 36), "GJ": _F(10**10, 36)},
        _UP + "; heat given to the consumer",
        "热量",
        "thermal energy",
    ),
    Quantity.THERMAL_POWER: Definition(
        Kind.INSTANT,
        "W",
        {"W": _F(1), "kW": _F(1000), "MW": _F(10**6), "MJ/h": _F(10**6, 3600), "GJ/h": _F(10**9, 3600)},
        "positive when heat is given to the consumer",
        "热功率",
        "thermal power",
    ),
    Quantity.LIQUID_VOLUME: Definition(Kind.COUNTER, "mL", _VOLUME, _UP, "液体累积体积", "liquid volume, totalised"),
    Quantity.LIQUID_FLOW: Definition(
        Kind.INSTANT,
        "m3/h",
        {"m3/h": _F(1), "m3/s": _F(3600), "L/h": _F(1, 1000), "L/min": _F(60, 1000)},
        "positive in the meter's forward direction",
        "液体流量",
        "liquid flow",
    ),
    Quantity.MASS_FLOW: Definition(
        Kind.INSTANT,
        "kg/h",
        {"kg/h": _F(1), "kg/s": _F(3600), "t/h": _F(1000)},
        "positive in the meter's forward direction",
        "质量流量",
        "mass flow",
    ),
    Quantity.FLUID_TEMPERATURE: Definition(
        Kind.INSTANT, "Cel", {"Cel": _F(1)}, "degrees Celsius, either sign", "流体温度", "fluid temperature"
    ),
    Quantity.OPERATING_STATE: Definition(
        Kind.STATE, "1", {"1": _F(1)}, "a code; its meaning is in the plan", "运行状态", "operating state"
    ),
    Quantity.DEVICE_STATUS: Definition(
        Kind.STATE,
        "1",
        {"1": _F(1)},
        "a code or bit field; its meaning is in the register map",
        "设备状态",
        "device status",
    ),
}
