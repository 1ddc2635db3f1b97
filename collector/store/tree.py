"""Proofs from the evidence log: hashes of whole parts of the tree are kept, so that none reads every leaf.

Kept are the roots of complete subtrees of 256 leaves, of 65,536 leaves, and so on: 33 bytes for 256 leaves. Any hash
that a proof needs then follows from fewer than 256 rows of each of these levels. What is missing (books of before,
the newest leaves) is computed from the level below; ``keep_nodes`` adds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from collector.store.schema import leaves, tree_nodes
from protocols.transparency.proofs import Span, complete_subtrees, consistency_spans, inclusion_spans, joined
from protocols.transparency.tree import root_of

STEP = 8
"""Levels of the tree between those that are kept."""
WIDTH = 1 << STEP


def root_at(connection: Connection, size: int) -> bytes:
    """Root of the log's first ``size`` leaves."""
    return _root(connection, (0, size))


def inclusion(connection: Connection, position: int, size: int) -> tuple[bytes, ...]:
    """The audit path of a leaf in the tree of ``size`` leaves, nearest sibling first."""
    return tuple(_root(connection, span) for span in inclusion_spans(position, size))


def consistency(connection: Connection, first: int, second: int) -> tuple[bytes, ...]:
    """The proof that the tree of ``second`` leaves begins with the one of ``first``."""
    return tuple(_root(connection, span) for span in consistency_spans(first, second))


def keep_nodes(connection: Connection, size: int) -> int:
    """Keep the roots of all complete subtrees of a tree of ``size`` leaves; the number added.

    About a second for a million leaves; nothing to do costs one query. Call it inside a write transaction.
    """
    added, level = 0, STEP
    while (complete := size >> level) > 0:
        newest = connection.scalar(select(func.max(tree_nodes.c.place)).where(tree_nodes.c.level == level))
        first = 0 if newest is None else int(newest) + 1
        if first >= complete:
            break  # the levels above were kept with the last one of this
        for place in range(first, complete):
            node = root_of(_row(connection, level - STEP, place * WIDTH, WIDTH))
            connection.execute(insert(tree_nodes).values(level=level, place=place, node_hash=node))
        added, level = added + complete - first, level + STEP
    return added


def leaf_hashes(connection: Connection, first: int, most: int) -> Sequence[bytes]:
    """Hashes of the leaves from a position on, as many as there are."""
    place = leaves.c.position
    query = select(leaves.c.leaf_hash).where(place >= first, place < first + most).order_by(place)
    return connection.scalars(query).all()


def _root(connection: Connection, span: Span) -> bytes:
    return joined([subtree(connection, level, place) for level, place in complete_subtrees(span)])


def subtree(connection: Connection, level: int, place: int) -> bytes:
    """Root of the complete subtree of ``1 << level`` leaves from ``place << level`` on."""
    kept = level - level % STEP
    wide = 1 << (level - kept)
    return root_of(_row(connection, kept, place * wide, wide))


def _row(connection: Connection, level: int, first: int, count: int) -> Sequence[bytes]:
    """Hashes of neighbours at a level that is kept; those that are not there yet, from the level below."""
    if level == 0:
        found = leaf_hashes(connection, first, count)
    else:
        place, column = tree_nodes.c.place, tree_nodes.c.node_hash
        query = select(column).where(tree_nodes.c.level == level, place >= first, place < first + count)
        found = connection.scalars(query.order_by(place)).all()
    if len(found) == count:
        return found
    if level == 0:
        raise IndexError(f"leaves {first} to {first + count - 1} are not in the log")
    return [
        root_of(_row(connection, level - STEP, one * WIDTH, WIDTH)) for one in range(first, first + count)
    ]
