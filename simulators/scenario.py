"""The scenario file: a plant's own truth, its instruments, and which signal each register shows.

A range (``centre``, ``within_percent``) is where a true value lies: the seed draws it. The width is the
half-width of a 95 % interval with k = 2; the draw is rectangular with that standard deviation, so it never
leaves the interval (half-width x sqrt(3) / 2).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from protocols.errors import InputErrors
from protocols.modbus.maps import load_map
from protocols.modbus.registermap import RegisterMap
from protocols.toml import parse_toml, validate
from simulators import draws
from simulators.checks import CheckCycle
from simulators.faults.catalogue import AnyFault
from simulators.schedule import State
from simulators.tables import Table
from simulators.waves import TURN, Sine, Wave

SQRT3_HALF = Decimal("0.8660254")


class ScenarioError(ValueError):
    """A scenario or a register map can't be used; the text says which, what was seen and what to do."""


class Range(Table):
    """Where a true value lies."""

    centre: Decimal
    within_percent: Annotated[Decimal, Field(ge=0)] = Decimal(0)

    def draw(self, seed: int, *name: str) -> Fraction:
        """The true value for a seed, to twelve digits."""
        shift = Decimal(repr(draws.symmetric(seed, "true", *name))) * SQRT3_HALF * self.within_percent / 100
        return Fraction(Decimal(format(self.centre * (1 + shift), ".12g")))


class SineTable(Table):
    """One swing of a signal. [unit of the signal, s]"""

    amplitude: float
    period_s: Annotated[float, Field(gt=0)]


class WaveTable(Table):
    """A signal: base plus swings whose phases the seed draws."""

    base: float
    sines: tuple[SineTable, ...] = ()

    def build(self, seed: int, *name: str) -> Wave:
        """The signal for a seed."""
        phases = [TURN * draws.uniform(seed, "phase", *name, i) for i in range(len(self.sines))]
        return Wave(self.base, tuple(Sine(s.amplitude, s.period_s, p) for s, p in zip(self.sines, phases, strict=True)))


class Phase(Table):
    """A phase of the boiler's cycle. [s]"""

    state: Literal["running", "stopped", "starting", "standby"]
    seconds: Annotated[int, Field(gt=0)]

    @property
    def code(self) -> State:
        """The controller's code for the state."""
        return State[self.state.upper()]


class FuelTable(Table):
    """What the gas truly is; units as in ``simulators.boiler.Fuel``."""

    ncv_gj_per_m3: Range
    carbon_t_per_gj: Range
    oxidation: Range
    ch4_kg_per_tj: Range
    n2o_kg_per_tj: Range
    hydrogen_per_carbon: float


class BoilerTable(Table):
    """The boiler; units as in ``simulators.boiler.Boiler``."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    closing_s: Annotated[int, Field(gt=0)]
    load_m3_per_h: WaveTable
    excess_air: WaveTable
    start_excess: float
    air_humidity: float
    stack_temperature_c: WaveTable
    stack_pressure_kpa: WaveTable
    line_temperature_c: WaveTable
    line_pressure_kpa: WaveTable
    fuel: FuelTable


class LoadTable(Table):
    """A metered load; with ``net`` its power changes its sign (generation behind the meter). [W, V, Hz]"""

    power_w: WaveTable
    net: bool = False
    voltage_v: WaveTable
    frequency_hz: WaveTable


class Instrument(Table):
    """An instrument of the plant with its class.

    ``of`` fills the ``{of}`` of its signals; ``initial`` is where counters stand at the start, in the
    register's unit. Limits of error: half-width = percent_of_reading x reading; ``tighter`` gives lower
    percentages for single quantities, as a meter's frequency is better than its energy. ``identity`` says
    whether it answers functions 17 and 43/14.
    """

    id: str
    map: str
    unit: Annotated[int, Field(ge=1, le=247)]
    serial: str
    of: str = ""
    percent_of_reading: Annotated[Decimal, Field(ge=0)]
    repeatability_percent: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    tighter: dict[str, Decimal] = Field(default_factory=dict)
    initial: dict[str, Decimal] = Field(default_factory=dict)
    constants: dict[str, int] = Field(default_factory=dict)
    checks: CheckCycle | None = None
    identity: bool = True


class SourceTable(Table):
    """What a source truly emits: a boiler's fuel, or purchased electricity of loads."""

    kind: Literal["fuel", "electricity"]
    gases: Annotated[tuple[str, ...], Field(min_length=1)]
    loads: tuple[str, ...] = ()
    factor_kg_per_kwh: Range | None = None


class Scenario(Table):
    """One plant."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str
    title: str
    start: datetime
    noise_ms: Annotated[int, Field(ge=1)]
    boiler: BoilerTable
    loads: dict[str, LoadTable]
    sources: dict[str, SourceTable]
    signals: dict[str, dict[str, str]]
    instruments: Annotated[tuple[Instrument, ...], Field(min_length=1)]
    faults: tuple[AnyFault, ...] = ()


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    folder = resources.files("simulators") / "scenarios"
    names = (entry.name for entry in folder.iterdir())
    return sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml") and not n.endswith("-plan.toml"))


def load_scenario(name: str) -> Scenario:
    """Read a scenario by the name of a packaged one or by the path of a file.

    Raises
    ------
    ScenarioError
        There is no such scenario, or it is broken.
    """
    packaged = resources.files("simulators") / "scenarios" / f"{name}.toml"
    if name in scenario_names():
        text, where = packaged.read_text(encoding="utf-8"), f"scenario {name}"
    else:
        path = Path(name)
        if not path.is_file():
            known = ", ".join(scenario_names())
            raise ScenarioError(f"scenario {name!r}: no such name and no such file. Known names: {known}")
        text, where = path.read_text(encoding="utf-8"), str(path)
    try:
        scenario = validate(parse_toml(text, where), Scenario)
    except InputErrors as errors:
        raise ScenarioError(str(errors)) from errors
    if scenario.start.tzinfo is None:
        raise ScenarioError(f"{where}: start {scenario.start} has no UTC offset. Add one, for example +08:00")
    return scenario


@lru_cache(maxsize=256)
def load_register_map(model: str) -> RegisterMap:
    """The register map of a model, from the maps that come with ``protocols.modbus``.

    Raises
    ------
    ScenarioError
        There is no such map.
    """
    try:
        return load_map(model)[0]
    except InputErrors as errors:
        raise ScenarioError(str(errors)) from errors
