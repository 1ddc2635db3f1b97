"""The evidence log in a bundle: every leaf, the root they lead to, and where an object stands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from collector.evidence.container import Container
from collector.evidence.layout import LEAVES, Leaf, Manifest, decode_leaf, encode_leaf, split_sequence
from collector.evidence.verify.report import Report, Step
from protocols.errors import EmitraceError
from protocols.transparency.tree import Frontier, leaf_hash

_LEAF_BYTES = 4096
DOCUMENTS = frozenset({"certificate", "plan"})
"""Kinds of leaves whose digests are kept: each certificate and plan logged must be in the bundle."""


@dataclass(slots=True)
class Log:
    """Positions of leaves by leaf hash, (position, digest) of documents per kind, sequences per agent and stream."""

    positions: dict[bytes, int] = field(default_factory=dict)
    documents: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    sequences: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    tree: Frontier = field(default_factory=Frontier)

    def position(self, leaf: Leaf) -> int | None:
        """Where an object was logged first; None where it was not."""
        return self.positions.get(leaf_hash(encode_leaf(leaf)))


def read_log(container: Container, manifest: Manifest, report: Report) -> Log:
    """Hash every leaf and demand the size and root of the manifest."""
    log = Log()
    try:
        for offset, data in split_sequence(container.chunks(LEAVES), _LEAF_BYTES):
            try:
                leaf = decode_leaf(data)
            except EmitraceError as error:
                report.find(Step.LOG, f"{LEAVES} at byte {offset}", error)
                return log
            hashed = leaf_hash(data)
            log.positions.setdefault(hashed, log.tree.size)
            log.tree = log.tree.append(hashed)
            if leaf.kind == "item":
                stream, _, sequence = leaf.object_id.rpartition("/")
                if sequence.isdecimal() and len(sequence) < 20:
                    log.sequences[stream].add(int(sequence))
            elif leaf.kind in DOCUMENTS:
                log.documents[leaf.kind].append((log.tree.size - 1, leaf.digest.hex()))
    except EmitraceError as error:
        report.find(Step.LOG, LEAVES, error)
        return log
    report.count("leaves", log.tree.size)
    if (log.tree.size, log.tree.root) != (manifest.tree_size, manifest.tree_root):
        report.find(
            Step.LOG, LEAVES,
            f"{log.tree.size} leaves with root {log.tree.root.hex()}, the manifest says {manifest.tree_size} with"
            f" root {manifest.tree_root.hex()}",
        )  # fmt: skip
    return log
