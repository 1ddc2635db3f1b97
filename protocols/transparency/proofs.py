"""Inclusion and consistency proofs of the RFC 6962 tree, checked by the algorithms of RFC 9162 section 2.1.

A proof is made in two steps: which ranges of leaves its hashes stand for, and what those hashes are. The first is
pure arithmetic; whoever keeps the tree answers the second, be it from a list of leaves or from a database.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.errors import EmitraceError
from protocols.transparency.tree import EMPTY_ROOT, HASH_BYTES, node_hash, root_of

PROOF_BYTES = 64 * 1024
_HEADER, _DIGITS, _LEVELS = "c2sp.org/tlog-proof@v1", 20, 63

Span = tuple[int, int]
"""Leaves [first, end)."""


class ProofError(EmitraceError):
    """A proof that is none."""


def inclusion_spans(index: int, size: int) -> tuple[Span, ...]:
    """What the audit path of a leaf is made of, nearest sibling first (RFC 6962 section 2.1.1).

    Raises
    ------
    IndexError
        The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} is not in a tree of {size}")
    low, high = 0, size
    path: list[Span] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    return tuple(reversed(path))


def consistency_spans(first: int, second: int) -> tuple[Span, ...]:
    """What the proof is made of that a tree of ``second`` leaves begins with one of ``first`` (RFC 6962, 2.1.2).

    Empty where the trees are the same or the first one is empty: then nothing needs a proof.

    Raises
    ------
    IndexError
        The first tree is larger than the second.
    """
    if not 0 <= first <= second:
        raise IndexError(f"a tree of {second} leaves does not begin with one of {first}")
    if first == 0:
        return ()
    low, high = 0, second
    path: list[Span] = []
    while first < high:
        middle = low + _split(high - low)
        if first <= middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    if low:
        path.append((low, high))
    return tuple(reversed(path))


def complete_subtrees(span: Span) -> tuple[tuple[int, int], ...]:
    """(level, index) of the complete subtrees that a span of a proof consists of, largest first.

    The subtree at (level, index) holds the leaves from ``index << level``, ``1 << level`` of them.
    """
    low, high = span
    found: list[tuple[int, int]] = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append((level, low >> level))
        low += 1 << level
    return tuple(found)


def joined(roots: Sequence[bytes]) -> bytes:
    """Root over complete subtrees, largest first."""
    if not roots:
        return EMPTY_ROOT
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of leaf ``index`` in the tree over these leaf hashes, nearest sibling first."""
    return tuple(root_of(leaves[low:high]) for low, high in inclusion_spans(index, len(leaves)))


def consistency_proof(leaves: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """The proof that the tree over these leaf hashes begins with the tree over the first few of them."""
    return tuple(root_of(leaves[low:high]) for low, high in consistency_spans(first, len(leaves)))


def inclusion_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Root that an audit path leads to (RFC 9162 section 2.1.3.2); None where the path does not fit the tree."""
    if not 0 <= index < size:
        return None
    node, place, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return node if last == 0 else None


@dataclass(frozen=True, slots=True)
class ProofStep:
    """One step up the tree: the sibling over the leaves of ``span``, on which side, and the hash of both together."""

    span: Span
    sibling: bytes
    is_left: bool
    node: bytes


def inclusion_steps(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> tuple[ProofStep, ...]:
    """An audit path step by step, as somebody would hash it by hand; the last node is the root.

    Raises
    ------
    IndexError
        The tree has no such leaf.
    ValueError
        The path has not as many hashes as this place in the tree asks for.
    """
    steps, node = [], leaf
    for span, sibling in zip(inclusion_spans(index, size), path, strict=True):
        is_left = span[0] < index
        node = node_hash(sibling, node) if is_left else node_hash(node, sibling)
        steps.append(ProofStep(span, sibling, is_left, node))
    return tuple(steps)


def is_consistent(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a proof shows that a tree begins with an earlier one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    if first == second:
        return not path and first_root == second_root
    nodes = list(path) if first & (first - 1) else [first_root, *path]
    if not path:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place >>= 1
        last >>= 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        place >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


def tlog_proof(index: int, path: Sequence[bytes], checkpoint: bytes, extra: bytes = b"") -> bytes:
    """An inclusion proof as a C2SP tlog-proof file: a leaf's index and path, and the signed checkpoint."""
    lines = [_HEADER]
    if extra:
        lines.append(f"extra {base64.b64encode(extra).decode()}")
    lines += [f"index {index}", *(base64.b64encode(node).decode() for node in path), "", ""]
    return "\n".join(lines).encode() + checkpoint


@dataclass(frozen=True, slots=True)
class TlogProof:
    """What a C2SP tlog-proof file holds: a leaf's index and audit path, what stands under ``extra``, a checkpoint."""

    index: int
    path: tuple[bytes, ...]
    extra: bytes
    checkpoint: bytes


def read_tlog_proof(data: bytes) -> TlogProof:
    """The parts of a tlog-proof file, none of them checked; ProofError where it is none."""
    if len(data) > PROOF_BYTES:
        raise ProofError("proof", f"{len(data)} bytes, at most {PROOF_BYTES} are read")
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = base64.b64decode(lines.pop(0).removeprefix("extra "), validate=True)
        word, index = lines.pop(0).split(" ")
        path = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (ValueError, IndexError) as error:
        raise ProofError("proof", "is no tlog-proof file", "Save it again, byte for byte.") from error
    plain = index.isascii() and index.isdecimal() and len(index) < _DIGITS and str(int(index)) == index
    if not blank or first != _HEADER or word != "index" or not plain:
        raise ProofError("proof", "is no tlog-proof file of version 1", "Save it again, byte for byte.")
    if len(path) > _LEVELS or any(len(node) != HASH_BYTES for node in path):
        raise ProofError("proof", f"{len(path)} hashes, or one that is not {HASH_BYTES} bytes")
    return TlogProof(int(index), path, extra, checkpoint)


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)
