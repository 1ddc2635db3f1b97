"""One hour row opened: its windows, the batches that brought them, the plans in force, the instruments behind it.

Everything comes from one snapshot; nothing is computed anew but what an instrument's certificates say of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from collector.hours.calendar import Span
from collector.hours.cells import cell_of, local_time
from collector.hours.sources import SourceFacts, points_of, series_of, source_facts
from collector.store.explain_instruments import InstrumentBehind, instruments_of_hour
from collector.store.hours import VersionedHour, row_of, windows_stated
from collector.store.plans import PlanBook, site_of
from collector.store.schema import comparisons, dirty_hours, hours, items, plans, slots
from protocols.errors import EmitraceError
from protocols.plan.bound import BoundPlan, BoundSource
from protocols.plan.model import FactorRecord
from protocols.quantities import DEFINITIONS
from protocols.records import Window


@dataclass(frozen=True, slots=True)
class StatedWindow:
    """A window as the edge stated it, with the item that brought it and the causes of its shared uncertainty."""

    window: Window
    item: int
    plan: bytes
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchBehind:
    """A batch as it was received; ``equal`` is None where it is not recomputed yet."""

    item: int
    stream_id: bytes
    sequence: int
    digest: bytes
    from_ms: int
    to_ms: int
    received_ms: int
    leaf: int
    size: int
    equal: bool | None
    differences: str


@dataclass(frozen=True, slots=True)
class PlanBehind:
    """A monitoring plan in force, the item it came in, and the factors it gives this source."""

    plan: BoundPlan
    item: int
    known_ms: int
    factors: tuple[FactorRecord, ...]


@dataclass(frozen=True, slots=True)
class ExplainedHour:
    """Everything behind one hour of one source and gas.

    Attributes
    ----------
    facts : SourceFacts
        The source as the newest plan that names it states it.
    site : str
        ORGANISATION/FACILITY.
    base_unit : str
        Unit of the windows' activity; empty for a rate-based source.
    zone : ZoneInfo
        The facility's.
    cell : (int, int)
        The hour. [UTC ms]
    row : VersionedHour or None
        None where nothing is known of it: missing, never zero.
    waiting : bool
        Whether something came in since the row was made, so that it will be made anew.
    holes : tuple of (int, int)
        Stretches of the hour over which an input of the source has no window. [UTC ms]
    slots : tuple of (str, int, int)
        Point, fate code and count of the source's slots on that day of the facility.
    earlier, later : int or None
        Starts of the nearest hours before and after that have a row. [UTC ms]
    """

    facts: SourceFacts
    gas: str
    site: str
    base_unit: str
    zone: ZoneInfo
    cell: Span
    row: VersionedHour | None
    waiting: bool
    windows: tuple[StatedWindow, ...]
    holes: tuple[Span, ...]
    batches: tuple[BatchBehind, ...]
    plans: tuple[PlanBehind, ...]
    instruments: tuple[InstrumentBehind, ...]
    day: str
    slots: tuple[tuple[str, int, int], ...]
    earlier: int | None
    later: int | None


def explain_hour(
    connection: Connection, book: PlanBook, agent: str, source: str, gas: str, at_ms: int
) -> ExplainedHour:
    """The hour of a source and gas that holds an instant.

    Raises
    ------
    EmitraceError
        No plan of this agent has this source and gas; the hint names those there are.
    """
    known = _plans_of(connection, book, agent)
    named = [one for one in known if any(s.id == source and gas in s.gases for s in one.plan.sources)]
    if not named:
        there = sorted({f"{s.id} {name}" for one in known for s in one.plan.sources for name in s.gases})
        raise EmitraceError(
            f"{source} {gas} of agent {agent[:12]}", "no monitoring plan of this agent has it",
            f"It has {', '.join(there)}." if there else "Choose an agent from the overview.",
        )  # fmt: skip
    newest = named[-1].plan
    zone = ZoneInfo(newest.plan.facility.time_zone)
    cell = cell_of(at_ms, zone)
    plans_by_digest = {one.plan.digest: one.plan for one in named}
    stated = [
        _stated(plans_by_digest[digest], item, window)
        for item, digest, window in windows_stated(connection, agent, *cell)
        if digest in plans_by_digest and _is_of(plans_by_digest[digest], window, source, gas)
    ]
    used = {one.plan for one in stated}
    in_force = [one for one in named if one.plan.digest in used] or named[-1:]
    series = (hours.c.agent_id == agent, hours.c.source == source, hours.c.gas == gas)
    row = connection.execute(select(hours).where(*series, hours.c.from_ms == cell[0])).first()
    day = local_time(cell[0], zone).date().isoformat()
    return ExplainedHour(
        facts=next(fact for fact in source_facts(agent, newest) if fact.source == source), gas=gas,
        site=site_of(newest), base_unit=_base_unit(in_force[-1].plan, source), zone=zone, cell=cell,
        row=None if row is None else VersionedHour(row_of(row), row.version),
        waiting=_waits(connection, agent, cell[0]), windows=tuple(stated),
        holes=tuple(_holes(stated, cell, _inputs(_bound(in_force[-1].plan, source), gas))),
        batches=_batches(connection, {one.item for one in stated}),
        plans=tuple(PlanBehind(one.plan, one.item, one.known_ms, _factors(one.plan, source, gas)) for one in in_force),
        instruments=instruments_of_hour(
            connection, in_force[-1].plan, _points_behind(in_force[-1].plan, source, gas), cell
        ),
        day=day, slots=_slots(connection, agent, day, in_force[-1].plan, source, gas),
        earlier=connection.scalar(select(func.max(hours.c.from_ms)).where(*series, hours.c.from_ms < cell[0])),
        later=connection.scalar(select(func.min(hours.c.from_ms)).where(*series, hours.c.from_ms > cell[0])),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """A plan an agent has sent."""

    plan: BoundPlan
    item: int
    known_ms: int


def _plans_of(connection: Connection, book: PlanBook, agent: str) -> list[_Known]:
    rows = connection.execute(select(plans).where(plans.c.agent_id == agent).order_by(plans.c.item))
    return [_Known(book.open(row.document), row.item, row.known_ms) for row in rows]


def _bound(plan: BoundPlan, source: str) -> BoundSource:
    return next(one for one in plan.sources if one.id == source)


def _is_of(plan: BoundPlan, window: Window, source: str, gas: str) -> bool:
    bound = plan.sources[window.source]
    return bound.id == source and bound.gases[window.gas] == gas


def _stated(plan: BoundPlan, item: int, window: Window) -> StatedWindow:
    causes, _ = series_of(plan.sources[window.source], window)
    return StatedWindow(window, item, plan.digest, tuple(cause.name for cause in causes))


def _inputs(bound: BoundSource, gas: str) -> tuple[int, ...]:
    at = bound.gases.index(gas)
    return tuple(one.input for one in bound.counters if one.gas == at) or (0,)


def _base_unit(plan: BoundPlan, source: str) -> str:
    counters = _bound(plan, source).counters
    return DEFINITIONS[plan.points[counters[0].point].quantity].base_unit if counters else ""


def _holes(stated: Sequence[StatedWindow], cell: Span, inputs: Sequence[int]) -> Iterator[Span]:
    """Stretches that some input leaves without a window, joined and in order."""
    open_spans: list[Span] = []
    for number in inputs:
        at_ms = cell[0]
        for window in (one.window for one in stated if one.window.input == number):
            if window.from_ms > at_ms:
                open_spans.append((at_ms, window.from_ms))
            at_ms = max(at_ms, window.to_ms)
        if at_ms < cell[1]:
            open_spans.append((at_ms, cell[1]))
    end_ms = cell[0]
    begin_ms: int | None = None
    for from_ms, to_ms in sorted(open_spans):
        if begin_ms is None or from_ms > end_ms:
            if begin_ms is not None:
                yield begin_ms, end_ms
            begin_ms = from_ms
        end_ms = max(end_ms, to_ms)
    if begin_ms is not None:
        yield begin_ms, end_ms


def _factors(plan: BoundPlan, source: str, gas: str) -> tuple[FactorRecord, ...]:
    records = {record.id: record for record in plan.plan.factors}
    stated = next(one for one in plan.plan.sources if one.id == source)
    return tuple(records[name] for name in stated.factors.get(gas, ()))


def _points_behind(plan: BoundPlan, source: str, gas: str) -> list[int]:
    bound = _bound(plan, source)
    at = bound.gases.index(gas)
    return sorted(frozenset().union(*(points_of(bound, number, at) for number in _inputs(bound, gas))))


def _batches(connection: Connection, wanted: set[int]) -> tuple[BatchBehind, ...]:
    rows = connection.execute(
        select(
            items.c.id, items.c.stream_id, items.c.sequence, items.c.digest, items.c.from_ms, items.c.to_ms,
            items.c.received_ms, items.c.leaf, func.length(items.c.bytes).label("size"), comparisons.c.equal,
            comparisons.c.differences,
        )
        .select_from(items.outerjoin(comparisons, comparisons.c.item == items.c.id))
        .where(items.c.id.in_(sorted(wanted)))
        .order_by(items.c.from_ms, items.c.id)
    )
    return tuple(
        BatchBehind(row.id, row.stream_id, row.sequence, row.digest, row.from_ms, row.to_ms, row.received_ms, row.leaf,
                    row.size, row.equal, row.differences or "")
        for row in rows
    )  # fmt: skip


def _slots(
    connection: Connection, agent: str, day: str, plan: BoundPlan, source: str, gas: str
) -> tuple[tuple[str, int, int], ...]:
    points = sorted({plan.points[point].id for point in _points_behind(plan, source, gas)})
    rows = connection.execute(
        select(slots.c.point, slots.c.fate, slots.c.count.label("times"))
        .where(slots.c.agent_id == agent, slots.c.day == day, slots.c.point.in_(points))
        .order_by(slots.c.point, slots.c.fate)
    )
    return tuple((row.point, row.fate, row.times) for row in rows)


def _waits(connection: Connection, agent: str, from_ms: int) -> bool:
    place = (dirty_hours.c.agent_id == agent, dirty_hours.c.from_ms == from_ms)
    return connection.scalar(select(dirty_hours.c.marks).where(*place)) is not None
