"""The hourly ledger made anew for dirty cells, with its days and months; nothing increments a total."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from collector.hours.assemble import HourRule, WindowSpan, assemble
from collector.hours.model import HourRow
from collector.log import line
from collector.store.certificates import known_certificates
from collector.store.database import Database
from collector.store.days import renew_days
from collector.store.hours import replace_hours, windows_between
from collector.store.plans import PlanBook, agent_zone
from collector.store.schema import dirty_hours
from protocols.errors import EmitraceError
from protocols.records import Window

log = logging.getLogger(__name__)


def dirty_cells(connection: Connection) -> int:
    """How many cells wait to be made anew."""
    return int(connection.scalar(select(func.count()).select_from(dirty_hours)) or 0)


def refresh_hours(database: Database, book: PlanBook, rule: HourRule, most: int | None = None) -> int:
    """Make dirty cells anew, oldest first; how many were made.

    Rows are computed on a snapshot and written only where no new window came in meanwhile.
    """
    with database.reading() as connection:
        marks = connection.execute(select(dirty_hours).order_by(dirty_hours.c.from_ms).limit(most)).all()
    for mark in marks:
        try:
            with database.reading() as connection:
                rows = _make_cell(connection, book, mark, rule)
        except (EmitraceError, ValueError, ArithmeticError, LookupError) as error:
            # The cell stays dirty and is shown as such; the other cells go on.
            log.error(line("hour-not-made", agent=mark.agent_id[:12], from_ms=mark.from_ms, error=error))
            continue
        with database.writing() as connection:
            place = (dirty_hours.c.agent_id == mark.agent_id, dirty_hours.c.from_ms == mark.from_ms)
            if connection.scalar(select(dirty_hours.c.marks).where(*place)) != mark.marks:
                continue
            replace_hours(connection, mark.agent_id, mark.from_ms, rows)
            renew_days(connection, mark.agent_id, agent_zone(connection, book, mark.agent_id), [mark.from_ms])
            connection.execute(delete(dirty_hours).where(*place))
    return len(marks)


def _make_cell(connection: Connection, book: PlanBook, mark: Row[Any], rule: HourRule) -> list[HourRow]:
    by_plan: dict[bytes, list[Window]] = defaultdict(list)
    for digest, window in windows_between(connection, mark.agent_id, mark.from_ms, mark.to_ms):
        by_plan[digest].append(window)
    spans: list[WindowSpan] = []
    for digest in sorted(by_plan):
        plan = book.of(connection, mark.agent_id, digest)
        if plan is not None:
            spans.append(WindowSpan(plan, by_plan[digest]))
    return list(assemble(mark.agent_id, spans, rule, known_certificates(connection)))


