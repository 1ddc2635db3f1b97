"""A log with parts left out that still proves its root.

Leaves that a partial bundle leaves out are replaced by the hashes of the largest complete subtrees that hold none
of the others (RFC 6962). So the root, and the place of every leaf that is shown, follow as from the whole log; what
was left out stays unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.evidence.layout import Leaf, encode_leaf
from protocols.transparency.tree import HASH_BYTES, Frontier, leaf_hash, node_hash
from protocols.wire import cbor
from protocols.wire.fields import array, blob, uint

_LEVELS = 63


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


def prune(leaves: Iterable[tuple[Leaf, bool]]) -> Iterator[Leaf | Hidden]:
    """The log with what is not wanted as subtrees; one pass, at most one hash per level in memory.

    Parameters
    ----------
    leaves : iterable of (Leaf, bool)
        Every leaf from the first, and whether it is wanted.
    """
    waiting: list[Hidden] = []
    for position, (leaf, wanted) in enumerate(leaves):
        if wanted:
            yield from waiting
            waiting.clear()
            yield leaf
        else:
            _hide(waiting, leaf_hash(encode_leaf(leaf)), position)
    yield from waiting


def _hide(waiting: list[Hidden], node: bytes, position: int) -> None:
    """Join the hash of a leaf with the subtrees before it as far as they are complete."""
    level = 0
    while waiting and waiting[-1].level == level and not (position + 1) % (2 << level):
        node, level = node_hash(waiting.pop().node, node), level + 1
    waiting.append(Hidden(level, node))
