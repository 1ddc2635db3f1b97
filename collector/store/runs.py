"""Batches that follow each other in their streams, placed at once: what single items do one by one, in few statements.

Most of what comes is the next batch of a stream that is whole. A run of such batches is judged by the same checks and
leaves the same rows, leaves and acknowledgements as its items placed one after the other; anything that does not fit
is no run (``NoRun``), nothing of it stays, and the items are placed singly, each in a savepoint of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, case, func, insert, select, tuple_, update

from collector.hours.cells import HOUR_MS, cell_of
from collector.store.admission import Stated, check_batch_alone, check_overlaps
from collector.store.log import append_leaves, item_leaf_id
from collector.store.placing import Placer, add_slots, day_of, follows, mark_dirty
from collector.store.plans import site_of
from collector.store.pushes import settle_by_events
from collector.store.rows import Arrival, item_row, window_row
from collector.store.schema import agents, items, losses, streams, tombstones, uncompared, windows
from protocols.plan.bound import BoundPlan
from protocols.records import Batch
from protocols.wire.codec import item_digest
from protocols.wire.errors import WireError

LONGEST_MS = 26 * HOUR_MS
"""A run reaches over no more, so that looking for figures of the same time reads little. [ms]"""
Stream = tuple[str, bytes]


class NoRun(Exception):  # noqa: N818 - no error: the items go another way
    """The items cannot be placed at once; nothing of them was kept."""


@dataclass(slots=True)
class _Own:
    """What a run brings of one stream, in order."""

    arrivals: list[Arrival] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def takes(self, arrival: Arrival) -> bool:
        """Whether the arrival is the one behind the last of these."""
        before = self.arrivals[-1].item if self.arrivals else None
        return before is None or (
            arrival.item.sequence == before.sequence + 1 and arrival.item.previous == self.digests[-1]
        )

    def add(self, arrival: Arrival) -> None:
        """Take it as the next."""
        self.arrivals.append(arrival)
        self.digests.append(item_digest(arrival.data))


def runs_of(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """The arrivals in order, cut into runs; what can be in none is alone."""
    run: list[Arrival] = []
    own: dict[Stream, _Own] = defaultdict(_Own)
    low, high = 0, 0
    for arrival in arrivals:
        item = arrival.item
        if isinstance(item, Batch):
            stream = own[arrival.agent_id, item.stream_id]
            wider = (min(low, item.from_ms), max(high, item.to_ms)) if run else (item.from_ms, item.to_ms)
            if run and not (stream.takes(arrival) and wider[1] - wider[0] <= LONGEST_MS):
                yield run
                run, wider = [], (item.from_ms, item.to_ms)
                own.clear()
            own[arrival.agent_id, item.stream_id].add(arrival)
            run.append(arrival)
            low, high = wider
            continue
        if run:
            yield run
        yield [arrival]
        run = []
        own.clear()
    if run:
        yield run


def place_run(placer: Placer, run: Sequence[Arrival]) -> None:
    """Place a run; call it inside a savepoint.

    Raises
    ------
    NoRun
        An item is here already, its stream stands elsewhere, or it would be refused.
    """
    own: dict[Stream, _Own] = defaultdict(_Own)
    for arrival in run:
        own[arrival.agent_id, arrival.item.stream_id].add(arrival)
    _check_place(placer, own)
    plans = _check_content(placer, run)
    keys = _store(placer, run, own)
    _state(placer, run, keys, plans)
    _move_heads(placer, own)
    placer.touched |= own.keys()
    for agent_id, stream_id in _going_on(placer, own):
        placer.go_on(agent_id, stream_id)


def _check_place(placer: Placer, own: dict[Stream, _Own]) -> None:
    """Each stream stands right before its first item, has none of them, and nothing stands for any of them."""
    connection = placer.connection
    if any(agent_id in placer.revoked for agent_id, _ in own):
        raise NoRun
    standing = connection.execute(select(streams).where(tuple_(streams.c.agent_id, streams.c.stream_id).in_(list(own))))
    heads = {(row.agent_id, row.stream_id): row for row in standing}
    for stream, part in own.items():
        head, first = heads.get(stream), part.arrivals[0].item
        if head is None or first.sequence != head.contiguous + 1 or not follows(first, head.head):
            raise NoRun
    for table in (tombstones, losses):
        of_streams = tuple_(table.c.agent_id, table.c.stream_id).in_(list(own))
        for row in connection.execute(select(table.c.agent_id, table.c.stream_id, table.c.last).where(of_streams)):
            if row.last >= own[row.agent_id, row.stream_id].arrivals[0].item.sequence:
                raise NoRun
    places = [(*stream, one.item.sequence) for stream, part in own.items() for one in part.arrivals]
    place = tuple_(items.c.agent_id, items.c.stream_id, items.c.sequence)
    if connection.execute(select(items.c.id).where(place.in_(places)).limit(1)).first() is not None:
        raise NoRun


def _check_content(placer: Placer, run: Sequence[Arrival]) -> dict[tuple[str, bytes], BoundPlan]:
    """Every batch can be counted under its plan, and no moment twice; the plans by agent and digest."""
    plans: dict[tuple[str, bytes], BoundPlan] = {}
    stated: dict[str, list[Stated]] = defaultdict(list)
    try:
        for agent_id, batch in _batches(run):
            plan = plans.get((agent_id, batch.plan)) or placer.book.of(placer.connection, agent_id, batch.plan)
            if plan is None:
                raise NoRun
            plans[agent_id, batch.plan] = plan
            check_batch_alone(plan, batch)
            stated[site_of(plan)].append((agent_id, plan, batch))
        for site, of_site in stated.items():
            check_overlaps(placer.connection, placer.book, site, of_site)
    except WireError as error:
        raise NoRun from error
    return plans


def _store(placer: Placer, run: Sequence[Arrival], own: dict[Stream, _Own]) -> list[int]:
    """Leaves and items; the items' keys in the run's order."""
    digests = {
        (*stream, one.item.sequence): digest
        for stream, part in own.items()
        for one, digest in zip(part.arrivals, part.digests, strict=True)
    }
    named = [(one, digests[one.agent_id, one.item.stream_id, one.item.sequence]) for one in run]
    objects = [
        ("item", item_leaf_id(one.agent_id, one.item.stream_id, one.item.sequence), digest) for one, digest in named
    ]
    places = append_leaves(placer.connection, objects, run[0].at_ms)
    rows = [
        item_row(one, digest, leaf) | {"state": "placed"}
        for (one, digest), leaf in zip(named, places, strict=True)
    ]  # fmt: skip
    made = placer.connection.execute(insert(items).returning(items.c.id, items.c.leaf), rows)
    keys = {row.leaf: row.id for row in made}
    return [keys[leaf] for leaf in places]


def _state(
    placer: Placer, run: Sequence[Arrival], keys: Sequence[int], plans: dict[tuple[str, bytes], BoundPlan]
) -> None:
    """What the batches say: windows, slots, and which hours are to be made anew."""
    connection = placer.connection
    rows: list[dict[str, object]] = []
    cells: dict[str, set[tuple[int, int]]] = defaultdict(set)
    counts: dict[tuple[str, str, str, int], int] = defaultdict(int)
    for (agent_id, batch), key in zip(_batches(run), keys, strict=True):
        plan = plans[agent_id, batch.plan]
        zone = ZoneInfo(plan.plan.facility.time_zone)
        rows += [window_row(agent_id, key, batch, window) for window in batch.windows]
        cells[agent_id] |= {cell_of(start, zone) for start in {window.from_ms for window in batch.windows}}
        day = day_of(batch.from_ms, zone)
        for slot in batch.slots:
            counts[agent_id, plan.points[slot.point].id, day, slot.fate] += slot.count
    if rows:
        connection.execute(insert(windows), rows)
    add_slots(connection, counts)
    for agent_id, own in cells.items():
        mark_dirty(connection, agent_id, own)
    connection.execute(insert(uncompared), [{"item": key} for key in keys])
    for one, (agent_id, batch) in zip(run, _batches(run), strict=True):
        settle_by_events(connection, agent_id, batch, one.at_ms)


def _move_heads(placer: Placer, own: dict[Stream, _Own]) -> None:
    """Where the streams stand now, and when their agents were heard of."""
    known = func.coalesce(streams.c.last_to_ms, -1)
    placer.connection.execute(
        update(streams)
        .where(streams.c.agent_id == bindparam("of_agent"), streams.c.stream_id == bindparam("of_stream"))
        .values(
            contiguous=bindparam("reached"), head=bindparam("reached_head"),
            placed=streams.c.placed + bindparam("more"), batches=streams.c.batches + bindparam("more"),
            last_to_ms=case((known < bindparam("until_ms"), bindparam("until_ms")), else_=streams.c.last_to_ms),
        ),
        [
            {"of_agent": agent_id, "of_stream": stream_id, "reached": part.arrivals[-1].item.sequence,
             "reached_head": part.digests[-1], "more": len(part.arrivals),
             "until_ms": max(batch.to_ms for _, batch in _batches(part.arrivals))}
            for (agent_id, stream_id), part in own.items()
        ],
    )  # fmt: skip
    seen = {agent_id: part.arrivals[-1].at_ms for (agent_id, _), part in own.items()}
    placer.connection.execute(
        update(agents).where(agents.c.agent_id == bindparam("of_agent")).values(last_seen_ms=bindparam("seen_ms")),
        [{"of_agent": agent_id, "seen_ms": at_ms} for agent_id, at_ms in seen.items()],
    )


def _going_on(placer: Placer, own: dict[Stream, _Own]) -> list[Stream]:
    """Streams of which items waited ahead, which may be in order now."""
    ahead = (
        select(streams.c.agent_id, streams.c.stream_id)
        .join(items, (items.c.agent_id == streams.c.agent_id) & (items.c.stream_id == streams.c.stream_id)
              & (items.c.sequence > streams.c.contiguous))
        .where(tuple_(streams.c.agent_id, streams.c.stream_id).in_(list(own)))
        .distinct()
    )  # fmt: skip
    return sorted((row.agent_id, row.stream_id) for row in placer.connection.execute(ahead))


def _batches(run: Sequence[Arrival]) -> Iterator[tuple[str, Batch]]:
    for one in run:
        if isinstance(one.item, Batch):
            yield one.agent_id, one.item
