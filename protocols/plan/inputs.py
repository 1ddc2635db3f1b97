"""What a source is computed from, and what each input must measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from protocols.modbus.registermap import Register
from protocols.plan.model import Source
from protocols.plan.problem import Problem
from protocols.quantities import Quantity
from protocols.toml_lines import TomlPath

Registers: TypeAlias = Mapping[str, Register]
"""The register behind each point, by the point's id."""

RATE_INPUTS = {
    "flow": Quantity.GAS_FLOW,
    "temperature": Quantity.GAS_TEMPERATURE,
    "pressure": Quantity.GAS_PRESSURE_ABSOLUTE,
    "moisture": Quantity.WATER_FRACTION,
}
"""What the inputs of a CEMS source measure."""


def inputs_of(source: Source) -> list[tuple[TomlPath, str]]:
    """Every point a source is computed from, with its path below the source."""
    inputs = source.inputs
    found: list[tuple[TomlPath, str]] = [(("inputs", "add", i), name) for i, name in enumerate(inputs.add)]
    found += [(("inputs", "subtract", i), name) for i, name in enumerate(inputs.subtract)]
    for key in RATE_INPUTS:
        name = getattr(inputs, key)
        if name is not None:
            found.append((("inputs", key), name))
    found += [(("inputs", "concentration", gas), name) for gas, name in inputs.concentration.items()]
    return found


def expect(path: TomlPath, name: str, wanted: tuple[Quantity, ...], registers: Registers) -> Iterator[Problem]:
    """A problem where the point measures none of the wanted quantities."""
    register = registers.get(name)
    if register is not None and register.quantity not in wanted:
        hint = f"a point of {' or '.join(q.value for q in wanted)} is needed here"
        yield Problem(path, f"{name} is {register.quantity.value}", hint)
