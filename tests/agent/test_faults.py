"""Every fault of the simulated instruments against bus, poll loop and fold: no wrong value becomes a good reading."""

from __future__ import annotations

import asyncio
import gc
from typing import NamedTuple

import pytest

from protocols.records import Fate
from simulators.faults.catalogue import FAULTS, applies, parse_fault
from simulators.faults.fault import LineKind
from tests.agent.faulty import ANALYZER, BEGIN, COUNTERS, GAS, INTERVAL_MS, METER, OTHER, TIMEOUT_S, Meeting, Outcome

pytestmark = pytest.mark.clock
LINES = (LineKind.TCP, LineKind.RTU)
FAILURES = {Fate.TIMEOUT, Fate.BAD_ANSWER, Fate.DISCONNECTED}
"""Three of them in a row, by chance too, and the unit is taken for dead."""
STEP = {"em-1.energy_import": 1_000, "em-2.energy_import": 1_000, "gas-1.volume_base": 10_000}
"""Least step of each counter. [mWh, mL]"""


class Case(NamedTuple):
    """A fault as it is set, whom it meets, and how the agent tells it (the fates of its slots beside GOOD).

    ``own`` are points whose registers truly are what the fault makes of them: amounts are then compared with the
    truth, readings are not. ``shared`` says that the fault costs the others on the line their slots as
    well. ``stale`` is how many slots old a value may be before the agent can tell.

    On a serial line a failure always costs the others some slots, because the line must be quiet until a late answer
    can no longer come, and a busy machine may miss an answer; what the breaker leaves of that is measured over ten
    minutes of virtual time in test_breaker.
    """

    text: str
    told: frozenset[Fate]
    victim: int = METER
    own: tuple[str, ...] = ()
    shared: bool = False
    stale: int = 0


def case(
    text: str, *told: Fate, victim: int = METER, own: tuple[str, ...] = (), shared: bool = False, stale: int = 0
) -> Case:
    return Case(text, frozenset(told), victim, own, shared, stale)


CALIBRATION = "calibration-cycle unit=240 every_s=3 zero_s=1 span_s=1 status=doing span_gas.co2_dry=12"
CASES = [
    case("late-answer unit=1 delay_s=0.2", Fate.TIMEOUT, Fate.DEVICE_DEAD),
    case("late-answer unit=1 delay_s=0.4 probability=0.5", Fate.TIMEOUT),
    case("stale-answer unit=1 probability=0.5", Fate.TIMEOUT),
    case("stale-answer probability=0.3", Fate.TIMEOUT, shared=True),
    case("slow-turnaround unit=1 delay_s=0.03"),
    case("dead-unit unit=1", Fate.TIMEOUT, Fate.DEVICE_DEAD),
    case("wrong-transaction unit=1 probability=0.5", Fate.TIMEOUT),
    case("constant-transaction unit=1 transaction=0", Fate.BAD_ANSWER, Fate.DEVICE_DEAD),
    case("constant-transaction unit=1 transaction=3", Fate.TIMEOUT, Fate.DEVICE_DEAD),
    case("wrong-unit unit=1 says=2", Fate.BAD_ANSWER, Fate.DEVICE_DEAD),
    case("half-answer unit=1 probability=0.5", Fate.BAD_ANSWER, shared=True),
    case("connection-reset unit=1 probability=0.5", Fate.DISCONNECTED, shared=True),
    case("holes unit=1 function=4 first=52 last=60", Fate.EXCEPTION),
    case("max-registers unit=1", Fate.EXCEPTION),
    case("busy unit=1 probability=0.5", Fate.EXCEPTION),
    case("short-answer unit=1", Fate.BAD_ANSWER, Fate.DEVICE_DEAD),
    case("wrong-function unit=1", Fate.BAD_ANSWER, Fate.DEVICE_DEAD),
    case("zero-glitch unit=1 from=+1.6 to=+4", Fate.UNCERTAIN),
    case("zero-glitch unit=4 from=+1.5 probability=0.6 last=1", Fate.UNCERTAIN, victim=GAS),
    case("sentinel unit=1 from=+1.5 probability=0.4", Fate.NOT_AVAILABLE),
    case("sentinel unit=4 from=+1.5 to=+3.5 last=1", Fate.NOT_AVAILABLE, victim=GAS),
    case("torn-words unit=1 from=+1.6 to=+2.05 first=72", Fate.UNCERTAIN),
    case("torn-words unit=4 from=+1.6 to=+2.05 last=1 lag_s=30000", Fate.UNCERTAIN, victim=GAS),
    case("frozen unit=1 from=+1.5 first=52 last=53", Fate.UNCERTAIN, stale=4),
    case(CALIBRATION, Fate.IN_CALIBRATION, victim=ANALYZER, own=("analyzer.doing",)),
    case("stop of=workshop from=+2 to=+3", Fate.UNCERTAIN),
    case("rollover unit=4 from=+2.5", victim=GAS, own=("gas-1.volume_base",)),
    case("counter-reset unit=1 from=+2.5", Fate.UNCERTAIN, own=("em-1.energy_import",)),
    case("noise unit=1 probability=0.3", Fate.BAD_ANSWER),
    case("echo unit=1", Fate.BAD_ANSWER, Fate.DEVICE_DEAD),
    case("meter-swap unit=1 from=+2.5 opening=777000", Fate.UNCERTAIN, own=("em-1.energy_import",)),
]
UNSEEN = {
    "drift": "a little off is as plausible as right: calibration tells, not the edge",
}
CONTROL = "drift unit=1 percent_per_h=1000"
"""What the agent cannot tell: were good readings not compared with the truth, nobody would notice."""

Which = tuple[LineKind, Case]
Key = tuple[LineKind, str]
CELLS: list[Which] = [(kind, one) for kind in LINES for one in CASES if applies(parse_fault(one.text, BEGIN), kind)]
MATRIX = [pytest.param(cell, id=f"{cell[0].value}-{cell[1].text}") for cell in CELLS]


AT_A_TIME = 12
"""Lines beside each other in one process; more, and they wait for the processor instead of for each other."""
STALL_S = TIMEOUT_S / 2
ATTEMPTS = 8


async def longest_stall(done: asyncio.Event) -> float:
    """By how much this process was late at most, asleep for a few milliseconds at a time. [s]"""
    loop, longest = asyncio.get_running_loop(), 0.0
    while not done.is_set():
        due = loop.time() + 0.005
        await asyncio.sleep(0.005)
        longest = max(longest, loop.time() - due)
    return longest


async def met_by(keys: list[Key]) -> tuple[list[Outcome], float]:
    """Some cases at the same time, each on a line and with a poll loop of its own; the longest stall meanwhile."""
    done, ready = asyncio.Event(), [Meeting(text, kind) for kind, text in keys]
    watch = asyncio.create_task(longest_stall(done))
    outcomes = await asyncio.gather(*(one.run() for one in ready))
    done.set()
    return outcomes, await watch


@pytest.fixture(scope="module")
def outcomes() -> dict[Key, Outcome]:
    """Every case, some at a time; again where the machine stalled, as real timeouts say nothing of a fault then."""
    keys = [(kind, one.text) for kind, one in CELLS] + [(kind, CONTROL) for kind in LINES]
    met: dict[Key, Outcome] = {}
    for start in range(0, len(keys), AT_A_TIME):
        group = keys[start : start + AT_A_TIME]
        for _ in range(ATTEMPTS):
            gc.collect()
            outcomes, stalled_s = asyncio.run(met_by(group))
            if stalled_s < STALL_S:
                break
        else:
            pytest.fail(f"the machine stalled in each of {ATTEMPTS} attempts, {stalled_s:.3f} s in the last")
        met |= {key: one.fold() for key, one in zip(group, outcomes, strict=True)}
    return met


def test_every_fault_is_met_or_has_a_reason() -> None:
    """No fault is left out unsaid."""
    assert set(FAULTS) == {one.text.split()[0] for one in CASES} | set(UNSEEN)


@pytest.mark.parametrize("which", MATRIX)
def test_no_wrong_value_becomes_a_good_reading(outcomes: dict[Key, Outcome], which: Which) -> None:
    """Each good reading is what the instrument truly had in its registers when it was asked; the fault is told."""
    kind, one = which
    outcome = outcomes[kind, one.text]
    fates = outcome.counted(*outcome.of_unit(one.victim))

    assert one.told <= set(fates) or (kind is LineKind.RTU and one.told & FAILURES and set(fates) & FAILURES)
    beside = {Fate.DISCONNECTED, Fate.BUS_BUSY} if one.shared else set()
    beside |= {Fate.BUS_BUSY, *FAILURES} if kind is LineKind.RTU else set()
    beside |= {Fate.DEVICE_DEAD} if one.told & FAILURES else set()
    assert set(fates) <= {Fate.GOOD, *one.told, *beside}
    assert set() == set(outcome.wrong(one.stale)) - set(one.own)


@pytest.mark.parametrize("which", MATRIX)
def test_no_amount_is_made_up(outcomes: dict[Key, Outcome], which: Which) -> None:
    """Windows never count more than was truly used, whatever the counter showed; a healthy one loses no amount."""
    kind, one = which
    outcome = outcomes[kind, one.text]
    for point in COUNTERS:
        amount, true = outcome.amount(point), outcome.growth(point)
        assert 0 <= amount <= true + 2 * STEP[point], point
        if kind is LineKind.RTU and one.told & FAILURES:
            continue
        if point not in outcome.of_unit(one.victim) and Fate.DEVICE_DEAD not in outcome.counted(point):
            assert amount >= 0.5 * true, point  # the last window is still open


@pytest.mark.parametrize("which", MATRIX)
def test_fates_add_up_and_the_others_keep_their_slots(outcomes: dict[Key, Outcome], which: Which) -> None:
    """Every slot of every point has one fate and none is missing; the others on the line lose less than 2 %."""
    kind, one = which
    outcome = outcomes[kind, one.text]
    slots = (outcome.to_ms - outcome.from_ms) // INTERVAL_MS
    points = [point.id for point in outcome.reading.bound.points]
    healthy = [point for unit in {METER, OTHER, GAS, ANALYZER} - {one.victim} for point in outcome.of_unit(unit)]
    fates, lost = outcome.counted(*points), slots * len(healthy) - outcome.counted(*healthy)[Fate.GOOD]
    stalls = outcomes[kind, CONTROL].counted(*points)  # what a busy machine costs a line where every answer comes

    assert slots * len(points) == fates.total()
    assert 0 == fates[Fate.AGENT_DOWN]
    costly = one.shared or (kind is LineKind.RTU and bool(one.told & FAILURES))
    assert costly or lost - (stalls.total() - stalls[Fate.GOOD]) < 0.02 * slots * len(healthy)


@pytest.mark.parametrize("kind", LINES)
def test_the_comparison_would_notice(outcomes: dict[Key, Outcome], kind: LineKind) -> None:
    """Readings that drift away are good to the agent, and the comparison with the truth finds them."""
    outcome = outcomes[kind, CONTROL]

    assert len(outcome.wrong()) > 10
