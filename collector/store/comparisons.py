"""What came of folding a batch's raw words again: equal to what the edge stated, or the differences."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, select

from collector.store.schema import comparisons, items, streams
from collector.store.schema import uncompared as waiting
from collector.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Comparison:
    """One batch compared; ``differences`` is empty where everything is equal."""

    agent_id: str
    stream_id: bytes
    sequence: int
    equal: bool
    differences: str
    compared_ms: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many batches were equal, differed, or wait to be compared."""

    equal: int
    different: int
    waiting: int


def uncompared(connection: Connection, limit: int) -> list[Row[tuple[object, ...]]]:
    """Placed batches without a comparison, oldest first; their ``items`` rows."""
    oldest = select(waiting.c.item).order_by(waiting.c.item).limit(limit)
    return list(connection.execute(select(items).where(items.c.id.in_(oldest)).order_by(items.c.id)))


def predecessor(
    connection: Connection, agent_id: str, stream_id: bytes, sequence: int
) -> Row[tuple[object, ...]] | None:
    """The batch before a batch in its stream, plans and tombstones passed over."""
    return connection.execute(
        select(items)
        .where(items.c.agent_id == agent_id, items.c.stream_id == stream_id, items.c.sequence < sequence,
               items.c.kind == "batch", items.c.state.in_(("placed", "refused")))
        .order_by(items.c.sequence.desc())
        .limit(1)
    ).first()  # fmt: skip


def dropped_between(connection: Connection, agent_id: str, stream_id: bytes, first: int, last: int) -> bool:
    """Whether any sequence in [first, last] is not here (a tombstone stands for it) or was passed over."""
    here = connection.scalar(
        select(func.count()).where(
            items.c.agent_id == agent_id, items.c.stream_id == stream_id, items.c.sequence.between(first, last),
            items.c.state.in_(("placed", "refused")),
        )
    )  # fmt: skip
    return int(here or 0) < last - first + 1


def keep_comparison(connection: Connection, item: int, agent_id: str, differences: list[str], at_ms: int) -> None:
    """Keep the verdict on one batch."""
    text = "\n".join(differences)[:20_000]
    entry = upsert(connection, comparisons).values(
        item=item, agent_id=agent_id, equal=not differences, differences=text, compared_ms=at_ms
    )
    connection.execute(entry.on_conflict_do_nothing())
    connection.execute(delete(waiting).where(waiting.c.item == item))


def verdicts(connection: Connection) -> Verdicts:
    """How the comparisons stand; what is neither different nor waits was equal."""
    batches = connection.scalar(select(func.sum(streams.c.batches))) or 0
    different = connection.scalar(select(func.count()).where(comparisons.c.equal.is_(False))) or 0
    left = connection.scalar(select(func.count()).select_from(waiting)) or 0
    return Verdicts(int(batches) - different - left, different, left)


def differing(connection: Connection, limit: int = 100) -> list[Comparison]:
    """Batches that differ, newest first."""
    rows = connection.execute(
        select(comparisons, items.c.stream_id, items.c.sequence)
        .join(items, items.c.id == comparisons.c.item)
        .where(comparisons.c.equal.is_(False))
        .order_by(comparisons.c.item.desc())
        .limit(limit)
    )
    return [
        Comparison(row.agent_id, row.stream_id, row.sequence, row.equal, row.differences, row.compared_ms)
        for row in rows
    ]
