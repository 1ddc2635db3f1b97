"""Keys, plans, calibration records, profile and potentials of a bundle: named by their content, logged, readable."""

from __future__ import annotations

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from calibration.certificates import decode_certificate
from calibration.encoding import Kept, decode_record
from calibration.events import Event, from_certificate
from calibration.instruments import Chain, Instrument
from collector.evidence.container import Container
from collector.evidence.layout import (
    CALIBRATION,
    CERTIFICATES,
    GWP,
    INVENTORY,
    KEYS,
    PLANS,
    PROFILE,
    RECORD_KINDS,
    Leaf,
    Manifest,
    encode_gwp,
    record_kind,
)
from collector.evidence.verify.log import Log
from collector.evidence.verify.report import Report, Step
from collector.hours.lives import Trust
from collector.inventory.document import decode_inventory, encode_inventory
from collector.inventory.model import Inventory
from collector.inventory.profile import Profile, parse_profile, profile_names, profile_text
from protocols.errors import EmitraceError
from protocols.ghg.gwp import gwp_set
from protocols.plan.bound import BoundPlan
from protocols.plan.document import open_document
from protocols.wire.keys import PUBLIC_BYTES, fingerprint
from protocols.wire.limits import DOCUMENT_BYTES

REFUSALS = (
    EmitraceError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    AssertionError,
    MemoryError,
)
"""What readers raise on bytes that mean nothing; each becomes a finding."""

_SMALL = 1 << 20
_INVENTORY_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Documents:
    """What the figures rest on.

    Attributes
    ----------
    plans : dict of bytes to BoundPlan
        By digest.
    trust : Trust
        Calibration records.
    certificate_digests, record_digests : tuple of (str, int)
        SHA-256 of each certificate, and of each other calibration record, with the size of the log from which on it
        is known.
    profile, inventory : Profile or None, Inventory or None
    """

    plans: dict[bytes, BoundPlan]
    trust: Trust
    certificate_digests: tuple[tuple[str, int], ...]
    record_digests: tuple[tuple[str, int], ...]
    profile: Profile | None
    inventory: Inventory | None


def read_keys(container: Container, report: Report) -> dict[str, bytes]:
    """Public keys by role and fingerprint, for example ``agent-3f...``; their names must be theirs."""
    keys: dict[str, bytes] = {}
    for name in _under(container, KEYS):
        role = name.removeprefix(KEYS).removesuffix(".pub")
        try:
            public = container.content(name, PUBLIC_BYTES)
            if role not in (f"agent-{fingerprint(public)}", f"collector-{fingerprint(public)}"):
                report.find(Step.MANIFEST, name, f"holds key {fingerprint(public)}")
                continue
        except REFUSALS as error:
            report.find(Step.MANIFEST, name, error)
            continue
        keys[role] = public
    return keys


def read_documents(container: Container, manifest: Manifest, log: Log, report: Report) -> Documents:
    """Open everything; what does not open is a finding and is left out."""
    plans: dict[bytes, BoundPlan] = {}
    for name, data, digest in _by_digest(container, PLANS, report):
        try:
            plans[digest] = open_document(data, name)
        except REFUSALS as error:
            report.find(Step.DOCUMENT, name, error)
        if log.position(Leaf("plan", digest.hex(), digest)) is None:
            report.find(Step.LOG, name, "is not in the evidence log")
    report.count("plans", len(plans))
    for agent, digest in manifest.plans:
        if digest not in plans:
            report.find(
                Step.DOCUMENT, f"plan {digest.hex()} of agent {agent}", "the manifest names it, no member holds it"
            )
    certificates, digests = _read_certificates(container, log, report)
    records, record_digests = _read_records(container, log, report)
    inventory = _read_inventory(container, report)
    profile = _read_profile(container, inventory, report)
    trust = Trust(
        certificates,
        [(one, known) for one, known in records if isinstance(one, Event)],
        [(one, known) for one, known in records if isinstance(one, Instrument)],
        [(one, known) for one, known in records if isinstance(one, Chain)],
    )
    return Documents(plans, trust, tuple(sorted(digests)), tuple(sorted(record_digests)), profile, inventory)


_Digests: TypeAlias = list[tuple[str, int]]


def _read_certificates(container: Container, log: Log, report: Report) -> tuple[list[tuple[Event, int]], _Digests]:
    """Certificates as events, each with the size of the log from which on it is known, and their digests."""
    found: list[tuple[Event, int]] = []
    digests: _Digests = []
    for name, data, digest in _by_digest(container, CERTIFICATES, report):
        position = log.position(Leaf("certificate", digest.hex(), digest))
        if position is None:
            report.find(Step.LOG, name, "is not in the evidence log")
            continue
        digests.append((digest.hex(), position + 1))
        try:
            found.append((from_certificate(decode_certificate(data)), position + 1))
        except REFUSALS as error:
            report.find(Step.DOCUMENT, name, error)
    report.count("certificates", len(found))
    _demand(log, "certificate", digests, report)
    return found, digests


def _read_records(container: Container, log: Log, report: Report) -> tuple[list[tuple[Kept, int]], _Digests]:
    """Events, instruments and chains, likewise."""
    found: list[tuple[Kept, int]] = []
    digests: dict[str, _Digests] = {kind: [] for kind in RECORD_KINDS.values()}
    logged: dict[str, dict[str, list[int]]] = {kind: defaultdict(list) for kind in digests}
    for kind, at in logged.items():
        for position, known in log.documents[kind]:
            at[known].append(position + 1)
    for name, data, digest in _by_digest(container, CALIBRATION, report):
        try:
            record = decode_record(data)
        except REFUSALS as error:
            report.find(Step.DOCUMENT, name, error)
            continue
        kind = record_kind(record)
        if log.position(Leaf(kind, record.id, digest)) is None:
            report.find(Step.LOG, name, "is not in the evidence log")
            continue
        digests[kind].append((digest.hex(), min(logged[kind][digest.hex()])))
        found += [(record, known_from) for known_from in logged[kind][digest.hex()]]  # entered again, it counts again
    if found:
        report.count("calibration records", len(found))
    for kind, own in digests.items():
        _demand(log, kind, own, report)
    return found, [one for own in digests.values() for one in own]


def _demand(log: Log, kind: str, digests: _Digests, report: Report) -> None:
    """Everything of this kind that the log names has to be here."""
    here = {digest for digest, _ in digests}
    for position, logged in log.documents[kind]:
        if logged not in here:
            report.find(Step.LOG, f"{kind} {logged}", f"is leaf {position} of the log, no member holds it")


def _read_inventory(container: Container, report: Report) -> Inventory | None:
    try:
        data = container.content(INVENTORY, _INVENTORY_BYTES)
        inventory = decode_inventory(data)
        if encode_inventory(inventory) != data:
            report.find(Step.INVENTORY, INVENTORY, "is not the canonical form of its content")
        if container.content(GWP, _SMALL) != encode_gwp(gwp_set(inventory.pinned.gwp_set)):
            report.find(Step.DOCUMENT, GWP, f"differs from the set {inventory.pinned.gwp_set} this program holds")
    except REFUSALS as error:
        report.find(Step.INVENTORY, INVENTORY, error)
        return None
    return inventory


def _read_profile(container: Container, inventory: Inventory | None, report: Report) -> Profile | None:
    try:
        data = container.content(PROFILE, _SMALL)
        profile = Profile.model_validate(tomllib.loads(data.decode("utf-8")))
    except REFUSALS as error:
        report.find(Step.DOCUMENT, PROFILE, error)
        return None
    if inventory is not None:
        pinned = inventory.pinned
        stated = (pinned.profile, pinned.profile_version, pinned.profile_digest)
        found = (profile.id, profile.version, hashlib.sha256(data).hexdigest())
        if stated != found:
            report.find(Step.DOCUMENT, PROFILE, f"is {' '.join(found)}, the inventory pins {' '.join(stated)}")
        _judge_profile(profile, data, report)
        if pinned.gwp_set not in profile.gwp.allowed:
            report.find(Step.DOCUMENT, PROFILE, f"does not allow the GWP set {pinned.gwp_set}")
    return profile


def _judge_profile(profile: Profile, data: bytes, report: Report) -> None:
    """A profile that bears the name and version of a packaged one must be that one; any other is worth reading."""
    name = f"{profile.id} {profile.version}"
    if profile.id in profile_names():
        own = profile_text(profile.id).encode()
        if own == data:
            return
        if parse_profile(own.decode(), profile.id).version == profile.version:
            report.find(Step.DOCUMENT, PROFILE, f"differs from the profile {name} this program holds")
            return
    report.note(f"{PROFILE}: this program does not hold the accounting profile {name}; read its rules in the bundle")


def _by_digest(container: Container, folder: str, report: Report) -> Iterator[tuple[str, bytes, bytes]]:
    for name in _under(container, folder):
        try:
            data = container.content(name, DOCUMENT_BYTES)
        except EmitraceError as error:
            report.find(Step.DOCUMENT, name, error)
            continue
        digest = hashlib.sha256(data).digest()
        if name != f"{folder}{digest.hex()}.cbor":
            report.find(Step.DOCUMENT, name, f"its content has the digest {digest.hex()}")
            continue
        yield name, data, digest


def _under(container: Container, folder: str) -> list[str]:
    return [name for name in container.members if name.startswith(folder)]
