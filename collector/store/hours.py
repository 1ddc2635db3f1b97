"""Hour rows on disk, and the windows they are made from; how they are made anew is ``refresh``."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from collector.hours.cells import HOUR_MS
from collector.hours.model import HourRow
from collector.store.schema import hours, windows
from protocols.records import Window

_INTEGERS = ("mass_mg", "added_mg", "activity")
_PLAIN = ("source", "gas", "from_ms", "to_ms", "operating_ms", "measured_ms", "stopped_ms", "method",
          "u_independent", "u_end_first", "u_end_last", "windows")  # fmt: skip
_PAIRS = ("status_mg", "status_ms", "u_shared")
_WINDOW = [windows.c[field.name] for field in fields(Window)]


@dataclass(frozen=True, slots=True)
class VersionedHour:
    """An hour row and how often it has been made anew."""

    row: HourRow
    version: int


def read_hours(
    connection: Connection, from_ms: int, to_ms: int, limit: int | None = None, newest_first: bool = False,
    agents: Collection[str] | None = None,
) -> list[VersionedHour]:  # fmt: skip
    """Hour rows (of some agents) that touch [from, to), by time, agent, source and gas."""
    time = hours.c.from_ms.desc() if newest_first else hours.c.from_ms
    query = select(hours).where(
        hours.c.from_ms > from_ms - HOUR_MS, hours.c.from_ms < to_ms, hours.c.to_ms > from_ms
    )  # fmt: skip
    if agents is not None:
        query = query.where(hours.c.agent_id.in_(agents))
    rows = connection.execute(query.order_by(time, hours.c.agent_id, hours.c.source, hours.c.gas).limit(limit))
    return [VersionedHour(row_of(row), row.version) for row in rows]


def windows_between(
    connection: Connection, agent_id: str, from_ms: int, to_ms: int, limit: int | None = None
) -> list[tuple[bytes, Window]]:
    """(plan digest, window) of every window of an agent that starts in [from, to), in order."""
    return [(plan, window) for _, plan, window in windows_stated(connection, agent_id, from_ms, to_ms, limit)]


def windows_stated(
    connection: Connection, agent_id: str, from_ms: int, to_ms: int, limit: int | None = None
) -> list[tuple[int, bytes, Window]]:
    """The same with the item that stated each: (item, plan digest, window)."""
    rows = connection.execute(
        select(windows.c.item, windows.c.plan, *_WINDOW)
        .where(windows.c.agent_id == agent_id, windows.c.from_ms >= from_ms, windows.c.from_ms < to_ms)
        .order_by(windows.c.from_ms, windows.c.source, windows.c.input, windows.c.gas)
        .limit(limit)
    )
    return [(row[0], row[1], _window_of(row[2:])) for row in rows.all()]


def windows_page(
    connection: Connection, agent_id: str, from_ms: int, to_ms: int, limit: int
) -> tuple[list[tuple[bytes, Window]], int | None]:
    """About ``limit`` windows, never splitting those of one start, and where to go on (None: that was all)."""
    found = windows_between(connection, agent_id, from_ms, to_ms, limit + 1)
    if len(found) <= limit:
        return found, None
    following = found[limit][1].from_ms
    whole = [pair for pair in found if pair[1].from_ms < following]
    if whole:
        return whole, following
    return windows_between(connection, agent_id, following, following + 1), following + 1


def replace_hours(connection: Connection, agent_id: str, made: Mapping[int, Sequence[HourRow]]) -> None:
    """Put an agent's rows of some cells, by their starts, in the place of those there; the caller renews the days."""
    place = (hours.c.agent_id == agent_id, hours.c.from_ms.in_(list(made)))
    before = {
        (row.from_ms, row.source, row.gas): row.version
        for row in connection.execute(
            select(hours.c.from_ms, hours.c.source, hours.c.gas, hours.c.version).where(*place)
        )
    }
    if before:
        connection.execute(delete(hours).where(*place))
    rows = [
        _columns(row) | {"version": before.get((row.from_ms, row.source, row.gas), 0) + 1}
        for own in made.values()
        for row in own
    ]
    if rows:
        connection.execute(insert(hours), rows)


def _columns(row: HourRow) -> dict[str, object]:
    return (
        {"agent_id": row.agent}
        | {name: getattr(row, name) for name in _PLAIN}
        | {name: str(getattr(row, name)) for name in _INTEGERS}
        | {name: json.dumps(getattr(row, name)) for name in _PAIRS}
    )


def row_of(row: Row[Any]) -> HourRow:
    """An hour row as the table holds it."""
    return HourRow(
        agent=row.agent_id, source=row.source, gas=row.gas, from_ms=row.from_ms, to_ms=row.to_ms,
        mass_mg=int(row.mass_mg), added_mg=int(row.added_mg), activity=int(row.activity),
        operating_ms=row.operating_ms, measured_ms=row.measured_ms, stopped_ms=row.stopped_ms, method=row.method,
        status_mg=_pairs(row.status_mg), status_ms=_pairs(row.status_ms), u_independent=row.u_independent,
        u_shared=tuple((str(cause), float(u)) for cause, u in json.loads(row.u_shared)),
        u_end_first=row.u_end_first, u_end_last=row.u_end_last, windows=row.windows,
    )  # fmt: skip


def _pairs(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((str(status), int(amount)) for status, amount in json.loads(text))


def _window_of(row: Sequence[Any]) -> Window:
    *before, shared, u_end = row
    return Window(*(*before, struct.unpack(f"<{len(shared) // 4}f", shared), u_end))
