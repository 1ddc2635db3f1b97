from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.early import Early
from agent.results import Result, decode_entry
from protocols.records import Fate


@given(st.integers(1, 100_000), st.integers(-(10**12), 2 * 10**12), st.lists(st.integers(0, 5_000), max_size=20))
def test_every_reading_keeps_its_instant_and_no_two_share_a_slot(
    interval_ms: int, offset_ms: int, delays: list[int]
) -> None:
    """Moved by the offset to the millisecond, in the order they came; a slot missed stays a slot missed."""
    early = Early([interval_ms])
    results = [Result(0, 7 + slot, Fate.GOOD, delay, b"\0\1") for slot, delay in enumerate(delays)]
    for result in [*results, Result(0, 99, Fate.TIMEOUT)]:
        early.report(result)
    *placed, missed = early.placed(offset_ms)

    def instants(some: list[Result], shift_ms: int) -> list[int]:
        return [early.due_ms(one) + one.delay_ms + shift_ms for one in some]

    assert instants(results, offset_ms) == instants(placed, 0)
    assert [one.slot - placed[0].slot for one in placed] == list(range(len(placed)))
    rests = {after.delay_ms - before.delay_ms for before, after in zip(results, placed, strict=True)}
    assert len(rests) <= 1
    assert all(0 <= rest < interval_ms for rest in rests)
    assert (Fate.TIMEOUT, 0, b"") == (missed.fate, missed.delay_ms, missed.registers)


def test_the_oldest_go_where_there_are_too_many() -> None:
    """And they are counted."""
    early = Early([1_000], most=3)
    for slot in range(5):
        early.report(Result(0, slot, Fate.TIMEOUT))

    assert ([2, 3, 4], 2) == ([one.slot for one in early.placed(0)], early.lost)


def test_what_cannot_stand_in_the_stream_is_set_aside_whole() -> None:
    """In lines of a bounded number of results, each with its span."""
    early = Early([1_000])
    results = [Result(0, slot, Fate.GOOD, 5, b"\0\1") for slot in range(5_001)]
    first, second = early.aside(results, 4, "because")

    assert (4, 0, 4_999_001, "because", 5_000) == (
        first.sequence, first.from_ms, first.to_ms, first.reason, first.results
    )
    assert results[5_000:] == decode_entry(second.entry)[0]
