"""Register maps from TOML: the packaged ones in ``maps/`` and those that travel with a plan.

What a map says is checked before anything is read through it: units against the list of quantities, reference
states where the quantity needs them, figures against the width of the register, registers against what one
request can fetch (``layout``), and the status against what was read for it (``provenance``).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from importlib.resources.abc import Traversable

from protocols.errors import InputError, InputErrors
from protocols.modbus.layout import layout_problems
from protocols.modbus.provenance import provenance_problems
from protocols.modbus.registermap import Register, RegisterMap, span_of, step_of
from protocols.quantities import Kind, Quantity
from protocols.toml import Document, nearest, parse_toml, shown, validate


def parse_map(text: str, file: str, *, claims: bool = True) -> RegisterMap:
    """The register map of a TOML text; InputErrors naming everything that is wrong with it.

    ``claims``: whether its status must be borne out too. Where a map comes into use it must; one that an agent has
    signed is opened as it was, or a stricter rule for claims would close the evidence of years before.
    """
    document = parse_toml(text, file)
    register_map = validate(document, RegisterMap)
    problems = [*_map_problems(document, register_map)]
    for position, register in enumerate(register_map.registers):
        problems += _register_problems(document, position, register)
        problems += _figure_problems(document, position, register)
        problems += layout_problems(document, position, register_map)
    if claims and not problems:
        problems += provenance_problems(document, register_map)
    if problems:
        raise InputErrors(problems)
    return register_map


def load_map(model: str) -> tuple[RegisterMap, str]:
    """A packaged map and its exact text; InputErrors where there is none of that name."""
    if model not in map_names():
        near = nearest(model, map_names())
        hint = f"packaged maps: {', '.join(map_names())}"
        raise InputErrors([InputError(f"maps/{model}.toml", 0, "", "no such register map", hint, near)])
    text = (_folder() / f"{model}.toml").read_bytes().decode("utf-8")
    register_map = parse_map(text, f"maps/{model}.toml")
    if register_map.model != model:
        seen = f'"{register_map.model}"'
        hint = f'a map\'s file is named after its model: write model = "{model}" or rename the file'
        raise InputErrors([InputError(f"maps/{model}.toml", 0, "model", seen, hint)])
    return register_map, text


def map_names() -> list[str]:
    """Models with a packaged map, sorted."""
    return sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def _folder() -> Traversable:
    return resources.files("protocols.modbus") / "maps"


def _map_problems(document: Document, register_map: RegisterMap) -> Iterator[InputError]:
    """What a map says about itself as a whole."""
    first: dict[str, tuple[str | int, ...]] = {}
    named = [(("registers", at, "name"), register.name) for at, register in enumerate(register_map.registers)]
    named += [(("texts", at, "name"), text.name) for at, text in enumerate(register_map.texts)]
    for path, name in named:
        if name in first:
            line = document.locate(first[name])
            yield document.error(path, f'a second "{name}"', f"the first is in line {line}; rename one")
        first.setdefault(name, path)
    most = register_map.quirks.max_registers
    for position, text in enumerate(register_map.texts):
        if text.registers > most or text.address + text.registers > 65536:
            hint = f"at most {most} (max_registers), the last one is 65535"
            yield document.error(("texts", position, "registers"), f"{text.registers} at {text.address}", hint)
    probe = register_map.probe
    if probe.register_name not in first:
        yield document.error(
            ("probe", "register"), f'no register "{probe.register_name}"', "name one of this map", first
        )
    if bool(probe.expect) == (probe.least is not None and probe.most is not None):
        seen = "both or neither of an expected value and its limits"
        yield document.error(("probe",), seen, "write expect, or least and most")


def _register_problems(document: Document, position: int, register: Register) -> Iterator[InputError]:
    """Unit, reference state and address of one register."""
    path = ("registers", position)
    quantity = register.quantity
    definition = quantity.definition
    if register.unit not in definition.units:
        hint = f"the units of {quantity.value} are {', '.join(definition.units)}"
        yield document.error((*path, "unit"), shown(register.unit), hint, definition.units)
    states = (
        ("temperature", register.temperature, definition.needs_temperature, 'state "actual", "0C", "15C" or "20C"'),
        ("moisture", register.moisture, definition.needs_moisture, 'state "wet" or "dry"'),
    )
    for key, value, needed, hint in states:
        if needed and value is None:
            seen = f"{quantity.value} without its reference state"
            yield document.error((*path, key), seen, f"{hint}, as the manual says")
        if not needed and value is not None:
            yield document.error((*path, key), shown(value), f"there is no such state of {quantity.value}; remove it")
    if quantity is Quantity.OPERATING_STATE and (register.family not in ("u", "bcd") or register.scale != 1):
        hint = "an operating state is a code: an unsigned integer type and no scale"
        yield document.error((*path, "type"), f"{register.type} x {register.scale}", hint)
    for index, sentinel in enumerate(register.sentinels):
        if sentinel >= 1 << 16 * register.width:
            hint = f"{register.type} has {16 * register.width} bits: at most {(1 << 16 * register.width) - 1}"
            yield document.error((*path, "sentinels", index), str(sentinel), hint)


def _figure_problems(document: Document, position: int, register: Register) -> Iterator[InputError]:
    """Modulus and resolution against the type, scale and kind of a register."""
    path = ("registers", position)
    kind = register.quantity.definition.kind
    step = step_of(register)
    top = span_of(register)
    if register.modulus is not None:
        if kind is not Kind.COUNTER:
            seen = f"{register.modulus} on {register.quantity.value}"
            yield document.error((*path, "modulus"), seen, "only a counter rolls over; remove it")
        elif top is not None and Fraction(register.modulus) > top:
            hint = f"{register.type} at this scale holds less than {_plain(top)} {register.unit}"
            yield document.error((*path, "modulus"), f"{register.modulus} {register.unit}", hint)
        elif step is not None and Fraction(register.modulus) % step:
            hint = f"a whole number of steps of {_plain(step)} {register.unit} is needed"
            yield document.error((*path, "modulus"), f"{register.modulus} {register.unit}", hint)
    if register.resolution is not None:
        resolution = Fraction(register.resolution)
        seen = f"{register.resolution} {register.unit}"
        if kind is Kind.STATE:
            yield document.error((*path, "resolution"), seen, "a code has no step; remove it")
        elif step is not None and resolution < step:
            hint = f"finer than the register's own step of {_plain(step)} {register.unit}; is the scale right?"
            yield document.error((*path, "resolution"), seen, hint)
        elif any(resolution >= end for end in (top, _fraction(register.modulus)) if end is not None):
            yield document.error((*path, "resolution"), seen, "coarser than all the register can show")


def _fraction(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _plain(value: Fraction) -> str:
    """A fraction as a decimal where it is one."""
    shown_as = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{shown_as.normalize():f}"
