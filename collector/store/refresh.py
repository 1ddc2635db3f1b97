"""The hourly ledger made anew for dirty cells, with its days and months; nothing increments a total.

Cells are made in groups: computed on one snapshot, then written in one short transaction, and each only where no new
window came in meanwhile. Between groups, whoever else waits to write has their turn. A cell that cannot be made
stays dirty, is shown as such and does not stop the others.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, delete, func, select, update

from collector.hours.assemble import HourRule, WindowSpan, assemble
from collector.hours.lives import Lives
from collector.hours.model import HourRow
from collector.log import line
from collector.store.database import Database
from collector.store.days import renew_days
from collector.store.hours import replace_hours, windows_between
from collector.store.plans import PlanBook, agent_zone, newest_plan, note_plans_used
from collector.store.schema import dirty_hours
from collector.store.trust import trust_known
from protocols.errors import EmitraceError
from protocols.records import Window

GROUP_ROWS = 1000
"""Hour rows of one transaction, about; a site with five sources and gases has a week in it."""

REFUSALS = (EmitraceError, ValueError, ArithmeticError, LookupError)
"""What windows may do to the program that makes hours of them."""

log = logging.getLogger(__name__)

_Mark: TypeAlias = Row[Any]
_Made: TypeAlias = dict[int, list[HourRow]]
"""Rows by the start of their cell. [UTC ms]"""
_Windows: TypeAlias = dict[int, list[tuple[bytes, Window]]]
"""(plan digest, window) by the start of their cell. [UTC ms]"""


@dataclass(frozen=True, slots=True)
class BrokenCell:
    """A cell that could not be made when it was last tried, and why."""

    agent_id: str
    from_ms: int
    to_ms: int
    error: str


def dirty_cells(connection: Connection, agents: Collection[str] | None = None) -> int:
    """How many cells (of some agents) wait to be made anew."""
    query = select(func.count()).select_from(dirty_hours)
    if agents is not None:
        query = query.where(dirty_hours.c.agent_id.in_(agents))
    return int(connection.scalar(query) or 0)


def broken_cells(connection: Connection, limit: int = 100) -> list[BrokenCell]:
    """Cells that could not be made, oldest first."""
    rows = connection.execute(
        select(dirty_hours).where(dirty_hours.c.error.is_not(None)).order_by(dirty_hours.c.from_ms).limit(limit)
    )
    return [BrokenCell(row.agent_id, row.from_ms, row.to_ms, row.error) for row in rows]


def refresh_hours(database: Database, book: PlanBook, rule: HourRule, most: int | None = None) -> int:
    """Make dirty cells anew, oldest first and those that could not be made last; how many, ``most`` at most."""
    with database.reading() as connection:
        oldest = select(dirty_hours).order_by(dirty_hours.c.error.is_not(None), dirty_hours.c.from_ms).limit(most)
        marks = sorted((mark.agent_id, mark.from_ms) for mark in connection.execute(oldest))
    for agent_id, own in groupby(marks, key=itemgetter(0)):
        cells = [from_ms for _, from_ms in own]
        with database.reading() as connection:
            plan = newest_plan(connection, book, agent_id)
        step = GROUP_ROWS if plan is None else max(1, GROUP_ROWS // sum(len(one.gases) for one in plan.sources))
        for first in range(0, len(cells), step):
            _refresh(database, book, rule, agent_id, cells[first : first + step])
    return len(marks)


def _refresh(database: Database, book: PlanBook, rule: HourRule, agent_id: str, cells: Sequence[int]) -> None:
    """Make some cells of one agent anew."""
    with database.reading() as connection:
        marks = _marks(connection, agent_id, cells)
        zone = agent_zone(connection, book, agent_id)
        windows = {mark.from_ms: own for mark, own in _windows(connection, agent_id, list(marks.values()))}
        made, errors = _make(connection, book, rule, agent_id, windows)
    with database.writing() as connection:
        unchanged = {
            cell for cell, now in _marks(connection, agent_id, cells).items()
            if cell in marks and now.marks == marks[cell].marks
        }  # fmt: skip
        good = {cell: rows for cell, rows in made.items() if cell in unchanged}
        replace_hours(connection, agent_id, good)
        renew_days(connection, agent_id, zone, good)
        note_plans_used(connection, agent_id, {cell: {digest for digest, _ in windows[cell]} for cell in good})
        place = (dirty_hours.c.agent_id == agent_id, dirty_hours.c.from_ms)
        connection.execute(delete(dirty_hours).where(place[0], place[1].in_(list(good))))
        for cell in unchanged & errors.keys():
            connection.execute(update(dirty_hours).where(place[0], place[1] == cell).values(error=errors[cell]))


def _marks(connection: Connection, agent_id: str, cells: Sequence[int]) -> dict[int, _Mark]:
    """Those of the cells that are dirty, by their starts, in order."""
    rows = connection.execute(
        select(dirty_hours)
        .where(dirty_hours.c.agent_id == agent_id, dirty_hours.c.from_ms.in_(cells))
        .order_by(dirty_hours.c.from_ms)
    )
    return {row.from_ms: row for row in rows}


def _make(
    connection: Connection, book: PlanBook, rule: HourRule, agent_id: str, windows: _Windows
) -> tuple[_Made, dict[int, str]]:
    """The rows of each cell that can be made, and why not of the others; one by one only where all at once fails."""
    digests = {digest for own in windows.values() for digest, _ in own}
    plans = {digest: book.of(connection, agent_id, digest) for digest in sorted(digests)}
    named = {one.id for plan in plans.values() if plan is not None for one in plan.plan.instruments}
    lives = Lives(trust_known(connection, named))

    def assembled(cells: Iterable[int]) -> _Made:
        by_plan: dict[bytes, list[Window]] = {digest: [] for digest in plans}
        made: _Made = {cell: [] for cell in cells}
        for cell in made:
            for digest, window in windows[cell]:
                by_plan[digest].append(window)
        spans = [WindowSpan(plan, by_plan[digest]) for digest, plan in plans.items() if plan is not None]
        for row in assemble(agent_id, spans, rule, lives):
            made[row.from_ms].append(row)
        return made

    try:
        return assembled(windows), {}
    except REFUSALS:
        made: _Made = {}
        errors: dict[int, str] = {}
        for cell in windows:
            try:
                made |= assembled([cell])
            except REFUSALS as error:
                log.error(line("hour-not-made", agent=agent_id[:12], from_ms=cell, error=error))
                errors[cell] = str(error)
        return made, errors


def _windows(
    connection: Connection, agent_id: str, marks: Sequence[_Mark]
) -> Iterator[tuple[_Mark, list[tuple[bytes, Window]]]]:
    """Each cell with its (plan digest, window) pairs; cells that touch are read at once."""
    first = 0
    for last, mark in enumerate(marks, 1):
        if last < len(marks) and marks[last].from_ms == mark.to_ms:
            continue
        found = windows_between(connection, agent_id, marks[first].from_ms, mark.to_ms)
        begin = 0
        for one in marks[first:last]:
            end = bisect_left(found, one.to_ms, begin, key=lambda pair: pair[1].from_ms)
            yield one, found[begin:end]
            begin = end
        first = last
