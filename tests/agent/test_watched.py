from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from agent.clock import SystemTime, UtcLine
from agent.results import Result
from agent.site import open_reading
from agent.trust import Refused
from agent.watched import ISSUED_WITHIN_MS, Polling, Watched
from protocols.messages import Live, Watch
from protocols.modbus.decode import join_words
from protocols.records import Clock, ClockState, Fate, UInt64
from protocols.wire import limits
from protocols.wire.codec import read_live
from tests.plans import small_document

READING = open_reading(small_document())
BOUND = READING.bound
STREAM = b"s" * 16
UTC_MS = 1_790_000_000_000
OFFSET_MS = UTC_MS - 5_000
ALL = tuple(range(len(BOUND.points)))


@dataclass
class Hand:
    """A machine whose clocks move by hand."""

    mono: int = 5_000
    utc: int = UTC_MS

    def boot_id(self) -> bytes:
        return bytes(16)

    def mono_ms(self) -> int:
        return self.mono

    def read(self) -> SystemTime:
        return SystemTime(self.utc, self.mono, ClockState.SYNCED, 1)

    def pass_ms(self, ms: int) -> None:
        self.mono += ms
        self.utc += ms


@dataclass
class Rig:
    """A watched agent without a bus: results are put in by hand."""

    machine: Hand = field(default_factory=Hand)
    results: dict[int, Result] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watched = Watched(READING, self.machine, self.told.append)
        clock = Clock(bytes(16), OFFSET_MS, ClockState.SYNCED, 1)
        self.watched.polling = Polling(STREAM, UtcLine(self.machine, OFFSET_MS), clock, self.results.get)

    def answer(self, position: int, slot_ago: int = 0) -> UInt64:
        """The newest slot of a request is answered now; its words."""
        request = READING.requests[position]
        registers = np.arange(1 + slot_ago, request.count + 1 + slot_ago, dtype=np.uint16)
        slot = self.machine.utc // BOUND.intervals_ms[request.scan_class] - slot_ago
        self.results[position] = Result(position, slot, Fate.GOOD, 30, registers.astype(">u2").tobytes())
        return join_words(registers.reshape(1, -1), request)[0]

    def live(self) -> Live | None:
        message = self.watched.message()
        return None if message is None else read_live(message)


def watch(points: tuple[int, ...] = ALL, *, ago_ms: int = 0, for_s: int = 60, plan: bytes = BOUND.digest) -> Watch:
    return Watch(STREAM, plan, UTC_MS - ago_ms, for_s, points)


def test_nobody_watches_nothing_is_shown() -> None:
    """Without a watch there is no message, whatever was polled."""
    rig = Rig()
    rig.answer(0)

    assert rig.watched.message() is None
    assert [] == rig.told


def test_the_newest_words_of_the_watched_points_are_shown() -> None:
    """Raw words, due time and delay of exactly the points asked for, under plan, stream and clock."""
    rig = Rig()
    words = rig.answer(0)
    request = READING.requests[0]
    wanted = tuple(sorted(request.points[:2]))
    rig.watched.want(watch(wanted))
    live = rig.live()

    assert live is not None
    assert (STREAM, BOUND.digest, OFFSET_MS) == (live.stream_id, live.plan, live.clock.offset_ms)
    (reading,) = live.readings
    assert (wanted, 30, int(Fate.GOOD)) == (reading.points, reading.delay_ms, reading.fate)
    assert [int(words[request.points.index(point)]) for point in wanted] == list(reading.words)
    assert rig.results[0].slot * BOUND.intervals_ms[request.scan_class] == reading.due_ms


def test_a_missing_slot_is_shown_with_its_reason_and_no_words() -> None:
    """A failure is never a number."""
    rig = Rig()
    rig.answer(0)
    rig.results[0] = replace(rig.results[0], fate=Fate.EXCEPTION | 2 << 8, registers=b"", delay_ms=0)
    rig.watched.want(watch())
    live = rig.live()

    assert live is not None
    assert [(Fate.EXCEPTION | 2 << 8, ())] == [(one.fate, one.words) for one in live.readings]


def test_what_was_shown_is_not_shown_again_until_somebody_asks_anew() -> None:
    """Only new slots travel; a renewed watch brings everything once more."""
    rig = Rig()
    rig.answer(0, slot_ago=1)
    rig.watched.want(watch())
    first, second = rig.live(), rig.live()
    rig.answer(0)
    third, fourth = rig.live(), rig.live()
    rig.watched.want(watch(ago_ms=-1))

    assert first is not None
    assert third is not None
    assert [second, fourth] == [None, None]
    assert first.readings[0].due_ms < third.readings[0].due_ms
    assert rig.live() == third


def test_points_are_shown_until_their_own_watch_ends() -> None:
    """The union of all watches, each point to its end; then nothing, and the status is told."""
    rig = Rig()
    short, long = READING.requests[0].points[:1], READING.requests[1].points[:1]
    rig.watched.want(watch(short, for_s=1))
    rig.watched.want(watch(long, ago_ms=-1, for_s=3))

    def shown(after_ms: int) -> set[int]:
        rig.machine.pass_ms(after_ms)
        rig.answer(0), rig.answer(1)
        rig.watched._shown.clear()
        live = rig.live()
        return set() if live is None else {point for one in live.readings for point in one.points}

    assert {*short, *long} == shown(999)
    assert set(long) == shown(1)
    assert set() == shown(2_000)
    assert [UTC_MS + 1_000, UTC_MS + 3_000, 0] == rig.told


async def test_waiting_ends_with_the_first_watch_and_begins_again_after_the_last() -> None:
    """An unwatched agent sleeps."""
    rig = Rig()
    waiting = asyncio.create_task(rig.watched.begins())
    await asyncio.sleep(0)
    assert not waiting.done()

    rig.watched.want(watch(for_s=1))
    await waiting
    rig.machine.pass_ms(1_000)
    assert rig.live() is None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.watched.begins(), 0.01)


@pytest.mark.parametrize(
    ("bad", "why"),
    [(watch(plan=b"p" * 32), "plan"), (watch((len(ALL),)), "point"), (watch(ago_ms=ISSUED_WITHIN_MS + 1), "issued"),
     (watch(ago_ms=-ISSUED_WITHIN_MS - 1), "issued")],
)  # fmt: skip
def test_a_foreign_or_an_old_watch_is_refused(bad: Watch, why: str) -> None:
    """Of another plan, of points there are not, of long ago or of the future: nothing is shown."""
    rig = Rig()
    rig.answer(0)
    with pytest.raises(Refused, match=why):
        rig.watched.want(bad)

    assert rig.live() is None
    assert [] == rig.told


def test_a_watch_sent_again_does_not_prolong_itself() -> None:
    """A broker that keeps a signed watch and repeats it cannot keep the agent publishing."""
    rig = Rig()
    rig.watched.want(watch(for_s=1))
    rig.machine.pass_ms(1_000)
    for again in (watch(for_s=1), watch(ago_ms=5)):
        with pytest.raises(Refused, match="issued no later"):
            rig.watched.want(again)
    rig.answer(0)

    assert rig.live() is None


def test_between_runs_there_is_nothing_to_show() -> None:
    """A watch outlives a run of polling; no message is made of what is not polled."""
    rig = Rig()
    rig.answer(0)
    rig.watched.want(watch())
    rig.watched.polling, polling = None, rig.watched.polling
    assert rig.live() is None

    rig.watched.polling = polling
    assert rig.live() is not None


def test_too_many_points_leave_those_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of a message holds for the union of several watches too."""
    monkeypatch.setattr(limits, "LIVE_POINTS", 3)
    rig = Rig()
    rig.watched.want(watch((0, 1)))
    rig.watched.want(watch((2, 3), ago_ms=-1))

    assert {2, 3} == rig.watched._until_ms.keys()
