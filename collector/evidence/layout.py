"""What a bundle holds, by member, and how each member is encoded; ``bundle.cddl`` is normative.

::

    calibration/<digest>.cbor         canonical bytes of a calibration event, an instrument or a chain
    certificates/<digest>.cbor        a certificate's canonical bytes
    changes/<agent>/<fingerprint>.cose  the signed item by which an agent took on the key with that fingerprint
    checkpoints/<size>.note           a checkpoint of the evidence log, a signed note (C2SP)
    checkpoints/<size>.tsr            an authority's time stamp of that note (RFC 3161), where there is one
    gwp.json                          the set of global warming potentials used
    hours.jsonl                       the hour rows of the period, one JSON object a line
    inventory.json                    the inventory, as sealed
    items/<agent>/<yyyy-mm-dd>.cborseq  signed stream items, verbatim (RFC 8742)
    keys/agent-<fingerprint>.pub      an agent's raw public key
    keys/collector-<fingerprint>.pub  the collector's raw public key
    leaves.cborseq                    every leaf of the evidence log, in order; in a partial bundle what it
                                      leaves out as roots of complete subtrees
    manifest.cbor                     period, tree, every other member's size and SHA-256
    manifest.cose                     SHA-256 of manifest.cbor, signed by the collector
    plans/<digest>.cbor               a plan document
    profile.toml                      the accounting profile's text
    sent/<agent>/<digest>.cose        the signed plan item by which an agent sent a plan, verbatim

Keys in a bundle are never anchors: they say which key signed, not whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calibration.encoding import Kept
from calibration.events import Event
from calibration.instruments import Chain, Instrument
from collector.evidence.names import LogName, names_fields, read_names
from collector.hours.model import HourRow
from collector.inventory.document import plain
from collector.inventory.scope import WHOLE, Scope
from protocols.ghg.gwp import GwpSet
from protocols.wire import cbor
from protocols.wire.errors import WireError
from protocols.wire.fields import array, blob, record, refuse, text, uint
from protocols.wire.keys import fingerprint

VERSION = 4
NAMED_BEFORE = 3
"""The version from before there were calibration records in a bundle."""
WHOLE_BEFORE, PARTIAL_BEFORE = 1, 2
"""Versions from before a bundle named its log: of a whole period, and of one that leaves something out."""

MANIFEST, SIGNATURE, LEAVES, HOURS = "manifest.cbor", "manifest.cose", "leaves.cborseq", "hours.jsonl"
INVENTORY, PROFILE, GWP = "inventory.json", "profile.toml", "gwp.json"
ITEMS, PLANS, CERTIFICATES, KEYS, SENT = "items/", "plans/", "certificates/", "keys/", "sent/"
CHECKPOINTS, CHANGES, CALIBRATION = "checkpoints/", "changes/", "calibration/"
RECORD_KINDS: Mapping[type[Kept], str] = {Event: "calibration-event", Instrument: "instrument", Chain: "chain"}
"""The kind of leaf that a calibration record has in the evidence log, under its own id."""
MANIFEST_TYPE = "application/vnd.emitrace.bundle-manifest-sha256;v=1"
_TIME = 2**48
_MEMBERS = 2**20


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of the evidence log: kind, id, and SHA-256 of the object's bytes."""

    kind: str
    object_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as the manifest lists it."""

    name: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the collector's signature covers.

    Attributes
    ----------
    from_ms, to_ms : int
        The period, in whole cells of the hourly ledger. [UTC ms]
    made_ms : int
        When the bundle was made, by the collector's clock. [UTC ms]
    software : str
        What made it.
    collector : bytes
        SHA-256 of the collector's raw public key.
    tree_size, tree_root : int, bytes
        The evidence log at that moment.
    plans : tuple of (agent id, plan digest)
        Every plan an agent sent, in the order of arrival: the newest that names a source states its facts.
    members : tuple of Listed
        Every member but the manifest and its signature, in the container's order.
    scope : Scope
        What the bundle is of; everything, unless it is a partial one.
    log : tuple of LogName
        The names under which the log has signed, the first one first; empty in bundles of versions 1 and 2.
    version : int
        Of a bundle that names its log.
    """

    from_ms: int
    to_ms: int
    made_ms: int
    software: str
    collector: bytes
    tree_size: int
    tree_root: bytes
    plans: tuple[tuple[str, bytes], ...]
    members: tuple[Listed, ...]
    scope: Scope = WHOLE
    log: tuple[LogName, ...] = ()
    version: int = VERSION

    @property
    def origin(self) -> str:
        """The log's name; where the bundle is of before it had one, the fingerprint of the collector's key."""
        return self.log[-1].name if self.log else self.collector.hex()


def items_name(agent: str, day: str) -> str:
    """Member of an agent's items of one UTC day."""
    return f"{ITEMS}{agent}/{day}.cborseq"


def sent_name(agent: str, digest: bytes) -> str:
    """Member of the item by which an agent sent a plan."""
    return f"{SENT}{agent}/{digest.hex()}.cose"


def checkpoint_name(size: int) -> str:
    """Member of the checkpoint of so many leaves."""
    return f"{CHECKPOINTS}{size}.note"


def stamp_name(size: int) -> str:
    """Member of the time stamp of that checkpoint."""
    return f"{CHECKPOINTS}{size}.tsr"


def change_name(agent: str, public_key: bytes) -> str:
    """Member of the item by which an agent took on a key."""
    return f"{CHANGES}{agent}/{fingerprint(public_key)}.cose"


def record_kind(record: Kept) -> str:
    """The kind of leaf of a calibration record."""
    return RECORD_KINDS[type(record)]


def item_leaf_id(agent: str, stream_id: bytes, sequence: int) -> str:
    """Id of a stream item in the evidence log."""
    return f"{agent}/{stream_id.hex()}/{sequence}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Deterministic CBOR of a manifest."""
    whole = manifest.scope.is_whole
    before = WHOLE_BEFORE if whole else PARTIAL_BEFORE
    return cbor.encode({
        1: manifest.version if manifest.log else before, 2: [manifest.from_ms, manifest.to_ms],
        3: manifest.made_ms, 4: manifest.software,
        5: manifest.collector, 6: [manifest.tree_size, manifest.tree_root],
        7: [[bytes.fromhex(agent), digest] for agent, digest in manifest.plans],
        8: [[member.name, member.size, member.sha256] for member in manifest.members],
        **({} if whole else {9: _scope_fields(manifest.scope)}),
        **({10: names_fields(manifest.log)} if manifest.log else {}),
    })  # fmt: skip


def decode_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes; WireError where they are none."""
    value = cbor.decode(data)
    version, partial = (value.get(1), 9 in value) if isinstance(value, dict) else (None, False)
    named = version in (NAMED_BEFORE, VERSION)
    extra = ([9] if partial else []) + ([10] if named else [])
    fields = record(value, "manifest", [*range(1, 9), *extra])
    before = PARTIAL_BEFORE if partial else WHOLE_BEFORE
    stated = uint(version, "manifest.version", *((VERSION + 1, NAMED_BEFORE) if named else (before + 1, before)))
    start, end = array(fields[2], "manifest.period", 2, 2)
    from_ms = uint(start, "manifest.from_ms", _TIME)
    size, root = array(fields[6], "manifest.tree", 2, 2)
    return Manifest(
        from_ms,
        uint(end, "manifest.to_ms", _TIME, from_ms + 1),
        uint(fields[3], "manifest.made_ms", _TIME),
        text(fields[4], "manifest.software", 64),
        blob(fields[5], "manifest.collector", 32, 32),
        uint(size, "manifest.tree_size", 2**63),
        blob(root, "manifest.tree_root", 32, 32),
        tuple(_plan(pair) for pair in array(fields[7], "manifest.plans", _MEMBERS)),
        tuple(_listed(row) for row in array(fields[8], "manifest.members", _MEMBERS)),
        _read_scope(fields[9]) if partial else WHOLE,
        read_names(fields[10]) if named else (),
        stated if named else VERSION,
    )


def encode_leaf(leaf: Leaf) -> bytes:
    """A leaf's data: what RFC 6962 hashes."""
    return cbor.encode([leaf.kind, leaf.object_id, leaf.digest])


def decode_leaf(data: bytes) -> Leaf:
    """The leaf in its data; WireError where it is none."""
    kind, object_id, digest = array(cbor.decode(data, max_depth=2), "leaf", 3, 3)
    return Leaf(text(kind, "leaf.kind", 64), text(object_id, "leaf.id", 512), blob(digest, "leaf.digest", 32, 32))


def encode_hour(row: HourRow) -> bytes:
    """An hour row as one line of canonical JSON."""
    return canonical_json(plain(row)) + b"\n"


def encode_gwp(weights: GwpSet) -> bytes:
    """A set of global warming potentials as canonical JSON, values as exact decimals."""
    potentials = {
        gas: {"value": str(one.value), "source": one.source, "table": one.table, "confidence": one.confidence}
        for gas, one in weights.potentials.items()
    }
    table = {"name": weights.name, "title": weights.title, "year": weights.year, "potentials": potentials}
    return canonical_json(table)


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys, no spaces, ASCII: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def split_sequence(chunks: Iterator[bytes], most: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of each CBOR data item of a sequence, none larger than ``most``; WireError where it breaks."""
    held, at, base, ended = b"", 0, 0, False
    while not ended or at < len(held):
        try:
            end = cbor.read_item(held, at)
        except WireError:
            if ended or len(held) - at > most:
                raise
            chunk = next(chunks, None)
            ended = chunk is None
            held, base, at = held[at:] + (chunk or b""), base + at, 0
            continue
        yield base + at, held[at:end]
        at = end


def _scope_fields(scope: Scope) -> list[list[Any]]:
    return [[bytes.fromhex(agent) for agent in scope.agents], list(scope.sources), list(scope.gases)]


def _read_scope(value: Any) -> Scope:
    agents, sources, gases = array(value, "manifest.scope", 3, 3)
    scope = Scope(
        tuple(blob(one, "manifest.scope.agents", 32, 32).hex() for one in array(agents, "manifest.scope", _MEMBERS)),
        tuple(text(one, "manifest.scope.sources", 64) for one in array(sources, "manifest.scope", _MEMBERS)),
        tuple(text(one, "manifest.scope.gases", 64) for one in array(gases, "manifest.scope", _MEMBERS)),
    )
    for names in (scope.agents, scope.sources, scope.gases):
        if list(names) != sorted(set(names)):
            refuse("manifest.scope", "names stand twice or out of order")
    if not scope.agents:
        refuse("manifest.scope", "names no agent: a partial bundle says whose items it holds")
    return scope


def _plan(pair: Any) -> tuple[str, bytes]:
    agent, digest = array(pair, "manifest.plans", 2, 2)
    return blob(agent, "manifest.plans.agent", 32, 32).hex(), blob(digest, "manifest.plans.digest", 32, 32)


def _listed(row: Any) -> Listed:
    name, size, sha256 = array(row, "manifest.members", 3, 3)
    return Listed(
        text(name, "manifest.members.name", 255),
        uint(size, "manifest.members.size", 2**63),
        blob(sha256, "manifest.members.sha256", 32, 32),
    )
