"""The rules of instants: the status register of an analyzer, and what values can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPlan
from protocols.plan.limits import ENERGIES, RATED, believable, rated_limit, shown_rating
from protocols.plan.model import Instrument, Plan, Point, Status
from protocols.plan.problem import Problem, unknown
from protocols.plan.ratios import max_rate
from protocols.quantities import Kind, Quantity
from protocols.records import ReadRequest
from protocols.toml_lines import TomlPath

PHASES = ("measure", "zero", "span", "maintenance", "fault")
STATUSES = (Quantity.DEVICE_STATUS, Quantity.OPERATING_STATE)


def instant_problems(plan: Plan, registers: Mapping[str, Register] | None) -> Iterator[Problem]:
    """Every broken rule of status registers, plausible values and ratings."""
    points = [point.id for point in plan.points]
    instruments = {instrument.id: instrument for instrument in plan.instruments}
    if registers is not None:
        yield from _idle_ratings(plan, registers)
    for position, point in enumerate(plan.points):
        path: TomlPath = ("points", position)
        if point.status is not None:
            yield from _status_problems((*path, "status"), point.status, point, points)
        register, instrument = (registers or {}).get(point.id), instruments.get(point.instrument)
        if register is not None and instrument is not None:
            yield from _register_problems(path, point, instrument, register)
            yield from _rating_problems(path, point, instrument, register)
        if point.status is not None and registers is not None and point.status.point in registers:
            quantity = registers[point.status.point].quantity
            if quantity not in STATUSES:
                hint = f"name a point of {' or '.join(q.value for q in STATUSES)}"
                yield Problem((*path, "status", "point"), f"{point.status.point} is {quantity.value}", hint)


def _idle_ratings(plan: Plan, registers: Mapping[str, Register]) -> Iterator[Problem]:
    """Ratings that bound nothing."""
    for position, instrument in enumerate(plan.instruments):
        own = [registers[one.id] for one in plan.points if one.instrument == instrument.id and one.id in registers]
        if instrument.rating is not None and own and not any(one.quantity in ENERGIES | RATED for one in own):
            hint = "it bounds energy, power, voltage and current; remove it, or read one of them"
            yield Problem(("instruments", position, "rating"), f"a rating of {instrument.id}, which shows none", hint)


def apart_problems(bound: BoundPlan, requests: Sequence[ReadRequest]) -> Iterator[Problem]:
    """Status registers that one request does not fetch together with the value they speak of."""
    request_of = {position: number for number, request in enumerate(requests) for position in request.points}
    for position, point in enumerate(bound.points):
        if point.status is not None and request_of[position] != request_of[point.status.point]:
            other = bound.points[point.status.point].id
            hint = (
                "one request must fetch both, or a value could be taken for another phase's: same bus, unit, function"
                " and scan class, within max_registers and max_gap of the register map"
            )
            path: TomlPath = ("points", position, "status", "point")
            yield Problem(path, f"{other} and {point.id} are read by different requests", hint)


def _status_problems(path: TomlPath, status: Status, point: Point, points: Sequence[str]) -> Iterator[Problem]:
    if status.point not in points:
        yield unknown((*path, "point"), "point", status.point, points)
    elif status.point == point.id:
        yield Problem((*path, "point"), f'"{status.point}" itself', "name the point of the status register")
    owner: dict[int, str] = {}
    for phase in PHASES:
        for index, code in enumerate(getattr(status, phase)):
            if code in owner:
                hint = f"this is {owner[code]} already; a code means one phase"
                yield Problem((*path, phase, index), str(code), hint)
            owner.setdefault(code, phase)
    if not status.measure:
        yield Problem((*path, "measure"), "no code", "say which codes mean that the analyzer measures the process")
    for gas, phase in (("zero_gas", "zero"), ("span_gas", "span")):
        if getattr(status, gas) is not None and not getattr(status, phase):
            hint = f"say which codes mean {phase}, or remove {gas}"
            yield Problem((*path, gas), f"{gas} without a code of {phase}", hint)


def _register_problems(path: TomlPath, point: Point, instrument: Instrument, register: Register) -> Iterator[Problem]:
    """Rules belong to instants, and a table of them must say something that can hold."""
    is_instant = register.quantity.definition.kind is Kind.INSTANT
    for key in ("status", "plausible"):
        if getattr(point, key) is not None and not is_instant:
            hint = "only values that hold for a time are judged so; a counter has max_rate. Remove it"
            yield Problem((*path, key), f"{key} on {register.quantity.value}", hint)
    if point.plausible is None or not is_instant:
        return
    low, high = believable(instrument, register, point.plausible)
    where = (*path, "plausible")
    if low is not None and high is not None and low >= high:
        yield Problem(where, f"nothing lies between {float(low):g} and {float(high):g}", "low must be below high")
    if low is None and high is None and not point.plausible.model_fields_set:
        hint = "state low, high, max_step or frozen_after; or the span or rating of its instrument"
        yield Problem(where, "no rule", hint)


def _rating_problems(path: TomlPath, point: Point, instrument: Instrument, register: Register) -> Iterator[Problem]:
    """A growth beyond what meter and transformers can carry is no bound."""
    rating, quantity = instrument.rating, register.quantity
    if rating is None or quantity not in ENERGIES | RATED:
        return
    limit, growth = rated_limit(instrument, quantity), max_rate(point, quantity)
    if quantity in ENERGIES and limit is not None and growth is not None and growth > limit:
        size = quantity.definition.units["kWh"]
        seen = (
            f"{point.max_rate} {point.max_rate_unit}, where {shown_rating(rating)} allows {float(limit / size):g} kWh/h"
        )
        hint = "correct it, or rating, ct_ratio or pt_ratio; or leave it out, and the rating bounds it"
        yield Problem((*path, "max_rate"), seen, hint)
