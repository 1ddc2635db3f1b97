"""A register tape run through the agent's own decoding, fold and sealing, hour by hour.

The stream's id follows from the tape and the key, so that a replay that was interrupted goes on where it
stopped and one that is repeated makes nothing twice. Items go into the outbox, or into a folder as files
(``NUMBER.plan``, ``NUMBER.batch``) that ``emitrace-collector ingest`` reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.outbox import Outbox, Standing
from agent.parts import Sealer, cut
from agent.spans import NO_PREVIOUS, SealedItem, Tail, gap_edges, seal_plan
from protocols.errors import EmitraceError
from protocols.modbus.decode import join_words
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Clock, ClockState, Event, EventKind, Samples
from protocols.tape import TapeReader, Track
from protocols.windows.opening import initial_state
from protocols.windows.recompute import recompute
from protocols.windows.series import slot_range
from protocols.wire.codec import item_digest, read_item
from protocols.wire.keys import public_bytes

BATCH_MS = 3_600_000
"""Batches of a replay end at each full hour."""
_FILE = re.compile(r"\d{10}\.(plan|batch)")


class ReplayError(EmitraceError):
    """A tape that cannot be replayed here."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: items made, readings in them, batches without answers because they were refused."""

    items: int
    readings: int
    refused: tuple[str, ...]


class Shelf(Protocol):
    """Where items go and where a stream goes on from."""

    def tail(self, bound: BoundPlan, start_ms: int) -> Tail | None:
        """Where the stream that began at ``start_ms`` stands; None before its first item."""

    def keep_plan(self, item: SealedItem, document: bytes, standing: Standing) -> None:
        """The plan takes its place."""

    def keep(self, items: Sequence[SealedItem], standing: Standing) -> None:
        """A span's batches."""


@dataclass(frozen=True, slots=True)
class OutboxShelf:
    """The outbox; ``emitrace-agent run`` then delivers from it."""

    outbox: Outbox

    def tail(self, bound: BoundPlan, start_ms: int) -> Tail | None:  # noqa: ARG002 - a folder needs them
        """Where the outbox's stream stands."""
        standing = self.outbox.standing()
        return None if standing is None else standing.tail

    def keep_plan(self, item: SealedItem, document: bytes, standing: Standing) -> None:
        """In one transaction."""
        self.outbox.append_plan(item, document, standing)

    def keep(self, items: Sequence[SealedItem], standing: Standing) -> None:
        """In one transaction."""
        self.outbox.seal_all(items, standing, standing.tail.span_end_ms)


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """A folder of item files; the newest one says where the stream stands."""

    folder: Path
    key: Ed25519PrivateKey

    def tail(self, bound: BoundPlan, start_ms: int) -> Tail | None:
        """Where the newest file leaves the stream: a batch is folded again for the state it closes with."""
        names = sorted(path.name for path in self.folder.iterdir() if _FILE.fullmatch(path.name))
        if not names:
            return None
        path = self.folder / names[-1]
        data = path.read_bytes()
        item = read_item(data, public_bytes(self.key))
        digest, following = item_digest(data), item.sequence + 1
        if isinstance(item, Batch):
            differences, state = recompute(bound, item)
            if state is None or differences:
                raise ReplayError(str(path), f"does not fold as it says: {differences[0]}", "use an empty folder")
            return Tail(item.stream_id, following, digest, item.to_ms, item.plan, state)
        return Tail(item.stream_id, following, digest, start_ms, bound.digest, initial_state(bound, start_ms))

    def keep_plan(self, item: SealedItem, document: bytes, standing: Standing) -> None:  # noqa: ARG002
        """As a file."""
        write_item(self.folder, item)

    def keep(self, items: Sequence[SealedItem], standing: Standing) -> None:  # noqa: ARG002
        """As a file each."""
        for item in items:
            write_item(self.folder, item)


def write_item(folder: Path, item: SealedItem) -> None:
    """An item as the file that ``emitrace-collector ingest`` takes; never half of it."""
    path = folder / f"{item.sequence:010d}.{item.kind.value}"
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(item.data)
    draft.replace(path)


def replay(
    reader: TapeReader, shelf: Shelf, key: Ed25519PrivateKey, software: str, progress: Callable[[int, int], None]
) -> Replayed:
    """Run what is left of a tape through fold and sealing.

    Parameters
    ----------
    progress : callable
        Told how many of the tape's spans are done, and how many readings were replayed.

    Raises
    ------
    TapeError
        The file is no sound tape.
    ReplayError
        Another stream is on the shelf.
    """
    header, bound = reader.header, reader.bound
    stream_id = hashlib.sha256(b"emitrace replay" + header.digest + public_bytes(key)).digest()[:16]
    clock = Clock(stream_id, header.start_ms, ClockState.SYNCED, 0)
    sealer = Sealer(bound, clock, software, key)
    tail = shelf.tail(bound, header.start_ms)
    items = readings = 0
    refused: list[str] = []
    if tail is None:
        tail = Tail(stream_id, 0, NO_PREVIOUS, header.start_ms, b"", initial_state(bound, header.start_ms))
        sealed, tail = seal_plan(tail, header.document, bound.digest, tail.fold, key)
        shelf.keep_plan(sealed, header.document, Standing(tail, clock, clean=False))
        items = 1
    elif tail.stream_id != stream_id:
        seen = f"stream {tail.stream_id.hex()} is there already, the tape's would be {stream_id.hex()}"
        raise ReplayError("replay", seen, "use an empty folder, or a state_dir of its own")
    done = min(max(tail.span_end_ms - header.start_ms, 0) // header.span_ms, header.spans)
    for index, tracks in reader.spans(done):
        samples = _samples(reader, index, tracks)
        for edge_ms in _edges(tail.span_end_ms, header.between(index)[1], header.span_ms):
            part = [cut(one, tail.span_end_ms, edge_ms, bound) for one in samples]
            events = _events(header.start_ms, tail.span_end_ms, edge_ms, header.end_ms, header.digest, software)
            parts, tail = sealer.parts(tail, part, events, edge_ms)
            shelf.keep([one.item for one in parts], Standing(tail, clock, clean=edge_ms == header.end_ms))
            items += len(parts)
            refused += [one.refusal for one in parts if one.refusal]
            readings += sum(one.words.size for one in part)
        progress(index + 1, readings)
    return Replayed(items, readings, tuple(refused))


def _samples(reader: TapeReader, index: int, tracks: Sequence[Track]) -> list[Samples]:
    from_ms, to_ms = reader.header.between(index)
    return [
        Samples(
            request, slot_range(from_ms, to_ms, reader.bound.intervals_ms[request.scan_class])[0],
            track.fates, track.delay_ms, join_words(track.registers, request),
        )
        for track, request in zip(tracks, reader.requests, strict=True)
    ]  # fmt: skip


def _edges(from_ms: int, to_ms: int, span_ms: int) -> list[int]:
    """Every full hour after ``from_ms`` up to ``to_ms``, and ``to_ms``; longer spans are a batch each."""
    if span_ms > BATCH_MS:
        return [to_ms]
    edges = gap_edges(from_ms, to_ms, BATCH_MS)
    return edges if edges and edges[-1] == to_ms else [*edges, to_ms]


def _events(start_ms: int, from_ms: int, to_ms: int, end_ms: int, tape: bytes, software: str) -> list[Event]:
    """The start is stated in the first batch and the stop in the last, as a run states them."""
    events: list[Event] = []
    if from_ms == start_ms:
        events.append(
            Event(EventKind.AGENT_START, from_ms, "", (("after", "tape"), ("software", software), ("tape", tape)))
        )
    if to_ms == end_ms:
        events.append(Event(EventKind.AGENT_STOP, to_ms))
    return events
