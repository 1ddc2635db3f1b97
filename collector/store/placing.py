"""Signed items take their place: stored verbatim, logged, and read into the books in the stream's own order.

An item ahead of the contiguous head is stored and logged at once and read when the gap closes. An item that
its signature and chain prove authentic but that cannot be read into the books (an unknown plan, windows
outside the plan) keeps its place in the chain, is marked refused and shown in the quarantine: the agent may
let go of it, because its bytes are safe here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, select, update

from collector.hours.cells import cell_of
from collector.store import quarantine
from collector.store.acks import ack_of
from collector.store.admission import check_batch
from collector.store.agents import Agent, keep_key
from collector.store.endings import revoked_agents
from collector.store.log import append_leaf, item_leaf_id
from collector.store.losses import lost_until
from collector.store.plans import PlanBook, site_of
from collector.store.pushes import settle_by_events, settle_by_plan
from collector.store.rows import Arrival, item_row, window_row
from collector.store.schema import (
    agent_keys,
    dirty_hours,
    items,
    plans,
    slots,
    streams,
    tombstones,
    uncompared,
    windows,
)
from collector.store.upsert import upsert
from protocols.key_change import KeyChange
from protocols.messages import Ack
from protocols.plan.bound import BoundPlan
from protocols.plan.document import document_digest
from protocols.records import Batch, PlanItem, StreamItem, Tombstone
from protocols.wire.codec import item_digest
from protocols.wire.errors import Reason, WireError
from protocols.wire.items import kind_of

NO_HEAD = bytes(32)
"""What item 0 of a stream names as its previous."""


class Outcome(Enum):
    """What became of an arriving item."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


ReadStored = Callable[[str, bytes], StreamItem]
"""(agent id, stored bytes) -> the item; for items that waited ahead."""


def stored_reader(known: dict[str, Agent]) -> ReadStored:
    """Reads stored bytes by the key of the agent that signed them."""

    def read(agent_id: str, data: bytes) -> StreamItem:
        return known[agent_id].read(data)

    return read


@dataclass(slots=True)
class Placer:
    """Places arrivals of one write transaction; ``book`` keeps opened plans between transactions."""

    connection: Connection
    book: PlanBook
    read_stored: ReadStored
    touched: set[tuple[str, bytes]] = field(default_factory=set)
    revoked: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.revoked = revoked_agents(self.connection)

    def place(self, arrival: Arrival) -> Outcome:
        """Store one item, then read into the books whatever is now in order."""
        item, digest = arrival.item, item_digest(arrival.data)
        stream = (arrival.agent_id, item.stream_id)
        known = self.connection.execute(
            select(items.c.digest).where(*_at(arrival.agent_id, item.stream_id, item.sequence))
        ).first()
        if known is not None:
            self.touched.add(stream)
            if known.digest == digest:
                return Outcome.DUPLICATE
            return self._refuse(arrival, Reason.CONFLICT, f"item {item.sequence} is already here with other bytes")
        if arrival.agent_id in self.revoked:
            seen = f"item {item.sequence} was not in the log when the agent was revoked"
            return self._refuse(arrival, Reason.REVOKED, seen)
        contiguous, head = self._head(arrival)
        if item.sequence <= contiguous:
            self.touched.add(stream)
            return self._refuse(
                arrival, Reason.CONFLICT, f"item {item.sequence} was passed over; the stream stands at {contiguous}"
            )
        if item.sequence == contiguous + 1 and not follows(item, head):
            return self._refuse(arrival, Reason.CHAIN, _broken(item, head))
        self._store(arrival, digest)
        self.touched.add(stream)
        self._advance(stream, contiguous, head, {digest: item})
        return Outcome.STORED

    def read_again(self, key: int, at_ms: int) -> Outcome:
        """Read into the books an item that kept its place in the chain but was refused; its signature is checked anew.

        Where it is refused again it stays what it was.
        """
        row = self.connection.execute(select(items).where(items.c.id == key, items.c.state == "refused")).one()
        item = self.read_stored(row.agent_id, row.bytes)
        if self._read_in(row.agent_id, key, item, row.bytes, at_ms) != "placed":
            return Outcome.REFUSED
        self.connection.execute(update(items).where(items.c.id == key).values(state="placed"))
        changed = {"placed": streams.c.placed + 1}
        if isinstance(item, Batch):
            last = func.coalesce(streams.c.last_to_ms, -1)
            changed |= {
                "batches": streams.c.batches + 1, "last_to_ms": case((last < item.to_ms, item.to_ms), else_=last)
            }  # fmt: skip
            self.connection.execute(insert(uncompared).values(item=key))
        self.connection.execute(
            update(streams)
            .where(streams.c.agent_id == row.agent_id, streams.c.stream_id == row.stream_id)
            .values(**changed)
        )
        return Outcome.STORED

    def _refuse(self, arrival: Arrival, reason: Reason, detail: str) -> Outcome:
        quarantine.keep(
            self.connection, arrival.topic, arrival.agent_id, reason.value, detail, arrival.data, arrival.at_ms
        )
        return Outcome.REFUSED

    def _head(self, arrival: Arrival) -> tuple[int, bytes]:
        agent_id, stream_id = arrival.agent_id, arrival.item.stream_id
        row = self.connection.execute(
            select(streams).where(streams.c.agent_id == agent_id, streams.c.stream_id == stream_id)
        ).first()
        if row is not None:
            return row.contiguous, row.head
        self.connection.execute(
            insert(streams).values(
                agent_id=agent_id, stream_id=stream_id, contiguous=-1, head=NO_HEAD, first_ms=arrival.at_ms, placed=0,
                batches=0,
            )
        )
        return -1, NO_HEAD

    def _store(self, arrival: Arrival, digest: bytes) -> None:
        item = arrival.item
        object_id = item_leaf_id(arrival.agent_id, item.stream_id, item.sequence)
        leaf = append_leaf(self.connection, "item", object_id, digest, arrival.at_ms)
        row = item_row(arrival, digest, leaf) | {"state": "ahead"}
        key = self.connection.scalar(insert(items).returning(items.c.id).values(row))
        if isinstance(item, KeyChange):
            keep_key(self.connection, arrival.agent_id, item, leaf, arrival.at_ms)
        if isinstance(item, Tombstone):
            self.connection.execute(
                insert(tombstones).values(
                    item=key, agent_id=arrival.agent_id, stream_id=item.stream_id, first=item.first, last=item.last,
                    last_digest=item.last_digest, from_ms=item.from_ms, to_ms=item.to_ms, reason=item.reason,
                )
            )  # fmt: skip

    def _advance(self, stream: tuple[str, bytes], contiguous: int, head: bytes, fresh: dict[bytes, StreamItem]) -> None:
        """Read into the books every item that is now in order; step over what was dropped or lost."""
        agent_id, stream_id = stream
        placed, batches, last_to_ms = 0, 0, -1
        while True:
            following = self.connection.execute(select(items).where(*_at(agent_id, stream_id, contiguous + 1))).first()
            if following is None:
                stone = self._tombstone_over(stream, contiguous + 1) or lost_until(self.connection, stream, contiguous)
                if stone is None:
                    break
                first, contiguous, head = contiguous + 1, stone[0], stone[1]
                self.connection.execute(
                    update(items)
                    .where(items.c.agent_id == agent_id, items.c.stream_id == stream_id,
                           items.c.sequence.between(first, contiguous), items.c.state == "ahead")
                    .values(state="passed")
                )  # fmt: skip
                continue
            item = fresh.get(following.digest) or self.read_stored(agent_id, following.bytes)
            if not follows(item, head):
                topic = f"stored ahead: {following.kind} {following.sequence}"
                quarantine.keep(
                    self.connection, topic, agent_id, Reason.CHAIN.value, _broken(item, head), following.bytes,
                    following.received_ms,
                )  # fmt: skip
                self._give_back(following.id)
                break
            state = self._read_in(agent_id, following.id, item, following.bytes, following.received_ms)
            self.connection.execute(update(items).where(items.c.id == following.id).values(state=state))
            contiguous, head = following.sequence, following.digest
            if state == "placed":
                placed += 1
                if isinstance(item, Batch):
                    batches, last_to_ms = batches + 1, max(last_to_ms, item.to_ms)
                    self.connection.execute(insert(uncompared).values(item=following.id))
        self.connection.execute(
            update(streams)
            .where(streams.c.agent_id == agent_id, streams.c.stream_id == stream_id)
            .values(
                contiguous=contiguous, head=head, placed=streams.c.placed + placed,
                batches=streams.c.batches + batches,
                last_to_ms=case(
                    (func.coalesce(streams.c.last_to_ms, -1) < last_to_ms, last_to_ms), else_=streams.c.last_to_ms
                ),
            )
        )  # fmt: skip

    def _give_back(self, key: int) -> None:
        """Free the place of an item that waited ahead and does not follow; its bytes are in the quarantine."""
        self.connection.execute(delete(tombstones).where(tombstones.c.item == key))
        leaf = select(items.c.leaf).where(items.c.id == key).scalar_subquery()
        self.connection.execute(delete(agent_keys).where(agent_keys.c.leaf == leaf))
        self.connection.execute(delete(items).where(items.c.id == key))

    def _tombstone_over(self, stream: tuple[str, bytes], sequence: int) -> tuple[int, bytes] | None:
        row = self.connection.execute(
            select(tombstones.c.last, tombstones.c.last_digest)
            .where(tombstones.c.agent_id == stream[0], tombstones.c.stream_id == stream[1],
                   tombstones.c.first <= sequence, tombstones.c.last >= sequence)
            .order_by(tombstones.c.last.desc())
        ).first()  # fmt: skip
        return None if row is None else (row.last, row.last_digest)

    def _read_in(self, agent_id: str, key: int, item: StreamItem, data: bytes, at_ms: int) -> str:
        """Read one item into the books; its new state."""
        try:
            if isinstance(item, PlanItem):
                self._read_plan(agent_id, key, item, at_ms)
            elif isinstance(item, Batch):
                self._read_batch(agent_id, key, item)
                settle_by_events(self.connection, agent_id, item, at_ms)
        except WireError as error:
            topic = f"{kind_of(item).value} {item.sequence} of stream {item.stream_id.hex()}"
            quarantine.keep(self.connection, topic, agent_id, error.reason.value, str(error), data, at_ms)
            return "refused"
        return "placed"

    def _read_plan(self, agent_id: str, key: int, item: PlanItem, at_ms: int) -> None:
        digest = document_digest(item.document)
        plan = self.book.open(item.document)
        settle_by_plan(self.connection, agent_id, digest, at_ms)
        known = select(plans.c.item).where(plans.c.agent_id == agent_id, plans.c.digest == digest)
        if self.connection.scalar(known) is not None:
            return
        append_leaf(self.connection, "plan", digest.hex(), digest, at_ms)
        self.connection.execute(
            insert(plans).values(
                agent_id=agent_id, digest=digest, item=key, known_ms=at_ms, site=site_of(plan), document=item.document
            )
        )

    def _read_batch(self, agent_id: str, key: int, batch: Batch) -> None:
        plan = self.book.of(self.connection, agent_id, batch.plan)
        if plan is None:
            raise WireError(
                Reason.PLAN_UNKNOWN, f"batch {batch.sequence}", f"names plan {batch.plan.hex()}",
                "The agent must send that plan before its batches.",
            )  # fmt: skip
        check_batch(self.connection, self.book, agent_id, plan, batch)
        if batch.windows:
            self.connection.execute(insert(windows), [window_row(agent_id, key, batch, w) for w in batch.windows])
        self._count_slots(agent_id, plan, batch)
        self._mark_dirty(agent_id, plan, batch)

    def _count_slots(self, agent_id: str, plan: BoundPlan, batch: Batch) -> None:
        day = day_of(batch.from_ms, ZoneInfo(plan.plan.facility.time_zone))
        counts: dict[tuple[str, str, str, int], int] = defaultdict(int)
        for slot in batch.slots:
            counts[agent_id, plan.points[slot.point].id, day, slot.fate] += slot.count
        add_slots(self.connection, counts)

    def _mark_dirty(self, agent_id: str, plan: BoundPlan, batch: Batch) -> None:
        zone = ZoneInfo(plan.plan.facility.time_zone)
        starts = {window.from_ms for window in batch.windows}
        mark_dirty(self.connection, agent_id, {cell_of(start, zone) for start in starts})

    def go_on(self, agent_id: str, stream_id: bytes) -> None:
        """Read on where a stream stands: what is missing next may have been accepted as lost."""
        place = (streams.c.agent_id == agent_id, streams.c.stream_id == stream_id)
        row = self.connection.execute(select(streams.c.contiguous, streams.c.head).where(*place)).one()
        self.touched.add((agent_id, stream_id))
        self._advance((agent_id, stream_id), row.contiguous, row.head, {})

    def acks(self) -> dict[str, list[Ack]]:
        """What is now committed of every stream the transaction touched, by agent."""
        told: dict[str, list[Ack]] = defaultdict(list)
        for agent_id, stream_id in sorted(self.touched):
            told[agent_id].append(ack_of(self.connection, agent_id, stream_id))
        return told


def add_slots(connection: Connection, counts: Mapping[tuple[str, str, str, int], int]) -> None:
    """Add to the slots counted by agent, point, day and fate."""
    rows = [
        {"agent_id": agent_id, "point": point, "day": day, "fate": fate, "count": count}
        for (agent_id, point, day, fate), count in sorted(counts.items())
    ]
    if rows:
        entry = upsert(connection, slots)
        connection.execute(
            entry.on_conflict_do_update(
                index_elements=["agent_id", "point", "day", "fate"],
                set_={"count": slots.c.count + entry.excluded.count},
            ),
            rows,
        )


def mark_dirty(connection: Connection, agent_id: str, cells: set[tuple[int, int]]) -> None:
    """Ask for the hour rows of these cells to be made anew."""
    rows = [{"agent_id": agent_id, "from_ms": start, "to_ms": end, "marks": 1} for start, end in sorted(cells)]
    if rows:
        connection.execute(
            upsert(connection, dirty_hours).on_conflict_do_update(
                index_elements=["agent_id", "from_ms"], set_={"marks": dirty_hours.c.marks + 1, "error": None}
            ),
            rows,
        )


def _at(agent_id: str, stream_id: bytes, sequence: int) -> tuple[ColumnElement[bool], ...]:
    return (items.c.agent_id == agent_id, items.c.stream_id == stream_id, items.c.sequence == sequence)


def follows(item: StreamItem, head: bytes) -> bool:
    """Whether the item names the head as its previous; item 0 may name the last head of a lost stream."""
    return item.sequence == 0 or item.previous == head


def _broken(item: StreamItem, head: bytes) -> str:
    return f"item {item.sequence} names previous {item.previous.hex()}, the head of the stream is {head.hex()}"


def day_of(at_ms: int, zone: ZoneInfo) -> str:
    """The day of the zone that holds an instant."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return instant.astimezone(zone).date().isoformat()
