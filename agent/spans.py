"""From a span's samples and events to a sealed item, and what the next item follows from. Pure.

What is sealed is read back as the collector reads it before anybody keeps it: signature, bounds, schema, and
the state the next batch opens with. That takes half as long as sealing (measured: 4 ms for 3,000 readings of 50
points, 18 ms for 180,000), and the writer can then never be more generous than the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Clock, Event, FoldState, ItemKind, PlanItem, Samples, StreamItem, Tombstone
from protocols.windows.fold import fold
from protocols.wire import cbor, limits
from protocols.wire.codec import item_digest, read_item, seal_item
from protocols.wire.errors import Reason, WireError
from protocols.wire.items import kind_of
from protocols.wire.key_changes import make_key_change
from protocols.wire.keys import public_bytes
from protocols.wire.state import read_state, state_map

NO_PREVIOUS = bytes(32)
"""What the first item of a stream names as its previous."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a stream, all that its next item needs.

    Attributes
    ----------
    sequence : int
        Of the next item.
    previous : bytes
        Digest of the last item.
    span_end_ms : int
        Where the last batch ended and the next begins. [UTC ms]
    plan : bytes
        Digest of the plan in force.
    fold : FoldState
        Opening state of the next batch.
    """

    stream_id: bytes
    sequence: int
    previous: bytes
    span_end_ms: int
    plan: bytes
    fold: FoldState


@dataclass(frozen=True, slots=True)
class SealedItem:
    """An item as it travels; ``from_ms`` and ``to_ms`` are equal where it has no span."""

    sequence: int
    kind: ItemKind
    data: bytes
    digest: bytes
    from_ms: int
    to_ms: int


def seal_plan(
    tail: Tail, document: bytes, plan: bytes, state: FoldState, key: Ed25519PrivateKey
) -> tuple[SealedItem, Tail]:
    """A plan document takes its place in the stream; ``state`` is the fold state under it."""
    item = PlanItem(tail.stream_id, tail.sequence, tail.previous, document)
    sealed = _seal(item, tail.span_end_ms, tail.span_end_ms, key)
    return sealed, replace(_follow(tail, sealed), plan=plan, fold=state)


def seal_key_change(tail: Tail, new: Ed25519PrivateKey, key: Ed25519PrivateKey) -> tuple[SealedItem, Tail]:
    """The stream says, signed by the key so far, that a new one signs from the next item on."""
    change = make_key_change(tail.stream_id, tail.sequence, tail.previous, new)
    sealed = _seal(change, tail.span_end_ms, tail.span_end_ms, key)
    return sealed, _follow(tail, sealed)


def seal_tombstone(
    tail: Tail, dropped: tuple[int, int], last_digest: bytes, span_ms: tuple[int, int], reason: str,
    key: Ed25519PrivateKey,
) -> tuple[SealedItem, Tail]:
    """What stands for the items ``dropped`` = first..last over [from, to): the next item kept names ``last_digest``."""
    item = Tombstone(tail.stream_id, tail.sequence, tail.previous, *dropped, last_digest, *span_ms, reason)
    sealed = _seal(item, *span_ms, key)
    return sealed, _follow(tail, sealed)


def seal_span(
    bound: BoundPlan,
    tail: Tail,
    clock: Clock,
    software: str,
    samples: Sequence[Samples],
    events: Sequence[Event],
    to_ms: int,
    key: Ed25519PrivateKey,
) -> tuple[SealedItem, Tail]:
    """Fold [span end, to_ms) and seal it as the stream's next batch.

    Raises
    ------
    ValueError, ArithmeticError
        The fold refuses the span.
    WireError
        A collector would refuse the batch, or the state after it; reason too-large where a shorter span may pass.
    """
    from_ms = tail.span_end_ms
    _check_bounds(
        (sum(one.fates.size for one in samples), limits.SLOTS, "slots"),
        (sum(one.words.size for one in samples), limits.WORDS, "words"),
    )
    folded = fold(bound, tail.fold, samples, events, from_ms, to_ms)
    stated = (*events, *folded.derived_events)
    _check_bounds(
        (len(stated), limits.EVENTS, "events"),
        (len(folded.windows), limits.WINDOWS, "windows"),
        (len(folded.slots), limits.SLOT_COUNTS, "slot counts"),
    )
    batch = Batch(
        tail.stream_id, tail.sequence, tail.previous, tail.plan, from_ms, to_ms, clock, software, tail.fold,
        tuple(samples), stated, folded.windows, folded.slots,
    )
    sealed = _seal(batch, from_ms, to_ms, key)
    if read_state(cbor.decode(cbor.encode(state_map(folded.state))), "closing state") != folded.state:
        raise WireError(Reason.SCHEMA, "closing state", "it reads back as another")
    return sealed, replace(_follow(tail, sealed), span_end_ms=to_ms, fold=folded.state)


def next_edge(after_ms: int, step_ms: int) -> int:
    """The first multiple of a step after an instant. [UTC ms]"""
    return (after_ms // step_ms + 1) * step_ms


def gap_edges(from_ms: int, to_ms: int, step_ms: int) -> list[int]:
    """Where a long absence is cut into spans of their own: every edge after ``from_ms`` up to ``to_ms``."""
    return list(range(next_edge(from_ms, step_ms), to_ms + 1, step_ms))


def _seal(item: StreamItem, from_ms: int, to_ms: int, key: Ed25519PrivateKey) -> SealedItem:
    data = seal_item(item, key)
    read_item(data, public_bytes(key))
    return SealedItem(item.sequence, kind_of(item), data, item_digest(data), from_ms, to_ms)


def _check_bounds(*counts: tuple[int, int, str]) -> None:
    """Refuse what a shorter span may hold, by the reader's own bounds and with a reason that says so."""
    passed = [f"{count} {what}, at most {most}" for count, most, what in counts if count > most]
    if passed:
        raise WireError(Reason.TOO_LARGE, "span", "; ".join(passed))


def _follow(tail: Tail, sealed: SealedItem) -> Tail:
    return replace(tail, sequence=sealed.sequence + 1, previous=sealed.digest)
