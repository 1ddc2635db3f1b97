"""What is committed of a stream, and what is missing of it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from collector.store.schema import items, streams
from protocols.messages import Ack

MOST_RANGES = 64
"""So many gaps of a stream are looked at together; the rest are when these are closed."""


def ack_of(connection: Connection, agent_id: str, stream_id: bytes) -> Ack:
    """What is committed of a stream."""
    place = (items.c.agent_id == agent_id, items.c.stream_id == stream_id)
    contiguous = connection.scalar(
        select(streams.c.contiguous).where(streams.c.agent_id == agent_id, streams.c.stream_id == stream_id)
    )
    standing = -1 if contiguous is None else int(contiguous)
    ahead = connection.scalars(
        select(items.c.sequence).where(*place, items.c.sequence > standing).order_by(items.c.sequence)
    )
    return Ack(stream_id, standing, ranges_of(ahead.all()))


def missing_ranges(ack: Ack, most: int, known: int = -1) -> tuple[tuple[int, int], ...]:
    """The gaps behind which stored items wait, and up to ``known``, lowest first, at most ``most`` ranges.

    ``known`` is a sequence that has been committed once, though these books may not have it (any more).
    """
    gaps: list[tuple[int, int]] = []
    expected = ack.contiguous + 1
    for first, last in ack.beyond:
        if first > expected:
            gaps.append((expected, first - 1))
        expected = last + 1
    if known >= expected:
        gaps.append((expected, known))
    return tuple(gaps[:most])


def ranges_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as closed ranges."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)
