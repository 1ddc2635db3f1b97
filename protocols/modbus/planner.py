"""The read plan: which Modbus requests fetch the points of a plan.

Points of one device, function and scan class share a request where the gap between them and the device's
limits allow; where the plan states the line of a bus, by what a request takes on it. Equal plans give equal
requests in equal order: positions of requests are written on the wire.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from protocols.modbus.registermap import Quirks, Register, RegisterMap
from protocols.modbus.timing import LineTiming, class_loads
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


UNSTATED = LineTiming(20.0)
"""What a line is taken for where a plan does not state it: a network, and meters that take 20 ms."""


TimingOf: TypeAlias = Callable[[int, int], LineTiming | None]
"""What a request costs, by position of the bus and unit; None where nobody knows."""


def plan_reads(bound: BoundPlan, timing_of: TimingOf | None = None) -> tuple[ReadRequest, ...]:
    """The requests that read every point of a plan exactly once, ordered by bus, unit, function, class, address.

    A request never splits a value, reads no more registers than the device allows (``max_registers``) and
    reads over a gap of unused registers only up to ``max_gap``. Where instruments of several models answer
    under one unit, the tightest limits hold. Inside these limits the requests are as few as can be; on a bus whose
    line the plan states they take the least time on it. ``timing_of`` overrules the plan.
    """
    timing_of = timing_of or stated_timing(bound)
    buses = {bus.id: position for position, bus in enumerate(bound.plan.buses)}
    spans: dict[Group, list[_Span]] = defaultdict(list)
    limits: dict[Group, Quirks] = {}
    for position, point in enumerate(bound.points):
        instrument = bound.plan.instruments[point.instrument]
        group = (buses[instrument.bus], instrument.unit, point.register.function, point.scan_class)
        places = point.register.places
        spans[group].append(_Span(min(places), max(places) + 1, position))
        limits[group] = _tightest(limits.get(group), bound.quirks[point.instrument])
    registers = [point.register for point in bound.points]
    return tuple(
        _request(group, run, registers)
        for group in sorted(spans)
        for run in _runs_of(sorted(spans[group]), limits[group], timing_of(*group[:2]))
    )


def stated_timing(bound: BoundPlan) -> TimingOf:
    """What a request costs as the plan states it; of instruments under one unit the longest turnaround counts."""
    lines = [bus.line for bus in bound.plan.buses]
    buses = {bus.id: position for position, bus in enumerate(bound.plan.buses)}
    own: dict[tuple[int, int], float] = {}
    for one in bound.plan.instruments:
        if one.turnaround_ms is not None:
            place = buses[one.bus], one.unit
            own[place] = max(own.get(place, 0.0), float(one.turnaround_ms))

    def timing_of(bus: int, unit: int) -> LineTiming | None:
        line = lines[bus]
        if line is None:
            return None
        return LineTiming(own.get((bus, unit), float(line.turnaround_ms)), line.baud or 0, line.bits)

    return timing_of


def overloads(requests: Sequence[ReadRequest], bound: BoundPlan) -> list[str]:
    """What the stated lines cannot keep up with: a class whose round is longer than its interval, or all together."""
    timing_of = stated_timing(bound)
    known = [(one, timing) for one in requests if (timing := timing_of(one.bus, one.unit)) is not None]
    loads = class_loads([one for one, _ in known], bound.intervals_ms, [timing for _, timing in known])
    names = [bus.id for bus in bound.plan.buses]
    told = [
        f"bus {names[load.bus]}: a round of {bound.plan.scan_classes[load.scan_class].id} takes {load.busy_ms:.1f} ms"
        f" of {bound.intervals_ms[load.scan_class]} ms; a longer interval_ms, or fewer points"
        for load in loads
        if load.slack_ms < 0
    ]
    for bus, name in enumerate(names):
        own = [load for load in loads if load.bus == bus]
        share = sum(load.utilisation for load in own)
        if share > 1 and all(load.slack_ms >= 0 for load in own):
            told.append(f"bus {name}: its classes together take {100 * share:.1f} % of its time; read some less often")
    return told


def plan_map(register_map: RegisterMap) -> tuple[ReadRequest, ...]:
    """The requests that read every register of one model, as ``plan_reads`` does; points are positions in the map."""
    spans: dict[Group, list[_Span]] = defaultdict(list)
    for position, register in enumerate(register_map.registers):
        spans[0, 1, register.function, 0].append(_Span(min(register.places), max(register.places) + 1, position))
    return tuple(
        _request(group, run, register_map.registers)
        for group in sorted(spans)
        for run in _runs(sorted(spans[group]), register_map.quirks)
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


def explain_loads(
    requests: Sequence[ReadRequest], bound: BoundPlan, timing_of: Callable[[int, int], LineTiming]
) -> list[str]:
    """What each scan class asks of each bus, and what requests cut for the line would save, for a technician."""
    timings = [timing_of(one.bus, one.unit) for one in requests]
    buses = bound.plan.buses
    loads = class_loads(requests, bound.intervals_ms, timings)
    lines = []
    for load in loads:
        verdict = "the bus cannot keep up" if load.slack_ms < 0 else f"{load.slack_ms:.0f} ms left"
        lines.append(
            f"bus {buses[load.bus].id}, {bound.plan.scan_classes[load.scan_class].id}: {load.requests} requests,"
            f" {load.registers} registers, {load.busy_ms:.1f} ms of {bound.intervals_ms[load.scan_class]} ms"
            f" ({100 * load.utilisation:.1f} %), {verdict}"
        )
    for bus in sorted({load.bus for load in loads}):
        share = sum(load.utilisation for load in loads if load.bus == bus)
        lines.append(f"bus {buses[bus].id}: busy {100 * share:.1f} % of the time")
        gap = min(timing.gap_that_pays for one, timing in zip(requests, timings, strict=True) if one.bus == bus)
        lines.append(f"bus {buses[bus].id}: reading over a gap of up to {gap} registers pays")
    best = plan_reads(bound, timing_of)
    now, then = (sum(timing_of(one.bus, one.unit).poll_ms(one.count) for one in each) for each in (requests, best))
    if then < now:
        lines.append(f"{len(best)} requests cut for the line would take {then:.1f} ms instead of {now:.1f} ms")
    return lines


def _tightest(before: Quirks | None, quirks: Quirks) -> Quirks:
    if before is None:
        return quirks
    return Quirks(
        max_registers=min(before.max_registers, quirks.max_registers), max_gap=min(before.max_gap, quirks.max_gap)
    )


def _runs_of(spans: list[_Span], limits: Quirks, timing: LineTiming | None) -> list[list[_Span]]:
    return _runs(spans, limits) if timing is None else _cheapest_runs(spans, limits, timing)


def _cheapest_runs(spans: list[_Span], limits: Quirks, timing: LineTiming) -> list[list[_Span]]:
    """Cut spans in order of address into the runs that take the least time; of equal ones the fewest, earliest cut.

    ``best[i]`` is the least cost of the first i spans; the run that ends there may begin at any earlier span that
    the limits allow.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    cut = [0]
    reached = list(accumulate((span.end for span in spans), max))
    for last in range(len(spans)):
        cost, runs, start = min(
            (best[start][0] + timing.poll_ms(reach), best[start][1] + 1, start)
            for start, reach in _starts(spans, reached, last, limits)
        )
        best.append((cost, runs))
        cut.append(start)
    found: list[list[_Span]] = []
    end = len(spans)
    while end:
        found.append(spans[cut[end] : end])
        end = cut[end]
    return found[::-1]


def _starts(spans: list[_Span], reached: list[int], last: int, limits: Quirks) -> Iterator[tuple[int, int]]:
    """Where a run that ends with a span may begin, and how many registers it then reads.

    ``reached[i]`` is where the registers of all spans up to the i-th end.
    """
    end = 0
    for start in range(last, -1, -1):
        end = max(end, spans[start].end)
        reach = end - spans[start].address
        if reach > limits.max_registers and start < last:
            return
        yield start, reach
        if start and spans[start].address - reached[start - 1] > limits.max_gap:
            return


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


def _request(group: Group, run: list[_Span], all_registers: Sequence[Register]) -> ReadRequest:
    bus, unit, function, scan_class = group
    start = run[0].address
    registers = [all_registers[span.point] for span in run]
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
