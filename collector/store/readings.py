"""A point's readings, decoded from the signed batches that hold them; no other batch is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from collector.store.agents import find_agent
from collector.store.plans import PlanBook
from collector.store.schema import items
from protocols.errors import EmitraceError
from protocols.modbus.decode import availability, indexes
from protocols.plan.bound import BoundPlan
from protocols.quantities import Kind
from protocols.records import Batch, Fate, Int64, Samples, UInt64
from protocols.windows.instants import judge
from protocols.wire.cose import Sealed, open_sealed

REACH = 16
"""How many batches that began before a span are looked at for one that reaches into it.

Batches of one stream follow each other, so that only the last of each can; an agent rarely has two streams.
"""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedBatch:
    """A stored batch whose signature holds, with what the books say of it.

    ``previous`` is the digest its chain names, ``size`` that of the signed bytes.
    """

    item: int
    agent_id: str
    sealed: Sealed
    digest: bytes
    received_ms: int
    leaf: int
    size: int
    batch: Batch = field(repr=False)
    plan: BoundPlan = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """One slot of a point.

    Attributes
    ----------
    item : int
        The batch that holds it.
    due_ms : int
        When it was due. [UTC ms]
    delay_ms : int or None
        From due to the last byte of the answer; None where none came. [ms]
    fate : int
        Fate code; a counter's index that does not fit the ones before it still reads good here.
    word : int or None
        The registers in the map's order, first one highest; None where there was no answer.
    """

    item: int
    due_ms: int
    delay_ms: int | None
    fate: int
    word: int | None

    @property
    def at_ms(self) -> int | None:
        """When the last byte of the answer came. [UTC ms]"""
        return None if self.delay_ms is None else self.due_ms + self.delay_ms

    @property
    def has_value(self) -> bool:
        """Whether it is a value to reckon with."""
        return self.word is not None and Fate(self.fate & 0xFF).has_value


def items_holding(connection: Connection, agent_id: str, from_ms: int, to_ms: int) -> list[int]:
    """Batches in the books that hold something of [from, to), in order of their start. [UTC ms]"""
    earlier, inside = batches_around(connection, agent_id, from_ms, to_ms)
    return [row.id for row in reversed(earlier) if row.to_ms > from_ms] + [row.id for row in inside]


def batches_around(
    connection: Connection, agent_id: str, from_ms: int, to_ms: int
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Id and span of batches in the books: the newest that begin before [from, to), and those in it. [UTC ms]"""
    placed = (items.c.agent_id == agent_id, items.c.kind == "batch", items.c.state == "placed")
    columns = (items.c.id, items.c.from_ms, items.c.to_ms)
    earlier = connection.execute(
        select(*columns).where(*placed, items.c.from_ms < from_ms).order_by(items.c.from_ms.desc()).limit(REACH)
    ).all()
    inside = connection.execute(
        select(*columns).where(*placed, items.c.from_ms >= from_ms, items.c.from_ms < to_ms).order_by(items.c.from_ms)
    ).all()
    return earlier, inside


def open_batch(connection: Connection, book: PlanBook, item: int) -> OpenedBatch:
    """A batch of the books, its signature checked again.

    Raises
    ------
    EmitraceError
        There is no such batch, its bytes are not what its agent's key signed, or its plan is not here.
    """
    row = connection.execute(select(items).where(items.c.id == item, items.c.kind == "batch")).first()
    agent = None if row is None else find_agent(connection, row.agent_id)
    if row is None or agent is None:
        raise EmitraceError(f"item {item}", "no batch of a registered agent is kept under this number")
    batch = agent.read(row.bytes)
    plan = book.of(connection, row.agent_id, row.plan)
    if not isinstance(batch, Batch) or plan is None:
        raise EmitraceError(f"item {item}", "is no batch under a plan that is known")
    return OpenedBatch(
        item, row.agent_id, open_sealed(row.bytes), row.digest, row.received_ms, row.leaf, len(row.bytes), batch, plan
    )


def read_point(
    connection: Connection, book: PlanBook, agent_id: str, point: str, from_ms: int, to_ms: int
) -> Iterator[Reading]:
    """Every slot of a point that is due in [from, to), by time; the batches are opened one after the other."""
    for item in items_holding(connection, agent_id, from_ms, to_ms):
        opened = open_batch(connection, book, item)
        position = position_of(opened.plan, point)
        if position is not None:
            yield from (one for one in readings_of(opened, position) if from_ms <= one.due_ms < to_ms)


def position_of(plan: BoundPlan, point: str) -> int | None:
    """Where a plan has the point of that id."""
    return next((place for place, one in enumerate(plan.points) if one.id == point), None)


def block_of(batch: Batch, position: int) -> tuple[Samples, int]:
    """What the request that reads a point yielded, and the point's column in it; EmitraceError where none does."""
    for block in batch.samples:
        if position in block.request.points:
            return block, block.request.points.index(position)
    raise EmitraceError(f"batch {batch.sequence}", f"reads no point {position}")


def readings_of(opened: OpenedBatch, position: int) -> Sequence[Reading]:
    """Every slot of a point in a batch, by time."""
    block, column = block_of(opened.batch, position)
    interval_ms = opened.plan.points[position].interval_ms
    words = np.ascontiguousarray(block.words[:, column])
    answered = np.flatnonzero(block.fates == int(Fate.GOOD))
    due_ms = (block.first_slot + answered).astype(np.int64) * interval_ms
    judged = iter(zip(block.delay_ms.tolist(), words.tolist(), _fates(opened, position, due_ms, words), strict=True))
    found = []
    for place, fate in enumerate(block.fates.tolist()):
        due = (block.first_slot + place) * interval_ms
        if fate == int(Fate.GOOD):
            delay, word, own = next(judged)
            found.append(Reading(opened.item, due, delay, own, word))
        else:
            found.append(Reading(opened.item, due, None, fate, None))
    return found


def _fates(opened: OpenedBatch, position: int, due_ms: Int64, words: UInt64) -> list[int]:
    """Fate codes of a point's answered slots."""
    point, block = opened.plan.points[position], block_of(opened.batch, position)[0]
    if point.is_judged:
        status = None if point.status is None else point.status.point
        register = None if status is None else opened.plan.points[status].register
        column = block.request.points.index(status) if status in block.request.points else None
        before = opened.batch.opening.points[position]
        seen = None if column is None else np.ascontiguousarray(block.words[:, column])
        at_ms = due_ms + block.delay_ms
        judged = judge(point, before.instant, before.last_words, at_ms, words, seen, register).fates
        return [int(fate) for fate in judged]
    available = indexes(words, point)[1] if point.kind is Kind.COUNTER else availability(words, point.register)
    return [int(Fate.GOOD if here else Fate.NOT_AVAILABLE) for here in available.tolist()]
