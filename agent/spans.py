"""From a span's samples and events to a sealed item, and what the next item follows from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Clock, Event, FoldState, ItemKind, PlanItem, Samples, StreamItem
from protocols.windows.fold import fold
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.items import kind_of

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
    """Fold [span end, to_ms) and seal it as the stream's next batch."""
    from_ms = tail.span_end_ms
    folded = fold(bound, tail.fold, samples, events, from_ms, to_ms)
    batch = Batch(
        tail.stream_id, tail.sequence, tail.previous, tail.plan, from_ms, to_ms, clock, software, tail.fold,
        tuple(samples), (*events, *folded.derived_events), folded.windows, folded.slots,
    )
    sealed = _seal(batch, from_ms, to_ms, key)
    return sealed, replace(_follow(tail, sealed), span_end_ms=to_ms, fold=folded.state)


def next_edge(after_ms: int, step_ms: int) -> int:
    """The first multiple of a step after an instant. [UTC ms]"""
    return (after_ms // step_ms + 1) * step_ms


def gap_edges(from_ms: int, to_ms: int, step_ms: int) -> list[int]:
    """Where a long absence is cut into spans of their own: every edge after ``from_ms`` up to ``to_ms``."""
    return list(range(next_edge(from_ms, step_ms), to_ms + 1, step_ms))


def _seal(item: StreamItem, from_ms: int, to_ms: int, key: Ed25519PrivateKey) -> SealedItem:
    data = seal_item(item, key)
    return SealedItem(item.sequence, kind_of(item), data, item_digest(data), from_ms, to_ms)


def _follow(tail: Tail, sealed: SealedItem) -> Tail:
    return replace(tail, sequence=sealed.sequence + 1, previous=sealed.digest)
