"""The evidence log in a bundle: the root its leaves lead to, and where an object stands.

Nothing of it is held as objects: a leaf is 24 bytes here, since a log of years has millions.
"""

from __future__ import annotations

import hashlib
import secrets
from array import array
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from collector.evidence.container import Container
from collector.evidence.layout import LEAVES, RECORD_KINDS, Leaf, Manifest, decode_leaf, encode_leaf, split_sequence
from collector.evidence.pruned import decode_hidden, grow, is_hidden
from collector.evidence.verify.report import Report, Step
from protocols.errors import EmitraceError
from protocols.records import UInt64
from protocols.transparency.loss import KIND as LOST
from protocols.transparency.loss import range_of
from protocols.transparency.tree import Frontier, leaf_hash
from protocols.wire.errors import WireError

_LEAF_BYTES = 4096
REVOKED = "agent-revoked"
"""Kind of the leaf from which on nothing of an agent is believed."""
DOCUMENTS = frozenset({"certificate", "plan", *RECORD_KINDS.values()})
"""Kinds of leaves whose digests are kept: each calibration record and plan logged must be in the bundle."""


class Positions:
    """Where a leaf hash stands first.

    Kept as 16 bytes of a digest keyed at random, so that nobody can make two leaves that look alike here.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._digests = bytearray()
        self._at = array("Q")
        self._high: UInt64 = np.zeros(0, np.uint64)
        self._low: UInt64 = self._high
        self._places: UInt64 = self._high

    def add(self, hashed: bytes, position: int) -> None:
        """Note a leaf; in the log's order."""
        self._digests += self._keyed(hashed)
        self._at.append(position)

    def settle(self) -> None:
        """Sort what was noted; find works from here on."""
        pairs = np.frombuffer(self._digests, np.uint64).reshape(-1, 2)
        order = np.argsort(pairs[:, 0], kind="stable")
        self._high, self._low = pairs[order, 0], pairs[order, 1]
        self._places = np.frombuffer(self._at, np.uint64)[order] if len(order) else self._high
        self._digests, self._at = bytearray(), array("Q")

    def find(self, hashed: bytes) -> int | None:
        """Where a leaf hash stands first; None where it does not."""
        high, low = np.frombuffer(self._keyed(hashed), np.uint64)
        at = int(np.searchsorted(self._high, high))
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return int(self._places[at])
            at += 1
        return None

    def _keyed(self, hashed: bytes) -> bytes:
        return hashlib.blake2b(hashed, digest_size=16, key=self._secret).digest()


@dataclass(slots=True)
class Sequences:
    """Sequences of items that the log shows, by agent and stream (``agent/stream``)."""

    _noted: dict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("Q")))
    _sorted: dict[str, UInt64] = field(default_factory=dict)

    def add(self, stream: str, sequence: int) -> None:
        """Note an item."""
        self._noted[stream].append(sequence)

    def settle(self) -> None:
        """Sort what was noted; the rest works from here on."""
        self._sorted = {name: np.unique(np.frombuffer(noted, np.uint64)) for name, noted in self._noted.items()}
        self._noted.clear()

    def noted_within(self, stream: str, first: int, last: int) -> bool:
        """Whether an item of a range was noted so far; before ``settle``."""
        return any(first <= one <= last for one in self._noted.get(stream, ()))

    def without(self, stream: str, first: int, last: int) -> list[tuple[int, int]]:
        """What is left of a range without the items that the log shows."""
        known = self._sorted.get(stream)
        known = np.zeros(0, np.uint64) if known is None else known
        inside = known[np.searchsorted(known, np.uint64(first)) : np.searchsorted(known, np.uint64(last), "right")]
        edges = [first - 1, *map(int, inside), last + 1]
        return [(low + 1, high - 1) for low, high in pairwise(edges) if low + 1 < high]

    def names(self) -> list[str]:
        """Every stream, by agent."""
        return sorted(self._sorted)

    def count(self, stream: str, least: int = 0) -> int:
        """How many items of a stream have at least this sequence."""
        known = self._sorted.get(stream)
        return 0 if known is None else len(known) - int(np.searchsorted(known, np.uint64(least)))

    def has(self, stream: str, sequence: int) -> bool:
        """Whether an item is in the log."""
        return self.count(stream, sequence) > self.count(stream, sequence + 1)


Lost = tuple[int, int, int]
"""First and last item of a range that nobody holds, and the position of the leaf that says so."""


@dataclass(slots=True)
class Log:
    """Positions of leaves, (position, digest) of documents per kind, and how many leaves are left out.

    ``revoked`` is where the log says of an agent that it was revoked. ``lost`` are ranges of a stream
    (``agent/stream``) that the collector says nobody holds; ``false_losses`` are leaves that say so of an item which
    stands in the log before.
    """

    positions: Positions = field(default_factory=Positions)
    documents: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    sequences: Sequences = field(default_factory=Sequences)
    revoked: dict[str, int] = field(default_factory=dict)
    lost: dict[str, list[Lost]] = field(default_factory=lambda: defaultdict(list))
    false_losses: list[int] = field(default_factory=list)
    tree: Frontier = field(default_factory=Frontier)
    hidden: int = 0
    wanted: frozenset[int] = frozenset()
    roots: dict[int, bytes] = field(default_factory=dict)

    def position(self, leaf: Leaf) -> int | None:
        """Where an object was logged first; None where it was not."""
        return self.positions.find(leaf_hash(encode_leaf(leaf)))

    def take(self, data: bytes) -> None:
        """The next element of the log; WireError or ValueError where it is none."""
        self.note_root()
        if is_hidden(data):
            hidden = decode_hidden(data)
            self.tree = grow(self.tree, hidden)
            self.hidden += 1 << hidden.level
            return
        leaf, hashed, position = decode_leaf(data), leaf_hash(data), self.tree.size
        self.positions.add(hashed, position)
        self.tree = self.tree.append(hashed)
        if leaf.kind == "item":
            stream, _, sequence = leaf.object_id.rpartition("/")
            if sequence.isdecimal() and len(sequence) < 19:
                self.sequences.add(stream, int(sequence))
        elif leaf.kind in DOCUMENTS:
            self.documents[leaf.kind].append((position, leaf.digest.hex()))
        elif leaf.kind == REVOKED:
            self.revoked.setdefault(leaf.object_id, position)
        elif leaf.kind == LOST and (found := range_of(leaf.object_id)) is not None:
            stream, first, last = found
            self.lost[stream].append((first, last, position))
            if self.sequences.noted_within(stream, first, last):
                self.false_losses.append(position)

    def note_root(self) -> None:
        """Keep the root here, where it was asked for."""
        if self.tree.size in self.wanted:
            self.roots[self.tree.size] = self.tree.root


def read_log(container: Container, manifest: Manifest, report: Report, sizes: Collection[int] = ()) -> Log:
    """Hash every leaf and demand the size and root of the manifest; only a partial bundle may leave leaves out.

    The log's roots at these sizes are kept.
    """
    log = Log(wanted=frozenset(sizes))
    try:
        for offset, data in split_sequence(container.chunks(LEAVES), _LEAF_BYTES):
            where = f"{LEAVES} at byte {offset}"
            if is_hidden(data) and manifest.scope.is_whole:
                report.find(Step.LOG, where, "leaves are left out, but the bundle says that it is whole")
                break
            try:
                log.take(data)
            except (WireError, ValueError) as error:
                report.find(Step.LOG, where, error)
                break
    except EmitraceError as error:
        report.find(Step.LOG, LEAVES, error)
    log.note_root()
    log.positions.settle()
    log.sequences.settle()
    if report.contradictions:
        return log
    for position in log.false_losses:
        report.find(Step.LOG, f"leaf {position}", "says that items are lost which stand in the log before it")
    report.count("leaves", log.tree.size - log.hidden)
    if log.hidden:
        report.leave_out("leaves", log.hidden)
    if (log.tree.size, log.tree.root) != (manifest.tree_size, manifest.tree_root):
        report.find(
            Step.LOG, LEAVES,
            f"{log.tree.size} leaves with root {log.tree.root.hex()}, the manifest says {manifest.tree_size} with"
            f" root {manifest.tree_root.hex()}",
        )  # fmt: skip
    return log
