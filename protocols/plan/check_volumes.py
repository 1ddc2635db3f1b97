"""The rules of volume conversion: what a counter's volume is at, and what it takes to be at a reference state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from protocols.exact import LIMIT
from protocols.ghg.volume import MOST_FACTOR, volume_factor
from protocols.modbus.registermap import Register
from protocols.plan.inputs import expect
from protocols.plan.model import Conversion, Plan, Point
from protocols.plan.problem import Problem, unknown
from protocols.plan.ratios import max_rate
from protocols.quantities import Quantity, Temperature
from protocols.toml_lines import TomlPath

CONDITIONS = {
    "temperature": (Quantity.GAS_TEMPERATURE, Quantity.FLUID_TEMPERATURE),
    "pressure": (Quantity.GAS_PRESSURE_ABSOLUTE,),
}
"""What the points of a conversion measure."""

FOR_ACTUAL = ("temperature", "pressure", "usual_temperature_c", "usual_pressure_kpa")
"""Keys that a volume at actual conditions needs, and no other."""

HOURS = 87_600
"""A difference of ten years at the greatest rate and factor still fits the arithmetic. [h]"""


def volume_problems(plan: Plan, registers: Mapping[str, Register] | None) -> Iterator[Problem]:
    """Every broken rule of conversions; ``registers`` are those of the maps, before any conversion."""
    points = [point.id for point in plan.points]
    for position, point in enumerate(plan.points):
        conversion = point.conversion
        if conversion is None:
            continue
        path: TomlPath = ("points", position, "conversion")
        for key, wanted in CONDITIONS.items():
            name = getattr(conversion, key)
            if name is not None and name not in points:
                yield unknown((*path, key), "point", name, points)
            elif name is not None and registers is not None:
                yield from expect((*path, key), name, wanted, registers)
        if registers is not None and point.id in registers:
            yield from _state_problems(path, point, conversion, registers[point.id])


def _is_possible(conversion: Conversion) -> bool:
    """Whether the usual conditions, where both are stated, have a factor."""
    celsius, kpa = conversion.usual_temperature_c, conversion.usual_pressure_kpa
    if celsius is None or kpa is None:
        return True
    state = np.array([float(celsius)]), np.array([float(kpa)])
    factor = volume_factor(*state, Temperature(conversion.to), float(conversion.compressibility))
    return bool(np.isfinite(factor[0]))


def _state_problems(path: TomlPath, point: Point, conversion: Conversion, register: Register) -> Iterator[Problem]:
    """A conversion that is needed, with all it takes and no more."""
    if register.quantity is not Quantity.GAS_VOLUME:
        yield Problem(path, f"conversion on {register.quantity.value}", "only a counted gas volume is converted")
        return
    if register.temperature == conversion.to:
        hint = "remove the conversion, or it would be converted twice"
        yield Problem((*path, "to"), f"the register is at {conversion.to} already", hint)
        return
    is_actual = register.temperature == Temperature.ACTUAL.value
    for key in FOR_ACTUAL:
        stated = getattr(conversion, key) is not None
        if is_actual and not stated:
            hint = "a volume at actual conditions needs its measured temperature and pressure, and what is usual there"
            yield Problem((*path, key), f"no {key}", hint)
        elif stated and not is_actual:
            hint = f"from {register.temperature} to {conversion.to} the ratio is exact; remove it"
            yield Problem((*path, key), f"{key} for a volume at {register.temperature}", hint)
    if not is_actual and "compressibility" in conversion.model_fields_set:
        hint = "between reference states nothing is compressed; remove it"
        yield Problem((*path, "compressibility"), f"compressibility for a volume at {register.temperature}", hint)
    if is_actual and not _is_possible(conversion):
        hint = f"a volume shrinks at most by {MOST_FACTOR:g}: correct usual_temperature_c, usual_pressure_kpa"
        yield Problem(path, "no gas is so usually", f"{hint} or compressibility")
    growth = max_rate(point, register.quantity)
    if is_actual and growth is not None and growth * int(MOST_FACTOR) * HOURS >= LIMIT:
        hint = "a greatest growth below 260000 m3/h at actual conditions"
        yield Problem((*path[:-1], "max_rate"), f"{point.max_rate} {point.max_rate_unit}", hint)
