"""Items that nobody holds any more: written down as lost in the log, and stepped over where their stream goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from collector.store.log import append_leaf
from collector.store.schema import items, losses
from protocols.transparency.loss import KIND, Loss, decode_loss, encode_loss


def keep_loss(connection: Connection, loss: Loss) -> None:
    """Write a loss down with its leaf; one that stands already is left as it is."""
    known = select(losses.c.id).where(
        losses.c.agent_id == loss.agent_id, losses.c.stream_id == loss.stream_id, losses.c.first == loss.first,
        losses.c.last == loss.last,
    )  # fmt: skip
    if connection.scalar(known) is not None:
        return
    document = encode_loss(loss)
    position = append_leaf(connection, KIND, loss.leaf_id, hashlib.sha256(document).digest(), loss.at_ms)
    connection.execute(
        insert(losses).values(
            agent_id=loss.agent_id, stream_id=loss.stream_id, first=loss.first, last=loss.last, position=position,
            record=document, at_ms=loss.at_ms,
        )
    )  # fmt: skip


def read_losses(connection: Connection, agents: Iterable[str] | None = None) -> list[Loss]:
    """Every loss of these agents, or of all, in the log's order."""
    query = select(losses.c.record).order_by(losses.c.position)
    if agents is not None:
        query = query.where(losses.c.agent_id.in_(tuple(agents)))
    return [decode_loss(record) for record in connection.scalars(query)]


def lost_until(connection: Connection, stream: tuple[str, bytes], contiguous: int) -> tuple[int, bytes] | None:
    """Behind what was accepted as lost after ``contiguous``: the last lost item and its digest; None where none was.

    The digest is the word of the item behind it, so nothing is stepped over before that one is here.
    """
    agent_id, stream_id = stream
    reach = contiguous
    ranges = connection.execute(
        select(losses.c.first, losses.c.last)
        .where(losses.c.agent_id == agent_id, losses.c.stream_id == stream_id, losses.c.last > contiguous)
        .order_by(losses.c.first)
    ).all()
    for first, last in ranges:
        if first > reach + 1:
            break
        reach = max(reach, last)
    if reach == contiguous:
        return None
    behind = connection.execute(
        select(items.c.sequence, items.c.previous)
        .where(items.c.agent_id == agent_id, items.c.stream_id == stream_id, items.c.sequence > contiguous)
        .order_by(items.c.sequence)
        .limit(1)
    ).first()
    return None if behind is None or behind.sequence > reach + 1 else (behind.sequence - 1, behind.previous)


@dataclass(frozen=True, slots=True)
class LostSpan:
    """Of which time nothing is here because it was lost: from the batch before to the one behind. [UTC ms]"""

    loss: Loss
    from_ms: int
    to_ms: int


def lost_spans(connection: Connection, agents: Iterable[str], from_ms: int, to_ms: int) -> list[LostSpan]:
    """Times of [from, to) that these agents' losses stand for; a loss at an end of a stream has none."""
    found = []
    for loss in read_losses(connection, agents):
        batches = (
            items.c.agent_id == loss.agent_id, items.c.stream_id == loss.stream_id, items.c.kind == "batch",
            items.c.state == "placed",
        )  # fmt: skip
        place = items.c.sequence
        before = connection.scalar(
            select(items.c.to_ms).where(*batches, place < loss.first).order_by(place.desc()).limit(1)
        )
        behind = connection.scalar(select(items.c.from_ms).where(*batches, place > loss.last).order_by(place).limit(1))
        if before is not None and behind is not None and before < behind and before < to_ms and behind > from_ms:
            found.append(LostSpan(loss, before, behind))
    return found


def without_lost(
    connection: Connection, agent_id: str, stream_id: bytes, ranges: Iterable[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """These ranges of a stream, less what was accepted as lost."""
    left = list(ranges)
    lost = connection.execute(
        select(losses.c.first, losses.c.last).where(losses.c.agent_id == agent_id, losses.c.stream_id == stream_id)
    ).all() if left else ()  # fmt: skip
    for low, high in lost:
        left = [
            part for first, last in left for part in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if part[0] <= part[1]
        ]  # fmt: skip
    return tuple(left)
