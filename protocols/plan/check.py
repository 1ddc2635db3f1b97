"""The rules between the tables of a plan, and between the plan and the register maps.

Rules about sources and factors are in ``check_sources``. All problems are reported at once.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from protocols.errors import InputError
from protocols.exact import LIMIT
from protocols.modbus.maps import map_names
from protocols.modbus.registermap import Register, RegisterMap
from protocols.plan.check_instants import instant_problems
from protocols.plan.check_sources import source_problems
from protocols.plan.check_volumes import volume_problems
from protocols.plan.limits import stated_or_rated_growth
from protocols.plan.model import Instrument, Plan, Point
from protocols.plan.problem import Problem, unknown
from protocols.plan.ratios import converted, max_rate, may_be_secondary, unit_ratio
from protocols.quantities import Kind
from protocols.toml import Document
from protocols.toml_lines import TomlPath

Maps: TypeAlias = Mapping[str, RegisterMap]

NAMED = ("scan_classes", "buses", "instruments", "points", "sources", "factors")
"""Lists of the plan whose entries have an id."""
HOUR_S = 3600


def plan_errors(plan: Plan, maps: Maps | None, document: Document) -> list[InputError]:
    """Every broken rule of a plan, with its line.

    Without ``maps`` only what the plan says alone is checked. Where an id is not unique nothing else is
    checked: every other rule follows ids.
    """
    problems = list(_id_problems(plan))
    if not problems:
        registers = None if maps is None else registers_of(plan, maps)
        problems += _grid_problems(plan)
        problems += _instrument_problems(plan, maps)
        problems += _point_problems(plan, maps)
        if registers is not None:
            problems += _register_problems(plan, registers)
            problems += _twice_read_problems(plan, registers)
            problems += _limit_problems(plan, registers)
        problems += instant_problems(plan, registers)
        problems += volume_problems(plan, None if maps is None else _registers_as_mapped(plan, maps))
        problems += source_problems(plan, registers)
    return [problem.in_file(document) for problem in problems]


def registers_of(plan: Plan, maps: Maps) -> dict[str, Register]:
    """The register behind each point as sources see it, by the point's id; points that name none are left out."""
    found = _registers_as_mapped(plan, maps)
    return {point.id: converted(found[point.id], point) for point in plan.points if point.id in found}


def _registers_as_mapped(plan: Plan, maps: Maps) -> dict[str, Register]:
    instruments = {instrument.id: instrument for instrument in plan.instruments}
    found: dict[str, Register] = {}
    for point in plan.points:
        instrument = instruments.get(point.instrument)
        register_map = maps.get(instrument.map) if instrument is not None else None
        for register in register_map.registers if register_map is not None else ():
            if register.name == point.register_name:
                found[point.id] = register
    return found


def _id_problems(plan: Plan) -> Iterator[Problem]:
    for table in NAMED:
        first: dict[str, int] = {}
        for position, entry in enumerate(getattr(plan, table)):
            if entry.id in first:
                hint = f"{table}[{first[entry.id]}] has this id already; ids are unique"
                yield Problem((table, position, "id"), f'a second "{entry.id}"', hint)
            first.setdefault(entry.id, position)


def _grid_problems(plan: Plan) -> Iterator[Problem]:
    window_s, batch_s = plan.windows.window_s, plan.windows.batch_s
    if HOUR_S % window_s:
        yield Problem(("windows", "window_s"), str(window_s), "windows must fill an hour: a divisor of 3600")
    if batch_s % window_s or HOUR_S % batch_s:
        hint = f"a multiple of window_s = {window_s} that divides 3600"
        yield Problem(("windows", "batch_s"), str(batch_s), hint)
    for position, scan in enumerate(plan.scan_classes):
        if scan.interval_ms > 1000 * window_s:
            hint = f"longer than a window of {window_s} s: every window needs a sample"
            yield Problem(("scan_classes", position, "interval_ms"), f"{scan.interval_ms} ms", hint)
    zone = plan.facility.time_zone
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        problem = unknown(("facility", "time_zone"), "time zone", zone, sorted(zoneinfo.available_timezones()))
        hint = "a name of the IANA time zone database, for example Asia/Shanghai"
        yield Problem(problem.path, problem.seen, hint, problem.near)


def _instrument_problems(plan: Plan, maps: Maps | None) -> Iterator[Problem]:
    buses = [bus.id for bus in plan.buses]
    lineless = {bus.id for bus in plan.buses if bus.line is None}
    for position, instrument in enumerate(plan.instruments):
        path: TomlPath = ("instruments", position)
        if instrument.bus not in buses:
            yield unknown((*path, "bus"), "bus", instrument.bus, buses)
        if maps is not None and instrument.map not in maps:
            known = {*maps, *map_names()} - {instrument.map}
            yield unknown((*path, "map"), "register map", instrument.map, sorted(known))
        stated = instrument.model_fields_set & {"ct_ratio", "pt_ratio"}
        if instrument.registers == "secondary" and not stated:
            hint = "state ct_ratio and pt_ratio (1 where there is no transformer), or say primary"
            yield Problem((*path, "registers"), "secondary values without a transformer ratio", hint)
        elif instrument.rating is not None and not stated:
            hint = "state ct_ratio and pt_ratio (1 where there is no transformer): the rating is multiplied by them"
            yield Problem((*path, "rating"), "a rating without a transformer ratio", hint)
        accuracy = instrument.accuracy
        if accuracy.percent_of_span > 0 and accuracy.span == 0:
            hint = "state the span in the register's unit"
            yield Problem((*path, "accuracy", "span"), "percent_of_span without a span", hint)
        if instrument.turnaround_ms is not None and instrument.bus in lineless:
            hint = f"state the line of {instrument.bus} too, or remove it"
            yield Problem((*path, "turnaround_ms"), "a turnaround on a bus without a line", hint)


def _point_problems(plan: Plan, maps: Maps | None) -> Iterator[Problem]:
    instruments = {instrument.id: instrument for instrument in plan.instruments}
    intervals = {scan.id: scan.interval_ms for scan in plan.scan_classes}
    for position, point in enumerate(plan.points):
        path: TomlPath = ("points", position)
        instrument = instruments.get(point.instrument)
        if instrument is None:
            yield unknown((*path, "instrument"), "instrument", point.instrument, instruments)
        elif maps is not None and instrument.map in maps:
            names = [register.name for register in maps[instrument.map].registers]
            if point.register_name not in names:
                yield unknown((*path, "register"), "register", point.register_name, names, f" in {instrument.map}")
        if point.scan_class not in intervals:
            yield unknown((*path, "scan_class"), "scan class", point.scan_class, intervals)
        elif point.hold_ms is not None and point.hold_ms < intervals[point.scan_class]:
            hint = f"at least the scan interval of {intervals[point.scan_class]} ms, or no value would reach the next"
            yield Problem((*path, "hold_ms"), f"{point.hold_ms} ms", hint)


def _register_problems(plan: Plan, registers: Mapping[str, Register]) -> Iterator[Problem]:
    """Rules that need to know what a point measures."""
    positions = {instrument.id: position for position, instrument in enumerate(plan.instruments)}
    for position, point in enumerate(plan.points):
        register = registers.get(point.id)
        if register is None or point.instrument not in positions:
            continue
        instrument = plan.instruments[positions[point.instrument]]
        yield from _rate_problems(("points", position), point, instrument, register)
        if instrument.registers == "secondary" and not may_be_secondary(register.quantity):
            hint = "only electrical quantities have a secondary side; say primary"
            path: TomlPath = ("instruments", positions[point.instrument], "registers")
            yield Problem(path, f"secondary, but point {point.id} is {register.quantity.value}", hint)
        elif register.modulus is not None and _rollover(instrument, register) >= LIMIT:
            seen = f"{register.name} rolls over at {register.modulus} {register.unit}, beyond 2^62 base units"
            yield Problem(("points", position, "register"), seen, "check scale, unit, ct_ratio and pt_ratio")


def _twice_read_problems(plan: Plan, registers: Mapping[str, Register]) -> Iterator[Problem]:
    """One register of one unit behind two points: what it counts would count twice."""
    instruments = {instrument.id: instrument for instrument in plan.instruments}
    first: dict[tuple[str, int, int, int], str] = {}
    for position, point in enumerate(plan.points):
        instrument, register = instruments.get(point.instrument), registers.get(point.id)
        if instrument is None or register is None:
            continue
        place = (instrument.bus, instrument.unit, register.function, register.address)
        other = first.setdefault(place, point.id)
        if other != point.id:
            seen = f"bus {place[0]}, unit {place[1]}, function {place[2]}, register {place[3]} is {other} already"
            yield Problem(("points", position, "register"), seen, "correct unit or register; sources may share a point")


def _limit_problems(plan: Plan, registers: Mapping[str, Register]) -> Iterator[Problem]:
    """A meter whose limit of error was left out would pass for a perfect one."""
    measuring = {
        point.instrument
        for point in plan.points
        if point.id in registers and registers[point.id].quantity.definition.kind is not Kind.STATE
    }
    for position, instrument in enumerate(plan.instruments):
        stated = instrument.accuracy.model_fields_set & {"percent_of_reading", "percent_of_span"}
        if instrument.id in measuring and not stated:
            hint = "state the limit of error of the type plate or certificate; 0 only where there is none"
            yield Problem(("instruments", position, "accuracy"), "no percent_of_reading, no percent_of_span", hint)


def _rollover(instrument: Instrument, register: Register) -> int:
    return int(unit_ratio(instrument, register) * int(register.modulus or 0))


def _rate_problems(path: TomlPath, point: Point, instrument: Instrument, register: Register) -> Iterator[Problem]:
    """A counter's greatest plausible growth."""
    quantity = register.quantity
    units: Sequence[str] = [f"{unit}/h" for unit in quantity.definition.units]
    if quantity.definition.kind is not Kind.COUNTER:
        if point.max_rate is not None or point.max_rate_unit:
            key = "max_rate" if point.max_rate is not None else "max_rate_unit"
            hint = "only counters have a greatest growth; remove it"
            yield Problem((*path, key), f"{key} on {quantity.value}", hint)
        return
    if point.max_rate is None:
        if stated_or_rated_growth(instrument, quantity, None) is not None:
            return
        hint = f"state max_rate and max_rate_unit ({' or '.join(units)}): the most it can grow in an hour"
        yield Problem((*path, "max_rate"), f"counter {quantity.value} without max_rate", hint)
        return
    growth = max_rate(point, quantity)
    if growth is None:
        seen = f'"{point.max_rate_unit}" for {quantity.value}' if point.max_rate_unit else "the key is missing"
        yield Problem((*path, "max_rate_unit"), seen, f"one of {', '.join(units)}")
    elif not 1 <= growth < LIMIT:
        hint = f"from 1 {quantity.definition.base_unit}/h to less than 2^62 of them"
        yield Problem((*path, "max_rate"), f"{point.max_rate} {point.max_rate_unit}", hint)
