"""`emitrace-verify proof FILE --log-key KEY [--object FILE]`: that one leaf is in the log, offline."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.evidence.layout import decode_leaf
from collector.evidence.verify.text import printable
from protocols.errors import EmitraceError
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from protocols.transparency.note import NoteKey, read_key
from protocols.transparency.proofs import PROOF_BYTES, inclusion_root, read_tlog_proof
from protocols.transparency.tree import leaf_hash

FINE, CONTRADICTS, USAGE, UNANCHORED = 0, 1, 2, 4


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="emitrace-verify proof",
        description="Check offline that a leaf is in a log, by a signed checkpoint of it. / 离线核对存在性证明。",
        epilog="Exit codes: 0 proven by a key you hold, 1 contradicts, 2 usage, 4 proven, but no key was given.",
    )
    parser.add_argument("proof", type=Path, metavar="FILE", help="a C2SP tlog-proof file, as /log gives it")
    parser.add_argument(
        "--log-key", type=_key, metavar="KEY", help="the key of the log (name+id+key) that you hold from elsewhere"
    )
    parser.add_argument(
        "--object", type=Path, metavar="FILE", help="what the leaf is said to be of, for example a signed batch"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Check one proof; the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        with options.proof.open("rb") as file:
            data = file.read(PROOF_BYTES + 1)
        digest = None if options.object is None else _digest(options.object)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: cannot be read: {error.strerror}. Check the path.\n")
        return USAGE
    try:
        proof = read_tlog_proof(data)
        head = _opened(proof.checkpoint, options.log_key)
        leaf = decode_leaf(proof.extra)
    except EmitraceError as error:
        sys.stdout.write(f"contradicts / 矛盾: {printable(str(error))}\n")
        return CONTRADICTS
    faults = []
    if inclusion_root(leaf_hash(proof.extra), proof.index, head.size, proof.path) != head.root:
        faults.append(f"the path does not lead to the root of {head.size} leaves, {head.root.hex()}")
    if digest not in (None, leaf.digest):
        faults.append(f"the object has SHA-256 {(digest or b'').hex()}, the leaf names {leaf.digest.hex()}")
    for fault in faults:
        sys.stdout.write(f"contradicts / 矛盾: {fault}\n")
    if faults:
        return CONTRADICTS
    of = "" if digest is None else ", which is the object given / 即所给对象"
    sys.stdout.write(
        f"leaf {proof.index} is {printable(leaf.kind)} {printable(leaf.object_id)}, SHA-256 {leaf.digest.hex()}{of}\n"
        f"it is in log {printable(head.origin)} of {head.size} leaves, root {head.root.hex()}\n"
    )
    if options.log_key is None:
        sys.stdout.write("signed by whom was not checked: bring --log-key / 未核对签名者\n")
        return UNANCHORED
    sys.stdout.write(f"signed by {printable(options.log_key.encoded())}: held / 已持有\n")
    return FINE


def _opened(note: bytes, key: NoteKey | None) -> Checkpoint:
    """The checkpoint, signed by the key where one was brought; NoteError otherwise."""
    head = read_checkpoint(note)
    if key is None:
        return head
    if key.name != head.origin:
        raise EmitraceError("checkpoint", f"is of log {head.origin}, your key is that of {key.name}")
    return open_checkpoint(note, key.public)


def _key(text: str) -> NoteKey:
    try:
        return read_key(text.strip())
    except EmitraceError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
