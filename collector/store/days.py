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
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select

from collector.hours.calendar import By, Span, span_of
from collector.hours.sums import HourSum, add_up, sum_of
from collector.store.hours import row_of
from collector.store.schema import days, hours, months

_INTEGERS = ("mass_mg", "added_mg", "activity")
_PLAIN = ("source", "gas", "operating_ms", "measured_ms", "stopped_ms", "u_independent", "u_end_first", "u_end_last",
          "u_hole_first", "u_hole_last")  # fmt: skip
_PAIRS = ("methods", "status_mg", "status_ms", "u_shared")


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
            for row in _rows(connection, table, gap, agents, wanted):
                if row.to_ms <= edges[bisect_right(edges, row.from_ms)]:
                    found.append(_sum(row))
                    covered[row.agent_id].append((row.from_ms, row.to_ms))
            for agent, own in covered.items():
                for hole in _holes(gap, own):
                    left[hole].append(agent)
        gaps = left
    for gap, agents in gaps.items():
        found += [sum_of(row_of(row)) for row in _rows(connection, hours, gap, agents, wanted)]
    return found


def _rows(connection: Connection, table: Table, gap: Span, agents: list[str], wanted: Wanted) -> Iterable[Row[Any]]:
    """Rows that start in a gap (a day or month must also end in it), by agent and time."""
    place: list[ColumnElement[bool]] = [
        table.c.agent_id.in_(agents), table.c.from_ms >= gap[0], table.c.from_ms < gap[1]
    ]  # fmt: skip
    if table is not hours:
        place.append(table.c.to_ms <= gap[1])
    if wanted.source is not None:
        place.append(table.c.source == wanted.source)
    if wanted.gas is not None:
        place.append(table.c.gas == wanted.gas)
    return connection.execute(select(table).where(*place).order_by(table.c.agent_id, table.c.from_ms))


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
    return (
        {"agent_id": one.agent, "from_ms": span[0], "to_ms": span[1], "first_ms": one.from_ms, "last_ms": one.to_ms}
        | {name: getattr(one, name) for name in _PLAIN}
        | {name: str(getattr(one, name)) for name in _INTEGERS}
        | {name: json.dumps(getattr(one, name), separators=(",", ":")) for name in _PAIRS}
    )


def _sum(row: Row[Any]) -> HourSum:
    return HourSum(
        agent=row.agent_id, source=row.source, gas=row.gas, from_ms=row.first_ms, to_ms=row.last_ms,
        mass_mg=int(row.mass_mg), added_mg=int(row.added_mg), activity=int(row.activity),
        operating_ms=row.operating_ms, measured_ms=row.measured_ms, stopped_ms=row.stopped_ms,
        methods=_pairs(row.methods), status_mg=_pairs(row.status_mg), status_ms=_pairs(row.status_ms),
        u_independent=row.u_independent, u_shared=_pairs(row.u_shared), u_end_first=row.u_end_first,
        u_end_last=row.u_end_last, u_hole_first=row.u_hole_first, u_hole_last=row.u_hole_last,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _pairs(text: str) -> tuple[tuple[str, Any], ...]:
    return tuple((name, amount) for name, amount in json.loads(text))
