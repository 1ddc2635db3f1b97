"""A log that could not be continued goes on under a new origin, and its record says what it went on from.

The record is an object of the log itself: its leaf, of kind ``origin``, names the new origin and the record's digest.
For every origin before it the record states the last head known to have been signed, and how many of those leaves the
log still begins with. So nobody who holds an earlier checkpoint has to take a new origin on trust: up to ``kept`` a
consistency proof must hold as ever, up to ``size`` the loss is admitted, beyond it the record says too little.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.proofs import inclusion_root
from protocols.transparency.tree import HASH_BYTES, leaf_data, leaf_hash
from protocols.wire import cbor
from protocols.wire.errors import Reason, WireError
from protocols.wire.fields import array, blob, text, uint
from protocols.wire.limits import SEQUENCE

KIND = "origin"
"""Of the leaf."""
VERSION = 1
LONGEST_NAME = 128
PREDECESSORS = 64
RECORD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An origin before this one: its last known head, and how many of its leaves the log still begins with."""

    head: Checkpoint
    kept: int


@dataclass(frozen=True, slots=True)
class Succession:
    """What a new origin went on from; the origins before it in the order in which they were in force."""

    origin: str
    predecessors: tuple[Predecessor, ...]

    def before(self, origin: str) -> Predecessor | None:
        """What it says of an earlier origin."""
        return next((one for one in self.predecessors if one.head.origin == origin), None)


def encode_succession(succession: Succession) -> bytes:
    """Its record: deterministic CBOR [version, origin, [[origin, size, root, kept], ...]]."""
    rows = [[one.head.origin, one.head.size, one.head.root, one.kept] for one in succession.predecessors]
    return cbor.encode([VERSION, succession.origin, rows])


def decode_succession(data: bytes) -> Succession:
    """The succession in a record; WireError where there is none."""
    if len(data) > RECORD_BYTES:
        raise WireError(Reason.SCHEMA, "origin record", f"{len(data)} bytes, at most {RECORD_BYTES} are allowed")
    version, origin, rows = array(cbor.decode(data, max_depth=3), "origin record", 3, 3)
    uint(version, "origin record.version", VERSION + 1, VERSION)
    return Succession(
        text(origin, "origin record.origin", LONGEST_NAME),
        tuple(_predecessor(row) for row in array(rows, "origin record.predecessors", PREDECESSORS)),
    )


def is_included(data: bytes, position: int, path: tuple[bytes, ...], head: Checkpoint) -> bool:
    """Whether a record is the one of the head's origin, and stands at this position of its tree."""
    try:
        if decode_succession(data).origin != head.origin:
            return False
        leaf = leaf_hash(leaf_data(KIND, head.origin, hashlib.sha256(data).digest()))
        return inclusion_root(leaf, position, head.size, path) == head.root
    except (WireError, ValueError):
        return False


def _predecessor(row: object) -> Predecessor:
    origin, size, root, kept = array(row, "origin record.predecessor", 4, 4)
    last = uint(size, "origin record.size", SEQUENCE)
    return Predecessor(
        Checkpoint(
            text(origin, "origin record.predecessor.origin", LONGEST_NAME), last,
            blob(root, "origin record.root", HASH_BYTES, HASH_BYTES),
        ),
        uint(kept, "origin record.kept", last + 1),
    )  # fmt: skip
