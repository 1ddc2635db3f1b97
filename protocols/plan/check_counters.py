"""The rules of counter sources: counters of one kind and state, and factors that lead to a mass of each gas."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from protocols.exact import LIMIT
from protocols.ghg.factors import SPECIES, FactorError, coefficient
from protocols.modbus.registermap import Register
from protocols.plan.inputs import Registers, expect, inputs_of
from protocols.plan.model import FactorRecord, Method, Plan, Source
from protocols.plan.problem import Problem
from protocols.plan.ratios import max_rate, reference_of
from protocols.quantities import Quantity
from protocols.toml_lines import TomlPath

COUNTED = {
    Method.COMBUSTION: (Quantity.GAS_VOLUME, Quantity.MASS),
    Method.ELECTRICITY: (Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT),
    Method.HEAT: (Quantity.THERMAL_ENERGY,),
}
"""What the inputs of a counter method may count."""

COUNTED_GASES = tuple(species for species in SPECIES if species != "C")
"""Gases a factor can give a mass of."""


def counter_shape_problems(path: TomlPath, source: Source) -> Iterator[Problem]:
    """Which tables the method wants, and which it has no use for."""
    method = source.method.value
    if not source.inputs.add:
        yield Problem((*path, "inputs", "add"), "no counter to add", f"method {method} needs at least one counter")
    if source.operating is not None:
        hint = "a counter counts by itself, running or not; remove the table"
        yield Problem((*path, "operating"), f"an operating state with method {method}", hint)
    seen: set[str] = set()
    for where, name in inputs_of(source):
        if where[1] not in {"add", "subtract"}:
            hint = f"method {method} takes add and subtract only; remove it"
            yield Problem((*path, *where), f"{where[1]} in a counter source", hint)
        elif name in seen:
            yield Problem((*path, *where), f'a second "{name}"', "a counter is added or subtracted once")
        seen.add(name)
    for gas in source.gases:
        if gas in COUNTED_GASES and not source.factors.get(gas):
            hint = "name the factors that multiply to its mass"
            yield Problem((*path, "factors", gas), f"no factors for {gas}", hint)


def counter_input_problems(path: TomlPath, source: Source, plan: Plan, registers: Registers) -> Iterator[Problem]:
    """Counters of one family and one reference state, and chains that lead from them to a mass of each gas."""
    counters = [(where, name) for where, name in inputs_of(source) if where[1] in {"add", "subtract"}]
    wrong = [
        problem
        for where, name in counters
        for problem in expect((*path, *where), name, COUNTED.get(source.method, ()), registers)
    ]
    yield from wrong
    known = [(where, name, registers[name]) for where, name in counters if name in registers]
    if wrong or not known:
        return
    unlike = list(_unlike(path, source, known))
    yield from unlike
    if not unlike:
        for gas, chain in _chains(source, plan):
            yield from _validity_problems((*path, "factors", gas), chain)
            yield from _chain_problems((*path, "factors", gas), gas, chain, plan, known)


def _unlike(path: TomlPath, source: Source, known: list[tuple[TomlPath, str, Register]]) -> Iterator[Problem]:
    """Counters that are not of the first one's quantity and reference state."""
    _, name_1, first = known[0]
    for where, name, register in known[1:]:
        same = source.method is Method.ELECTRICITY or register.quantity is first.quantity
        if not same or reference_of(register) != reference_of(first):
            seen = (
                f"{name} is {register.quantity.value} at {reference_of(register)},"
                f" but {name_1} is {first.quantity.value} at {reference_of(first)}"
            )
            hint = "the counters of a source are of one quantity and one reference state"
            yield Problem((*path, *where), seen, hint)


def _chain_problems(
    path: TomlPath, gas: str, chain: list[FactorRecord], plan: Plan, known: list[tuple[TomlPath, str, Register]]
) -> Iterator[Problem]:
    """Units and states of a chain from each counted quantity, and whether its masses fit the arithmetic."""
    points = {point.id: point for point in plan.points}
    seen: set[Quantity] = set()
    for _, name, register in known:
        try:
            per_unit = coefficient(chain, gas, register.quantity, reference_of(register))
        except FactorError as error:
            if register.quantity not in seen:
                yield Problem(path, str(error))
            seen.add(register.quantity)
            continue
        if per_unit * max(max_rate(points[name], register.quantity) or 0, Fraction(1)) >= LIMIT:
            hint = "check values and units of the factors and max_rate"
            yield Problem(path, f"more than 2^62 mg of {gas} in an hour at the max_rate of {name}", hint)


def _chains(source: Source, plan: Plan) -> Iterator[tuple[str, list[FactorRecord]]]:
    records = {factor.id: factor for factor in plan.factors}
    for gas in source.gases:
        if source.factors.get(gas) and gas in COUNTED_GASES:
            yield gas, [records[name] for name in source.factors[gas]]


def _validity_problems(path: TomlPath, chain: list[FactorRecord]) -> Iterator[Problem]:
    latest = max(chain, key=lambda record: record.valid_from)
    for record in chain:
        if record.valid_to is not None and record.valid_to < latest.valid_from:
            seen = f"{record.id} is valid to {record.valid_to}, {latest.id} from {latest.valid_from}"
            yield Problem(path, seen, "the factors of a chain need a day on which all are valid")
