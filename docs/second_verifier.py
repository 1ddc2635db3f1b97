#!/usr/bin/env python3
"""A second verifier of Emitrace evidence bundles, in one file: the format's proofs as documentation that runs.

    python second_verifier.py BUNDLE [FINGERPRINT ...]

It imports nothing of Emitrace: the standard library, cbor2 and cryptography are all it needs. It was written from the
format (docs/verifier.md, protocols/wire/schema.cddl, collector/evidence/bundle.cddl), so that whoever does not trust
`emitrace-verify` can read these pages in an hour and see for himself

    1. that every member is the one the manifest lists, and that the collector signed the manifest;
    2. that the leaves of the evidence log lead to the stated size and root (RFC 6962), and that its signed checkpoints
       (C2SP) say the same; the log's key is printed, so that you can hold it against one that you know;
    3. that every item (a batch, a plan, a tombstone) bears its agent's signature and stands in that log, before the
       leaf that revokes the agent where there is one;
    4. that each stream is a chain without gap over the period, and that nothing was cut off or left out;
    5. that an agent's keys followed one another as its own items say, and none signed out of its place;
    6. that every plan, certificate and other calibration record is the one its name says, and in the log.

It does NOT decode readings or compute emissions: that the figures follow from the register words is what
`emitrace-verify` re-performs. Exit codes are the same: 0 consistent with the fingerprints given, 1 contradicts,
2 usage, 4 consistent in itself but signed by a key that was not given.

Bundles are held member by member in memory; this program prefers to be read over being fast.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass, field

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_BYTES = 8 * 2**20  # of one message, and of the map inside it
MANIFEST_TYPE = "application/vnd.emitrace.bundle-manifest-sha256;v=1"
ITEM_TYPES = {f"application/vnd.emitrace.{kind}+cbor;v=1": kind for kind in ("batch", "plan", "tombstone", "key-change")}
EMPTY_ROOT = hashlib.sha256().digest()
RECORDS = {1: "calibration-event", 2: "instrument", 3: "chain"}  # what a calibration record is, and its kind of leaf


class Refused(Exception):
    """Bytes that are not what the format asks for."""


def sha256(data):
    return hashlib.sha256(data).digest()


# --- CBOR ------------------------------------------------------------------------------------------------------------
# Everything is deterministic CBOR (RFC 8949, section 4.2): a value has exactly one encoding. So decoding is followed
# by encoding again, and the bytes must be the same. Tags occur only in front of an envelope, where we strip it.


def decode(data):
    try:
        value = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except Exception as error:  # whatever a decoder says: it is no CBOR of ours
        raise Refused(f"no CBOR: {error}") from error
    if again != data:
        raise Refused("not the deterministic encoding of its value")
    return value


def split(data):
    """(offset, bytes) of each data item of a CBOR sequence (RFC 8742): nothing stands between them."""
    offset = 0
    while offset < len(data):
        end = item_end(data, offset)
        yield offset, data[offset:end]
        offset = end


def item_end(data, offset):
    """Where a data item ends. The first byte holds a major type (3 bits) and the size of its argument (5 bits)."""
    waiting = 1  # data items still to come
    while waiting:
        if offset >= len(data):
            raise Refused("a sequence breaks off")
        major, info = data[offset] >> 5, data[offset] & 31
        offset, argument = offset + 1, info
        if info >= 24:
            if info > 27:
                raise Refused("a length that is reserved or indefinite")
            size = 1 << (info - 24)
            argument = int.from_bytes(data[offset : offset + size], "big")
            offset += size
        waiting -= 1
        if major in (2, 3):  # byte and text string: so many bytes follow
            offset += argument
        elif major in (4, 5):  # array and map: so many items, or pairs of them, follow
            waiting += argument * (major - 3)
        elif major == 6:  # tag: one item follows
            waiting += 1
        if offset > len(data) or waiting > len(data) - offset:
            raise Refused("a length reaches beyond the end")
    return offset


# --- Envelope: COSE_Sign1 (RFC 9052) with Ed25519 --------------------------------------------------------------------
# Tag 18 (one byte, d2), then [protected, unprotected, payload, signature]. The protected header is a byte string that
# holds {1: -8 (EdDSA), 3: content type, 4: SHA-256 of the signer's raw public key}; the unprotected one is empty. The
# signature is over the received bytes: ["Signature1", protected, external data (none), payload].


def open_signed(data, public):
    """(content type, payload) of an envelope that this public key signed."""
    if len(data) > MOST_BYTES or data[:1] != b"\xd2":
        raise Refused("no signed message")
    parts = decode(data[1:])
    if not isinstance(parts, list) or len(parts) != 4 or not all(isinstance(parts[n], bytes) for n in (0, 2, 3)):
        raise Refused("no COSE_Sign1")
    protected, unprotected, payload, signature = parts
    header = decode(protected)
    if unprotected != {} or not isinstance(header, dict) or set(header) != {1, 3, 4} or header[1] != -8:
        raise Refused("not the header of a message of ours")
    if header[4] != sha256(public):
        raise Refused("signed by another key")
    try:
        signed = cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise Refused("the signature does not hold") from error
    return header[3], payload


def read_item(data, public):
    """(kind, map) of an item of a stream: its payload is zlib of one map, and never more than the bound."""
    content_type, payload = open_signed(data, public)
    kind = ITEM_TYPES.get(content_type)
    if kind is None:
        raise Refused(f"content type {content_type!r}")
    inflater = zlib.decompressobj()
    try:
        inside = inflater.decompress(payload, MOST_BYTES)
    except zlib.error as error:
        raise Refused(f"no zlib: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise Refused("a payload that is cut, too large, or followed by something")
    fields = decode(inside)
    head = {1: int, 2: bytes, 3: int, 4: bytes}  # version, stream id, sequence, digest of the item before
    rest = {
        "batch": {5: bytes, 6: int, 7: int}, "plan": {5: bytes}, "tombstone": {5: int, 6: int, 7: bytes},
        "key-change": {5: bytes, 6: bytes},
    }[kind]  # fmt: skip
    if not isinstance(fields, dict) or any(type(fields.get(key)) is not kind_ for key, kind_ in (head | rest).items()):
        raise Refused(f"a {kind} without its fields")
    return kind, fields


# --- An agent's keys -------------------------------------------------------------------------------------------------
# An agent is named for ever by its first key. An item of its stream, signed by the key it has, takes on another, which
# proves by a signature of its own that it is held. From the next item of that stream on the new key signs. In other
# streams of the agent an old key counts only where the item was logged before the change was.


def signer(data):
    """Fingerprint of the key that an envelope says signed it; open_signed is what believes it."""
    try:
        return decode(decode(data[1:])[0])[4]
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise Refused("no signed message") from error


def read_ring(agent, first, changes, log, find):
    """[(key, stream, sequence, position)] of an agent's keys, oldest first: what took it on, None for the first."""
    ring, left = [(first, None, None, None)], dict(changes)
    while left:
        newest = ring[-1][0]
        name = next((name for name, data in left.items() if signer(data) == sha256(newest)), None)
        if name is None:
            break
        data = left.pop(name)
        kind, fields = read_item(data, newest)
        if kind != "key-change" or name != f"changes/{agent}/{sha256(fields[5]).hex()}.cose":
            raise Refused(f"{name}: is not the key change its name says")
        place = cbor2.dumps(["emitrace key change", fields[2], fields[3], fields[4], fields[5]], canonical=True)
        try:
            Ed25519PublicKey.from_public_bytes(fields[5]).verify(fields[6], place)
        except (InvalidSignature, ValueError) as error:
            raise Refused(f"{name}: the new key did not sign it") from error
        position = log.position("item", f"{agent}/{fields[2].hex()}/{fields[3]}", sha256(data))
        if position is None or any(sha256(fields[5]) == sha256(key) for key, *_ in ring):
            raise Refused(f"{name}: is not in the log, or takes on a key the agent had")
        if fault := key_fault(ring, sha256(newest), fields[2], fields[3], position):
            raise Refused(f"{name}: {fault}")
        ring.append((fields[5], fields[2], fields[3], position))
    for name in left:
        find(f"{name}: no key of the agent signed it")
    return ring


def key_fault(ring, kid, stream, sequence, position):
    """Why a key of the ring may not have signed the item at that place of stream and log; empty where it may."""
    at = [sha256(key) for key, *_ in ring].index(kid)
    if any(place[1] == stream and sequence <= place[2] for place in ring[1 : at + 1]):
        return "signed by a key that its stream takes on later"
    if at + 1 == len(ring):
        return ""
    _, replaced_in, replaced_at, logged = ring[at + 1]
    if (sequence <= replaced_at) if replaced_in == stream else (position is not None and position < logged):
        return ""
    return "signed by a key that was replaced before"


# --- The log: a Merkle tree (RFC 6962, section 2.1) ------------------------------------------------------------------
# A leaf is the CBOR array [kind, id, SHA-256 of the object]; its hash is SHA-256(00 || leaf), that of an inner node
# SHA-256(01 || left || right). A growing tree is the list of its complete subtrees, largest first: their sizes are the
# bits of the number of leaves. In a partial bundle [level, hash] stands for 2^level leaves that are left out.


class Tree:
    def __init__(self):
        self.size, self.roots = 0, []

    def add(self, node, level=0):
        if self.size % (1 << level):
            raise Refused(f"a subtree of 2^{level} leaves cannot begin at leaf {self.size}")
        place = self.size >> level
        while place & 1:  # a complete subtree of this size is there already: the two make one
            node = sha256(b"\x01" + self.roots.pop() + node)
            place >>= 1
        self.roots.append(node)
        self.size += 1 << level

    @property
    def root(self):
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = sha256(b"\x01" + left + root)
        return root


def read_checkpoint(note, names):
    """(origin, size, root) of a signed checkpoint (c2sp.org/tlog-checkpoint): three lines, a blank one, signatures.

    A signature line is an em dash, the key's name, and base64 of a key id (4 bytes) and the Ed25519 signature over
    the text above the blank line. The name is the log's own, its origin.
    """
    try:
        text, signatures = note.decode().rsplit("\n\n", 1)
        origin, size, root = text.split("\n")[:3]
        size, root = int(size), base64.b64decode(root, validate=True)
        material = [line.split(" ")[2] for line in signatures.splitlines() if line.startswith(f"\u2014 {origin} ")]
        blobs = [base64.b64decode(one, validate=True) for one in material]
    except (ValueError, IndexError) as error:
        raise Refused(f"no signed checkpoint: {error}") from error
    if origin not in names:
        raise Refused(f"a checkpoint of log {origin}, which is not the bundle's")
    public = names[origin]
    key_id = sha256(origin.encode() + b"\n\x01" + public)[:4]
    try:
        (signature,) = [blob[4:] for blob in blobs if blob[:4] == key_id]
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode() + b"\n")
    except (InvalidSignature, ValueError) as error:
        raise Refused(f"a checkpoint that {origin} did not sign") from error
    return origin, size, root


@dataclass
class Log:
    tree: Tree = field(default_factory=Tree)
    hidden: int = 0
    roots: dict = field(default_factory=dict)  # size -> root, where it was asked for
    leaves: dict = field(default_factory=dict)  # leaf hash -> first position
    logged: dict = field(default_factory=lambda: defaultdict(list))  # kind -> [(position, digest)]
    sequences: dict = field(default_factory=lambda: defaultdict(set))  # "agent/stream" -> sequences
    revoked: dict = field(default_factory=dict)  # agent -> position from which on nothing of it is believed
    lost: dict = field(default_factory=lambda: defaultdict(list))  # "agent/stream" -> ranges that nobody holds
    false_losses: list = field(default_factory=list)  # positions of leaves that say so of what the log has

    def position(self, kind, name, digest):
        return self.leaves.get(sha256(b"\x00" + cbor2.dumps([kind, name, digest], canonical=True)))

    def has(self, kind, name, digest):
        return self.position(kind, name, digest) is not None


def read_log(data, partial, sizes=()):
    """The log; its roots at these sizes are kept where an element of it begins there."""
    log = Log()
    for _, element in split(data):
        if log.tree.size in sizes:
            log.roots[log.tree.size] = log.tree.root
        parts = decode(element)
        if isinstance(parts, list) and len(parts) == 2 and partial:
            level, node = parts
            if type(level) is not int or not 0 <= level < 63 or not isinstance(node, bytes) or len(node) != 32:
                raise Refused("leaves.cborseq: no subtree")
            log.tree.add(node, level)
            log.hidden += 1 << level
            continue
        if not isinstance(parts, list) or [type(part) for part in parts] != [str, str, bytes] or len(parts[2]) != 32:
            raise Refused("leaves.cborseq: no leaf")
        kind, name, digest = parts
        hashed = sha256(b"\x00" + element)
        log.leaves.setdefault(hashed, log.tree.size)
        log.logged[kind].append((log.tree.size, digest))
        log.tree.add(hashed)
        if kind == "item":
            stream, _, sequence = name.rpartition("/")
            if sequence.isdecimal() and len(sequence) < 19:
                log.sequences[stream].add(int(sequence))
        elif kind == "agent-revoked":
            log.revoked.setdefault(name, log.tree.size - 1)
        elif kind == "lost" and (match := re.fullmatch(r"(\w{64}/\w{32})/(\d{1,18})-(\d{1,18})", name)):
            stream, first, last = match[1], int(match[2]), int(match[3])
            log.lost[stream].append((first, last))
            if any(first <= sequence <= last for sequence in log.sequences[stream]):
                log.false_losses.append(log.tree.size - 1)
    log.roots[log.tree.size] = log.tree.root
    return log


# --- A stream: every item names the digest of the one before ---------------------------------------------------------
# Sequences count from 0 without gap. Under a full disk an agent may drop whole items; a signed tombstone later in the
# stream stands for items first..last, and names the digest of the last one, where the chain goes on. A collector that
# lost items which no agent holds any more says so in a leaf; there the chain goes on from the item behind them.


@dataclass
class Item:
    kind: str
    sequence: int
    previous: bytes
    digest: bytes
    fields: dict
    where: str


def check_stream(name, items, stones, manifest, log, find):
    def over(sequence, before):
        """The tombstone that stands for an item and reaches farthest below another."""
        good = [stone for stone in stones if stone[0] <= sequence <= stone[1] < before]
        return max(good, key=lambda stone: stone[1], default=None)

    def lost_until(sequence, before):
        """The last lost item in a row from one on, below another."""
        known = log.sequences[name]
        reach = sequence - 1
        for first, last in sorted(log.lost[name]):
            if first <= reach + 1 <= last:
                end = min(last, before - 1)
                reach = min((one for one in known if reach < one <= end), default=end + 1) - 1
        return reach if reach >= sequence else None

    following = head = begins = None
    reached, from_start = 0, False
    for item in items:
        if following is None:  # the first one here: the stream's own first, or a later one
            gone = 0
            while gone < item.sequence:
                stone = over(gone, item.sequence)
                reach = stone[1] if stone else lost_until(gone, item.sequence)
                if reach is None:
                    break
                gone = reach + 1
            from_start = gone == item.sequence
            if item.sequence > 0:
                head = item.previous
                following = 0 if from_start else None
        if following is not None:
            if item.sequence < following:
                if not any(first <= item.sequence <= last for first, last, _ in stones):
                    find(f"{item.where}: item {item.sequence} again, {following} was expected")
                continue
            while following < item.sequence:
                if stone := over(following, item.sequence):
                    following, head = stone[1] + 1, stone[2]
                elif (reach := lost_until(following, item.sequence)) is not None:
                    following, head = reach + 1, item.previous
                else:
                    break
            behind = item.kind == "tombstone" and item.fields[6] < following < item.sequence
            if behind:
                continue  # it stands after the period, and is here for the items it stands for
            if item.sequence != following:
                find(f"{item.where}: item {item.sequence}, {following} was expected")
            elif item.previous != head:
                find(f"{item.where}: item {item.sequence} names another item as the one before it")
        if item.kind == "batch":
            begins = item.fields[6] if begins is None else begins
            reached = item.fields[7]
        following, head = item.sequence + 1, item.digest
    if following is None:
        return
    if not from_start and (begins is None or begins > manifest["from"]):
        find(f"{name}: begins after the period does, and not with its first item")
    if following in log.sequences[name] and reached < manifest["to"]:
        find(f"{name}: item {following} of the period is in the log, but not in the bundle")


# --- The bundle ------------------------------------------------------------------------------------------------------


def read_manifest(data):
    fields = decode(data)
    version = fields.get(1) if isinstance(fields, dict) else None
    named = {10} | ({9} if 9 in fields else set()) if isinstance(fields, dict) else {10}
    keys = {1: set(), 2: {9}, 3: named, 4: named}
    if type(version) is not int or version not in keys or set(fields) != set(range(1, 9)) | keys[version]:
        raise Refused("manifest.cbor: not a manifest of version 1 to 4")
    try:
        (start, end), (size, root) = fields[2], fields[6]
        members = {name: (length, digest) for name, length, digest in fields[8]}
        plans = [(agent.hex(), digest) for agent, digest in fields[7]]
        agents = {agent.hex() for agent in fields[9][0]} if 9 in fields else None
        log_names = {name: key for name, key, *_ in fields.get(10, [])}
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise Refused(f"manifest.cbor: {error}") from error
    if len(members) != len(fields[8]) or list(members) != sorted(members):
        raise Refused("manifest.cbor lists members twice or out of order")
    return {
        "from": start, "to": end, "collector": fields[5], "size": size, "root": root, "plans": plans,
        "members": members, "agents": agents, "names": log_names,
    }  # fmt: skip


def verify(path, told=None):
    """(findings, fingerprints that signed) of a bundle; what else is worth saying is added to ``told``."""
    findings, signers = [], {}
    try:
        with zipfile.ZipFile(path) as archive:
            _verify(archive, findings.append, signers, [] if told is None else told)
    except (Refused, OSError, zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        findings.append(str(error) or type(error).__name__)
    for fingerprint, roles in signers.items():
        if len(roles) > 1:
            findings.append(f"key {fingerprint} signs as {' and '.join(sorted(roles))}")
    return findings, set(signers)


def _verify(archive, find, signers, told):
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names) or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise Refused("a member stands twice or is compressed")
    data = archive.read("manifest.cbor")
    manifest = read_manifest(data)

    # 1. Members, and the collector's signature over the manifest. A key's name is its SHA-256: it says which key signed,
    #    never whose it is. That is what the fingerprints are for that you bring.
    for name in sorted(set(names) ^ (set(manifest["members"]) | {"manifest.cbor", "manifest.cose"})):
        find(f"{name}: is not in both the bundle and its manifest")
    for name, (length, digest) in manifest["members"].items():
        if name in names:
            content = archive.read(name)
            if (len(content), sha256(content)) != (length, digest):
                find(f"{name}: is not what the manifest says")
    keys = {}
    for name in names:
        if name.startswith("keys/"):
            public = archive.read(name)
            role, _, fingerprint = name.removeprefix("keys/").removesuffix(".pub").partition("-")
            if role not in ("agent", "collector") or fingerprint != sha256(public).hex():
                find(f"{name}: holds key {sha256(public).hex()}")
            keys[role, fingerprint] = public
    collector = manifest["collector"].hex()
    if ("collector", collector) not in keys:
        raise Refused(f"the collector's key {collector} is not in the bundle")
    signed = open_signed(archive.read("manifest.cose"), keys["collector", collector])
    if signed != (MANIFEST_TYPE, sha256(data)):
        find("manifest.cose signs something else")
    signers.setdefault(collector, set()).add("collector")

    # 2. The log.
    notes = {}
    for name in names:
        if name.startswith("checkpoints/") and name.endswith(".note"):  # a .tsr beside it: openssl ts -verify checks it
            origin, size, root = read_checkpoint(archive.read(name), manifest["names"])
            if name != f"checkpoints/{size}.note":
                find(f"{name}: is of {size} leaves")
            notes[size] = (name, root)
    log = read_log(archive.read("leaves.cborseq"), manifest["agents"] is not None, set(notes))
    for position in log.false_losses:
        find(f"leaf {position}: says that items are lost which stand in the log before it")
    for size, (name, root) in notes.items():
        if log.roots.get(size) != root:
            find(f"{name}: the log's first {size} leaves have another root, or are left out across that size")
    if manifest["names"] and not notes:
        find("no signed checkpoint of the log is in the bundle")
    told.append(f"log of {log.tree.size} leaves, root {log.tree.root.hex()}; signed at {sorted(notes)} leaves by")
    told += [f"  {name} with key {public.hex()}" for name, public in manifest["names"].items()]
    if (log.tree.size, log.tree.root) != (manifest["size"], manifest["root"]):
        find(f"leaves.cborseq: {log.tree.size} leaves with root {log.tree.root.hex()}, the manifest says otherwise")

    # 5. The keys of each agent, which the items need.
    rings = {}
    for role, agent in keys:
        if role == "agent":
            own = {name: archive.read(name) for name in names if name.startswith(f"changes/{agent}/")}
            rings[agent] = read_ring(agent, keys[role, agent], own, log, find)
    for name in names:
        if name.startswith("changes/") and name.split("/")[1] not in rings:
            find(f"{name}: its agent's first key is not in the bundle")

    # 3. and 4. Items and streams, agent by agent; members are agent and UTC day, in order.
    sent = set()  # (agent, plan) that an agent signed
    days = defaultdict(list)
    for name in sorted(name for name in names if name.startswith("items/")):
        days[name.split("/")[1]].append(name)
    seen = set()
    for agent, members in days.items():
        ring = rings.get(agent)
        if ring is None or (manifest["agents"] is not None and agent not in manifest["agents"]):
            find(f"items/{agent}: its key is not in the bundle, or the manifest leaves this agent out")
            continue
        streams, stones = defaultdict(list), defaultdict(list)
        for name in members:
            for offset, element in split(archive.read(name)):
                try:
                    kid = signer(element)
                    public = next((key for key, *_ in ring if sha256(key) == kid), ring[0][0])
                    kind, fields = read_item(element, public)
                except Refused as error:
                    find(f"{name} at byte {offset}: {error}")
                    continue
                signers.setdefault(agent, set()).add("agent")
                stream, sequence, digest = fields[2], fields[3], sha256(element)
                position = log.position("item", f"{agent}/{stream.hex()}/{sequence}", digest)
                if position is None:
                    find(f"{name} at byte {offset}: is not in the log")
                elif position > log.revoked.get(agent, position):
                    find(f"{name} at byte {offset}: was logged after its agent was revoked")
                if fault := key_fault(ring, kid, stream, sequence, position):
                    find(f"{name} at byte {offset}: {fault}")
                if kind == "key-change" and not any(fields[5] == key for key, *_ in ring):
                    find(f"{name} at byte {offset}: takes on a key, and changes/ does not hold it")
                if kind == "batch":
                    sent.add((agent, fields[5]))
                elif kind == "plan":
                    sent.add((agent, sha256(fields[5])))
                elif kind == "tombstone":
                    stones[stream].append((fields[5], fields[6], fields[7]))
                keep = {key: fields[key] for key in (5, 6, 7) if kind in ("batch", "tombstone")}
                item = Item(kind, sequence, fields[4], digest, keep, f"{name} at byte {offset}")
                streams[stream].append(item)
        for stream, items in streams.items():
            name = f"{agent}/{stream.hex()}"
            seen.add(name)
            check_stream(name, items, stones[stream], manifest, log, find)
    for name, sequences in log.sequences.items():
        named = manifest["agents"] is None or name.partition("/")[0] in manifest["agents"]
        if name not in seen and named and not log.hidden and 0 in sequences:
            find(f"{name}: {len(sequences)} items are in the log, none is in the bundle")

    # 6. Plans and calibration records: named by their digest, in the log, and none of the log left out. A record that
    #    is no certificate says under key 1 what it is, and under key 2 its id, by which it is logged.
    calibration = set()
    for name in names:
        folder, _, rest = name.partition("/")
        if folder in ("plans", "certificates"):
            digest = sha256(archive.read(name))
            if rest != f"{digest.hex()}.cbor" or not log.has(folder.rstrip("s"), digest.hex(), digest):
                find(f"{name}: is not what its name says, or not in the log")
        elif folder == "calibration":
            content = archive.read(name)
            fields, digest = decode(content), sha256(content)
            kind = RECORDS.get(fields.get(1))
            if rest != f"{digest.hex()}.cbor" or kind is None or not log.has(kind, fields.get(2), digest):
                find(f"{name}: is not what its name says, or not in the log")
            calibration.add((kind, digest))
        elif folder == "sent":  # the item by which an agent sent a plan, where its stream's items are not all here
            agent = rest.partition("/")[0]
            element = archive.read(name)
            ring, kid = rings.get(agent, [(b"", None, None, None)]), signer(element)
            kind, fields = read_item(element, next((key for key, *_ in ring if sha256(key) == kid), ring[0][0]))
            where = f"{agent}/{fields[2].hex()}/{fields[3]}"
            if kind != "plan" or rest != f"{agent}/{sha256(fields[5]).hex()}.cose":
                find(f"{name}: is not the plan item its name says")
            elif not log.has("item", where, sha256(element)):
                find(f"{name}: is not in the log")
            signers.setdefault(agent, set()).add("agent")
            sent.add((agent, sha256(fields[5])))
    for position, digest in log.logged["certificate"]:
        if f"certificates/{digest.hex()}.cbor" not in names:
            find(f"certificate {digest.hex()}: is leaf {position} of the log, no member holds it")
    for kind in RECORDS.values():
        for position, digest in log.logged[kind]:
            if (kind, digest) not in calibration:
                find(f"{kind} {digest.hex()}: is leaf {position} of the log, no member holds it")
    check_plans(manifest, log, sent, names, find)


def check_plans(manifest, log, sent, names, find):
    """The manifest names exactly the plans logged, in an order the log allows, each signed by its agent."""
    places = defaultdict(list)
    for position, digest in log.logged["plan"]:
        places[digest].append(position)
    reached = defaultdict(lambda: -1)
    for agent, digest in manifest["plans"]:
        if (agent, digest) not in sent or f"plans/{digest.hex()}.cbor" not in names:
            find(f"plan {digest.hex()} of agent {agent}: not here, or no item that the agent signed names it")
        free = [position for position in places[digest] if position > reached[agent]]
        if not free:
            find(f"plan {digest.hex()} of agent {agent}: named more often or later than in the log")
            continue
        reached[agent] = free[0]
        places[digest].remove(free[0])
    if manifest["agents"] is None and any(places.values()):
        find("the log has plans that the manifest does not name")


def printable(text):
    """What others wrote must not steer a terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def main(arguments):
    if not arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    path, *fingerprints = arguments
    trusted = {text.replace(":", "").lower() for text in fingerprints}
    told = []
    findings, signers = verify(path, told)
    print("\n".join(printable(line) for line in told))
    for finding in findings[:200]:
        print(printable(finding))
    for fingerprint in sorted(signers):
        print(f"signed by {fingerprint}: {'held' if fingerprint in trusted else 'NOT held'}")
    if findings:
        print(f"contradicts itself or its proofs: {len(findings)} findings")
        return 1
    held = bool(signers) and signers <= trusted
    print("proofs consistent with the fingerprints given" if held else "proofs consistent, origin not established")
    print("Not checked here: that the figures follow from the register words (emitrace-verify does).")
    return 0 if held else 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
