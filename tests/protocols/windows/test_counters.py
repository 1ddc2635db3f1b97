"""The counter state machine, and amounts that add up however spans and windows are cut."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPoint
from protocols.quantities import Kind, Quantity, Reference
from protocols.records import CounterState
from protocols.windows.counters import Amounts, CounterFold, close_counter, fold_alike, fold_counter

REGISTER = Register(
    name="energy", quantity=Quantity.ACTIVE_ENERGY_IMPORT, function=4, address=0, type="u32", unit="kWh"
)
POINT = BoundPoint(
    id="em-1.energy", instrument=0, register=REGISTER, quantity=Quantity.ACTIVE_ENERGY_IMPORT, kind=Kind.COUNTER,
    reference=Reference(), scan_class=0, interval_ms=10_000, hold_ms=20_000, ratio=Fraction(10**6), modulus=None,
    resolution=Fraction(10**6), max_per_hour=10**9, mpe_percent_of_reading=1.0, mpe_absolute=0.0,
    repeatability_percent=0.0,
)
CELL = 60_000


def run(
    samples: list[tuple[int, int]], point: BoundPoint = POINT, state: CounterState | None = None, close: bool = False
) -> CounterFold:
    """Fold (time, index) pairs."""
    at, index = (np.array([s[i] for s in samples], dtype=np.int64) for i in (0, 1))
    folded = fold_counter(point, CELL, state, at, index)
    return close_counter(folded) if close else folded


def rows(cuts: tuple[Amounts, ...]) -> list[tuple[int, int, int, int]]:
    """(from, to, amount, gap) of every window."""
    return [
        row
        for c in cuts
        for row in zip(c.from_ms.tolist(), c.to_ms.tolist(), c.amount.tolist(), c.gap.tolist(), strict=True)
    ]


def test_an_amount_is_split_by_time_and_waits_for_the_end_of_its_cell() -> None:
    """30 units from 50 s to 80 s are 10 before the minute and 20 after; the 20 wait."""
    folded = run([(50_000, 100), (80_000, 130)])

    assert [(50_000, 60_000, 10, 30)] == rows(folded.amounts)
    assert CounterState(80_000, 130, 60_000, 20, 30) == folded.state


counters = st.builds(
    lambda state, indexes, limit, modulus: (state, indexes, limit, modulus),
    st.one_of(
        st.none(),
        st.builds(
            CounterState, st.sampled_from([0, 5_000]), st.integers(0, 10**7), st.sampled_from([0, -3_000]),
            st.integers(0, 10**6), st.sampled_from([0, 0, 77]),
            st.sampled_from([(), (), ((4_000, 12),)]),
        ),
    ),
    st.lists(st.integers(0, 10**7), min_size=12, max_size=12).map(sorted) | st.lists(
        st.integers(0, 2**40), min_size=12, max_size=12
    ),
    st.sampled_from([None, 10**9, 10**12, 2**61]),
    st.sampled_from([None, 2**32]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(counters, min_size=1, max_size=6), st.lists(st.integers(1, 80_000), min_size=12, max_size=12))
def test_counters_folded_together_are_folded_as_each_alone(
    given_: list[tuple[CounterState | None, list[int], int | None, int | None]], steps: list[int]
) -> None:
    """What the common pass takes it folds to the same states, amounts and fits; it takes only what fits at once."""
    at_ms = 5_000 + np.add.accumulate(np.array(steps, dtype=np.int64))
    points = [replace(POINT, max_per_hour=limit, modulus=modulus) for _, _, limit, modulus in given_]
    states = [state for state, *_ in given_]
    indexes = np.array([one[1] for one in given_], dtype=np.int64)
    together = fold_alike(points, CELL, states, at_ms, indexes)
    for place, (point, state) in enumerate(zip(points, states, strict=True)):
        alone = fold_counter(point, CELL, state, at_ms, indexes[place])
        folded = together.get(place)
        if folded is None:
            grown = [] if state is None else np.diff(indexes[place], prepend=state.last_index).tolist()
            assert state is None or state.candidates or point.max_per_hour is not None or min(grown) < 0
            continue

        assert alone.state == folded.state
        assert rows(alone.amounts) == rows(folded.amounts)
        assert alone.fits.tolist() == folded.fits.tolist()
        assert () == alone.resets == folded.resets


def test_a_zero_glitch_is_not_a_new_baseline() -> None:
    """An index of 0 between good ones is not believed and not lost: nothing is booked twice."""
    folded = run([(0, 5000), (10_000, 5001), (20_000, 0), (30_000, 5003), (60_000, 5006)])

    assert [True, True, False, True, True] == folded.fits.tolist()
    assert [(0, 60_000, 6, 3)] == rows(folded.amounts)
    assert () == folded.resets


def test_three_readings_that_fit_each_other_are_a_reset_and_the_amount_between_stays_unknown() -> None:
    """The old index closes, the new one opens; the time between has no window."""
    folded = run([(0, 5000), (10_000, 5001), (20_000, 3), (30_000, 4), (40_000, 6), (60_000, 8)])

    assert 1 == len(folded.resets)
    assert (10_000, 5001, 20_000, 3) == (
        folded.resets[0].closed_ms, folded.resets[0].closing_index, folded.resets[0].opened_ms,
        folded.resets[0].opening_index,
    )
    assert [(0, 10_000, 1, 0), (20_000, 60_000, 5, 0)] == rows(folded.amounts)


def test_a_rollover_counts_only_at_a_known_modulus() -> None:
    """999 998 to 3 is 5 where the register is known to roll over at a million, else it waits."""
    rolled = run([(0, 999_998), (60_000, 3)], replace(POINT, modulus=10**6))
    waiting = run([(0, 999_998), (60_000, 3)])

    assert [(0, 60_000, 5, 5)] == rows(rolled.amounts)
    assert [] == rows(waiting.amounts)
    assert waiting.state is not None
    assert ((60_000, 3),) == waiting.state.candidates


def test_an_implausible_jump_waits_for_confirmation() -> None:
    """A jump beyond the greatest plausible rate is not booked from one reading."""
    folded = run([(0, 100), (10_000, 100 + 10**9), (20_000, 120)])

    assert [True, False, True] == folded.fits.tolist()
    assert folded.state is not None
    assert (20_000, 120, 20) == (folded.state.last_ms, folded.state.last_index, folded.state.pending)


def test_an_outage_is_known_in_total_and_marked_and_long_ones_are_cut_at_hours() -> None:
    """Two and a half hours without a reading: hour windows inside, the total unchanged."""
    end = 9_000_000
    folded = run([(0, 0), (end, 9000), (end + 60_000, 9060)])
    cut = rows(folded.amounts)

    assert [0, 3_600_000, 7_200_000] == [r[0] for r in cut][:3]
    assert 9060 == sum(r[2] for r in cut)
    assert all(r[3] == 9000 for r in cut[:2])


def test_a_clean_stop_closes_the_partial_window_at_the_last_index() -> None:
    """What is known is emitted; the next start continues from there."""
    folded = run([(0, 0), (10_000, 7), (20_000, 9)], close=True)

    assert [(0, 20_000, 9, 0)] == rows(folded.amounts)
    assert CounterState(20_000, 9, 20_000, 0) == folded.state


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Ascending times with indexes that mostly grow, with glitches, drops and outages."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from([1_000, 9_999, 10_000, 10_001, 59_000, 300_000, 4_000_000, 11_000_000]),
                st.one_of(st.integers(0, 5_000_000), st.sampled_from([-1, -(10**7), 10**10])),
            ),
            min_size=1,
            max_size=40,
        )
    )
    at, index, history = draw(st.integers(0, 200_000)), draw(st.integers(0, 10**9)), []
    for wait, growth in steps:
        at += wait
        glitch = growth < 0 or growth > 5_000_000
        history.append((at, max(0, index + growth)))
        index = index if glitch and draw(st.booleans()) else max(0, index + growth)
    return history


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_splitting_a_history_anywhere_changes_nothing_to_the_bit(
    history: list[tuple[int, int]], data: st.DataObject
) -> None:
    """One fold over everything equals folds over any partition: windows, state, resets, fits."""
    whole = run(history)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(history)), max_size=5)))
    state: CounterState | None = None
    amounts: list[Amounts] = []
    fits: list[bool] = []
    for low, high in zip([0, *cuts], [*cuts, len(history)], strict=True):
        part = run(history[low:high], state=state)
        state = part.state
        amounts.extend(part.amounts)
        fits.extend(part.fits.tolist())

    assert rows(whole.amounts) == rows(tuple(amounts))
    assert whole.state == state
    assert whole.fits.tolist() == fits


@settings(max_examples=300, deadline=None)
@given(histories())
def test_windows_and_the_pending_part_add_up_to_what_was_accepted(history: list[tuple[int, int]]) -> None:
    """No unit is lost or doubled by the split, whatever the history."""
    folded = run(history)
    cut = rows(folded.amounts)

    assert all(a[1] <= b[0] for a, b in pairwise(cut))
    assert all(r[2] >= 0 and r[0] < r[1] for r in cut)
    if not folded.resets and folded.state is not None:
        assert folded.state.last_index - history[0][1] == sum(r[2] for r in cut) + folded.state.pending


@pytest.mark.parametrize("cell", [1_000, 5_000, 60_000, 3_600_000])
@settings(deadline=None)
@given(histories())
def test_the_width_of_windows_changes_no_total(cell: int, history: list[tuple[int, int]]) -> None:
    """Splitting windows changes counter amounts by nothing."""
    at, index = (np.array([s[i] for s in history], dtype=np.int64) for i in (0, 1))
    folded = close_counter(fold_counter(POINT, cell, None, at, index))
    hourly = close_counter(fold_counter(POINT, 3_600_000, None, at, index))

    assert sum(r[2] for r in rows(hourly.amounts)) == sum(r[2] for r in rows(folded.amounts))


def test_an_absence_of_decades_costs_no_window_grid() -> None:
    """A state of 1970 gives hours, not hundreds of millions of cells; the total is unchanged."""
    state = CounterState(0, 0, 0, 0)
    at, index = np.array([1_760_000_000_000], dtype=np.int64), np.array([10**6], dtype=np.int64)
    tracemalloc.start()
    folded = close_counter(fold_counter(POINT, 1_000, state, at, index))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 10**6 == sum(int(cut.amount.sum()) for cut in folded.amounts)
    assert sum(cut.amount.size for cut in folded.amounts) == 1_760_000_000_000 // 3_600_000 + 1
    assert peak < 200 * 2**20
