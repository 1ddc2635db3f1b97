"""A random device is read through the plan and one register at a time; both must agree."""

import itertools
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.decode import join_words
from protocols.modbus.planner import describe, plan_reads
from protocols.modbus.registermap import WIDTHS, Quirks
from protocols.modbus.timing import LineTiming
from protocols.plan.bound import BoundPlan
from protocols.plan.model import Line
from tests.protocols.modbus.points import make_point, make_register
from tests.protocols.plan.site import bound_site


def bound_of(
    points: list[Any],
    units: list[tuple[str, int]],
    quirks: list[Quirks],
    line: Line | None = None,
    own: dict[int, Decimal] | None = None,
) -> BoundPlan:
    """As much of a bound plan as the planner looks at; ``own`` are turnarounds by position of the instrument."""
    own = own or {}
    plan = SimpleNamespace(
        buses=tuple(SimpleNamespace(id=name, line=line) for name in ("a", "b")),
        instruments=tuple(
            SimpleNamespace(bus=bus, unit=unit, turnaround_ms=own.get(position))
            for position, (bus, unit) in enumerate(units)
        ),
    )
    return cast("BoundPlan", SimpleNamespace(plan=plan, points=tuple(points), quirks=tuple(quirks)))


quirks_strategy = st.builds(Quirks, max_registers=st.integers(8, 125), max_gap=st.integers(0, 30))


@st.composite
def bound_plans(draw: st.DrawFn) -> BoundPlan:
    """Plans of up to three instruments on two buses, some under one unit, with overlapping registers."""
    units = draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2)), min_size=1, max_size=3))
    quirks = draw(st.lists(quirks_strategy, min_size=len(units), max_size=len(units)))
    points = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(sorted(WIDTHS)))
        keys: dict[str, Any] = {"type": kind, "function": draw(st.sampled_from([3, 4]))}
        own = draw(st.integers(0, 200))
        if draw(st.booleans()):
            keys["addresses"] = draw(st.permutations(range(own, own + 4)))[: WIDTHS[kind]]
        else:
            keys["address"] = own
        if WIDTHS[kind] < 4 and draw(st.booleans()):
            keys["scale_factor"] = {"address": own + draw(st.integers(0, 3))}
        register = make_register(**keys)
        points.append(
            make_point(register, instrument=draw(st.integers(0, len(units) - 1)), scan_class=draw(st.integers(0, 1)))
        )
    return bound_of(points, units, quirks)


def memory(bus: int, unit: int, function: int, address: int) -> int:
    """The register space of all devices: a fixed, irregular function of the place."""
    return (address * 40503 + bus * 9973 + unit * 7919 + function * 104729) & 0xFFFF


@given(bound_plans())
def test_every_point_is_read_once_whole_and_within_the_limits(bound: BoundPlan) -> None:
    """Each point in exactly one request of its device, class and function; no value split; no limit passed."""
    requests = plan_reads(bound)

    assert sorted(p for r in requests for p in r.points) == list(range(len(bound.points)))
    for request in requests:
        covered: set[int] = set()
        for position, offset, width in zip(request.points, request.offsets, request.widths, strict=True):
            point = bound.points[position]
            instrument = bound.plan.instruments[point.instrument]
            assert request.scan_class == point.scan_class
            places = {place - request.address for place in point.register.places}
            assert (request.function, offset) == (point.register.function, min(places))
            assert (request.unit, bound.plan.buses[request.bus].id) == (instrument.unit, instrument.bus)
            assert width == point.register.word_width
            assert places <= set(range(request.count))
            assert request.count <= bound.quirks[point.instrument].max_registers
            covered |= places
            gap = bound.quirks[point.instrument].max_gap
            assert all(set(range(at, at + gap + 1)) & covered_by(request, bound) for at in range(request.count - gap))
        assert {0, request.count - 1} <= covered


def covered_by(request: Any, bound: BoundPlan) -> set[int]:
    """Registers of an answer that lie between the first and the last of a point."""
    return {
        at - request.address
        for point in request.points
        for places in (bound.points[point].register.places,)
        for at in range(min(places), max(places) + 1)
    }


timings = st.builds(
    LineTiming,
    turnaround_ms=st.floats(0, 200),
    baud=st.sampled_from([0, 1200, 9600, 19200, 115200]),
    bits=st.sampled_from([10, 11]),
)


@given(bound_plans(), st.none() | timings)
def test_reading_by_the_plan_equals_reading_register_by_register(bound: BoundPlan, timing: LineTiming | None) -> None:
    """The plan and its line change how often is asked, never what is read."""
    by_plan: dict[int, int] = {}
    for request in plan_reads(bound, lambda *_: timing):
        answer = [
            memory(request.bus, request.unit, request.function, request.address + i) for i in range(request.count)
        ]
        joined = join_words(np.array([answer], dtype=np.uint16), request)
        by_plan |= dict(zip(request.points, joined[0].tolist(), strict=True))
    one_by_one: dict[int, int] = {}
    for position, point in enumerate(bound.points):
        instrument = bound.plan.instruments[point.instrument]
        word = 0
        for address in point.register.places:
            word = word * 65536 + memory("ab".index(instrument.bus), instrument.unit, point.register.function, address)
        one_by_one[position] = word

    assert one_by_one == by_plan


@given(bound_plans())
def test_no_two_requests_could_have_been_one(bound: BoundPlan) -> None:
    """Neighbouring requests of one group stand further apart than the gap, or do not fit together."""
    requests = plan_reads(bound)
    for before, after in itertools.pairwise(requests):
        group = [(r.bus, r.unit, r.function, r.scan_class) for r in (before, after)]
        if group[0] != group[1]:
            assert group[0] < group[1]
            continue
        owners = {
            bound.points[p].instrument
            for r in requests
            for p in r.points
            if (r.bus, r.unit, r.function, r.scan_class) == group[0]
        }
        gap = min(bound.quirks[owner].max_gap for owner in owners)
        most = min(bound.quirks[owner].max_registers for owner in owners)
        first = bound.points[after.points[0]].register
        reach = max(before.address + before.count, *(place + 1 for place in first.places))
        assert after.address - (before.address + before.count) > gap or reach - before.address > most


def test_equal_plans_give_equal_requests() -> None:
    """Points of a device join over a gap; another function and another class do not."""
    points = [
        make_point(make_register(address=10, type="u32")),
        make_point(make_register(address=0, type="u16")),
        make_point(make_register(address=30, type="u16")),
        make_point(make_register(address=1, type="u16", function=4)),
        make_point(make_register(address=2, type="u16"), scan_class=1),
    ]
    requests = plan_reads(bound_of(points, [("a", 7)], [Quirks(max_registers=20, max_gap=9)]))

    assert all(request.scattered == () for request in requests)
    assert [
        (3, 0, 12, 0, (1, 0), (0, 10), (1, 2)),
        (3, 30, 1, 0, (2,), (0,), (1,)),
        (3, 2, 1, 1, (4,), (0,), (1,)),
        (4, 1, 1, 0, (3,), (0,), (1,)),
    ] == [(r.function, r.address, r.count, r.scan_class, r.points, r.offsets, r.widths) for r in requests]


def test_a_value_in_several_places_is_read_at_once() -> None:
    """Registers that are no neighbours, and a scale factor, come in one request and are told apart in it."""
    points = [
        make_point(make_register(addresses=[14, 10], type="u32")),
        make_point(make_register(address=20, type="u32", scale_factor={"address": 12})),
        make_point(make_register(address=12, type="u16")),
    ]
    (request,) = plan_reads(bound_of(points, [("a", 7)], [Quirks(max_gap=0)]))

    assert (10, 12, (0, 2, 1), (0, 2, 2), (2, 1, 4)) == (
        request.address, request.count, request.points, request.offsets, request.widths
    )  # fmt: skip
    assert ((0, (4, 0)), (2, (10, 11, 2))) == request.scattered
    answer = np.array([range(100, 112)], dtype=np.uint16)
    assert [[104 << 16 | 100, 102, 110 << 32 | 111 << 16 | 102]] == join_words(answer, request).tolist()


def test_a_request_is_told_in_one_line() -> None:
    """A technician reads where, what, how often and which points."""
    bound = bound_site()

    assert (
        "bus line-b, unit 6, function 4, registers 0-1, every 1000 ms (second): stack.temperature, stack.pressure"
        in [describe(request, bound) for request in plan_reads(bound)]
    )
