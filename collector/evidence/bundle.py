"""Writing an evidence bundle from what the store streams; one member, one chunk in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.container import ContainerWriter
from collector.evidence.layout import (
    CALIBRATION,
    CERTIFICATES,
    GWP,
    HOURS,
    INVENTORY,
    KEYS,
    LEAVES,
    MANIFEST,
    MANIFEST_TYPE,
    PLANS,
    PROFILE,
    SIGNATURE,
    Leaf,
    Listed,
    Manifest,
    change_name,
    checkpoint_name,
    encode_gwp,
    encode_hour,
    encode_manifest,
    items_name,
    sent_name,
    stamp_name,
)
from collector.evidence.names import LogName
from collector.evidence.pruned import Hidden, encode_element, grow_by
from collector.hours.model import HourRow
from collector.inventory.document import encode_inventory
from collector.inventory.model import Inventory
from collector.inventory.scope import WHOLE, Scope
from protocols.ghg.gwp import gwp_set
from protocols.key_change import KeyChange
from protocols.records import ItemKind, PlanItem
from protocols.transparency.tree import Frontier
from protocols.wire.codec import decode_item, decompress
from protocols.wire.cose import open_sealed, sign
from protocols.wire.keys import fingerprint, public_bytes


@dataclass(frozen=True, slots=True)
class ItemDay:
    """An agent's signed items of one UTC day (yyyy-mm-dd), verbatim.

    A batch belongs to the day of its ``from_ms``; a plan or tombstone to that of the batch before it in its
    stream, or after it where there is none before. Within a stream, sequences ascend.
    """

    agent: str
    day: str
    items: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class BundleContents:
    """What goes into a bundle; iterables are read once, in the order of the container.

    All of one moment of the store, with hours and inventory as known at ``inventory.pinned.tree_size``.

    Attributes
    ----------
    from_ms, to_ms : int
        The period, in whole cells of the hourly ledger; that of the inventory. [UTC ms]
    made_ms : int
        Now. [UTC ms]
    software : str
        Name and version of the program.
    agents : sequence of bytes
        Raw public keys of the agents whose items are here, all of each.
    certificates : iterable of bytes
        Canonical bytes of every certificate known.
    days : iterable of ItemDay
        Ordered by agent id, then day. Of each stream every placed item from the batch whose span holds ``from_ms``
        (from sequence 0 where the stream begins later) through the last one that begins before ``to_ms`` or has
        a window that does: counter windows lag behind. Tombstones that stand for items in between come along.
        Of a stream wholly outside the period, its items up to the first batch where it begins later, and its
        items from the last batch on where it ended before: they prove that it is outside.
    leaves : iterable of Leaf or Hidden
        Every leaf of the evidence log, from the first; in a partial bundle those left out as subtrees.
    plans : sequence of (str, bytes)
        Agent id and plan document of every plan an agent sent, in the order of arrival.
    hours : iterable of HourRow
        The hour rows of the period, by time, agent, source and gas.
    inventory : Inventory
        Its inventory.
    profile : bytes
        The accounting profile's text, whose SHA-256 the inventory pins.
    sent : sequence of (str, bytes)
        Agent id and signed plan item, verbatim, of each of ``plans`` that no item of ``days`` names: the proof
        that the agent sent it. Those of all plans may be given.
    scope : Scope
        What a partial bundle is of: it names its agents, and ``agents``, ``days``, ``plans``, ``hours`` and
        ``inventory`` hold what is theirs alone.
    log : tuple of LogName
        The names under which the log has signed.
    checkpoints : sequence of (int, bytes)
        Size and signed note of its newest checkpoint, and of that of the seal of a sealed inventory. In a partial
        bundle no subtree of leaves left out reaches across these sizes.
    stamps : sequence of (int, bytes)
        Time stamps of some of these checkpoints, as an authority answered (RFC 3161, DER).
    changes : sequence of (str, bytes)
        Agent id and signed item, verbatim, of every key change of the agents; ``agents`` holds their new keys as well.
    records : iterable of bytes
        Canonical bytes of every other calibration record known: events, instruments and chains.
    """

    from_ms: int
    to_ms: int
    made_ms: int
    software: str
    agents: Sequence[bytes]
    certificates: Iterable[bytes]
    days: Iterable[ItemDay]
    leaves: Iterable[Leaf | Hidden]
    plans: Sequence[tuple[str, bytes]]
    hours: Iterable[HourRow]
    inventory: Inventory
    profile: bytes
    sent: Sequence[tuple[str, bytes]] = ()
    scope: Scope = WHOLE
    log: tuple[LogName, ...] = ()
    checkpoints: Sequence[tuple[int, bytes]] = ()
    stamps: Sequence[tuple[int, bytes]] = ()
    changes: Sequence[tuple[str, bytes]] = ()
    records: Iterable[bytes] = ()


def write_bundle(file: BinaryIO, contents: BundleContents, key: Ed25519PrivateKey) -> Manifest:
    """Write a bundle to an empty, seekable file and sign its manifest with the collector's key.

    The manifest stands before the plans and the profile, so these are held in memory (a plan document has at
    most 4 MiB); everything else passes through.
    """
    writer = ContainerWriter(file)
    for digest, data in sorted(_named(contents.records).items()):
        writer.add(f"{CALIBRATION}{digest.hex()}.cbor", (data,))
    for digest, data in sorted(_named(contents.certificates).items()):
        writer.add(f"{CERTIFICATES}{digest.hex()}.cbor", (data,))
    for name, item in sorted((change_name(agent, _new_key(item)), item) for agent, item in contents.changes):
        writer.add(name, (item,))
    notes = [(checkpoint_name(size), note) for size, note in contents.checkpoints]
    for name, data in sorted([*notes, *((stamp_name(size), reply) for size, reply in contents.stamps)]):
        writer.add(name, (data,))
    writer.add(GWP, (encode_gwp(gwp_set(contents.inventory.pinned.gwp_set)),))
    writer.add(HOURS, (encode_hour(row) for row in contents.hours))
    writer.add(INVENTORY, (encode_inventory(contents.inventory),))
    for day in contents.days:
        writer.add(items_name(day.agent, day.day), day.items)
    own = public_bytes(key)
    keys = {f"agent-{fingerprint(public)}": public for public in contents.agents}
    for name, public in sorted((keys | {f"collector-{fingerprint(own)}": own}).items()):
        writer.add(f"{KEYS}{name}.pub", (public,))
    growing = _Growing()
    writer.add(LEAVES, growing.pass_on(contents.leaves))
    late = {f"{PLANS}{digest.hex()}.cbor": data for digest, data in _named(d for _, d in contents.plans).items()}
    late[PROFILE] = contents.profile
    late |= {sent_name(agent, _sent_digest(item)): item for agent, item in contents.sent}
    listed = [
        *(Listed(member.name, member.size, member.sha256) for member in writer.members),
        *(Listed(name, len(late[name]), hashlib.sha256(late[name]).digest()) for name in sorted(late)),
    ]
    manifest = Manifest(
        contents.from_ms, contents.to_ms, contents.made_ms, contents.software, bytes.fromhex(fingerprint(own)),
        growing.tree.size, growing.tree.root,
        tuple((agent, hashlib.sha256(document).digest()) for agent, document in contents.plans), tuple(listed),
        contents.scope, contents.log,
    )  # fmt: skip
    encoded = encode_manifest(manifest)
    writer.add(MANIFEST, (encoded,))
    writer.add(SIGNATURE, (sign(key, MANIFEST_TYPE, hashlib.sha256(encoded).digest()),))
    for name in sorted(late):
        writer.add(name, (late[name],))
    writer.close()
    return manifest


class _Growing:
    """Grows the tree while the leaves pass through."""

    def __init__(self) -> None:
        self.tree = Frontier()

    def pass_on(self, leaves: Iterable[Leaf | Hidden]) -> Iterator[bytes]:
        for element in leaves:
            data = encode_element(element)
            self.tree = grow_by(self.tree, element, data)
            yield data


def _new_key(item: bytes) -> bytes:
    change = decode_item(decompress(open_sealed(item).payload), ItemKind.KEY_CHANGE)
    if not isinstance(change, KeyChange):
        raise TypeError(f"a {type(change).__name__} is no key change")
    return change.public_key


def _sent_digest(item: bytes) -> bytes:
    plan = decode_item(decompress(open_sealed(item).payload), ItemKind.PLAN)
    if not isinstance(plan, PlanItem):
        raise TypeError(f"a {type(plan).__name__} is no plan item")
    return hashlib.sha256(plan.document).digest()


def _named(documents: Iterable[bytes]) -> dict[bytes, bytes]:
    return {hashlib.sha256(data).digest(): data for data in documents}
