"""One stream of one agent: gapless sequence, digests of the item before, tombstones, closing against opening state."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.evidence.verify.report import Report, Step
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, FoldState, StreamItem, Tombstone
from protocols.windows.recompute import discontinuity

NO_HEAD = bytes(32)


@dataclass(frozen=True, slots=True)
class Closed:
    """What the last batch yielded: its plan, its sequence, and the state the next must open with."""

    plan: BoundPlan
    sequence: int
    state: FoldState | None


@dataclass(slots=True)
class Stream:
    """What is carried from item to item of a stream.

    ``tombstones`` were gathered before: they stand later in the stream than what they stand for. ``known_at``
    is the tree size from which everything so far is known, so from which an item can have been in the books.
    """

    name: str
    tombstones: list[Tombstone] = field(default_factory=list)
    following: int | None = None
    head: bytes = NO_HEAD
    closed: Closed | None = None
    bridged: bool = False
    known_at: int = 0
    first_from_ms: int | None = None
    began_at_zero: bool = False
    last_to_ms: int = 0

    def place(self, item: StreamItem, digest: bytes, where: str, report: Report) -> bool:
        """Check that an item continues the chain; False where it is passed over by a tombstone."""
        if self.following is None:
            self.began_at_zero = item.sequence == 0
            if item.sequence == 0 and item.previous != NO_HEAD:
                report.note(f"{where}: the stream names the last known head {item.previous.hex()} of one before it")
            if item.sequence > 0:
                self.head = item.previous
                report.count("streams begun before the period")
        else:
            if item.sequence < self.following:
                return self._passed(item, where, report)
            self._bridge(item.sequence, where, report)
            if isinstance(item, Tombstone) and item.sequence > self.following and item.last < self.following:
                report.note(f"{where}: stands after the period and is here for the items it stands for")
                return False
            if item.sequence != self.following:
                seen = f"item {item.sequence}, item {self.following} was expected"
                report.find(Step.CHAIN, where, seen)
                self.closed = None
            elif item.previous != self.head:
                seen = f"item {item.sequence} names {item.previous.hex()} as its previous, which has {self.head.hex()}"
                report.find(Step.CHAIN, where, seen)
                self.closed = None
        self.following, self.head = item.sequence + 1, digest
        return True

    def continues(self, batch: Batch, plan: BoundPlan, where: str, report: Report) -> None:
        """Check a batch's span and opening state against what the batch before yielded."""
        before, bridged = self.closed, self.bridged
        self.bridged = False
        if self.first_from_ms is None:
            self.first_from_ms = batch.from_ms
        self.last_to_ms = batch.to_ms
        if bridged or before is None or before.state is None:
            return
        broken = discontinuity(before.state, before.plan, batch, plan)
        if broken:
            report.find(Step.STATE, where, f"item {batch.sequence} {broken} (item {before.sequence})")

    def _passed(self, item: StreamItem, where: str, report: Report) -> bool:
        if any(stone.first <= item.sequence <= stone.last for stone in self.tombstones):
            report.note(f"{where}: item {item.sequence} stands behind a gap that a tombstone closes; it is not counted")
        else:
            report.find(Step.CHAIN, where, f"item {item.sequence} again, item {self.following} was expected")
        return False

    def _bridge(self, sequence: int, where: str, report: Report) -> None:
        """Step over dropped items as far as tombstones of this stream allow."""
        while self.following is not None and self.following < sequence:
            over = [stone for stone in self.tombstones if stone.first <= self.following <= stone.last < sequence]
            if not over:
                return
            stone = max(over, key=lambda one: one.last)
            report.note(
                f"{where}: items {self.following} to {stone.last} were dropped by the agent ({stone.reason}),"
                f" {stone.from_ms} to {stone.to_ms}"
            )
            report.count("dropped items", stone.last - self.following + 1)
            self.following, self.head, self.bridged = stone.last + 1, stone.last_digest, True
