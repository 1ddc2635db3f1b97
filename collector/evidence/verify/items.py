"""The signed items of a bundle: signature, log, chain, and every batch folded again from its raw words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from collector.evidence.container import Container
from collector.evidence.layout import ITEMS, Leaf, item_leaf_id, split_sequence
from collector.evidence.verify.documents import REFUSALS, Documents
from collector.evidence.verify.ledger import Ledger
from collector.evidence.verify.log import Log
from collector.evidence.verify.report import ENOUGH, Extent, Report, Step
from collector.evidence.verify.rings import Rings
from collector.evidence.verify.sent import Sent
from collector.evidence.verify.streams import Closed, Stream
from protocols.errors import EmitraceError
from protocols.key_change import KeyChange
from protocols.keyring import Keyring
from protocols.plan.document import document_digest
from protocols.records import Batch, FoldState, ItemKind, PlanItem, StreamItem, Tombstone
from protocols.windows.recompute import recompute
from protocols.wire.codec import item_digest, item_kind
from protocols.wire.cose import open_sealed
from protocols.wire.limits import MESSAGE_BYTES

_DAY_MS = 86_400_000
_SHOWN = 5


@dataclass(slots=True)
class ItemCheck:
    """Checks agent by agent; ``rings`` are their keys."""

    container: Container
    rings: Rings
    log: Log
    documents: Documents
    ledger: Ledger
    sent: Sent
    report: Report
    _streams: dict[bytes, Stream] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def run(self) -> None:
        """All items of all agents."""
        names = [name for name in self.container.members if name.startswith(ITEMS)]
        for agent, members in groupby(names, key=lambda name: name.removeprefix(ITEMS).partition("/")[0]):
            if not self.report.scope.has_agent(agent):
                self.report.find(Step.MANIFEST, f"{ITEMS}{agent}", "the bundle says that this agent is left out")
            ring = self.rings.get(agent)
            if ring is None:
                self.report.find(Step.SIGNATURE, f"{ITEMS}{agent}", "the agent's key is not in the bundle")
                continue
            self._check_agent(agent, ring, tuple(members))
        self._check_absent()

    def _check_agent(self, agent: str, ring: Keyring, members: tuple[str, ...]) -> None:
        self._streams = {}
        for name in members:
            self._gather_tombstones(agent, name, ring)
        for name in members:
            for offset, data in self._split(name):
                where = f"{name} at byte {offset}"
                try:
                    item = ring.read(data)
                except EmitraceError as error:
                    self.report.find(Step.ITEM, where, error)
                    continue
                self.report.signed_by(agent, "agent")
                self._check_item(agent, item, data, where)
            self.ledger.close_before(agent, self._reached(agent) - _DAY_MS)
        self.ledger.close_all(agent)
        for stream_id, stream in sorted(self._streams.items()):
            self._check_ends(agent, stream_id, stream)

    def _gather_tombstones(self, agent: str, name: str, ring: Keyring) -> None:
        """First pass: only what stands for dropped items, which stands later than they would."""
        broken = 0
        for _, data in self._split(name, quiet=True):
            if broken >= ENOUGH:
                return
            try:
                if item_kind(open_sealed(data)) is not ItemKind.TOMBSTONE:
                    continue
                stone = ring.read(data)
            except EmitraceError:
                broken += 1  # the second pass reports it
                continue
            if isinstance(stone, Tombstone):
                self._stream(agent, stone.stream_id).tombstones.append(stone)

    def _check_item(self, agent: str, item: StreamItem, data: bytes, where: str) -> None:
        digest = item_digest(data)
        stream = self._stream(agent, item.stream_id)
        place = f"{where}, stream {stream.name} item {item.sequence}"
        self.report.count("items")
        position = self.log.position(Leaf("item", item_leaf_id(agent, item.stream_id, item.sequence), digest))
        if position is None:
            self.report.find(Step.LOG, place, "is not in the evidence log")
        elif position > self.log.revoked.get(agent, position):
            seen = f"is leaf {position} of the log, which revoked the agent at leaf {self.log.revoked[agent]}"
            self.report.find(Step.LOG, place, seen)
        self._check_key(agent, item, data, position, place)
        if not stream.place(item, digest, place, self.report):
            return
        stream.known_at = max(stream.known_at, -1 if position is None else position + 1)
        if isinstance(item, Batch):
            self.sent.add((agent, item.plan))
            self._check_batch(agent, item, stream, place)
        elif isinstance(item, PlanItem):
            self.sent.add((agent, document_digest(item.document)))
            self.report.count("plan items")

    def _check_key(self, agent: str, item: StreamItem, data: bytes, position: int | None, where: str) -> None:
        """The key that signed was the agent's at this place; a change of it is one of those in the bundle."""
        ring = self.rings[agent]
        if ring.replacements and (fault := ring.fault(open_sealed(data).kid, item.stream_id, item.sequence, position)):
            self.report.find(Step.SIGNATURE, where, fault)
        if isinstance(item, KeyChange):
            self.report.count("key changes")
            if item.public_key not in ring.keys:
                self.report.find(Step.SIGNATURE, where, "takes on a key, and changes/ does not hold it")

    def _check_batch(self, agent: str, batch: Batch, stream: Stream, where: str) -> None:
        self.report.count("batches")
        self.report.count("slots", sum(slot.count for slot in batch.slots))
        plan = self.documents.plans.get(batch.plan)
        if plan is None:
            self.report.find(Step.DOCUMENT, where, f"names plan {batch.plan.hex()}, which is not in the bundle")
            stream.closed = None
            return
        found: list[str]
        state: FoldState | None
        try:
            found, state = recompute(plan, batch)
            stream.continues(batch, plan, where, self.report)
        except REFUSALS as error:
            found, state = [f"cannot be recomputed: {error}"], None
        for difference in found[:_SHOWN]:
            self.report.find(Step.RECOMPUTE, where, difference)
        if len(found) > _SHOWN:
            self.report.find(Step.RECOMPUTE, where, f"and {len(found) - _SHOWN} differences more")
        stream.closed = Closed(plan, batch.sequence, state)
        inventory = self.documents.inventory
        if not found and inventory is not None and stream.known_at <= inventory.pinned.tree_size:
            self.report.count("windows", len(batch.windows))
            try:
                self.ledger.add(agent, stream.name, plan, batch.windows, where)
            except REFUSALS as error:
                self.report.find(Step.HOURS, where, f"its windows cannot be placed: {error}")

    def _check_ends(self, agent: str, stream_id: bytes, stream: Stream) -> None:
        """Nothing of the period may be left out at either end of a stream."""
        manifest, place = self.ledger.manifest, f"agent {agent[:12]}, stream {stream.name}"
        name = f"{agent}/{stream_id.hex()}"
        self._seen.add(name)
        if stream.following is None:
            return
        logged = self.log.sequences
        begins = stream.first_from_ms
        self.report.extents.append(
            Extent(
                agent, stream.name, stream.first, stream.following - 1, begins,
                None if begins is None else stream.last_to_ms, stream.previous.hex(), stream.head.hex(),
                logged.count(name, stream.following),
            )
        )  # fmt: skip
        if not stream.from_start and (begins is None or begins > manifest.from_ms):
            seen = "has no batch here" if begins is None else f"begins at {begins}, after the period does,"
            self.report.find(Step.CHAIN, place, f"{seen} and does not begin with its first item")
        if not logged.has(name, stream.following):
            waiting = logged.count(name, stream.following)
            if self.log.hidden:
                if stream.last_to_ms < manifest.to_ms:
                    seen = f"ends at {stream.last_to_ms}, before the period does; whether it goes on is left out here"
                    self.report.note(f"{place}: {seen}")
            elif waiting:
                seen = f"item {stream.following} is not in the evidence log; {waiting} items wait there for it"
                self.report.note(f"{place}: {seen} and count in no figure")
            return
        if stream.last_to_ms < manifest.to_ms:
            seen = f"item {stream.following} of the period is in the evidence log, but not in the bundle"
            self.report.find(Step.CHAIN, place, seen)
        elif begins is not None and begins < manifest.to_ms and self._reached_by(stream) < manifest.to_ms:
            self.report.note(f"{place}: a counter was not read up to the period's end; its windows may follow later")

    def _check_absent(self) -> None:
        """Of each stream that the log knows at least the items that show it to be outside the period are here."""
        for name in self.log.sequences.names():
            if name in self._seen:
                continue
            agent, _, stream = name.partition("/")
            place = f"agent {agent[:12]}, stream {stream}"
            if not self.report.scope.has_agent(agent):
                self.report.leave_out("streams")
                self.report.leave_out("items", self.log.sequences.count(name))
            elif self.log.hidden:
                continue  # a plan's own item outside the period
            elif self.log.sequences.has(name, 0):
                seen = f"{self.log.sequences.count(name)} items are in the evidence log, none is in the bundle"
                self.report.find(Step.CHAIN, place, seen)
            else:
                self.report.note(f"{place}: its items wait in the log for item 0; none is in the books")

    def _split(self, name: str, *, quiet: bool = False) -> Iterator[tuple[int, bytes]]:
        try:
            yield from split_sequence(self.container.chunks(name), MESSAGE_BYTES)
        except EmitraceError as error:
            if not quiet:
                self.report.find(Step.ITEM, name, f"is no sequence of items: {error}")

    def _stream(self, agent: str, stream_id: bytes) -> Stream:
        if stream_id not in self._streams:
            name = f"{agent}/{stream_id.hex()}"
            lost = sorted(
                (low, high, leaf)
                for first, last, leaf in self.log.lost.get(name, ())
                for low, high in self.log.sequences.without(name, first, last)
            )
            self._streams[stream_id] = Stream(stream_id.hex(), lost=lost)
        return self._streams[stream_id]

    def _reached(self, agent: str) -> int:
        """Before this instant no further window of a stream that goes on can begin. [UTC ms]"""
        going_on = (
            self._reached_by(stream)
            for stream_id, stream in self._streams.items()
            if self._goes_on(f"{agent}/{stream_id.hex()}", stream)
        )
        return min(going_on, default=0)

    def _goes_on(self, name: str, stream: Stream) -> bool:
        """Whether items of a stream may follow: one that ended holds no hour open."""
        return stream.following is None or self.log.sequences.count(name, stream.following) > 0

    @staticmethod
    def _reached_by(stream: Stream) -> int:
        """Before this instant no further window of the stream can begin. [UTC ms]"""
        if stream.closed is None or stream.closed.state is None:
            return 0
        counters = [point.counter for point in stream.closed.state.points]
        return min([stream.last_to_ms, *(counter.emitted_to_ms for counter in counters if counter is not None)])
