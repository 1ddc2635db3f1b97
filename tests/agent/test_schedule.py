from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.schedule import Agenda, Turn


def test_slots_are_due_at_multiples_of_the_interval() -> None:
    """A run that starts between two slots waits for the next one."""
    agenda = Agenda([(0, 1000)], start_ms=1_500)

    assert agenda.take(1_999) == ([], None)
    assert agenda.wake_ms() == 2_000
    assert agenda.take(2_000) == ([], Turn(0, 2, 2_000))


def test_a_slot_that_is_too_late_is_given_up_not_queued() -> None:
    """After a stall only the newest slot is served; the older ones come back as skipped."""
    agenda = Agenda([(0, 1000)], start_ms=0)

    skipped, turn = agenda.take(3_200)

    assert [Turn(0, 0, 0), Turn(0, 1, 1_000), Turn(0, 2, 2_000)] == skipped
    assert Turn(0, 3, 3_000) == turn


def test_the_slot_whose_successor_comes_first_is_served_first() -> None:
    """A fast class is not made late by a slow one."""
    agenda = Agenda([(0, 60_000), (1, 1_000)], start_ms=60_000)

    assert agenda.take(60_000)[1] == Turn(1, 60, 60_000)


def test_an_overloaded_bus_takes_turns() -> None:
    """When ten requests compete for the time of seven, none is left out for long."""
    agenda = Agenda([(request, 1000) for request in range(10)], start_ms=0)
    served = dict.fromkeys(range(10), 0)

    for now_ms in range(0, 30_000, 150):
        turn = agenda.take(now_ms)[1]
        if turn is not None:
            served[turn.request] += 1

    assert min(served.values()) >= 18


def test_an_edge_is_settled_when_nothing_before_it_is_open() -> None:
    """A slot under way keeps the edge open until it is finished."""
    agenda = Agenda([(0, 1000)], start_ms=9_000)
    agenda.take(9_000)

    assert not agenda.settled(10_000)

    agenda.finish()

    assert agenda.settled(10_000)


def test_settling_gives_up_what_is_open() -> None:
    """At the end of its patience an edge gets the slots never served and the one under way."""
    agenda = Agenda([(0, 1000), (1, 1000)], start_ms=9_000)
    underway = agenda.take(9_000)[1]

    assert agenda.settle(10_000) == ([Turn(1, 9, 9_000)], underway)
    assert agenda.take(9_999) == ([], None)


@settings(max_examples=200, deadline=None)
@given(
    intervals=st.lists(st.sampled_from([100, 250, 1_000, 7_000]), min_size=1, max_size=5),
    start_ms=st.integers(0, 10_000),
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=60),
)
def test_every_slot_is_handed_out_exactly_once(
    intervals: list[int], start_ms: int, steps: list[tuple[int, bool]]
) -> None:
    """Whatever the delays and edges: the slots handed out are all due ones, without repeats."""
    agenda = Agenda(list(enumerate(intervals)), start_ms)
    now_ms, seen = start_ms, []
    for step_ms, edge in steps:
        now_ms += step_ms
        if edge:
            seen += agenda.settle(now_ms)[0]
            continue
        skipped, turn = agenda.take(now_ms)
        seen += skipped
        if turn is not None:
            seen.append(turn)
            agenda.finish()
    seen += agenda.settle(now_ms)[0]

    due = {(r, k) for r, i in enumerate(intervals) for k in range(-(-start_ms // i), -(-now_ms // i))}
    handed = [(turn.request, turn.slot) for turn in seen]

    assert len(handed) == len(set(handed))
    assert due <= set(handed)
    assert all(slot * intervals[request] <= now_ms for request, slot in handed)
