"""The read plan: which Modbus requests fetch the points of a plan.

Points of one device, function and scan class share a request where the gap between them and the device's
limits allow. Equal plans give equal requests in equal order: positions of requests are written on the wire.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

from protocols.modbus.registermap import Quirks
from protocols.plan.bound import BoundPlan
from protocols.records import ReadRequest

Group: TypeAlias = tuple[int, int, int, int]
"""Bus, unit, function, scan class: what one request may hold together."""


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """The registers of one point, from the lowest to the highest: they are never split."""

    address: int
    end: int
    point: int


def plan_reads(bound: BoundPlan) -> tuple[ReadRequest, ...]:
    """The requests that read every point of a plan exactly once, ordered by bus, unit, function, class, address.

    A request never splits a value, reads no more registers than the device allows (``max_registers``) and
    reads over a gap of unused registers only up to ``max_gap``. Where instruments of several models answer
    under one unit, the tightest limits hold.
    """
    buses = {bus.id: position for position, bus in enumerate(bound.plan.buses)}
    spans: dict[Group, list[_Span]] = defaultdict(list)
    limits: dict[Group, Quirks] = {}
    for position, point in enumerate(bound.points):
        instrument = bound.plan.instruments[point.instrument]
        group = (buses[instrument.bus], instrument.unit, point.register.function, point.scan_class)
        places = point.register.places
        spans[group].append(_Span(min(places), max(places) + 1, position))
        limits[group] = _tightest(limits.get(group), bound.quirks[point.instrument])
    return tuple(
        _request(group, run, bound) for group in sorted(spans) for run in _runs(sorted(spans[group]), limits[group])
    )


def describe(request: ReadRequest, bound: BoundPlan) -> str:
    """One line for a technician: where, which registers, which points."""
    bus = bound.plan.buses[request.bus].id
    scan = bound.plan.scan_classes[request.scan_class]
    names = ", ".join(bound.points[point].id for point in request.points)
    last = request.address + request.count - 1
    return (
        f"bus {bus}, unit {request.unit}, function {request.function}, registers {request.address}-{last}, "
        f"every {scan.interval_ms} ms ({scan.id}): {names}"
    )


def _tightest(before: Quirks | None, quirks: Quirks) -> Quirks:
    if before is None:
        return quirks
    return Quirks(
        max_registers=min(before.max_registers, quirks.max_registers), max_gap=min(before.max_gap, quirks.max_gap)
    )


def _runs(spans: list[_Span], limits: Quirks) -> list[list[_Span]]:
    """Cut spans in order of address into runs that one request can fetch."""
    runs: list[list[_Span]] = []
    end = 0
    for span in spans:
        if runs:
            reach = max(end, span.end)
            if span.address - end <= limits.max_gap and reach - runs[-1][0].address <= limits.max_registers:
                runs[-1].append(span)
                end = reach
                continue
        runs.append([span])
        end = span.end
    return runs


def _request(group: Group, run: list[_Span], bound: BoundPlan) -> ReadRequest:
    bus, unit, function, scan_class = group
    start = run[0].address
    registers = [bound.points[span.point].register for span in run]
    return ReadRequest(
        bus=bus,
        unit=unit,
        function=function,
        address=start,
        count=max(span.end for span in run) - start,
        scan_class=scan_class,
        points=tuple(span.point for span in run),
        offsets=tuple(span.address - start for span in run),
        widths=tuple(register.word_width for register in registers),
        scattered=tuple(
            (column, tuple(place - start for place in register.places))
            for column, register in enumerate(registers)
            if register.places != tuple(range(register.address, register.address + register.word_width))
        ),
    )
