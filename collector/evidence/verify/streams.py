"""One stream of one agent: gapless sequence, digests of the item before, tombstones, closing against opening state."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.evidence.verify.log import Lost
from collector.evidence.verify.report import Report, Step
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, FoldState, StreamItem, Tombstone
from protocols.windows.continuity import discontinuity, implausible, invented, leap

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

    ``tombstones`` were gathered before: they stand later in the stream than what they stand for. ``lost`` are ranges
    that the collector's log says nobody holds, ascending, without items that are in the log after all. ``known_at``
    is the tree size from which everything so far is known, so from which an item can have been in the books.
    ``from_start``: nothing but what tombstones stand for comes before ``first``, whose ``previous`` is kept.
    """

    name: str
    tombstones: list[Tombstone] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    following: int | None = None
    head: bytes = NO_HEAD
    closed: Closed | None = None
    bridged: bool = False
    known_at: int = 0
    first: int = 0
    previous: bytes = NO_HEAD
    from_start: bool = False
    first_from_ms: int | None = None
    last_to_ms: int = 0

    def place(self, item: StreamItem, digest: bytes, where: str, report: Report) -> bool:
        """Check that an item continues the chain; False where it is passed over by a tombstone."""
        if self.following is None:
            self._begin(item, where, report)
        if self.following is not None:
            if item.sequence < self.following:
                return self._passed(item, where, report)
            self._bridge(item, where, report)
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
        begins = self.first_from_ms is None
        if self.first_from_ms is None:
            self.first_from_ms = batch.from_ms
        self.last_to_ms = batch.to_ms
        known = None if before is None else before.state
        if begins and self.from_start and not bridged:
            broken = invented(batch, plan)
        elif before is not None and known is not None and not bridged:
            broken = discontinuity(known, before.plan, batch, plan)
        else:
            broken = implausible(batch.opening, plan)
            if before is not None and known is not None and not broken:
                broken = leap(known, before.plan, batch, plan)
        if broken and before is not None:
            broken = f"{broken} (item {before.sequence})"
        if broken:
            report.find(Step.STATE, where, f"item {batch.sequence} {broken}")

    def _begin(self, item: StreamItem, where: str, report: Report) -> None:
        """Take the first item that is here: the stream's own first, one behind dropped items, or a later one."""
        self.first, self.previous = item.sequence, item.previous
        gone = 0
        while gone < item.sequence:
            stone = self._over(gone, item.sequence)
            reach = self._lost_until(gone, item.sequence) if stone is None else stone.last
            if reach is None:
                break
            gone = reach + 1
        self.from_start = gone == item.sequence
        if item.sequence == 0 and item.previous != NO_HEAD:
            report.note(f"{where}: the stream names the last known head {item.previous.hex()} of one before it")
        if item.sequence > 0:
            self.head = item.previous
            if self.from_start:
                self.following = 0
            else:
                report.count("streams begun before the period")

    def _passed(self, item: StreamItem, where: str, report: Report) -> bool:
        if any(stone.first <= item.sequence <= stone.last for stone in self.tombstones):
            report.note(f"{where}: item {item.sequence} stands behind a gap that a tombstone closes; it is not counted")
        else:
            report.find(Step.CHAIN, where, f"item {item.sequence} again, item {self.following} was expected")
        return False

    def _bridge(self, item: StreamItem, where: str, report: Report) -> None:
        """Step over dropped and lost items as far as tombstones of this stream and the collector's log allow.

        Behind lost ones the chain goes on from the word of the item behind them.
        """
        sequence = item.sequence
        while self.following is not None and self.following < sequence:
            stone = self._over(self.following, sequence)
            if stone is None:
                reach = self._lost_until(self.following, sequence)
                if reach is None:
                    return
                report.note(
                    f"{where}: the collector says that items {self.following} to {reach} are lost and held by nobody;"
                    " what was in them, and what is carried on from them, nobody vouches for"
                )
                report.count("lost items", reach - self.following + 1)
                self.following, self.head, self.bridged = reach + 1, item.previous, True
                continue
            report.note(
                f"{where}: items {self.following} to {stone.last} were dropped by the agent ({stone.reason}),"
                f" {stone.from_ms} to {stone.to_ms}; what is carried on from them is its word alone"
            )
            report.count("dropped items", stone.last - self.following + 1)
            self.following, self.head, self.bridged = stone.last + 1, stone.last_digest, True

    def _lost_until(self, sequence: int, before: int) -> int | None:
        """The last lost item in a row from one on, below another; None where that one is not lost."""
        reach = sequence - 1
        for first, last, _ in self.lost:
            if first <= reach + 1 <= last:
                reach = min(last, before - 1)
        return None if reach < sequence else reach

    def _over(self, sequence: int, before: int) -> Tombstone | None:
        """The tombstone that stands for an item and reaches farthest below another."""
        over = [stone for stone in self.tombstones if stone.first <= sequence <= stone.last < before]
        return max(over, key=lambda one: one.last, default=None)
