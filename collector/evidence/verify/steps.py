"""The way through a bundle: each step rests on the ones before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cryptography import x509

from collector.evidence.container import Container, ContainerError, open_container
from collector.evidence.layout import (
    GWP,
    HOURS,
    INVENTORY,
    KEYS,
    LEAVES,
    MANIFEST,
    MANIFEST_TYPE,
    PROFILE,
    SIGNATURE,
    Listed,
    Manifest,
    decode_manifest,
)
from collector.evidence.verify.checkpoints import (
    check_earlier,
    check_log_keys,
    check_origins,
    check_signed,
    read_checkpoints,
)
from collector.evidence.verify.documents import Documents, read_documents, read_keys
from collector.evidence.verify.items import ItemCheck
from collector.evidence.verify.ledger import Ledger, compare_hours, compare_inventory
from collector.evidence.verify.log import Log, read_log
from collector.evidence.verify.report import EnoughError, Report, Stated, Step
from collector.evidence.verify.rings import Rings, read_rings
from collector.evidence.verify.sent import check_plans, read_sent
from protocols.errors import EmitraceError
from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.note import NoteKey
from protocols.wire.cose import open_sealed, verify
from protocols.wire.limits import MESSAGE_BYTES

_NEEDED = (GWP, HOURS, INVENTORY, LEAVES, MANIFEST, SIGNATURE, PROFILE)
_DIGEST = "[0-9a-f]{64}"
_KNOWN = re.compile(
    rf"(calibration|certificates|plans)/{_DIGEST}\.cbor|checkpoints/(0|[1-9]\d{{0,18}})\.(note|tsr)"
    rf"|keys/(agent|collector)-{_DIGEST}\.pub"
    rf"|items/{_DIGEST}/\d{{4}}-\d\d-\d\d\.cborseq|(changes|sent)/{_DIGEST}/{_DIGEST}\.cose"
    rf"|{'|'.join(map(re.escape, _NEEDED))}"
)


def verify_bundle(
    file: BinaryIO, trusted: Collection[str], earlier: Checkpoint | None = None, log_keys: Collection[NoteKey] = (),
    tsa_roots: Sequence[x509.Certificate] = (),
) -> Report:  # fmt: skip
    """Take a bundle apart.

    Parameters
    ----------
    file : binary file
        Seekable.
    trusted : collection of str
        Fingerprints the verifier holds from elsewhere; keys in the bundle are never anchors.
    earlier : Checkpoint or None
        A checkpoint the verifier holds from before: the log must begin with it.
    log_keys : collection of NoteKey
        Keys of logs that the verifier holds from elsewhere.
    tsa_roots : sequence of Certificate
        Roots of authorities whose time stamps the verifier believes.
    """
    report = Report(frozenset(trusted), earlier=earlier, log_keys=frozenset(log_keys), tsa_roots=tuple(tsa_roots))
    try:
        _take_apart(file, report)
    except EnoughError:
        report.note(f"after {report.contradictions} contradictions nothing more was looked at")
    return report


@dataclass(frozen=True, slots=True)
class Established:
    """What everything else rests on: members as the signed manifest lists them, keys, log and documents."""

    container: Container
    manifest: Manifest
    keys: dict[str, bytes]
    log: Log
    rings: Rings
    documents: Documents


def establish(file: BinaryIO, report: Report) -> Established | None:
    """Container, manifest and its signature, keys, log and documents; None where nothing can rest on them."""
    try:
        container = open_container(file)
    except ContainerError as error:
        report.find(Step.CONTAINER, error.subject, error.seen)
        return None
    report.count("members", len(container.members))
    missing = [name for name in _NEEDED if name not in container.members]
    if missing:
        report.find(Step.MANIFEST, "bundle", f"has no {', '.join(missing)}")
        return None
    try:
        data = container.content(MANIFEST, MESSAGE_BYTES)
        manifest = decode_manifest(data)
    except EmitraceError as error:
        report.find(Step.MANIFEST, MANIFEST, error)
        return None
    report.stated = Stated(
        hashlib.sha256(data).hexdigest(), manifest.made_ms, manifest.software, manifest.origin,
        manifest.tree_size, manifest.tree_root.hex(),
    )  # fmt: skip
    _check_members(container, manifest, report)
    keys = read_keys(container, report)
    _check_signature(container, manifest, data, keys, report)
    if report.contradictions:
        return None
    report.scope = manifest.scope
    checkpoints = read_checkpoints(container, manifest, report)
    earlier = report.earlier
    sizes = {one.head.size for one in checkpoints} | ({earlier.size} if earlier is not None else set())
    log = read_log(container, manifest, report, sizes)
    if not report.contradictions:
        for one in checkpoints:
            check_signed(one, log, manifest, report)
        if earlier is not None:
            check_earlier(earlier, log, manifest, report)
        check_origins(manifest, log, report)
        check_log_keys(manifest, report)
    rings = read_rings(container, keys, log, report)
    return Established(container, manifest, keys, log, rings, read_documents(container, manifest, log, report))


def _take_apart(file: BinaryIO, report: Report) -> None:
    found = establish(file, report)
    if found is None:
        return
    container, manifest, keys, log, documents = (
        found.container, found.manifest, found.keys, found.log, found.documents
    )  # fmt: skip
    ledger = Ledger(documents, manifest, report)
    report.period = (manifest.from_ms, manifest.to_ms)
    sent = read_sent(container, found.rings, log, report)
    ItemCheck(container, found.rings, log, documents, ledger, sent, report).run()
    check_plans(manifest, log, sent, report)
    compare_hours(container, ledger.rows, report)
    compare_inventory(documents, manifest, ledger, keys, report)
    ledger.rows.close()


def _check_members(container: Container, manifest: Manifest, report: Report) -> None:
    listed = {member.name: member for member in manifest.members}
    if [member.name for member in manifest.members] != sorted(listed):
        report.find(Step.MANIFEST, MANIFEST, "lists members twice or out of order")
    for name, member in container.members.items():
        stray = name.startswith(f"{KEYS}collector-") and name != f"{KEYS}collector-{manifest.collector.hex()}.pub"
        if stray or not _KNOWN.fullmatch(name):
            report.find(Step.MANIFEST, name, "is no member of a bundle")
        if name in (MANIFEST, SIGNATURE):
            continue
        found = Listed(name, member.size, member.sha256)
        stated = listed.pop(name, None)
        if stated is None:
            report.find(Step.MANIFEST, name, "is not in the manifest")
        elif stated != found:
            seen = f"{found.size} bytes with SHA-256 {found.sha256.hex()}, the manifest says {stated.size} bytes with"
            report.find(Step.MANIFEST, f"{name} at byte {member.start}", f"{seen} {stated.sha256.hex()}")
    for name in listed:
        report.find(Step.MANIFEST, name, "is in the manifest, but not in the bundle")


def _check_signature(
    container: Container, manifest: Manifest, data: bytes, keys: dict[str, bytes], report: Report
) -> None:
    collector = manifest.collector.hex()
    public = keys.get(f"collector-{collector}")
    if public is None:
        report.find(Step.SIGNATURE, SIGNATURE, f"the collector's key {collector} is not in the bundle")
        return
    try:
        sealed = open_sealed(container.content(SIGNATURE, 1024))
        verify(sealed, public)
    except EmitraceError as error:
        report.find(Step.SIGNATURE, SIGNATURE, error)
        return
    if sealed.content_type != MANIFEST_TYPE or sealed.payload != hashlib.sha256(data).digest():
        report.find(Step.SIGNATURE, SIGNATURE, f"signs something other than {MANIFEST}")
        return
    report.signed_by(collector, "collector")
