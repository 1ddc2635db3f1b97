"""Items of a stream as maps with small unsigned-integer keys, and strictly back."""

from __future__ import annotations

from typing import Any

from protocols.key_change import KeyChange
from protocols.records import (
    Batch,
    Clock,
    ClockState,
    ItemKind,
    PlanItem,
    Samples,
    StreamItem,
    Tombstone,
    UInt64,
)
from protocols.wire import limits
from protocols.wire.errors import Reason, WireError
from protocols.wire.events import event_row, read_events
from protocols.wire.fields import array, blob, record, refuse, sint, text, uint
from protocols.wire.key_changes import PROOF_BYTES, check_proof
from protocols.wire.samples import read_samples, samples_map
from protocols.wire.state import last_words, read_state, state_map
from protocols.wire.windows import read_slots, read_windows, slot_columns, window_groups

VERSION_NOW = 1
"""Version written."""

VERSIONS_READ = (1,)
"""Versions read: this one and, once there is one, the one before."""

VERSION, STREAM, SEQUENCE, PREVIOUS = range(1, 5)
PLAN, FROM, TO, CLOCK, SOFTWARE, OPENING, SAMPLES, EVENTS, WINDOWS, SLOTS = range(5, 15)
DOCUMENT = 5
FIRST, LAST, LAST_DIGEST, T_FROM, T_TO, T_REASON = range(5, 11)
NEW_KEY, PROOF = range(5, 7)

STREAM_BYTES = 16
BOOT_BYTES = 16
DIGEST_BYTES = 32


def kind_of(item: StreamItem) -> ItemKind:
    """The kind of an item."""
    if isinstance(item, Batch):
        return ItemKind.BATCH
    if isinstance(item, KeyChange):
        return ItemKind.KEY_CHANGE
    return ItemKind.PLAN if isinstance(item, PlanItem) else ItemKind.TOMBSTONE


def item_map(item: StreamItem) -> dict[int, Any]:
    """The map of an item, before encoding."""
    head = {VERSION: VERSION_NOW, STREAM: item.stream_id, SEQUENCE: item.sequence, PREVIOUS: item.previous}
    if isinstance(item, Batch):
        return head | _batch_fields(item)
    if isinstance(item, PlanItem):
        return head | {DOCUMENT: item.document}
    if isinstance(item, KeyChange):
        return head | {NEW_KEY: item.public_key, PROOF: item.proof}
    return head | {
        FIRST: item.first,
        LAST: item.last,
        LAST_DIGEST: item.last_digest,
        T_FROM: item.from_ms,
        T_TO: item.to_ms,
        T_REASON: item.reason,
    }


def read_item_map(value: object, kind: ItemKind) -> StreamItem:
    """The item in a decoded map."""
    check_version(value, kind.value)
    if kind is ItemKind.BATCH:
        return _read_batch(record(value, "batch", range(VERSION, SLOTS + 1)))
    if kind is ItemKind.PLAN:
        fields = record(value, "plan", range(VERSION, DOCUMENT + 1))
        return PlanItem(*_read_head(fields, "plan"), blob(fields[DOCUMENT], "plan.document", limits.DOCUMENT_BYTES))
    if kind is ItemKind.KEY_CHANGE:
        return _read_key_change(record(value, "key-change", range(VERSION, PROOF + 1)))
    return _read_tombstone(record(value, "tombstone", range(VERSION, T_REASON + 1)))


def check_version(value: object, where: str) -> None:
    """Refuse a map of a version that is not read here."""
    version = value.get(VERSION) if isinstance(value, dict) else None
    if type(version) is not int:
        refuse(where, "no version")
    if version not in VERSIONS_READ:
        read = ", ".join(map(str, VERSIONS_READ))
        raise WireError(Reason.UNSUPPORTED_VERSION, where, f"version {version}", f"this program reads {read}")


def stream_id(value: object, where: str) -> bytes:
    """A stream id: 16 bytes."""
    return blob(value, where, STREAM_BYTES, STREAM_BYTES)


def digest(value: object, where: str) -> bytes:
    """A SHA-256 digest."""
    return blob(value, where, DIGEST_BYTES, DIGEST_BYTES)


def clock_row(clock: Clock) -> list[Any]:
    """The clock a message was made under."""
    return [clock.boot_id, clock.offset_ms, int(clock.state), clock.uncertainty_ms]


def read_clock(value: object, where: str) -> Clock:
    """The clock in its row."""
    boot_id, offset_ms, state, uncertainty_ms = array(value, where, 4, 4)
    return Clock(
        blob(boot_id, f"{where}.boot_id", BOOT_BYTES, BOOT_BYTES),
        sint(offset_ms, f"{where}.offset_ms", limits.TIME_MS),
        ClockState(uint(state, f"{where}.state", len(ClockState))),
        uint(uncertainty_ms, f"{where}.uncertainty_ms", limits.TIME_MS),
    )


def _batch_fields(batch: Batch) -> dict[int, Any]:
    words = last_words(batch.opening)
    return {
        PLAN: batch.plan,
        FROM: batch.from_ms,
        TO: batch.to_ms,
        CLOCK: clock_row(batch.clock),
        SOFTWARE: batch.software,
        OPENING: state_map(batch.opening),
        SAMPLES: [samples_map(s, words, f"batch.samples[{i}]") for i, s in enumerate(batch.samples)],
        EVENTS: [event_row(event) for event in batch.events],
        WINDOWS: window_groups(batch.windows, batch.from_ms),
        SLOTS: slot_columns(batch.slots),
    }


def _read_head(fields: dict[int, Any], where: str) -> tuple[bytes, int, bytes]:
    return (
        stream_id(fields[STREAM], f"{where}.stream_id"),
        uint(fields[SEQUENCE], f"{where}.sequence", limits.SEQUENCE),
        digest(fields[PREVIOUS], f"{where}.previous"),
    )


def _read_batch(fields: dict[int, Any]) -> Batch:
    from_ms = uint(fields[FROM], "batch.from_ms", limits.TIME_MS)
    opening = read_state(fields[OPENING], "batch.opening")
    return Batch(
        *_read_head(fields, "batch"),
        digest(fields[PLAN], "batch.plan"),
        from_ms,
        uint(fields[TO], "batch.to_ms", limits.TIME_MS, from_ms),
        read_clock(fields[CLOCK], "batch.clock"),
        text(fields[SOFTWARE], "batch.software", 64),
        opening,
        _read_all_samples(fields[SAMPLES], last_words(opening)),
        read_events(fields[EVENTS], "batch.events"),
        read_windows(fields[WINDOWS], from_ms, "batch.windows"),
        read_slots(fields[SLOTS], len(opening.points), "batch.slots"),
    )


def _read_all_samples(value: object, words: UInt64) -> tuple[Samples, ...]:
    slots_left, words_left = limits.SLOTS, limits.WORDS
    result: list[Samples] = []
    for i, part in enumerate(array(value, "batch.samples", limits.REQUESTS)):
        samples = read_samples(part, words, slots_left, words_left, f"batch.samples[{i}]")
        slots_left -= samples.fates.size
        words_left -= samples.words.size
        result.append(samples)
    return tuple(result)


def _read_key_change(fields: dict[int, Any]) -> KeyChange:
    change = KeyChange(
        *_read_head(fields, "key-change"),
        blob(fields[NEW_KEY], "key-change.key", DIGEST_BYTES, DIGEST_BYTES),
        blob(fields[PROOF], "key-change.proof", PROOF_BYTES, PROOF_BYTES),
    )
    check_proof(change)
    return change


def _read_tombstone(fields: dict[int, Any]) -> Tombstone:
    first = uint(fields[FIRST], "tombstone.first", limits.SEQUENCE)
    from_ms = uint(fields[T_FROM], "tombstone.from_ms", limits.TIME_MS)
    return Tombstone(
        *_read_head(fields, "tombstone"),
        first,
        uint(fields[LAST], "tombstone.last", limits.SEQUENCE, first),
        digest(fields[LAST_DIGEST], "tombstone.last_digest"),
        from_ms,
        uint(fields[T_TO], "tombstone.to_ms", limits.TIME_MS, from_ms),
        text(fields[T_REASON], "tombstone.reason", limits.TEXT),
    )
