"""Slots of a site by point and day: how many were due, what became of them, and what is known of the gaps.

What was due follows from the plans alone, so that a day of which nothing came is missing, never absent. A batch's
slots count for the day of its start; where a facility's midnight is no full hour, some count a day too early.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, func, select

from collector.hours.calendar import By, Span, buckets
from collector.hours.cells import HOUR_MS, local_time
from collector.store.acks import ack_of, missing_ranges
from collector.store.losses import LostSpan, lost_spans
from collector.store.plans import PlanBook, Site
from collector.store.readings import batches_around
from collector.store.schema import agents, items, plan_hours, plans, slots, streams, tombstones
from protocols.plan.bound import BoundPlan
from protocols.records import fate_of

MOST_GAPS = 64


@dataclass(frozen=True, slots=True)
class PointDay:
    """A point on a day: ``fates`` are (code, slots) of what came; what of ``expected`` never came is ``silent``.

    ``lost`` of them came once, and the collector has lost them.
    """

    agent: str
    point: str
    day: str
    span: Span
    expected: int
    fates: tuple[tuple[int, int], ...]
    lost: int = 0

    @property
    def accounted(self) -> int:
        """Slots that a signed batch says something of."""
        return sum(count for _, count in self.fates)

    @property
    def with_value(self) -> int:
        """Slots with a value, be it a doubtful one."""
        return sum(count for code, count in self.fates if fate_of(code).has_value)

    @property
    def silent(self) -> int:
        """Slots that were due and of which nothing has come, for no reason that is known."""
        return max(self.expected - self.accounted - self.lost, 0)

    @property
    def excess(self) -> int:
        """Slots beyond those that were due: the account does not add up."""
        return max(self.accounted - self.expected, 0)


@dataclass(frozen=True, slots=True)
class Hole:
    """A time of a day of which no batch has come. [UTC ms]"""

    agent: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """Items an agent had to drop, as its signed tombstone says. [UTC ms]"""

    agent: str
    first: int
    last: int
    from_ms: int
    to_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Sequences of a stream that are missing before ones that came; the collector asks for them again by itself."""

    agent: str
    stream_id: bytes
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is known of a day's gaps."""

    holes: tuple[Hole, ...]
    dropped: tuple[Dropped, ...]
    asked: tuple[Asked, ...]
    lost: tuple[LostSpan, ...] = ()


def read_completeness(
    connection: Connection, book: PlanBook, site: Site, from_ms: int, to_ms: int, now_ms: int
) -> list[PointDay]:
    """Every point of a site on every day of [from, to) since its first batch, until now; by agent, point and day."""
    days = buckets(from_ms, min(to_ms, now_ms), By.DAY, site.zone)
    names = {local_time(span[0], site.zone).date().isoformat(): span for span in days}
    found: list[PointDay] = []
    for agent in sorted(site.agents):
        reigns = tuple(_reigns(connection, book, agent, now_ms))
        due = _due(reigns, names)
        spans = [(one.from_ms, one.to_ms) for one in lost_spans(connection, [agent], from_ms, to_ms)]
        lost = _due(reigns, names, spans) if spans else {}
        counted = _counted(connection, agent, tuple(names))
        for point, day in sorted(due.keys() | counted.keys()):
            fates = tuple(sorted(counted.get((point, day), {}).items()))
            expected = due.get((point, day), 0)
            gone = min(lost.get((point, day), 0), max(expected - sum(count for _, count in fates), 0))
            found.append(PointDay(agent, point, day, names[day], expected, fates, gone))
    return found


def read_gaps(connection: Connection, site: Site, span: Span, now_ms: int) -> Gaps:
    """What is known of the gaps of a day."""
    from_ms, to_ms = span[0], min(span[1], now_ms)
    return Gaps(
        tuple(hole for agent in sorted(site.agents) for hole in _holes(connection, agent, from_ms, to_ms)),
        tuple(
            Dropped(row.agent_id, row.first, row.last, row.from_ms, row.to_ms, row.reason)
            for row in connection.execute(
                select(tombstones)
                .where(tombstones.c.agent_id.in_(site.agents), tombstones.c.from_ms < to_ms,
                       tombstones.c.to_ms > from_ms)
                .order_by(tombstones.c.agent_id, tombstones.c.from_ms)
                .limit(MOST_GAPS)
            )
        ),
        tuple(_asked(connection, site.agents)),
        tuple(lost_spans(connection, sorted(site.agents), from_ms, to_ms)[:MOST_GAPS]),
    )


def _counted(connection: Connection, agent: str, days: Sequence[str]) -> dict[tuple[str, str], dict[int, int]]:
    counted: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    if days:
        for row in connection.execute(
            select(slots.c.point, slots.c.day, slots.c.fate, slots.c.count.label("times")).where(
                slots.c.agent_id == agent, slots.c.day >= min(days), slots.c.day <= max(days)
            )
        ):
            if row.day in days:
                counted[row.point, row.day][row.fate] = row.times
    return counted


def _due(
    reigns: Iterable[tuple[BoundPlan, int, int]], days: Mapping[str, Span], within: Sequence[Span] | None = None
) -> dict[tuple[str, str], int]:
    """Slots due per point and day, by the plans as they followed each other; only those within some times."""
    due: dict[tuple[str, str], int] = defaultdict(int)
    for plan, start_ms, end_ms in reigns:
        for day, span in days.items():
            for part in (span,) if within is None else _joined(within):
                low, high = max(span[0], start_ms, part[0]), min(span[1], end_ms, part[1])
                if low < high:
                    for point in plan.points:
                        due[point.id, day] += -(-high // point.interval_ms) - -(-low // point.interval_ms)
    return due


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same times, none twice."""
    joined: list[Span] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def _reigns(
    connection: Connection, book: PlanBook, agent: str, now_ms: int
) -> Iterator[tuple[BoundPlan, int, int]]:
    """An agent's plans with the time of each: from its first batch until that of the next, the last until now.

    Of an agent that another one has replaced nothing is due after its last batch.
    """
    starts: list[tuple[int, bytes]] = []
    for digest in connection.scalars(select(plans.c.digest).where(plans.c.agent_id == agent)):
        first = _first_batch(connection, agent, digest)
        if first is not None:
            starts.append((first, digest))
    starts.sort()
    end_ms = now_ms
    if connection.scalar(select(agents.c.agent_id).where(agents.c.replaces == agent).limit(1)) is not None:
        end_ms = connection.scalar(select(func.max(streams.c.last_to_ms)).where(streams.c.agent_id == agent)) or now_ms
    edges = [start for start, _ in starts] + [end_ms]
    for (start_ms, digest), (_, stop_ms) in zip(starts, pairwise(edges), strict=True):
        plan = book.of(connection, agent, digest)
        if plan is not None:
            yield plan, start_ms, stop_ms


def _first_batch(connection: Connection, agent: str, digest: bytes) -> int | None:
    """Start of the first batch under a plan; the hours made from it say where to look. [UTC ms]"""
    hour = connection.scalar(
        select(func.min(plan_hours.c.from_ms)).where(plan_hours.c.agent_id == agent, plan_hours.c.plan == digest)
    )
    batches = (items.c.agent_id == agent, items.c.kind == "batch", items.c.state == "placed", items.c.plan == digest)
    near = () if hour is None else (items.c.from_ms >= hour - HOUR_MS, items.c.from_ms < hour + HOUR_MS)
    found = connection.scalar(select(func.min(items.c.from_ms)).where(*batches, *near))
    return hour if found is None else int(found)


def _holes(connection: Connection, agent: str, from_ms: int, to_ms: int) -> Iterator[Hole]:
    """Times between batches, and behind the last one; none before the agent's first."""
    before, inside = batches_around(connection, agent, from_ms, to_ms)
    if not before and not inside:
        return
    at_ms = from_ms if before else inside[0].from_ms
    for row in (*before, *inside):
        if row.from_ms > at_ms:
            yield Hole(agent, at_ms, row.from_ms)
        at_ms = max(at_ms, row.to_ms)
    if at_ms < to_ms:
        yield Hole(agent, at_ms, to_ms)


def _asked(connection: Connection, wanted: Iterable[str]) -> Iterator[Asked]:
    for row in connection.execute(
        select(streams.c.agent_id, streams.c.stream_id)
        .where(streams.c.agent_id.in_(tuple(wanted)))
        .order_by(streams.c.agent_id, streams.c.stream_id)
    ):
        ranges = missing_ranges(ack_of(connection, row.agent_id, row.stream_id), MOST_GAPS)
        if ranges:
            yield Asked(row.agent_id, row.stream_id, ranges)
