"""The rules of CEMS sources: flow, concentrations, the conversions their states need, and the operating state."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.ghg.cems import needed_inputs
from protocols.plan.inputs import RATE_INPUTS, Registers, expect
from protocols.plan.model import Inputs, Operating, Source
from protocols.plan.problem import Problem, unknown
from protocols.plan.ratios import reference_of
from protocols.quantities import Moisture, Quantity
from protocols.toml_lines import TomlPath

CONCENTRATIONS = {
    "CO2": Quantity.CO2_FRACTION,
    "CH4": Quantity.CH4_FRACTION,
    "N2O": Quantity.N2O_FRACTION,
}
"""Gases with a measured concentration."""

STATES = ("running", "starting", "standby", "stopped")


def cems_shape_problems(path: TomlPath, source: Source) -> Iterator[Problem]:
    """Which tables the method wants, and which it has no use for."""
    inputs = source.inputs
    for key in ("add", "subtract"):
        if getattr(inputs, key):
            hint = "method cems takes flow, concentration and their conversions; remove it"
            yield Problem((*path, "inputs", key), f"{key} in a CEMS source", hint)
    if source.factors:
        hint = "method cems measures the mass; remove the factors"
        yield Problem((*path, "factors"), "factors in a CEMS source", hint)
    if inputs.flow is None:
        yield Problem((*path, "inputs", "flow"), "no flow", "method cems needs the point of the gas flow")
    for gas in source.gases:
        if gas in CONCENTRATIONS and gas not in inputs.concentration:
            hint = f"name the point of {CONCENTRATIONS[gas].value}"
            yield Problem((*path, "inputs", "concentration", gas), f"no concentration of {gas}", hint)
    for gas in inputs.concentration:
        if gas not in source.gases:
            yield unknown((*path, "inputs", "concentration", gas), "gas", gas, source.gases, " in this source")
    if source.operating is None:
        hint = "a rate needs to know when the plant runs: name the point of the operating state and its codes"
        yield Problem((*path, "operating"), "no operating state", hint)
    else:
        yield from code_problems((*path, "operating"), source.operating)


def code_problems(path: TomlPath, operating: Operating) -> Iterator[Problem]:
    """A code means one state, and running and stopped have one."""
    owner: dict[int, str] = {}
    for state in STATES:
        for index, code in enumerate(getattr(operating, state)):
            if code in owner:
                hint = f"this is {owner[code]} already; a code means one state"
                yield Problem((*path, state, index), str(code), hint)
            owner.setdefault(code, state)
    for state in ("running", "stopped"):
        if not getattr(operating, state):
            yield Problem((*path, state), "no code", f"say which codes mean {state}")


def cems_input_problems(path: TomlPath, source: Source, registers: Registers) -> Iterator[Problem]:
    """Inputs measure what they should, with the conversions their states need and no more."""
    wrong = list(_wrong_quantities(path, source, registers))
    yield from wrong
    if not wrong:
        yield from _conversion_problems(path, source.inputs, registers)


def _wrong_quantities(path: TomlPath, source: Source, registers: Registers) -> Iterator[Problem]:
    inputs = source.inputs
    for key, quantity in RATE_INPUTS.items():
        name = getattr(inputs, key)
        if name is not None:
            yield from expect((*path, "inputs", key), name, (quantity,), registers)
    for gas, name in inputs.concentration.items():
        if gas in CONCENTRATIONS:
            yield from expect((*path, "inputs", "concentration", gas), name, (CONCENTRATIONS[gas],), registers)
    if source.operating is not None:
        where: TomlPath = (*path, "operating", "point")
        yield from expect(where, source.operating.point, (Quantity.OPERATING_STATE,), registers)


def _conversion_problems(path: TomlPath, inputs: Inputs, registers: Registers) -> Iterator[Problem]:
    """Temperature, pressure and moisture are there exactly where a state has to be converted."""
    flow = registers.get(inputs.flow or "")
    fractions = [registers.get(name) for name in inputs.concentration.values()]
    if flow is None or flow.quantity is not Quantity.GAS_FLOW or not fractions:
        return
    if not all(f is not None and f.moisture is not None for f in fractions):
        return
    reference = reference_of(flow)
    bases = sorted({f.moisture for f in fractions if f is not None and f.moisture is not None})
    needed = {name for basis in bases for name in needed_inputs(reference, basis == Moisture.DRY.value)}
    for key in ("temperature", "pressure", "moisture"):
        present = getattr(inputs, key) is not None
        states = f"a flow at {reference} and fractions that are {' and '.join(bases)}"
        if key in needed and not present:
            yield Problem((*path, "inputs", key), f"no {key}", f"{states} need it")
        if present and key not in needed:
            yield Problem((*path, "inputs", key), f"{key} is not used", f"{states} do not need it; remove it")
