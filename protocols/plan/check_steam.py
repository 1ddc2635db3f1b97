"""The rules of sources of purchased steam and hot water: flow, state, and factors per unit of heat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from protocols.ghg.factors import FactorError, coefficient
from protocols.plan.check_cems import code_problems
from protocols.plan.check_counters import COUNTED_GASES
from protocols.plan.inputs import Registers, expect
from protocols.plan.model import Plan, Source
from protocols.plan.problem import Problem
from protocols.quantities import NO_REFERENCE, Quantity, Temperature
from protocols.toml_lines import TomlPath

Wanted: TypeAlias = dict[str, tuple[Quantity, ...]]

STEAM_INPUTS: Wanted = {
    "flow": (Quantity.MASS_FLOW, Quantity.GAS_FLOW, Quantity.LIQUID_FLOW),
    "temperature": (Quantity.FLUID_TEMPERATURE, Quantity.GAS_TEMPERATURE),
    "pressure": (Quantity.GAS_PRESSURE_ABSOLUTE,),
}
"""What the inputs of a steam source measure."""


def steam_shape_problems(path: TomlPath, source: Source) -> Iterator[Problem]:
    """Which tables the method wants, and which it has no use for."""
    inputs = source.inputs
    for key in ("add", "subtract", "moisture", "concentration"):
        if getattr(inputs, key):
            hint = "method steam takes flow, temperature and pressure; remove it"
            yield Problem((*path, "inputs", key), f"{key} in a steam source", hint)
    for key in ("flow", "pressure"):
        if getattr(inputs, key) is None:
            yield Problem((*path, "inputs", key), f"no {key}", f"method steam needs the point of the {key}")
    saturated = source.steam is not None and source.steam.dryness is not None
    if saturated and inputs.temperature is not None:
        hint = "the temperature of saturated steam follows from its pressure: remove it, or the dryness"
        yield Problem((*path, "inputs", "temperature"), "a temperature beside a dryness", hint)
    if not saturated and inputs.temperature is None:
        hint = "name the point of the temperature; for saturated steam state steam = { dryness = 1 } instead"
        yield Problem((*path, "inputs", "temperature"), "no temperature", hint)
    for gas in source.gases:
        if gas in COUNTED_GASES and not source.factors.get(gas):
            hint = "name the factors that lead from heat to its mass"
            yield Problem((*path, "factors", gas), f"no factors for {gas}", hint)
    if source.operating is not None:
        yield from code_problems((*path, "operating"), source.operating)


def steam_input_problems(path: TomlPath, source: Source, plan: Plan, registers: Registers) -> Iterator[Problem]:
    """Inputs measure what they should, and factors lead from heat to a mass of each gas."""
    for key, wanted in STEAM_INPUTS.items():
        name = getattr(source.inputs, key)
        if name is not None:
            yield from expect((*path, "inputs", key), name, wanted, registers)
    flow = registers.get(source.inputs.flow or "")
    if flow is not None and flow.quantity is Quantity.GAS_FLOW and flow.temperature != Temperature.ACTUAL.value:
        hint = "a volume of steam is reckoned at the state it has; use a mass flow, or a register of actual volume"
        yield Problem((*path, "inputs", "flow"), f"{source.inputs.flow} is at {flow.temperature}", hint)
    if source.operating is not None:
        where: TomlPath = (*path, "operating", "point")
        yield from expect(where, source.operating.point, (Quantity.OPERATING_STATE,), registers)
    records = {factor.id: factor for factor in plan.factors}
    for gas, chain in source.factors.items():
        if gas in source.gases and gas in COUNTED_GASES and chain:
            try:
                coefficient([records[name] for name in chain], gas, Quantity.THERMAL_ENERGY, NO_REFERENCE)
            except FactorError as error:
                yield Problem((*path, "factors", gas), str(error))
