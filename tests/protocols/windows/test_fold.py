"""The fold over a span: splits change nothing, missing is never zero, slots have one fate each."""

import random
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.records import Event, EventKind, Fate, FoldState, ReadRequest, Window
from protocols.windows.fold import Folded, fold
from protocols.windows.opening import initial_state, migrate
from tests.plans import PLAN, float_words, sample, small_plan

BOUND = small_plan()
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
STACK = {
    "stack-1.flow": float_words(10_000.0), "stack-1.temperature": float_words(120.0),
    "stack-1.pressure": float_words(101.325), "stack-1.water": float_words(10.0),
    "stack-1.co2": float_words(8.0), "stack-1.state": 1,
}


def steady(at_ms: int) -> dict[str, int]:
    """36 kW, 72 m3/h and a running stack."""
    since = at_ms - START
    return {"em-1.energy": 1_000_000 + since // 100, "gm-1.volume": 5_000 + since // 500, **STACK}


def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
    """Everything answers after 20 ms."""
    return 20, steady(due_ms + 20)


def of(windows: tuple[Window, ...], source: str) -> list[Window]:
    """Windows of one source."""
    return [w for w in windows if BOUND.sources[w.source].id == source]


def run(span: tuple[int, int], state: FoldState | None = None, events: tuple[Event, ...] = ()) -> Folded:
    """Fold a span of the steady plant."""
    low, high = START + span[0], START + span[1]
    return fold(BOUND, state or initial_state(BOUND, low), sample(BOUND, low, high, answer), events, low, high)


def test_a_steady_minute_gives_the_masses_worked_out_by_hand() -> None:
    """Electricity: 10 Wh/s x 0.5306 kg/kWh; gas: 0.02 m3/s x 2.162 kg/m3; stack by the gas law."""
    folded = run((0, 60_000))
    grid, boiler, stack = (of(folded.windows, name) for name in ("grid", "boiler", "stack"))

    assert [26_530] * 10 == [w.mass_mg for w in grid[1:]]
    assert [216_200] * 10 == [w.mass_mg for w in boiler[1:]]
    rate = 10_000 * 273.15 / 393.15 * 0.9 * 0.08 * 44.0095 / 22.414  # kg/h
    assert rate / 3600 * 5e6 == pytest.approx(stack[1].mass_mg, rel=1e-4)
    assert {5_000} == {w.measured_ms for w in stack[1:]}
    assert 4_980 == stack[0].operating_ms


def test_the_first_instant_before_any_sample_is_unknown_not_zero() -> None:
    """20 ms before the first answer belong to no state."""
    first = of(run((0, 60_000)).windows, "stack")[0]

    assert 20 == first.to_ms - first.from_ms - first.operating_ms - first.stopped_ms


def test_slots_of_every_point_add_up_to_the_due_instants() -> None:
    """12 slots at 5 s, 60 at 1 s, each with one fate."""
    folded = run((0, 60_000))
    total = {p: sum(s.count for s in folded.slots if s.point == p) for p in range(len(BOUND.points))}

    assert [12, 12, 60, 60, 60, 60, 60, 60] == [total[p] for p in sorted(total)]
    assert {int(Fate.GOOD)} == {s.fate for s in folded.slots}


def test_a_missing_slot_inside_the_hold_time_does_not_end_the_hold_and_beyond_it_is_missing() -> None:
    """Silence of 10 s: two scan intervals still hold, the rest is operating time nowhere."""

    def silent(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        return Fate.TIMEOUT if START + 20_000 <= due_ms < START + 30_000 else answer(request, slot, due_ms)

    low, high = START, START + 60_000
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, silent), (), low, high)
    known = {w.from_ms - START: w.operating_ms + w.stopped_ms for w in of(folded.windows, "stack")}

    assert 1_020 == known[20_000]
    assert 25_000 not in known
    assert 4_980 == known[30_000]
    assert 10 == next(s.count for s in folded.slots if s.point == 2 and s.fate == Fate.TIMEOUT)


def test_stopped_is_zero_by_evidence() -> None:
    """A stopped stack has windows of mass 0 with stopped time, whatever its analyzer shows."""

    def stopped(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        return 20, {**steady(due_ms + 20), "stack-1.state": 0}

    low, high = START, START + 60_000
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, stopped), (), low, high)
    window = of(folded.windows, "stack")[3]

    assert (0, 0, 5_000) == (window.mass_mg, window.operating_ms, window.stopped_ms)


def test_an_unknown_code_and_a_nan_are_missing() -> None:
    """A state code the plan does not name is unknown; a NaN concentration is operating but not measured."""

    def odd(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        words = steady(due_ms + 20)
        if START + 10_000 <= due_ms < START + 20_000:
            words["stack-1.state"] = 9
        if START + 40_000 <= due_ms < START + 50_000:
            words["stack-1.co2"] = 0x7FC00000
        return 20, words

    low, high = START, START + 60_000
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, odd), (), low, high)
    by_start = {w.from_ms - START: w for w in of(folded.windows, "stack")}

    assert 15_000 not in by_start
    assert (5_000, 0, 0) == (by_start[45_000].operating_ms, by_start[45_000].measured_ms, by_start[45_000].mass_mg)
    assert 10 == next(s.count for s in folded.slots if s.point == 6 and s.fate == Fate.NOT_AVAILABLE)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=5, max_size=5))
def test_no_word_a_register_can_hold_breaks_the_fold(words: list[int]) -> None:
    """Garbled but finite floats are operating time that is not measured, never an error and never a mass."""
    names = ("flow", "temperature", "pressure", "water", "co2")

    def garbled(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        told = steady(due_ms + 20)
        if due_ms >= START + 30_000:
            told |= {f"stack-1.{name}": word for name, word in zip(names, words, strict=True)}
        return 20, told

    low, high = START, START + 60_000
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, garbled), (), low, high)
    most = 1e8 / 3600 * 5 * 1e6  # mg in a window at the greatest rate that is believed

    assert all(abs(w.mass_mg) <= most + 1 for w in of(folded.windows, "stack"))


def test_no_value_is_held_across_a_start_of_the_agent() -> None:
    """A start event ends every hold; the state carried on has none from before it."""
    start = Event(EventKind.AGENT_START, START + 30_000)

    def late(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        return Fate.AGENT_DOWN if START + 29_500 <= due_ms < START + 33_000 else answer(request, slot, due_ms)

    low, high = START, START + 60_000
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, late), (start,), low, high)
    window = next(w for w in of(folded.windows, "stack") if w.from_ms == START + 30_000)

    assert 35_000 - 33_020 == window.operating_ms


def test_a_clean_stop_closes_partial_windows_and_the_next_start_goes_on_from_there() -> None:
    """Nothing is lost or doubled around a stop in the middle of a cell."""
    stopped = run((0, 22_500), events=(Event(EventKind.AGENT_STOP, START + 22_500),))
    rest = run((22_500, 60_000), state=stopped.state)
    grid = [*of(stopped.windows, "grid"), *of(rest.windows, "grid")]
    whole = of(run((0, 60_000)).windows, "grid")

    assert START + 20_020 == of(stopped.windows, "grid")[-1].to_ms
    assert all(a.to_ms == b.from_ms for a, b in pairwise(grid))
    assert sum(w.activity for w in whole) == sum(w.activity for w in grid)
    assert abs(sum(w.mass_mg for w in whole) - sum(w.mass_mg for w in grid)) <= 0.5 * (len(grid) + len(whole))


def test_a_meter_swap_closes_the_old_counter_and_opens_another() -> None:
    """Half a minute each: both meters' amounts are booked, the leap between them is not, and nothing is a reset."""

    def swapped(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        words = steady(due_ms + 20)
        if due_ms >= START + 30_000:
            words["em-1.energy"] += 7_000_000
        return 20, words

    low, high = START, START + 60_000
    swap = Event(EventKind.METER_SWAP, START + 30_000, "em-1", (("closing", 1_000_300),))
    folded = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, swapped), (swap,), low, high)
    grid = of(folded.windows, "grid")

    assert () == folded.derived_events
    gap = next((a.to_ms, b.from_ms) for a, b in pairwise(grid) if a.to_ms < b.from_ms)
    assert (START + 25_020, START + 30_020) == gap
    assert folded.state.points[0].counter is not None
    assert 250 * 1000 * 2 - folded.state.points[0].counter.pending == sum(window.activity for window in grid)
    assert [Fate.GOOD] == [one.fate for one in folded.slots if one.point == 0]
    assert boilers_unchanged(folded)


def boilers_unchanged(folded: Folded) -> bool:
    """Whether the counters of other instruments are as without the swap."""
    return of(folded.windows, "boiler") == of(run((0, 60_000)).windows, "boiler")


fates = st.sampled_from([Fate.TIMEOUT, Fate.BUS_BUSY, None, None, None, None])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_splitting_a_span_at_window_edges_changes_nothing_to_the_bit(data: st.DataObject) -> None:
    """Answers late beyond an edge, holes, glitches, starts and stops: any partition gives equal windows."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = random.Random(seed)
    told: dict[tuple[int, int, int], tuple[int, Mapping[str, int]] | Fate] = {}

    def noisy(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        key = (request.unit, request.address, slot)
        if key not in told:
            if rng.random() < 0.2:
                told[key] = rng.choice([Fate.TIMEOUT, Fate.BUS_BUSY, Fate.DISCONNECTED])
            else:
                delay = rng.choice([0, 3, 20, 700, 999])
                words = steady(due_ms + delay)
                words["stack-1.flow"] = float_words(rng.uniform(0, 20_000))
                words["stack-1.co2"] = float_words(rng.choice([8.0, 7.5, float("nan")]))
                words["stack-1.state"] = rng.choice([1, 1, 1, 0, 2, 9])
                if rng.random() < 0.05:
                    words["em-1.energy"] = 0
                told[key] = (delay, words)
        return told[key]

    low, high = START, START + 120_000
    possible = (Event(EventKind.AGENT_START, START + 47_300), Event(EventKind.METER_SWAP, START + 83_400, "em-1"))
    events = tuple(event for event in possible if data.draw(st.booleans()))
    whole = fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high, noisy), events, low, high)
    cuts = sorted(data.draw(st.sets(st.integers(1, 23), max_size=4)))
    state = initial_state(BOUND, low)
    windows: list[Window] = []
    slots: dict[tuple[int, int], int] = {}
    for a, b in zip([0, *cuts], [*cuts, 24], strict=True):
        span = (START + a * 5_000, START + b * 5_000)
        own = tuple(e for e in events if span[0] <= e.at_ms < span[1])
        part = fold(BOUND, state, sample(BOUND, *span, noisy), own, *span)
        state = part.state
        windows.extend(part.windows)
        for s in part.slots:
            slots[(s.point, s.fate)] = slots.get((s.point, s.fate), 0) + s.count

    order = lambda w: (w.source, w.input, w.gas, w.from_ms)  # noqa: E731
    assert sorted(whole.windows, key=order) == sorted(windows, key=order)
    assert whole.state == state
    assert {(s.point, s.fate): s.count for s in whole.slots} == slots


def test_samples_of_another_span_are_refused() -> None:
    """The fold names the request and both slot ranges."""
    low, high = START, START + 60_000
    with pytest.raises(ValueError, match="the span has"):
        fold(BOUND, initial_state(BOUND, low), sample(BOUND, low, high - 10_000, answer), (), low, high)


def test_state_survives_a_new_plan_only_where_the_instrument_is_the_same() -> None:
    """Another serial number starts anew; everything else goes on."""
    folded = run((0, 60_000))
    changed = small_plan(plan=PLAN.replace('serial = "E1"', 'serial = "E2"'))
    state = migrate(folded.state, BOUND, changed)

    assert state.points[0].counter is None
    assert folded.state.points[1] == state.points[1]
