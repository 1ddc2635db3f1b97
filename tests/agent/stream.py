"""Reading a stored stream the way the collector does: signature, chain, opening against closing, recompute."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.outbox import Outbox
from agent.spans import NO_PREVIOUS, SealedItem
from protocols.plan.bound import BoundPlan
from protocols.plan.document import open_document
from protocols.records import Batch, FoldState, PlanItem, StreamItem
from protocols.windows.recompute import recompute
from protocols.wire.codec import item_digest, read_item


def stored(path: Path) -> list[SealedItem]:
    """Every item of an outbox, in order."""
    outbox = Outbox(path)
    try:
        found = [outbox.item(sequence) for sequence in outbox.stored(0, 2**62, 10**6)]
    finally:
        outbox.close()
    return [item for item in found if item is not None]


def read_stream(items: Iterable[SealedItem], public: bytes, first_previous: bytes = NO_PREVIOUS) -> list[StreamItem]:
    """The items after every check a collector makes; AssertionError where one fails."""
    read: list[StreamItem] = []
    previous, bound, state, end_ms = first_previous, None, None, None
    for sequence, sealed in enumerate(items):
        item = read_item(sealed.data, public)
        assert (sequence, previous) == (item.sequence, item.previous)
        assert sealed.digest == item_digest(sealed.data)
        previous = sealed.digest
        if isinstance(item, PlanItem):
            bound, state = open_document(item.document), None
        if isinstance(item, Batch):
            assert bound is not None
            state = _check(item, bound, state)
            assert end_ms in {None, item.from_ms}
            end_ms = item.to_ms
        read.append(item)
    return read


def batches(items: Iterable[StreamItem]) -> list[Batch]:
    """Only the batches."""
    return [item for item in items if isinstance(item, Batch)]


def _check(batch: Batch, bound: BoundPlan, opening: FoldState | None) -> FoldState | None:
    differences, closing = recompute(bound, batch)
    assert [] == differences
    assert opening in {None, batch.opening}
    return closing
