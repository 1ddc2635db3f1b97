"""A batch behind a window: who signed it, whether it recomputes, and its place in the log with the proof."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from collector.store.log import read_frontier
from collector.store.readings import OpenedBatch
from collector.store.schema import leaves
from collector.store.tree import inclusion
from protocols.windows.recompute import recompute


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch with its proof of origin and its place in the log.

    ``differences`` is what folding its raw words again gives otherwise than it states; empty is equal. ``path`` is
    the leaf's audit path in the log of ``tree_size`` leaves with that ``root``.
    """

    item: int
    sequence: int
    stream_id: bytes
    from_ms: int
    to_ms: int
    received_ms: int
    size: int
    digest: bytes
    previous: bytes
    key_id: bytes
    content_type: str
    signature: bytes
    clock: str
    clock_uncertainty_ms: int
    software: str
    leaf: int
    leaf_hash: bytes
    tree_size: int
    root: bytes
    path: tuple[bytes, ...]
    differences: tuple[str, ...]


def signed_batch(connection: Connection, opened: OpenedBatch) -> SignedBatch:
    """What is to be shown of a batch."""
    batch = opened.batch
    kept = connection.scalar(select(leaves.c.leaf_hash).where(leaves.c.position == opened.leaf))
    tree = read_frontier(connection)
    return SignedBatch(
        item=opened.item, sequence=batch.sequence, stream_id=batch.stream_id, from_ms=batch.from_ms,
        to_ms=batch.to_ms, received_ms=opened.received_ms, size=opened.size, digest=opened.digest,
        previous=batch.previous, key_id=opened.sealed.kid, content_type=opened.sealed.content_type,
        signature=opened.sealed.signature, clock=batch.clock.state.name.lower(),
        clock_uncertainty_ms=batch.clock.uncertainty_ms, software=batch.software, leaf=opened.leaf,
        leaf_hash=kept or b"", tree_size=tree.size, root=tree.root,
        path=inclusion(connection, opened.leaf, tree.size), differences=tuple(recompute(opened.plan, batch)[0]),
    )  # fmt: skip
