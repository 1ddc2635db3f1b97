"""An agent made by hand: signed items of one stream, folded from samples of the small plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.plan.bound import BoundPlan
from protocols.records import (
    Batch,
    Clock,
    ClockState,
    Fate,
    FoldState,
    ItemKind,
    PlanItem,
    ReadRequest,
    StreamItem,
    Tombstone,
)
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from protocols.wire import topics
from protocols.wire.codec import item_digest, seal_item
from protocols.wire.key_changes import make_key_change
from protocols.wire.keys import fingerprint, public_bytes
from tests.plans import PLAN, float_words, sample, small_document, small_plan

START_MS = 1_760_000_400_000 - 1_760_000_400_000 % 3_600_000
"""A full hour. [UTC ms]"""
SPAN_MS = 60_000
_BIRTH = bytes(range(32))


@dataclass
class Edge:
    """Makes one item after another; ``items[sequence]`` are its sealed bytes."""

    seed: bytes = _BIRTH
    stream_id: bytes = b"\x07" * 16
    at_ms: int = START_MS
    window_s: int = 5
    plan_text: str = PLAN
    items: list[bytes] = field(default_factory=list)
    kinds: list[ItemKind] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    state: FoldState | None = None

    def __post_init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = public_bytes(self.key)
        self.agent_id = fingerprint(self.public)
        self.plan: BoundPlan = small_plan(self.window_s, self.plan_text)

    @property
    def head(self) -> bytes:
        """Digest of the newest item."""
        return item_digest(self.items[-1]) if self.items else bytes(32)

    def add(self, item: StreamItem, kind: ItemKind) -> bytes:
        """Seal an item and append it to the stream."""
        self.items.append(seal_item(item, self.key))
        self.kinds.append(kind)
        return self.items[-1]

    def add_plan(self) -> bytes:
        """The plan takes its place."""
        document = small_document(self.window_s, self.plan_text)
        return self.add(PlanItem(self.stream_id, len(self.items), self.head, document), ItemKind.PLAN)

    def add_batch(self, missing_slots: int = 0, span_ms: int = SPAN_MS) -> bytes:
        """A batch of one span; the first ``missing_slots`` slots of each request time out."""
        batch = self.make_batch(missing_slots, span_ms)
        self.batches.append(batch)
        return self.add(batch, ItemKind.BATCH)

    def make_batch(self, missing_slots: int = 0, span_ms: int = SPAN_MS) -> Batch:
        """The next batch, its fold taken over."""
        from_ms, to_ms = self.at_ms, self.at_ms + span_ms
        opening = self.state or initial_state(self.plan, from_ms)

        def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
            interval = self.plan.intervals_ms[request.scan_class]
            if slot * interval < from_ms + missing_slots * interval:
                return Fate.TIMEOUT
            return 7, words_at(due_ms)

        samples = sample(self.plan, from_ms, to_ms, answer)
        folded = fold(self.plan, opening, samples, (), from_ms, to_ms)
        self.at_ms, self.state = to_ms, folded.state
        return Batch(
            self.stream_id, len(self.items), self.head, self.plan.digest, from_ms, to_ms,
            Clock(b"\x01" * 16, 1_760_000_000_000, ClockState.SYNCED, 5), "test 1", opening, samples,
            folded.derived_events, folded.windows, folded.slots,
        )  # fmt: skip

    def drop(self, first: int, last: int) -> bytes:
        """A tombstone for items first..last, as the next item of the stream."""
        stone = Tombstone(
            self.stream_id, len(self.items), self.head, first, last, item_digest(self.items[last]),
            self.batches[0].from_ms, self.at_ms, "disk full",
        )  # fmt: skip
        return self.add(stone, ItemKind.TOMBSTONE)

    def change_key(self, seed: bytes) -> bytes:
        """The agent takes on another key; what follows is signed by it."""
        new = Ed25519PrivateKey.from_private_bytes(seed)
        made = self.add(make_key_change(self.stream_id, len(self.items), self.head, new), ItemKind.KEY_CHANGE)
        self.key = new
        return made

    def message(self, sequence: int) -> tuple[str, bytes]:
        """(topic, payload) of an item."""
        return topics.up(self.agent_id, self.kinds[sequence]), self.items[sequence]


def words_at(due_ms: int) -> dict[str, int]:
    """Register words of every point at an instant: steady growth and a steady stack."""
    seconds = (due_ms - START_MS) // 1000
    return {
        "em-1.energy": 1_000_000 + seconds,
        "gm-1.volume": 5000 + seconds // 10,
        "stack-1.flow": float_words(12000.0),
        "stack-1.temperature": float_words(140.0),
        "stack-1.pressure": float_words(101.0),
        "stack-1.water": float_words(12.5),
        "stack-1.co2": float_words(9.0),
        "stack-1.state": 1,
    }


def stream(batches: int, **settings: object) -> Edge:
    """A stream with its plan and some batches."""
    edge = Edge(**settings)  # type: ignore[arg-type]
    edge.add_plan()
    for _ in range(batches):
        edge.add_batch()
    return edge
