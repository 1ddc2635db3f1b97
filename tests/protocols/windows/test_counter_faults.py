"""An honest counter and one fault: what is booked is what was honestly counted, or known to be unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protocols.plan.bound import BoundPoint
from protocols.windows.counters import CounterFold, fold_counter
from protocols.windows.opening import initial_state, migrate
from tests.plans import PLAN, small_plan

STEP_MS = 10_000
MOST = 10**9
"""Greatest plausible growth an hour; below, honest growth stays within a tenth of it."""
HONEST = MOST // 360 // 10
POINT = replace(small_plan().points[0], max_per_hour=MOST, modulus=None)


@st.composite
def honest(draw: st.DrawFn) -> list[int]:
    """Indexes of a counter that only grows, read every ten seconds."""
    growths = draw(st.lists(st.integers(0, HONEST), min_size=12, max_size=30))
    index, indexes = draw(st.integers(10**8, 10**12)), []
    for growth in growths:
        index += growth
        indexes.append(index)
    return indexes


def run(indexes: list[int], point: BoundPoint = POINT) -> CounterFold:
    """Fold indexes read every ten seconds."""
    at_ms = np.arange(len(indexes), dtype=np.int64) * STEP_MS
    return fold_counter(point, 60_000, None, at_ms, np.array(indexes, dtype=np.int64))


def booked(folded: CounterFold) -> int:
    """Everything counted so far."""
    assert folded.state is not None
    return folded.state.pending + sum(sum(cut.amount.tolist()) for cut in folded.amounts)


FAULTS: dict[str, Callable[[int, int], int]] = {
    "zero glitch": lambda index, size: 0,  # noqa: ARG005
    "implausible rate": lambda index, size: index + MOST + size,
    "torn read: high word of after, low word of before": lambda index, size: (index | 0xFFFFFFFF) + 1 + size % 2**31,
    "torn read: high word of before, low word of after": lambda index, size: index & ~0xFFFFFFFF,  # noqa: ARG005
    "a little lower": lambda index, size: index - 3 * HONEST - 1 - size % 1000,
}


@pytest.mark.parametrize("fault", FAULTS)
@settings(max_examples=60, deadline=None)
@given(honest(), st.data())
def test_a_wrong_index_is_never_booked_and_nothing_is_lost(fault: str, indexes: list[int], data: st.DataObject) -> None:
    """One or two readings in a row: uncertain, and the counter goes on as if they had not been."""
    first = data.draw(st.integers(1, len(indexes) - 3))
    length = data.draw(st.integers(1, 2))
    told = list(indexes)
    for at in range(first, first + length):
        told[at] = FAULTS[fault](indexes[at], data.draw(st.integers(0, 2**31)))
        plausible = range(indexes[first - 1], indexes[first - 1] + 3 * (MOST // 360))
        assume(told[at] not in plausible)  # nobody could tell it
    folded = run(told)

    assert indexes[-1] - indexes[0] == booked(folded)
    assert () == folded.resets
    assert [at for at in range(len(told)) if not folded.fits[at]] == list(range(first, first + length))


@settings(max_examples=60, deadline=None)
@given(honest(), st.integers(1, 11))
def test_a_rollover_at_the_known_modulus_loses_nothing(indexes: list[int], place: int) -> None:
    """Wherever it falls."""
    modulus = indexes[place]
    folded = run([index % modulus for index in indexes], replace(POINT, modulus=modulus))

    assert indexes[-1] - indexes[0] == booked(folded)
    assert () == folded.resets


@settings(max_examples=60, deadline=None)
@given(honest(), st.integers(1, 8), st.integers(1, 10**6))
def test_a_reset_books_what_both_sides_show_and_nothing_between(indexes: list[int], place: int, opening: int) -> None:
    """Set back to any lower index: closed, opened, and the amount between is unknown."""
    told = indexes[:place] + [opening + index - indexes[place] for index in indexes[place:]]
    folded = run(told)

    assert [(indexes[place - 1], opening)] == [(one.closing_index, one.opening_index) for one in folded.resets]
    assert indexes[place - 1] - indexes[0] + indexes[-1] - indexes[place] == booked(folded)
    ends = [(start, end) for cut in folded.amounts for start, end in zip(cut.from_ms, cut.to_ms, strict=True)]
    assert not any(start < place * STEP_MS and end > (place - 1) * STEP_MS for start, end in ends)


@settings(max_examples=60, deadline=None)
@given(honest(), st.integers(1, 10), st.integers(1, 10))
def test_zeros_are_never_believed_however_many(indexes: list[int], first: int, length: int) -> None:
    """A meter that starts again shows zero for a while: uncertain, nothing lost, and no reset."""
    last = min(first + length, len(indexes) - 1)
    folded = run([0 if first <= at < last else index for at, index in enumerate(indexes)])

    assert indexes[-1] - indexes[0] == booked(folded)
    assert () == folded.resets
    assert [at for at in range(len(indexes)) if not folded.fits[at]] == list(range(first, last))
    assert folded.state is not None
    assert () == folded.state.candidates


def test_a_counter_set_back_to_zero_is_believed_when_it_moves() -> None:
    """Zeros, then growth from zero on: a reset whose opening index is the last zero."""
    folded = run([10**8, 10**8 + 5, 0, 0, 0, 0, 7, 9, 12])

    assert [(10**8 + 5, 0, 5 * STEP_MS)] == [(r.closing_index, r.opening_index, r.opened_ms) for r in folded.resets]
    assert 5 + 12 == booked(folded)


def test_a_replaced_meter_starts_anew_without_a_reset() -> None:
    """Another serial number in the plan: its first index is no difference to the old meter's last one."""
    old = small_plan()
    new = small_plan(plan=PLAN.replace('serial = "E1"', 'serial = "E2"'))
    before = initial_state(old, 0)
    counted = replace(before.points[0], counter=run([5, 6, 7]).state)
    carried = migrate(replace(before, points=(counted, *before.points[1:])), old, new)
    folded = fold_counter(
        new.points[0], 60_000, carried.points[0].counter, np.array([40_000, 50_000]), np.array([9_000_000, 9_000_003])
    )

    assert (3, ()) == (booked(folded), folded.resets)


def test_no_amount_is_negative_after_indexes_that_no_such_counter_shows() -> None:
    """Thrice an index beyond the modulus, then the counter's own again: two resets, no turn backwards."""
    modulus = 10**9
    beyond = [4 * modulus] * 3
    folded = run([10**8, 10**8 + 5, *beyond, 10**8 + 20, 10**8 + 25, 10**8 + 30], replace(POINT, modulus=modulus))

    assert 2 == len(folded.resets)
    assert 5 + 0 + 10 == booked(folded)
    assert all(amount >= 0 for cut in folded.amounts for amount in cut.amount.tolist())
