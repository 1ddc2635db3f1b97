"""Time stamps of checkpoints: which checkpoint waits for one, and what an authority answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from collector.store.checkpoints import BUNDLE, Stored, list_checkpoints
from collector.store.schema import checkpoints, timestamps


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What an authority answered to a checkpoint's note, and the time it names. [UTC ms]"""

    checkpoint: int
    at_ms: int
    reply: bytes


def keep_timestamp(connection: Connection, one: Timestamp) -> None:
    """Keep an answer beside its checkpoint."""
    connection.execute(insert(timestamps).values(checkpoint=one.checkpoint, at_ms=one.at_ms, reply=one.reply))


def timestamps_of(connection: Connection, ids: Collection[int]) -> dict[int, Timestamp]:
    """The stamps of these checkpoints, by the checkpoint's id; those that have one."""
    rows = connection.execute(select(timestamps).where(timestamps.c.checkpoint.in_(list(ids))))
    return {row.checkpoint: Timestamp(row.checkpoint, row.at_ms, row.reply) for row in rows}


def stamped_from(connection: Connection, size: int) -> int | None:
    """Size of the smallest stamped checkpoint of at least so many leaves: the best bound on when they were there."""
    query = select(checkpoints.c.size).join(timestamps, timestamps.c.checkpoint == checkpoints.c.id)
    return connection.scalar(query.where(checkpoints.c.size >= size).order_by(checkpoints.c.size).limit(1))


def newest_stamped(connection: Connection) -> int | None:
    """Size of the newest stamped checkpoint."""
    query = select(checkpoints.c.size).join(timestamps, timestamps.c.checkpoint == checkpoints.c.id)
    return connection.scalar(query.order_by(checkpoints.c.id.desc()).limit(1))


def to_be_stamped(connection: Connection) -> Stored | None:
    """The newest checkpoint that was not made for a bundle, where it has no stamp; a later one covers those before."""
    newest = connection.scalar(
        select(checkpoints.c.id).where(checkpoints.c.why != BUNDLE).order_by(checkpoints.c.id.desc()).limit(1)
    )
    if newest is None or timestamps_of(connection, [newest]):
        return None
    return next(iter(list_checkpoints(connection, 1, newest + 1)))
