"""A log with parts left out that still proves its root.

Leaves that a partial bundle leaves out are replaced by the hashes of the largest complete subtrees that hold none
of the others (RFC 6962). So the root, and the place of every leaf that is shown, follow as from the whole log; what
was left out stays unsaid.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from collector.evidence.layout import Leaf, encode_leaf
from protocols.transparency.tree import HASH_BYTES, Frontier, leaf_hash, node_hash
from protocols.wire import cbor
from protocols.wire.fields import array, blob, uint

_LEVELS = 63


class Subtree(NamedTuple):
    """The complete subtree of leaves ``place << level`` to ``(place + 1) << level``, the last one not in it."""

    level: int
    place: int


@dataclass(frozen=True, slots=True)
class Hidden:
    """The root of a complete subtree of ``1 << level`` leaves that are left out."""

    level: int
    node: bytes


def encode_hidden(hidden: Hidden) -> bytes:
    """As it stands among the leaves: [level, hash]."""
    return cbor.encode([hidden.level, hidden.node])


def decode_hidden(data: bytes) -> Hidden:
    """The subtree in these bytes; WireError where there is none."""
    level, node = array(cbor.decode(data, max_depth=2), "left out leaves", 2, 2)
    root = blob(node, "left out leaves.hash", HASH_BYTES, HASH_BYTES)
    return Hidden(uint(level, "left out leaves.level", _LEVELS), root)


def encode_element(element: Leaf | Hidden) -> bytes:
    """A leaf's data, or what stands for leaves left out."""
    return encode_hidden(element) if isinstance(element, Hidden) else encode_leaf(element)


def grow_by(tree: Frontier, element: Leaf | Hidden, data: bytes) -> Frontier:
    """The tree with an element more, ``data`` being its encoding."""
    return grow(tree, element) if isinstance(element, Hidden) else tree.append(leaf_hash(data))


def is_hidden(data: bytes) -> bool:
    """Whether an element of the log stands for leaves that are left out: an array of two."""
    return data[:1] == b"\x82"


def grow(tree: Frontier, hidden: Hidden) -> Frontier:
    """The tree with a subtree more; ValueError where one of its size cannot begin."""
    width = 1 << hidden.level
    if tree.size % width:
        raise ValueError(f"a subtree of {width} leaves cannot begin at leaf {tree.size}")
    roots, node, size = list(tree.roots), hidden.node, tree.size >> hidden.level
    while size & 1:
        node = node_hash(roots.pop(), node)
        size >>= 1
    return Frontier(tree.size + width, (*roots, node))


def parts(shown: Iterable[int], size: int, bounds: Iterable[int] = ()) -> Iterator[int | Subtree]:
    """What stands for a log of ``size`` leaves of which some are shown: positions of these, and complete subtrees.

    Parameters
    ----------
    shown : iterable of int
        Positions of the leaves that are shown, ascending.
    bounds : iterable of int
        Sizes at which the log has a signed checkpoint. No subtree reaches across one, so that the root there follows
        as well.
    """
    cuts = sorted({bound for bound in bounds if 0 < bound < size})
    low = 0
    for position in chain(shown, (size,)):
        if not low <= position <= size:
            raise ValueError(f"leaf {position} behind leaf {low} of {size}")
        for cut in (*cuts[bisect_right(cuts, low) : bisect_left(cuts, position)], position):
            yield from _covered(low, cut)
            low = cut
        if position < size:
            yield position
        low = position + 1


def _covered(low: int, high: int) -> Iterator[Subtree]:
    """The fewest complete subtrees that are the leaves [low, high), in order."""
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        yield Subtree(level, low >> level)
        low += 1 << level
