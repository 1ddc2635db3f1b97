"""The evidence log as a partial bundle shows it: read are the leaves it shows, and kept hashes for all others."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, or_, select

from collector.evidence.layout import Leaf
from collector.evidence.pruned import Hidden, Subtree, parts
from collector.store.schema import items, leaves
from collector.store.stretches import Stretch
from collector.store.tree import STEP, WIDTH, leaf_hashes, subtree
from protocols.transparency.tree import root_of

_CHUNK = 1000


def all_leaves(connection: Connection, first: int = 0, end: int | None = None) -> Iterator[Leaf]:
    """The leaves from one position to another, the last one not among them; to the log's end where None."""
    while end is None or first < end:
        most = _CHUNK if end is None else min(_CHUNK, end - first)
        query = select(leaves.c.kind, leaves.c.object_id, leaves.c.object_digest)
        rows = connection.execute(
            query.where(leaves.c.position >= first, leaves.c.position < first + most).order_by(leaves.c.position)
        ).all()
        for row in rows:
            yield Leaf(row.kind, row.object_id, row.object_digest)
        if len(rows) < most:
            return
        first += most


def shown_positions(connection: Connection, found: Iterable[Stretch], others: Iterable[int]) -> Sequence[int]:
    """Where in the log stand the items of these stretches, some others, and everything that is no item; ascending."""
    positions = array("Q", others)
    no_item = or_(leaves.c.kind < "item", leaves.c.kind > "item")  # two ranges of the index, where != reads it all
    positions.extend(connection.scalars(select(leaves.c.position).where(no_item)))
    for one in found:
        own = (items.c.agent_id == one.agent, items.c.stream_id == one.stream)
        here = select(items.c.leaf).where(*own)
        positions.extend(connection.scalars(here.where(items.c.sequence >= one.first, items.c.sequence <= one.last)))
        for stone in one.stones:
            positions.extend(connection.scalars(here.where(items.c.sequence == stone)))
    return sorted(set(positions))


def part_of_log(
    connection: Connection, shown: Iterable[int], size: int, bounds: Iterable[int]
) -> Iterator[Leaf | Hidden]:
    """The log of ``size`` leaves with hashes for those that are not shown; see ``parts``."""
    first, following = 0, 0  # shown leaves that are still to be read
    hashes = _Hashes(connection)
    for part in parts(shown, size, bounds):
        if isinstance(part, int):
            first = part if first == following else first
            following = part + 1
            continue
        yield from all_leaves(connection, first, following)
        first = following = 0
        yield Hidden(part.level, hashes.of(part))
    yield from all_leaves(connection, first, following)


class _Hashes:
    """Roots of subtrees; small ones from the last 256 leaf hashes read, since neighbours are asked for together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first = -1
        self._held: Sequence[bytes] = ()

    def of(self, part: Subtree) -> bytes:
        if part.level >= STEP:
            return subtree(self._connection, part.level, part.place)
        first = part.place << part.level
        if self._first != first - first % WIDTH:
            self._first = first - first % WIDTH
            self._held = leaf_hashes(self._connection, self._first, WIDTH)
        at = first - self._first
        return root_of(self._held[at : at + (1 << part.level)])
