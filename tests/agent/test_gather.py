from __future__ import annotations

import tracemalloc
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.gather import SLOT_BYTES, Gathering
from agent.results import Result
from protocols.records import Fate
from tests.agent.outbox_child import FIRST_SLOT, INTERVAL_MS, START_MS, registers
from tests.agent.test_parts import COUNT, READING

BATCH_MS = 1_000
PER_BATCH = BATCH_MS // INTERVAL_MS


def result(k: int) -> Result:
    return Result(0, FIRST_SLOT + k, Fate.GOOD, 300 + k % 7, registers(FIRST_SLOT + k, COUNT))


def gathering(least_bytes: int) -> Gathering:
    return Gathering(READING.requests, READING.bound.intervals_ms, least_bytes)


def test_what_is_held_stays_bounded_and_every_slot_keeps_a_fate() -> None:
    """Over an hour without a disk the oldest spans go, whole, and are counted as dropped; the newest stay."""
    held, most = gathering(50_000), 0
    slots = 3_600 * PER_BATCH
    for k in range(slots):
        held.add(result(k))
        held.shed(BATCH_MS)
        most = max(most, held.held_bytes)
    (samples,) = held.samples(START_MS - 1_000, START_MS + slots * INTERVAL_MS)
    counted = Counter(samples.fates.tolist())
    good = counted[Fate.GOOD]

    assert most <= 50_000
    assert PER_BATCH == counted[Fate.AGENT_DOWN]
    assert slots - good == counted[Fate.DROPPED_BY_CAP]
    assert good * (SLOT_BYTES + 2 * COUNT) == held.held_bytes
    assert samples.fates[-good:].tolist() == [Fate.GOOD] * good
    assert 0 == (slots - good) % PER_BATCH


def test_two_batch_spans_may_always_be_held() -> None:
    """However small the bound, what one span needs is never given up for want of memory."""
    held = gathering(1)
    for k in range(2 * PER_BATCH):
        held.add(result(k))

    assert held.shed(BATCH_MS) is None

    held.add(result(2 * PER_BATCH))

    assert (START_MS, START_MS + BATCH_MS) == held.shed(BATCH_MS)
    assert not held.add(result(0))
    assert (START_MS + 500, START_MS + BATCH_MS) == held.given_up(START_MS + 500, START_MS + 9_000)
    assert held.given_up(START_MS + BATCH_MS, START_MS + 9_000) is None


def test_the_estimate_of_what_is_held_is_about_right() -> None:
    """The bound counts bytes by an estimate; what Python really takes is no more than its spare room above it."""
    held, many = gathering(10**9), 20_000
    tracemalloc.start()
    try:
        for k in range(many):
            held.add(result(k))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert 0.9 * held.held_bytes < taken < 1.2 * held.held_bytes


def test_dropping_gives_the_memory_back() -> None:
    """What a batch holds is not counted any more."""
    held = gathering(10**9)
    for k in range(20):
        held.add(result(k))
    held.drop(START_MS + 10 * INTERVAL_MS)

    assert 10 * (SLOT_BYTES + 2 * COUNT) == held.held_bytes
    assert [FIRST_SLOT + k for k in range(10, 20)] == [r.slot for r in held.results(0, 2**60)]


@given(st.permutations(range(12)), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_the_order_of_arrival_changes_nothing(order: list[int], some: int, forgotten: int) -> None:
    """Whatever came first, and wherever it was cut: the slots hold what was put there, and the first one stands."""
    held = gathering(10**9)
    put = order[:some]
    for k in put:
        assert held.add(result(k))
        assert not held.add(Result(0, FIRST_SLOT + k, Fate.TIMEOUT))
    held.drop(START_MS + forgotten * INTERVAL_MS)
    left = sorted(k for k in put if k >= forgotten)
    (samples,) = held.samples(START_MS, START_MS + 12 * INTERVAL_MS)

    assert [result(k) for k in left] == held.results(0, 2**50)
    assert [k for k in range(12) if samples.fates[k] == Fate.GOOD] == left
    assert [300 + k % 7 for k in left] == samples.delay_ms.tolist()
    assert held.last_stamp_ms() == max((START_MS + k * INTERVAL_MS + 300 + k % 7 for k in left), default=None)
