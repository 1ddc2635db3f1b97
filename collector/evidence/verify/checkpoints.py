"""Checkpoints of the log, the signed ones in a bundle and the one a verifier brings, against what the leaves say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from collector.evidence.container import Container
from collector.evidence.layout import CHECKPOINTS, Leaf, Manifest, checkpoint_name, stamp_name
from collector.evidence.stamps import MOST_BYTES, NEEDED, check_stamp, is_available, read_stamp
from collector.evidence.verify.log import Log
from collector.evidence.verify.report import Report, Signed, Step
from protocols.errors import EmitraceError
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from protocols.transparency.note import NOTE_BYTES, NoteKey
from protocols.transparency.succession import KIND as ORIGIN
from protocols.transparency.succession import decode_succession
from protocols.wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Stated:
    """A checkpoint whose signature holds, the member it stands in, and the key that signed it."""

    member: str
    head: Checkpoint
    key: NoteKey
    stamped_ms: int | None = None
    stamp_checked: bool = False


def read_checkpoints(container: Container, manifest: Manifest, report: Report) -> list[Stated]:
    """The checkpoints in a bundle, smallest first; each is signed under a name that the manifest gives the log."""
    keys = {one.name: one.key for one in manifest.log}
    found = []
    names = [name for name in container.members if name.startswith(CHECKPOINTS)]
    for member in (name for name in names if name.endswith(".note")):
        try:
            note = container.content(member, NOTE_BYTES)
            head = read_checkpoint(note)
            if head.origin not in keys:
                report.find(Step.LOG, member, f"is of log {head.origin}, the bundle's is {manifest.origin}")
            elif member != checkpoint_name(head.size):
                report.find(Step.LOG, member, f"is of {head.size} leaves")
            else:
                key = keys[head.origin]
                stated = Stated(member, open_checkpoint(note, key.public), key)
                found.append(_stamped(stated, container, note, report))
        except EmitraceError as error:
            report.find(Step.LOG, member, error)
    for name in names:
        if name.endswith(".tsr") and name.removesuffix(".tsr") + ".note" not in names:
            report.find(Step.LOG, name, "is the time stamp of a checkpoint that is not here")
    if manifest.log and not found and not report.contradictions:
        report.find(Step.LOG, CHECKPOINTS, "no signed checkpoint of the log is in the bundle")
    return sorted(found, key=lambda one: one.head.size)


def _stamped(stated: Stated, container: Container, note: bytes, report: Report) -> Stated:
    """The checkpoint with the time of its stamp, where it has one; a stamp that does not hold is a finding."""
    name = stamp_name(stated.head.size)
    if name not in container.members:
        return stated
    if not is_available():
        report.note(f"{name}: time stamps are not looked at without the library for them: {NEEDED}")
        return stated
    try:
        reply = container.content(name, MOST_BYTES)
        if report.tsa_roots:
            return replace(stated, stamped_ms=check_stamp(reply, note, report.tsa_roots), stamp_checked=True)
        return replace(stated, stamped_ms=read_stamp(reply, note))
    except EmitraceError as error:
        report.find(Step.LOG, name, error)
    return stated


def check_signed(one: Stated, log: Log, manifest: Manifest, report: Report) -> None:
    """Demand that the log of the bundle begins with a checkpoint in it."""
    head, root = one.head, log.roots.get(one.head.size)
    if head.size > manifest.tree_size:
        report.find(Step.LOG, one.member, f"the bundle's log has {manifest.tree_size} leaves only")
    elif root is None:
        report.find(Step.LOG, one.member, "leaves are left out across it, so that it cannot be checked")
    elif root != head.root:
        report.find(Step.LOG, one.member, f"signs root {head.root.hex()}, the first leaves have root {root.hex()}")
    else:
        report.count("checkpoints")
        report.checkpoints.append(
            Signed(head.origin, head.size, head.root.hex(), one.key.encoded(), one.stamped_ms, one.stamp_checked)
        )


def check_earlier(earlier: Checkpoint, log: Log, manifest: Manifest, report: Report) -> None:
    """Demand that the log begins with what the verifier's own checkpoint says."""
    where, root = f"checkpoint of {earlier.size} leaves", log.roots.get(earlier.size)
    if manifest.log and earlier.origin not in {one.name for one in manifest.log}:
        seen = f"is of log {earlier.origin}, the bundle's is {manifest.origin}: another log, or one made anew"
        report.find(Step.LOG, where, seen)
    elif _is_admitted(earlier, manifest, report, where):
        return
    elif earlier.size > log.tree.size:
        seen = f"{log.tree.size} leaves here: the log went back, or the bundle is older than your checkpoint"
        report.find(Step.LOG, where, seen)
    elif root is None:
        report.note(f"{where}: the bundle leaves out leaves across it; ask for one with the whole log")
    elif root != earlier.root:
        seen = f"the first leaves have root {root.hex()}, your checkpoint says {earlier.root.hex()}"
        report.find(Step.LOG, where, f"rewritten: {seen}")
    else:
        report.note(f"{where} of {earlier.origin}: the log begins with exactly what you hold")


def _is_admitted(earlier: Checkpoint, manifest: Manifest, report: Report, where: str) -> bool:
    """Whether the log took a new origin since, and admits that it does not begin with this checkpoint any more."""
    if not manifest.log or earlier.origin == manifest.origin or manifest.log[-1].record is None:
        return False
    try:
        before = decode_succession(manifest.log[-1].record).before(earlier.origin)
    except WireError:
        return False  # found where the records are looked at
    if before is None or earlier.size <= before.kept:
        return False
    if earlier.size > before.head.size or (earlier.size == before.head.size and earlier != before.head):
        seen = f"log {manifest.origin} admits {before.head.size} leaves of it only"
        report.find(Step.LOG, where, f"{seen}: it went back behind what you hold, and does not say so")
    else:
        report.note(
            f"{where} of {earlier.origin}: the collector was restored since; {earlier.size - before.kept} of these"
            f" leaves are lost, and nobody can say what became of them. Log {manifest.origin} admits this"
        )
    return True


def check_origins(manifest: Manifest, log: Log, report: Report) -> None:
    """Demand that each later name of the log stands in it, with a record of what it went on from."""
    for one in manifest.log[1:]:
        where = f"log {one.name}"
        if one.record is None:
            continue
        try:
            stated = decode_succession(one.record)
        except WireError as error:
            report.find(Step.LOG, where, error)
            continue
        leaf = Leaf(ORIGIN, one.name, hashlib.sha256(one.record).digest())
        if stated.origin != one.name or log.position(leaf) != one.position:
            report.find(Step.LOG, where, f"its record is not leaf {one.position} of the log")
            continue
        for before in stated.predecessors:
            lost = before.head.size - before.kept
            report.note(
                f"{where}: the collector was restored and goes on from {before.head.origin}, of which {lost} of"
                f" {before.head.size} signed leaves are lost"
            )


def check_log_keys(manifest: Manifest, report: Report) -> None:
    """Demand that a log key which the verifier brings is that of the log which bears its name."""
    stated = {one.name: one.key for one in manifest.log}
    for key in report.log_keys:
        own = stated.get(key.name)
        if own is not None and own != key:
            report.find(Step.SIGNATURE, f"log {key.name}", f"has key {own.encoded()} here, you hold {key.encoded()}")
