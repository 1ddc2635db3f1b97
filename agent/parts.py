"""A span becomes one batch, several, or a gap with its reason: whatever was read, the stream goes on. Pure.

A span too large for one message is sealed in halves. A span that the fold or the wire refuses for any other
reason is sealed without answers and with a gap event that says why; its raw results are for the caller to set
aside. Every slot keeps a fate either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.gather import Gathering
from agent.results import encode_entry
from agent.spans import SealedItem, Tail, next_edge, seal_span
from protocols.errors import EmitraceError
from protocols.plan.bound import BoundPlan
from protocols.records import Clock, Event, EventKind, Fate, Samples
from protocols.windows.series import slot_range
from protocols.wire.errors import Reason, WireError

REASON_CHARACTERS = 500
"""Of an error's text, in the gap event and in the outbox."""

_REFUSALS = (ValueError, ArithmeticError, WireError)


class StateRefusedError(EmitraceError):
    """Not even a span without answers can be sealed: the state the stream stands in is refused."""


@dataclass(frozen=True, slots=True)
class Part:
    """A sealed part of a span; where ``refusal`` is not empty its answers are not in it, for that reason."""

    item: SealedItem
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Raw results that no batch holds: the batch that says so, the slots' span, why, how many, and a journal entry."""

    sequence: int
    from_ms: int
    to_ms: int
    reason: str
    results: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Sealer:
    """What the batches of one run have in common."""

    bound: BoundPlan
    clock: Clock
    software: str
    key: Ed25519PrivateKey

    def parts(
        self, tail: Tail, samples: Sequence[Samples], events: Sequence[Event], to_ms: int
    ) -> tuple[list[Part], Tail]:
        """Seal [span end, to_ms) in as few parts as the bounds on a message allow.

        Parameters
        ----------
        samples : sequence of Samples
            Every request over exactly the slots due in the span.
        events : sequence of Event
            Stated in the first part that ends after them.

        Raises
        ------
        StateRefusedError
            Nothing can be sealed behind the stream's tail.
        """
        try:
            item, after = self._seal(tail, samples, events, to_ms)
        except _REFUSALS as error:
            refused = error
        else:
            return [Part(item)], after
        cut_ms = middle(tail.span_end_ms, to_ms, self.bound.window_ms)
        if _is_size(refused) and cut_ms is not None:
            early = [cut(one, tail.span_end_ms, cut_ms, self.bound) for one in samples]
            late = [cut(one, cut_ms, to_ms, self.bound) for one in samples]
            first, tail = self.parts(tail, early, [event for event in events if event.at_ms < cut_ms], cut_ms)
            second, tail = self.parts(tail, late, [event for event in events if event.at_ms >= cut_ms], to_ms)
            return [*first, *second], tail
        return self._gap(tail, samples, events, to_ms, refused)

    def _gap(
        self, tail: Tail, samples: Sequence[Samples], events: Sequence[Event], to_ms: int, refused: Exception
    ) -> tuple[list[Part], Tail]:
        """The span without answers; if that is refused too, also without what its events say and what is held."""
        reason = told(refused)
        answers = sum(int(np.count_nonzero(one.fates == Fate.GOOD)) for one in samples)
        from_ms = tail.span_end_ms
        gap = Event(EventKind.GAP, from_ms, "", (("reason", reason), ("set_aside", answers)))
        fresh = Event(EventKind.AGENT_START, from_ms, "", (("after", "refusal"),))
        bare = [Event(event.kind, event.at_ms) for event in events if event.kind is EventKind.AGENT_STOP]
        tries = (
            ([without_answers(one) for one in samples], [*events, gap]),
            ([_all_dropped(one) for one in samples], [fresh, gap, *bare]),
        )
        for slots, stated in tries:
            try:
                item, after = self._seal(tail, slots, stated, to_ms)
            except _REFUSALS as error:
                refused = error
            else:
                return [Part(item, reason)], after
        raise StateRefusedError(
            f"stream {tail.stream_id.hex()} at sequence {tail.sequence}", f"no batch can follow: {told(refused)}",
            "keep the state folder and report this; the journal is kept",
        ) from refused

    def _seal(
        self, tail: Tail, samples: Sequence[Samples], events: Sequence[Event], to_ms: int
    ) -> tuple[SealedItem, Tail]:
        return seal_span(self.bound, tail, self.clock, self.software, samples, events, to_ms, self.key)


def middle(from_ms: int, to_ms: int, window_ms: int) -> int | None:
    """Where a span is cut in two: the window edge nearest to its middle, else the middle; None below 2 ms."""
    half_ms = (from_ms + to_ms) // 2
    before = half_ms // window_ms * window_ms
    edges = [edge for edge in (before, next_edge(half_ms, window_ms)) if from_ms < edge < to_ms]
    if edges:
        return min(edges, key=lambda edge: abs(2 * edge - from_ms - to_ms))
    return half_ms if from_ms < half_ms else None


def cut(samples: Samples, from_ms: int, to_ms: int, bound: BoundPlan) -> Samples:
    """Of a request's samples those of the slots due in [from, to), a span inside theirs."""
    first, count = slot_range(from_ms, to_ms, bound.intervals_ms[samples.request.scan_class])
    start = first - samples.first_slot
    answered = samples.fates == Fate.GOOD
    rows = slice(int(np.count_nonzero(answered[:start])), int(np.count_nonzero(answered[: start + count])))
    return Samples(
        samples.request, first, samples.fates[start : start + count], samples.delay_ms[rows], samples.words[rows]
    )


def without_answers(samples: Samples) -> Samples:
    """The same slots, those answered now dropped; the other fates stay."""
    fates = np.where(samples.fates == Fate.GOOD, np.uint16(Fate.DROPPED_BY_CAP), samples.fates)
    return replace(samples, fates=fates, delay_ms=samples.delay_ms[:0], words=samples.words[:0])


def set_aside(parts: Sequence[Part], gathering: Gathering) -> list[SetAside]:
    """The raw results of the parts that hold no answers."""
    aside: list[SetAside] = []
    for part in parts:
        if part.refusal:
            item, results = part.item, gathering.results(part.item.from_ms, part.item.to_ms)
            entry = encode_entry(results, ())
            aside.append(SetAside(item.sequence, item.from_ms, item.to_ms, part.refusal, len(results), entry))
    return aside


def told(error: Exception) -> str:
    """An error's text, bounded."""
    text = str(error) or type(error).__name__
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 3] + "..."


def _all_dropped(samples: Samples) -> Samples:
    fates = np.full_like(samples.fates, Fate.DROPPED_BY_CAP)
    return replace(samples, fates=fates, delay_ms=samples.delay_ms[:0], words=samples.words[:0])


def _is_size(error: Exception) -> bool:
    """Whether a smaller span may pass where this one did not."""
    return isinstance(error, WireError) and error.reason in (Reason.TOO_LARGE, Reason.BOMB)
