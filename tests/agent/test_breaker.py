from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.breaker import LONGEST_PAUSE_MS, OPENS_AFTER, Breakers
from agent.clock import UtcLine
from agent.poll import poll
from agent.results import Result
from agent.schedule import Agenda
from protocols.records import Fate, ReadRequest
from tests.agent.virtual import VirtualBus, VirtualLine, VirtualLoop

TEN_MINUTES_MS = 600_000
LIVES = 0.02
"""Time of an answer. [s]"""


def requests_of(units: int, each: int = 2) -> tuple[ReadRequest, ...]:
    """So many requests to each unit, the first the cheapest."""
    return tuple(
        ReadRequest(0, unit, 3, 100 * part, 2 + part, 0, (), (), ())
        for unit in range(1, units + 1)
        for part in range(each)
    )


def run(
    units: int, behave: Callable[[int, int], tuple[float, int]], minutes: float, interval_ms: int = 1_000
) -> tuple[list[Result], VirtualBus, tuple[ReadRequest, ...]]:
    """The agent's own loop over a bus in virtual time."""
    requests, results = requests_of(units), list[Result]()
    intervals = [(position, interval_ms) for position in range(len(requests))]
    loop = VirtualLoop()
    line = VirtualLine(loop)
    bus = VirtualBus(line, behave)

    async def for_a_while() -> None:
        agenda, breakers = Agenda(intervals, 0), Breakers(requests, intervals, 0, seed=7)
        polling = asyncio.ensure_future(
            poll(bus, agenda, breakers, requests, cast("UtcLine", line), results.append)
        )
        await asyncio.sleep(60 * minutes)
        polling.cancel()

    try:
        loop.run_until_complete(for_a_while())
    finally:
        loop.close()
    return results, bus, requests


def busy_share(bus: VirtualBus, units: set[int], from_ms: int) -> float:
    """The largest share of any ten minutes that questions to some units took, from an instant on."""
    asked = [(begin, end) for unit, begin, end in bus.spent if unit in units and begin >= from_ms]
    return max(
        (sum(end - begin for begin, end in asked if at <= begin < at + TEN_MINUTES_MS) for at, _ in asked), default=0
    ) / TEN_MINUTES_MS


@pytest.mark.parametrize("dead", [{2}, {2, 3, 4, 5, 6}], ids=["one", "half of them"])
@pytest.mark.parametrize("timeout_s", [0.3, 1.0, 3.0])
def test_dead_units_cost_little_and_the_others_keep_their_slots(dead: set[int], timeout_s: float) -> None:
    """After the breakers are open: at most 5 % of any ten minutes, and healthy units lose less than 2 % of slots."""
    results, bus, requests = run(
        10, lambda unit, _: (timeout_s, Fate.TIMEOUT) if unit in dead else (LIVES, Fate.GOOD), minutes=25
    )
    opened_ms = max([end for unit, _, end in bus.spent if unit == one][OPENS_AFTER - 1] for one in dead)
    healthy = Counter(
        Fate(one.fate) for one in results
        if requests[one.request].unit not in dead and 1_000 * one.slot >= opened_ms
    )
    silent = Counter(
        Fate(one.fate) for one in results
        if requests[one.request].unit in dead and 1_000 * one.slot > opened_ms
    )

    assert busy_share(bus, dead, opened_ms) <= 0.05
    assert healthy[Fate.GOOD] > 0.98 * healthy.total()
    assert {Fate.DEVICE_DEAD, Fate.TIMEOUT} == set(silent)
    assert silent[Fate.TIMEOUT] < 0.05 * silent.total()


def test_every_slot_has_one_fate_whatever_units_do() -> None:
    """Units that die and return at odd times: slots of each request are all there, once, in order."""
    def behave(unit: int, now_ms: int) -> tuple[float, int]:
        gone = unit in (2, 3) and now_ms // 70_000 % 2
        return (0.7, Fate.TIMEOUT) if gone else (LIVES, Fate.GOOD)

    results, _, requests = run(6, behave, minutes=20)

    for position in range(len(requests)):
        slots = [one.slot for one in results if one.request == position]
        assert slots == list(range(len(slots)))
        assert len(slots) >= 20 * 60 - 2


def test_a_timeout_on_one_unit_costs_no_other_its_slot() -> None:
    """While unit 2 is found dead, each wait shorter than the scan interval, every other unit is read in each slot."""
    results, _, requests = run(5, lambda unit, _: (0.5, Fate.TIMEOUT) if unit == 2 else (LIVES, Fate.GOOD), minutes=0.5)

    assert {Fate.GOOD} == {Fate(one.fate) for one in results if requests[one.request].unit != 2}


@pytest.mark.parametrize(
    ("fate", "dies"),
    [
        (Fate.TIMEOUT, True), (Fate.DISCONNECTED, True), (Fate.BAD_ANSWER, True), (Fate.EXCEPTION | 11 << 8, True),
        (Fate.EXCEPTION | 10 << 8, True), (Fate.EXCEPTION | 2 << 8, False), (Fate.EXCEPTION | 6 << 8, False),
    ],
)
def test_it_opens_after_failures_in_a_row_only(fate: int, dies: bool) -> None:
    """An answer between starts the count anew, and a refusal is an answer; a gateway's own word for silence is none."""
    breakers = Breakers(requests_of(1), [(0, 1000), (1, 1000)], 0, seed=1)
    for fates in ([fate] * (OPENS_AFTER - 1), [Fate.GOOD], [fate] * (OPENS_AFTER - 1)):
        for one in fates:
            assert not breakers.met(1, one, 0, 100)

    assert dies is breakers.met(1, fate, 1_000, 1_100)
    assert ({1: 1_100} if dies else {}) == breakers.dead()
    assert breakers.is_dead(0) is dies


def test_only_the_cheapest_request_probes_and_an_answer_brings_all_back() -> None:
    """Others that are dead are due at once then: what returns often returns together."""
    breakers = Breakers(requests_of(2), [(position, 1000) for position in range(4)], 0, seed=1)
    for position in (0, 0, 0, 2, 2, 2):
        breakers.met(position, Fate.TIMEOUT, 0, 500)
    assert {1: 500, 2: 500} == breakers.dead()

    assert not breakers.lets_through(0, 4_000)  # ten times 500 ms, less the jitter
    assert breakers.lets_through(0, 6_000)
    assert not breakers.lets_through(1, 6_000)
    breakers.met(2, Fate.TIMEOUT, 5_500, 6_000)
    assert not breakers.lets_through(2, 6_200)
    assert breakers.met(0, Fate.GOOD, 6_100, 6_150)
    assert breakers.lets_through(1, 6_200)
    assert breakers.lets_through(2, 6_200)
    assert {2: 500} == breakers.dead()


@settings(max_examples=60, deadline=None)
@given(costs=st.lists(st.integers(0, 5_000), min_size=1, max_size=40), seed=st.integers(0, 9))
def test_pauses_grow_to_a_bound_and_the_same_seed_gives_the_same(costs: list[int], seed: int) -> None:
    """However long failures take, a probe is due again within the longest pause and what saving up for it takes."""
    def times() -> list[int]:
        breakers, now_ms, found = Breakers(requests_of(1), [(0, 100), (1, 100)], 0, seed), 0, []
        for _ in range(OPENS_AFTER):
            breakers.met(0, Fate.TIMEOUT, now_ms, now_ms + costs[0])
            now_ms += costs[0]
        for cost in costs:
            began_ms = now_ms
            while not breakers.lets_through(0, now_ms):
                now_ms += 1_000
            assert now_ms - began_ms <= max(1.1 * LONGEST_PAUSE_MS, 100 * max(costs)) + 2_000
            found.append(now_ms - began_ms)
            breakers.met(0, Fate.TIMEOUT, now_ms, now_ms + cost)
            now_ms += cost
        return found

    assert times() == times()
