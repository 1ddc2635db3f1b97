"""The back path: acknowledgements, resend requests and pushed plans as maps, and strictly back."""

from __future__ import annotations

from typing import Any

from protocols.messages import Ack, OriginProof, PlanPush, Resend
from protocols.transparency.succession import RECORD_BYTES
from protocols.wire import limits
from protocols.wire.fields import array, blob, record, refuse, uint
from protocols.wire.items import STREAM, VERSION, VERSION_NOW, check_version, digest, stream_id

COMMITTED, BEYOND, CHECKPOINT, CONSISTENCY, LOG_KEY, BASE, ORIGIN = range(3, 10)
RANGES = 3
REPLACES, PUSHED = range(3, 5)
_PROOF = 64


def ack_map(ack: Ack) -> dict[int, Any]:
    """The map of an acknowledgement; without a checkpoint it is what agents of before understand."""
    log: dict[int, Any] = {LOG_KEY: ack.log_key, BASE: ack.base} if ack.checkpoint else {}
    if ack.origin is not None:
        log[ORIGIN] = [ack.origin.record, ack.origin.position, list(ack.origin.path)]
    return {
        VERSION: VERSION_NOW,
        STREAM: ack.stream_id,
        COMMITTED: ack.contiguous + 1,
        BEYOND: list(map(list, ack.beyond)),
        CHECKPOINT: ack.checkpoint,
        CONSISTENCY: list(ack.consistency),
        **log,
    }


def read_ack_map(value: object) -> Ack:
    """The acknowledgement in a decoded map; its ranges ascend, apart from each other and from ``contiguous``."""
    check_version(value, "ack")
    signed, renamed = (isinstance(value, dict) and key in value for key in (LOG_KEY, ORIGIN))
    fields = record(value, "ack", range(VERSION, (ORIGIN if renamed else BASE if signed else CONSISTENCY) + 1))
    checkpoint = blob(fields[CHECKPOINT], "ack.checkpoint", limits.TEXT)
    if bool(checkpoint) is not signed:
        refuse("ack.checkpoint", "a checkpoint comes with the key that signed it, and none without")
    contiguous = uint(fields[COMMITTED], "ack.committed", limits.SEQUENCE) - 1
    return Ack(
        stream_id(fields[STREAM], "ack.stream_id"),
        contiguous,
        _read_ranges(fields[BEYOND], contiguous + 2, "ack.beyond"),
        checkpoint,
        tuple(digest(part, "ack.consistency") for part in array(fields[CONSISTENCY], "ack.consistency", _PROOF)),
        blob(fields[LOG_KEY], "ack.log_key", 32, 32) if signed else b"",
        uint(fields[BASE], "ack.base", limits.SEQUENCE) if signed else 0,
        _read_origin(fields[ORIGIN]) if renamed else None,
    )


def _read_origin(value: object) -> OriginProof:
    data, position, path = array(value, "ack.origin", 3, 3)
    return OriginProof(
        blob(data, "ack.origin.record", RECORD_BYTES),
        uint(position, "ack.origin.position", limits.SEQUENCE),
        tuple(digest(part, "ack.origin.path") for part in array(path, "ack.origin.path", _PROOF)),
    )


def resend_map(resend: Resend) -> dict[int, Any]:
    """The map of a resend request."""
    return {VERSION: VERSION_NOW, STREAM: resend.stream_id, RANGES: list(map(list, resend.ranges))}


def read_resend_map(value: object) -> Resend:
    """The resend request in a decoded map."""
    check_version(value, "resend")
    fields = record(value, "resend", range(VERSION, RANGES + 1))
    return Resend(stream_id(fields[STREAM], "resend.stream_id"), _read_ranges(fields[RANGES], 0, "resend.ranges"))


def push_map(push: PlanPush) -> dict[int, Any]:
    """The map of a pushed plan."""
    return {VERSION: VERSION_NOW, STREAM: push.stream_id, REPLACES: push.replaces, PUSHED: push.document}


def read_push_map(value: object) -> PlanPush:
    """The pushed plan in a decoded map; its document is not opened here."""
    check_version(value, "push")
    fields = record(value, "push", range(VERSION, PUSHED + 1))
    return PlanPush(
        stream_id(fields[STREAM], "push.stream_id"),
        digest(fields[REPLACES], "push.replaces"),
        blob(fields[PUSHED], "push.document", limits.DOCUMENT_BYTES),
    )


def _read_ranges(value: object, least: int, where: str) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for pair in array(value, where, limits.RANGES):
        start, end = array(pair, where, 2, 2)
        first = uint(start, where, limits.SEQUENCE, least)
        last = uint(end, where, limits.SEQUENCE, first)
        ranges.append((first, last))
        least = last + 2
    return tuple(ranges)
