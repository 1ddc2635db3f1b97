"""The rules of sources and factors: names, roles, kinds and limits of error.

What a method asks of its inputs is in ``check_counters``, ``check_cems`` and ``check_steam``.
Rules that depend on what a point
measures need the register behind it; without registers they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocols.ghg.factors import FactorError, factor_value, parse_unit
from protocols.plan.check_cems import CONCENTRATIONS, cems_input_problems, cems_shape_problems
from protocols.plan.check_counters import COUNTED_GASES, counter_input_problems, counter_shape_problems
from protocols.plan.check_steam import steam_input_problems, steam_shape_problems
from protocols.plan.inputs import Registers, inputs_of
from protocols.plan.model import Method, Plan, Role, Source
from protocols.plan.problem import Problem, unknown
from protocols.quantities import Kind
from protocols.toml_lines import TomlPath

KINDS = {
    "stationary-combustion": ((Method.COMBUSTION,), 1),
    "purchased-electricity": ((Method.ELECTRICITY,), 2),
    "purchased-heat": ((Method.HEAT, Method.STEAM), 2),
    "stack": ((Method.CEMS,), 1),
}
"""Methods and ISO 14064-1 category of each kind of source."""


SHAPES = {Method.CEMS: cems_shape_problems, Method.STEAM: steam_shape_problems}
"""What a method asks of a source's tables; counter methods ask alike."""


def source_problems(plan: Plan, registers: Registers | None) -> Iterator[Problem]:
    """Every broken rule of the sources and factors of a plan."""
    broken_factors = list(_factor_problems(plan))
    yield from broken_factors
    for position, source in enumerate(plan.sources):
        path: TomlPath = ("sources", position)
        broken = list(_reference_problems(path, source, plan))
        yield from broken
        yield from _role_problems(path, source, plan)
        yield from _kind_problems(path, source)
        yield from SHAPES.get(source.method, counter_shape_problems)(path, source)
        if source.steam is not None and source.method is not Method.STEAM:
            hint = "only method steam reckons with it; remove it"
            yield Problem((*path, "steam"), f"steam with method {source.method.value}", hint)
        if registers is None:
            continue
        if source.method is Method.CEMS:
            yield from cems_input_problems(path, source, registers)
        elif source.method is Method.STEAM:
            if not broken and not broken_factors:
                yield from steam_input_problems(path, source, plan, registers)
        elif not broken and not broken_factors:
            yield from counter_input_problems(path, source, plan, registers)
    yield from _double_counting(plan)
    if registers is not None:
        yield from _span_problems(plan, registers)


def _double_counting(plan: Plan) -> Iterator[Problem]:
    """A counter that two primary sources of a method add would enter the inventory twice."""
    added: dict[tuple[Method, str], str] = {}
    for position, source in enumerate(plan.sources):
        if source.role is not Role.PRIMARY:
            continue
        for index, point in enumerate(source.inputs.add):
            first = added.setdefault((source.method, point), source.id)
            if first != source.id:
                hint = "subtract it from one of them, or make one a cross-check"
                seen = f'"{point}": primary source {first} adds it already'
                yield Problem(("sources", position, "inputs", "add", index), seen, hint)


def _factor_problems(plan: Plan) -> Iterator[Problem]:
    for position, record in enumerate(plan.factors):
        path: TomlPath = ("factors", position)
        try:
            factor_value(record)
        except FactorError as error:
            yield Problem((*path, "value"), str(error))
        try:
            parse_unit(record.unit, f"factor {record.id}")
        except FactorError as error:
            yield Problem((*path, "unit"), str(error))
        if record.valid_to is not None and record.valid_to < record.valid_from:
            hint = f"before valid_from = {record.valid_from}; correct one"
            yield Problem((*path, "valid_to"), str(record.valid_to), hint)


def _reference_problems(path: TomlPath, source: Source, plan: Plan) -> Iterator[Problem]:
    """Names a source uses that nothing bears."""
    points = [point.id for point in plan.points]
    factors = [factor.id for factor in plan.factors]
    used = inputs_of(source)
    if source.operating is not None:
        used.append((("operating", "point"), source.operating.point))
    for where, name in used:
        if name not in points:
            yield unknown((*path, *where), "point", name, points)
    for gas, chain in source.factors.items():
        if gas not in source.gases:
            yield unknown((*path, "factors", gas), "gas", gas, source.gases, " in this source")
        for index, name in enumerate(chain):
            if name not in factors:
                yield unknown((*path, "factors", gas, index), "factor", name, factors)
            elif name in chain[:index]:
                hint = "a factor counts once in a chain; remove one"
                yield Problem((*path, "factors", gas, index), f'a second "{name}"', hint)


def _role_problems(path: TomlPath, source: Source, plan: Plan) -> Iterator[Problem]:
    where: TomlPath = (*path, "cross_check_of")
    primary = [other.id for other in plan.sources if other.role is Role.PRIMARY and other.id != source.id]
    if source.role is Role.PRIMARY:
        if source.cross_check_of is not None:
            hint = 'a primary source counts for itself; remove it or write role = "cross-check"'
            yield Problem(where, f'"{source.cross_check_of}" on a primary source', hint)
    elif source.cross_check_of is None:
        yield Problem(where, "a cross-check without the source it checks", f"one of {', '.join(primary)}")
    elif source.cross_check_of not in primary:
        yield unknown(where, "primary source", source.cross_check_of, primary)


def _kind_problems(path: TomlPath, source: Source) -> Iterator[Problem]:
    methods, category = KINDS[source.kind]
    if source.method not in methods:
        seen = f'"{source.method.value}" for {source.kind}'
        known = " or ".join(f'"{method.value}"' for method in methods)
        yield Problem((*path, "method"), seen, f"{source.kind} is quantified by method {known}")
    if source.category != category:
        seen = f"{source.category} for {source.kind}"
        yield Problem((*path, "category"), seen, f"{source.kind} is ISO 14064-1 category {category}")
    gases = tuple(CONCENTRATIONS) if source.method is Method.CEMS else COUNTED_GASES
    for index, gas in enumerate(source.gases):
        where: TomlPath = (*path, "gases", index)
        if gas in source.gases[:index]:
            yield Problem(where, f'a second "{gas}"', "name each gas once")
        elif gas not in gases:
            yield unknown(where, "gas", gas, gases, f" for method {source.method.value}")


def _span_problems(plan: Plan, registers: Registers) -> Iterator[Problem]:
    """A limit of error in per cent of span belongs to one instant quantity in one unit."""
    used = {name for source in plan.sources for _, name in inputs_of(source) if name in registers}
    for position, instrument in enumerate(plan.instruments):
        if instrument.accuracy.percent_of_span == 0:
            continue
        path: TomlPath = ("instruments", position, "accuracy", "percent_of_span")
        names = [p.id for p in plan.points if p.instrument == instrument.id and p.id in used]
        kinds = dict.fromkeys((registers[name].quantity, registers[name].unit) for name in names)
        if any(quantity.definition.kind is Kind.COUNTER for quantity, _ in kinds):
            hint = "a counter has no span: state its limit as percent_of_reading"
            yield Problem(path, f"a span on the counter of {instrument.id}", hint)
        elif len(kinds) > 1:
            several = ", ".join(f"{quantity.value} in {unit}" for quantity, unit in kinds)
            hint = "list one instrument per measured quantity, each with its own span; they may share bus and unit"
            yield Problem(path, f"one span for {several}", hint)
