"""Requests by their cost on the line, and by what a device refuses, against ways to count that try everything."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.holes import cutting, halves
from protocols.modbus.planner import plan_reads
from protocols.modbus.registermap import Quirks
from protocols.modbus.timing import LineTiming, class_loads
from protocols.plan.bound import BoundPlan
from protocols.plan.model import Line
from protocols.records import ReadRequest
from tests.protocols.modbus.points import make_point, make_register
from tests.protocols.modbus.test_planner import bound_of, bound_plans, timings


def cost_of(requests: tuple[ReadRequest, ...], timing: LineTiming) -> float:
    """Time of all requests. [ms]"""
    return sum(timing.poll_ms(request.count) for request in requests)


@given(bound_plans(), timings)
def test_the_cheapest_plan_reads_everything_and_costs_no_more(bound: BoundPlan, timing: LineTiming) -> None:
    """Every point once, no limit passed, and never slower than the plan that only merges."""
    cheapest, merged = plan_reads(bound, lambda *_: timing), plan_reads(bound)

    assert sorted(p for r in cheapest for p in r.points) == list(range(len(bound.points)))
    assert all(r.count <= bound.quirks[bound.points[p].instrument].max_registers for r in cheapest for p in r.points)
    assert cost_of(cheapest, timing) <= cost_of(merged, timing) + 1e-9


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["u16", "u32", "u64"])), min_size=1, max_size=8),
    st.builds(Quirks, max_registers=st.integers(4, 40), max_gap=st.integers(0, 20)),
    timings,
)
def test_no_way_to_cut_is_cheaper(places: list[tuple[int, str]], quirks: Quirks, timing: LineTiming) -> None:
    """All ways to cut the values into requests are tried."""
    places = sorted(places)
    bound = bound_of([make_point(make_register(address=at, type=kind)) for at, kind in places], [("a", 1)], [quirks])
    spans = sorted((p.register.address, p.register.address + p.register.width) for p in bound.points)
    costs = []
    for cuts in itertools.product([False, True], repeat=len(spans) - 1):
        runs: list[list[tuple[int, int]]] = [[spans[0]]]
        for span, cut in zip(spans[1:], cuts, strict=True):
            runs.append([span]) if cut else runs[-1].append(span)
        if all(allowed(run, quirks) for run in runs):
            costs.append(sum(timing.poll_ms(max(e for _, e in run) - run[0][0]) for run in runs))

    assert min(costs) == pytest.approx(cost_of(plan_reads(bound, lambda *_: timing), timing))


def allowed(run: list[tuple[int, int]], quirks: Quirks) -> bool:
    """Whether one request may read these registers."""
    reached = run[0][1]
    for first, end in run[1:]:
        if first - reached > quirks.max_gap:
            return False
        reached = max(reached, end)
    return reached - run[0][0] <= quirks.max_registers


@pytest.mark.parametrize(
    ("timing", "request_ms", "register_ms", "gap"),
    [
        # 11 bits at 9600 baud: 1.1458 ms a character; 13 framing characters and twice 3.5 of silence
        (LineTiming(0, 9600, 11), 22.917, 2.2917, 10),
        (LineTiming(50, 9600, 11), 72.917, 2.2917, 31),
        # above 19200 baud the silence is 1.75 ms: 13 x 0.0868 + 3.5
        (LineTiming(0, 115200, 10), 4.628, 0.1736, 26),
        (LineTiming(20), 20, 0, 125),
    ],
)
def test_a_line_costs_what_the_standard_makes_it_cost(
    timing: LineTiming, request_ms: float, register_ms: float, gap: int
) -> None:
    """Characters, silence and turnaround, worked out by hand."""
    assert (request_ms, register_ms) == pytest.approx((timing.request_ms, timing.register_ms), rel=1e-3)
    assert gap == timing.gap_that_pays


def test_reading_over_a_gap_depends_on_the_line() -> None:
    """Twelve unused registers: skipped at 9600 baud without turnaround, read over with 50 ms of it."""
    points = [make_point(make_register(address=at)) for at in (0, 13)]
    bound = bound_of(points, [("a", 1)], [Quirks()])

    assert 2 == len(plan_reads(bound, lambda *_: LineTiming(0, 9600)))
    assert 1 == len(plan_reads(bound, lambda *_: LineTiming(50, 9600)))


def test_a_plan_that_states_its_line_is_cut_for_it() -> None:
    """The line's turnaround counts for the first unit, an own one for the second: the gap is read over or skipped."""
    points = [make_point(make_register(address=at), instrument=one) for one in (0, 1, 2) for at in (0, 13)]
    units, quirks = [("a", 1), ("a", 2), ("a", 2)], [Quirks()] * 3
    line = Line(turnaround_ms=Decimal(0), baud=9600)
    own = {1: Decimal(50), 2: Decimal("0.5")}
    bound = bound_of(points, units, quirks, line, own)

    assert [(1, 0, 1), (1, 13, 1), (2, 0, 14)] == [(r.unit, r.address, r.count) for r in plan_reads(bound)]
    lineless = plan_reads(bound_of(points, units, quirks))
    assert [(1, 0, 14), (2, 0, 14)] == [(r.unit, r.address, r.count) for r in lineless]


def test_the_load_of_a_class_is_its_round_against_its_interval() -> None:
    """Two requests of 10 registers every second at 9600 baud 8E1."""
    requests = tuple(ReadRequest(0, unit, 3, 0, 10, 0, (unit,), (0,), (1,)) for unit in (1, 2))
    (load,) = class_loads(requests, (1000,), (LineTiming(0, 9600),) * 2)

    assert (0, 0, 2, 20) == (load.bus, load.scan_class, load.requests, load.registers)
    assert (91.6667, 908.3333, 0.0916667) == pytest.approx((load.busy_ms, load.slack_ms, load.utilisation), rel=1e-6)


@given(bound_plans(), st.sets(st.integers(0, 220), max_size=12))
def test_halving_finds_exactly_the_values_a_device_does_not_have(bound: BoundPlan, holes: set[int]) -> None:
    """What is readable alone is read in the end, once; what is not is named; a request never covers a hole."""
    asked: list[ReadRequest] = []

    def is_answered(request: ReadRequest) -> bool:
        asked.append(request)
        return not holes & set(range(request.address, request.address + request.count))

    for request in plan_reads(bound):
        asked.clear()
        answered, unsupported = cut(request, is_answered)
        missing = {point for point in request.points if holes & covered(bound, point)}

        assert missing == set(unsupported)
        assert sorted(set(request.points) - missing) == sorted(p for part in answered for p in part.points)
        assert all(is_answered(part) for part in answered)
        assert len(asked) <= 2 * len(request.points) + len(answered)
        for part in answered:
            for column, point in enumerate(part.points):
                assert places_of(part, column) == bound.points[point].register.places


def cut(
    request: ReadRequest, is_answered: Callable[[ReadRequest], bool]
) -> tuple[tuple[ReadRequest, ...], tuple[int, ...]]:
    """Ask until the cutting is over."""
    steps = cutting(request)
    try:
        part = next(steps)
        while True:
            part = steps.send(is_answered(part))
    except StopIteration as end:
        found: tuple[tuple[ReadRequest, ...], tuple[int, ...]] = end.value
        return found


def covered(bound: BoundPlan, point: int) -> set[int]:
    """Registers that any request for a point must read."""
    places = bound.points[point].register.places
    return set(range(min(places), max(places) + 1))


def places_of(request: ReadRequest, column: int) -> tuple[int, ...]:
    """Protocol addresses of a value's registers, as ``join_words`` takes them."""
    scattered: dict[int, Any] = dict(request.scattered)
    own = scattered.get(column, range(request.offsets[column], request.offsets[column] + request.widths[column]))
    return tuple(request.address + place for place in own)


def test_a_single_value_is_not_halved() -> None:
    """A value is never split."""
    assert halves(ReadRequest(0, 1, 3, 7, 4, 0, (0,), (0,), (4,))) is None
