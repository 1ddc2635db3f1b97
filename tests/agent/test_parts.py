from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import spans
from agent.gather import Gathering
from agent.parts import REASON_CHARACTERS, Part, Sealer, StateRefusedError, middle, set_aside, told
from agent.results import Result, decode_entry
from agent.site import open_reading
from agent.spans import NO_PREVIOUS, Tail, seal_plan
from protocols.records import Batch, Clock, ClockState, Event, EventKind, Fate, HeldSample, PointState
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.wire import limits
from protocols.wire.codec import read_item
from protocols.wire.keys import public_bytes
from tests.agent.outbox_child import FIRST_SLOT, INTERVAL_MS, START_MS, document, registers
from tests.agent.stream import batches, read_stream

READING = open_reading(document())
KEY = Ed25519PrivateKey.generate()
CLOCK = Clock(bytes(16), 0, ClockState.SYNCED, 1)
SEALER = Sealer(READING.bound, CLOCK, "test", KEY)
SECONDS = 8
TO_MS = START_MS + 1_000 * SECONDS
COUNT = READING.requests[0].count
PLAN_ITEM, TAIL = seal_plan(
    Tail(b"s" * 16, 0, NO_PREVIOUS, START_MS, b"", initial_state(READING.bound, START_MS)),
    document(), READING.bound.digest, initial_state(READING.bound, START_MS), KEY,
)


def gathered(seconds: int = SECONDS, missing: int = 3) -> Gathering:
    """Answers for every slot but one, which timed out."""
    gathering = Gathering(READING.requests, READING.bound.intervals_ms)
    for k in range(seconds * 1_000 // INTERVAL_MS):
        slot = FIRST_SLOT + k
        fate = Fate.TIMEOUT if k == missing else Fate.GOOD
        words = registers(slot, COUNT) if fate is Fate.GOOD else b""
        gathering.add(Result(0, slot, fate, 3 if words else 0, words))
    return gathering


def seal(gathering: Gathering, events: tuple[Event, ...] = (), to_ms: int = TO_MS) -> list[Part]:
    """The span in its parts, behind the plan."""
    parts, after = SEALER.parts(TAIL, gathering.samples(START_MS, to_ms), events, to_ms)
    assert to_ms == after.span_end_ms
    return parts


def read(parts: list[Part]) -> list[Batch]:
    """The batches after all a collector checks."""
    return batches(read_stream([PLAN_ITEM, *(part.item for part in parts)], public_bytes(KEY)))


def sealed(gathering: Gathering, events: tuple[Event, ...] = (), to_ms: int = TO_MS) -> tuple[list[Batch], list[Part]]:
    """Both."""
    parts = seal(gathering, events, to_ms)
    return read(parts), parts


def fates(items: list[Batch], point: int = 0) -> dict[int, int]:
    found: dict[int, int] = {}
    for slot in (slot for batch in items for slot in batch.slots if slot.point == point):
        found[slot.fate] = found.get(slot.fate, 0) + slot.count
    return found


def refuse_answers(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int = 10**9) -> None:
    """The fold refuses spans with answers, as often as told."""
    left = [times]

    def refusing(bound: Any, state: Any, samples: Any, *rest: Any) -> Any:
        if left[0] and any(one.words.size for one in samples):
            left[0] -= 1
            raise error
        return fold(bound, state, samples, *rest)

    monkeypatch.setattr(spans, "fold", refusing)


def test_what_can_be_sealed_is_one_part() -> None:
    """No event, nothing aside."""
    items, parts = sealed(gathered())

    assert (1, "", ()) == (len(parts), parts[0].refusal, items[0].events)
    assert {Fate.GOOD: 39, Fate.TIMEOUT: 1} == fates(items)


@pytest.mark.parametrize(("bound", "most"), [("SLOTS", 15), ("WORDS", 33), ("WINDOWS", 4), ("MESSAGE_BYTES", 700)])
def test_a_span_too_large_is_sealed_in_halves_at_window_edges(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    """Each part within the reader's bound, and together they say what one would have said."""
    whole, _ = sealed(gathered())
    with monkeypatch.context() as tight:
        tight.setattr(limits, bound, most)
        parts = seal(gathered())
        [read_item(part.item.data, public_bytes(KEY)) for part in parts]
    items = read(parts)

    assert len(parts) > 1
    assert {""} == {part.refusal for part in parts}
    assert all(batch.to_ms % 1_000 == 0 for batch in items)
    assert fates(whole) == fates(items)
    assert sum(w.activity for w in whole[0].windows) == sum(w.activity for b in items for w in b.windows)


def test_below_two_windows_it_is_cut_at_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single window's span with too many slots becomes two batches inside it."""
    monkeypatch.setattr(limits, "SLOTS", 3)
    items, parts = sealed(gathered(1), to_ms=START_MS + 1_000)

    assert [START_MS + 500, START_MS + 1_000] == [batch.to_ms for batch in items]
    assert 5 == sum(fates(items).values())
    assert {""} == {part.refusal for part in parts}


def test_events_go_to_the_part_they_happen_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop at the span's end is in the last one."""
    monkeypatch.setattr(limits, "SLOTS", 20)
    early, stop = Event(EventKind.AGENT_START, START_MS + 10), Event(EventKind.AGENT_STOP, TO_MS)
    items, _ = sealed(gathered(), (early, stop))

    assert [(early,), (stop,)] == [batch.events for batch in items]


@pytest.mark.parametrize("error", [ValueError("no such mass"), OverflowError("too big for int64"), ZeroDivisionError()])
def test_a_refused_span_becomes_a_gap_and_its_results_are_set_aside(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The slots keep their fates, those answered are dropped; the reason is in the stream, the raw results beside."""
    refuse_answers(monkeypatch, error)
    gathering, stop = gathered(), Event(EventKind.AGENT_STOP, TO_MS)
    items, parts = sealed(gathering, (stop,))
    (aside,) = set_aside(parts, gathering)
    gap = items[0].events[1]

    assert stop == items[0].events[0]
    assert (EventKind.GAP, {"reason": told(error), "set_aside": 39}) == (gap.kind, dict(gap.details))
    assert {Fate.DROPPED_BY_CAP: 39, Fate.TIMEOUT: 1} == fates(items)
    assert (1, START_MS, TO_MS, told(error), 40) == (
        aside.sequence, aside.from_ms, aside.to_ms, aside.reason, aside.results
    )
    assert (gathering.results(START_MS, TO_MS), []) == decode_entry(aside.entry)


def test_only_the_part_that_is_refused_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a span in two halves the other keeps its answers."""
    monkeypatch.setattr(limits, "SLOTS", 20)
    refuse_answers(monkeypatch, ValueError("once"), times=1)
    gathering = gathered()
    items, parts = sealed(gathering)

    assert ["once", ""] == [part.refusal for part in parts]
    assert {Fate.DROPPED_BY_CAP: 19, Fate.TIMEOUT: 1} == fates(items[:1])
    assert {Fate.GOOD: 20} == fates(items[1:])
    assert [20] == [one.results for one in set_aside(parts, gathering)]


def test_events_no_wire_takes_are_left_out_and_the_stream_goes_on() -> None:
    """The second try says only why, and begins anew."""
    broken = Event(EventKind.AGENT_START, START_MS, "", (("text", "x" * (limits.TEXT + 1)),))
    items, parts = sealed(gathered(), (broken,))

    assert [EventKind.AGENT_START, EventKind.GAP] == [event.kind for event in items[0].events]
    assert {Fate.DROPPED_BY_CAP: 40} == fates(items)
    assert "batch.events" in parts[0].refusal


def test_a_state_that_cannot_be_sealed_says_so() -> None:
    """Nothing is made up: the error names stream and sequence."""
    held = HeldSample(START_MS - limits.TIME_MS, 0)
    broken = replace(TAIL, sequence=7, fold=replace(TAIL.fold, points=(PointState(), PointState(0, None, (held,)))))

    with pytest.raises(StateRefusedError, match=r"sequence 7.*no batch can follow"):
        SEALER.parts(broken, gathered().samples(START_MS, TO_MS), (), TO_MS)


def test_a_reason_is_bounded() -> None:
    """However long the error's text is; one without text is named by its kind."""
    assert REASON_CHARACTERS == len(told(ValueError("x" * 10_000)))
    assert "ZeroDivisionError" == told(ZeroDivisionError())


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "cut"),
    [(0, 4_000, 2_000), (0, 2_000, 1_000), (100, 1_100, 1_000), (0, 1_000, 500), (0, 3_500, 2_000), (5, 6, None)],
)
def test_where_a_span_is_cut(from_ms: int, to_ms: int, cut: int | None) -> None:
    """At the window edge nearest to the middle, else in the middle, at last nowhere."""
    assert cut == middle(from_ms, to_ms, 1_000)
