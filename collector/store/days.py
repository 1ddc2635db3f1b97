"""Days and months of the ledger: hour rows added up, made anew with every hour of theirs; nothing increments a total.

A row stands for every hour row of its agent, source and gas that starts in its span, a day or month of the
facility as its plan stood when the row was made. Whoever changes hours calls ``renew_days`` in the same
transaction. ``read_sums`` takes months and days where they lie wholly inside what is asked for and hours for the
rest, so it depends on no row of these tables being there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, literal, literal_column, select

from collector.hours.calendar import By, Span, span_of
from collector.hours.sums import HourSum, add_up
from collector.store.schema import days, hours, months

_COLUMNS = ("agent_id", "source", "gas", "first_ms", "last_ms", "mass_mg", "added_mg", "activity", "operating_ms",
            "measured_ms", "stopped_ms", "methods", "status_mg", "status_ms", "u_independent", "u_shared",
            "u_end_first", "u_end_last", "u_hole_first", "u_hole_last")  # fmt: skip
"""Columns of a sum, in the order of ``HourSum``."""

_OF_HOUR: dict[str, ColumnElement[Any]] = {
    "first_ms": hours.c.from_ms, "last_ms": hours.c.to_ms,
    "methods": literal('[["') + hours.c.method + literal('",1]]'),
    "u_hole_first": literal_column("0.0"), "u_hole_last": literal_column("0.0"),
}  # fmt: skip
"""Where an hour row holds what it has under another name, or by being one row."""

_INTEGERS = ("mass_mg", "added_mg", "activity")
_PAIRS = ("methods", "status_mg", "status_ms", "u_shared")
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose rows: those of these agents, and where given of one source or one gas."""

    agents: tuple[str, ...]
    source: str | None = None
    gas: str | None = None


def renew_days(connection: Connection, agent_id: str, zone: ZoneInfo, starts: Iterable[int]) -> None:
    """Make anew the days and months that hold these starts of an agent's hour cells. [UTC ms]"""
    places = set(starts)
    for table, by, finer in ((days, By.DAY, ()), (months, By.MONTH, (days,))):
        for span in sorted({span_of(start, by, zone) for start in places}):
            _renew(connection, table, agent_id, span, finer)


def read_sums(
    connection: Connection, spans: Sequence[Span], wanted: Wanted, tables: Sequence[Table] = (months, days)
) -> list[HourSum]:
    """Sums that together are every hour row that starts in the spans, each inside one span, in no order.

    Parameters
    ----------
    spans : sequence of (int, int)
        Each beginning where the one before ends. [UTC ms]
    wanted : Wanted
        Whose.
    tables : sequence of Table
        The derived tables to take where they fit, coarsest first.
    """
    if not spans:
        return []
    edges = [spans[0][0], *(end for _, end in spans)]
    gaps: dict[Span, list[str]] = {(edges[0], edges[-1]): sorted(set(wanted.agents))}
    found: list[HourSum] = []
    for table in tables:
        left: dict[Span, list[str]] = defaultdict(list)
        for gap, agents in gaps.items():
            covered: dict[str, list[Span]] = {agent: [] for agent in agents}
            for row in _within(connection, table, gap, agents, wanted):
                from_ms, to_ms, agent = row[:3]
                if to_ms <= edges[bisect_right(edges, from_ms)]:
                    found.append(_sum(row[2:]))
                    covered[agent].append((from_ms, to_ms))
            for agent, own in covered.items():
                for hole in _holes(gap, own):
                    left[hole].append(agent)
        gaps = left
    for gap, agents in gaps.items():
        columns = [_OF_HOUR[name] if name in _OF_HOUR else hours.c[name] for name in _COLUMNS]
        found += map(_sum, connection.execute(select(*columns).where(*_place(hours, gap, agents, wanted))).all())
    return found


def _within(
    connection: Connection, table: Table, gap: Span, agents: list[str], wanted: Wanted
) -> Sequence[Sequence[Any]]:
    """Days or months that lie in a gap, by agent and time."""
    columns = [table.c[name] for name in ("from_ms", "to_ms", *_COLUMNS)]
    return connection.execute(
        select(*columns)
        .where(*_place(table, gap, agents, wanted), table.c.to_ms <= gap[1])
        .order_by(table.c.agent_id, table.c.from_ms)
    ).all()


def _place(table: Table, gap: Span, agents: list[str], wanted: Wanted) -> list[ColumnElement[bool]]:
    """Rows of the wanted that start in a gap."""
    place: list[ColumnElement[bool]] = [
        table.c.agent_id.in_(agents), table.c.from_ms >= gap[0], table.c.from_ms < gap[1]
    ]  # fmt: skip
    for column, value in ((table.c.source, wanted.source), (table.c.gas, wanted.gas)):
        if value is not None:
            place.append(column == value)
    return place


def _holes(gap: Span, covered: Iterable[Span]) -> Iterator[Span]:
    """What of a gap the spans, in order, leave over."""
    at_ms = gap[0]
    for from_ms, to_ms in covered:
        if from_ms > at_ms:
            yield at_ms, from_ms
        at_ms = max(at_ms, to_ms)
    if at_ms < gap[1]:
        yield at_ms, gap[1]


def _renew(connection: Connection, table: Table, agent_id: str, span: Span, finer: Sequence[Table]) -> None:
    sums = read_sums(connection, (span,), Wanted((agent_id,)), finer)
    sums.sort(key=lambda one: (one.source, one.gas, one.from_ms))
    place = (table.c.agent_id == agent_id, table.c.from_ms < span[1], table.c.to_ms > span[0],
             table.c.from_ms > span[0] - _LONGEST_MS)  # fmt: skip
    before = {
        (row.source, row.gas): row.version
        for row in connection.execute(
            select(table.c.source, table.c.gas, table.c.version).where(*place, table.c.from_ms == span[0])
        )
    }
    connection.execute(delete(table).where(*place))
    rows = [
        _columns(add_up(list(own)), span) | {"version": before.get(key, 0) + 1}
        for key, own in groupby(sums, key=lambda one: (one.source, one.gas))
    ]
    if rows:
        connection.execute(insert(table), rows)


_LONGEST_MS = 32 * 86_400_000
"""Longer than any month, whatever the clocks do: how far back a row that reaches into a span can begin."""


def _columns(one: HourSum, span: Span) -> dict[str, object]:
    values = dict(zip(_COLUMNS, astuple(one), strict=True)) | {"from_ms": span[0], "to_ms": span[1]}
    return (
        values
        | {name: str(values[name]) for name in _INTEGERS}
        | {name: json.dumps(values[name], separators=(",", ":")) for name in _PAIRS}
    )


def _sum(row: Sequence[Any]) -> HourSum:
    (agent, source, gas, first_ms, last_ms, mass, added, activity, operating_ms, measured_ms, stopped_ms,
     methods, status_mg, status_ms, u_independent, u_shared, *ends) = row  # fmt: skip
    return HourSum(
        agent, source, gas, first_ms, last_ms, int(mass), int(added), int(activity), operating_ms, measured_ms,
        stopped_ms, _pairs(methods), _pairs(status_mg), _pairs(status_ms), u_independent, _pairs(u_shared), *ends,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _pairs(text: str) -> tuple[tuple[str, Any], ...]:
    return tuple([(name, amount) for name, amount in _decode(text)[0]])
