"""Which items of an agent's streams a period needs, so that it can be re-performed from them alone.

Of each stream: from the batch whose span holds the period's start (from the stream's first item where it begins
later) through the first batch that begins after it and after the last one with a window of it, since counter windows
lag behind. Of a stream wholly outside, its items up to the first batch, or those from its last batch on: they prove
that it is. Tombstones that stand for items in between come along, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from collector.store.schema import items, tombstones, windows
from protocols.records import Batch, ItemKind
from protocols.wire.codec import decode_item, decompress
from protocols.wire.cose import open_sealed

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Stretch:
    """Items ``first`` to ``last`` of a stream, and sequences of tombstones behind it; ``near_ms`` is its first day."""

    agent: str
    stream: bytes
    first: int
    last: int
    stones: tuple[int, ...]
    near_ms: int

    def has(self, sequence: int) -> bool:
        """Whether an item is part of it."""
        return self.first <= sequence <= self.last or sequence in self.stones


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an item goes in a bundle, in the bundle's order; ``item`` is its number in the books."""

    day: str
    stream: bytes
    sequence: int
    item: int


def stretches(connection: Connection, agent: str, from_ms: int, to_ms: int) -> list[Stretch]:
    """What the period needs of each of the agent's streams, by stream id."""
    query = select(items.c.stream_id).distinct().where(items.c.agent_id == agent).order_by(items.c.stream_id)
    found = (_stretch(connection, agent, stream, from_ms, to_ms) for stream in connection.scalars(query).all())
    return [one for one in found if one is not None]


def places(connection: Connection, stretch: Stretch) -> Iterator[Place]:
    """A stretch's items in order, read page by page.

    A batch belongs to the UTC day of its start; any other item to that of the batch before it in the stretch, or
    after it where there is none before.
    """
    near = stretch.near_ms
    following = stretch.first
    own = _of(stretch.agent, stretch.stream)
    query = select(items.c.id, items.c.sequence, items.c.kind, items.c.from_ms).where(*own)
    query = query.where(items.c.sequence <= stretch.last).order_by(items.c.sequence).limit(_PAGE)
    while rows := connection.execute(query.where(items.c.sequence >= following)).all():
        for row in rows:
            near = row.from_ms if row.kind == ItemKind.BATCH.value else near
            yield Place(day_of(near), stretch.stream, row.sequence, row.id)
        following = rows[-1].sequence + 1
    for sequence in stretch.stones:
        item = connection.execute(select(items.c.id).where(*own, items.c.sequence == sequence)).scalar_one()
        yield Place(day_of(near), stretch.stream, sequence, item)


def item_bytes(connection: Connection, item: int) -> bytes:
    """The signed bytes of an item as they came in."""
    data: bytes = connection.execute(select(items.c.bytes).where(items.c.id == item)).scalar_one()
    return data


def day_of(at_ms: int) -> str:
    """The UTC day of an instant, yyyy-mm-dd."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()


def _of(agent: str, stream: bytes) -> tuple[ColumnElement[bool], ...]:
    """Items of a stream that are in the books."""
    return (items.c.agent_id == agent, items.c.stream_id == stream, items.c.state.in_(("placed", "refused")))


def _stretch(connection: Connection, agent: str, stream: bytes, from_ms: int, to_ms: int) -> Stretch | None:
    own = _of(agent, stream)
    whole = connection.execute(select(func.min(items.c.sequence), func.max(items.c.sequence)).where(*own)).one()
    if whole[0] is None:
        return None
    batches = (*own, items.c.kind == ItemKind.BATCH.value)
    first = connection.scalar(select(func.max(items.c.sequence)).where(*batches, items.c.from_ms <= from_ms))
    first = whole[0] if first is None else first
    after = connection.execute(
        select(items.c.id, items.c.sequence)
        .where(*batches, items.c.from_ms >= to_ms).order_by(items.c.sequence).limit(1)
    ).first()  # fmt: skip
    last = whole[1] if after is None else _after_windows(connection, batches, after.id, after.sequence, to_ms, whole[1])
    near = connection.scalar(
        select(items.c.from_ms).where(*batches, items.c.sequence >= first).order_by(items.c.sequence).limit(1)
    )
    stones = connection.scalars(
        select(items.c.sequence).join(tombstones, tombstones.c.item == items.c.id)
        .where(*own, items.c.sequence > last, tombstones.c.first <= last).order_by(items.c.sequence)
    ).all()  # fmt: skip
    return Stretch(agent, stream, first, last, tuple(stones), from_ms if near is None else near)


def _after_windows(
    connection: Connection, batches: tuple[ColumnElement[bool], ...], item: int, sequence: int, to_ms: int, end: int
) -> int:
    """The first batch behind every window that begins before ``to_ms``.

    ``item`` is the first batch that begins later: what it opens with says how far back windows may still begin.
    """
    reached = _reached(item_bytes(connection, item))
    if reached >= to_ms:
        return sequence
    lagging = connection.scalar(
        select(func.max(items.c.sequence)).join(windows, windows.c.item == items.c.id)
        .where(*batches, items.c.sequence >= sequence, windows.c.agent_id == items.c.agent_id)
        .where(windows.c.from_ms >= reached, windows.c.from_ms < to_ms)
    )  # fmt: skip
    if lagging is None:
        return sequence
    behind = connection.scalar(select(func.min(items.c.sequence)).where(*batches, items.c.sequence > lagging))
    return end if behind is None else int(behind)


def _reached(data: bytes) -> int:
    """Before this instant no window from this batch on can begin: where the counters' windows end. [UTC ms]"""
    batch = decode_item(decompress(open_sealed(data).payload), ItemKind.BATCH)
    if not isinstance(batch, Batch):
        raise TypeError(f"a {type(batch).__name__} is no batch")
    counters = [point.counter.emitted_to_ms for point in batch.opening.points if point.counter is not None]
    return min([batch.from_ms, *counters])
