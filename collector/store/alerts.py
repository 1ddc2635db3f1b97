"""Alerts over time: since when each holds, who was told by which way, and who acknowledged it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, select, update

from collector.alerts.model import Condition, Kind
from collector.store.audit import record
from collector.store.schema import alerts, tellings
from protocols.errors import EmitraceError

LONGEST_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; ``ended_ms`` is None while it holds."""

    id: int
    kind: Kind
    subject: str
    facts: Mapping[str, str | int]
    raised_ms: int
    ended_ms: int | None
    acknowledged_ms: int | None
    acknowledged_by: str | None
    note: str


def update_alerts(connection: Connection, holding: Iterable[Condition], now_ms: int) -> None:
    """Raise what holds and was not known, renew the facts of what goes on, and end what holds no longer."""
    now = {(one.kind, one.subject): json.dumps(dict(one.facts), ensure_ascii=False) for one in holding}
    for row in connection.execute(select(alerts).where(alerts.c.ended_ms.is_(None))).all():
        facts = now.pop((Kind(row.kind), row.subject), None)
        own = update(alerts).where(alerts.c.id == row.id)
        if facts is None:
            connection.execute(own.values(ended_ms=now_ms))
        elif facts != row.facts:
            connection.execute(own.values(facts=facts))
    rows = [
        {"kind": kind.value, "subject": subject, "facts": facts, "raised_ms": now_ms, "note": ""}
        for (kind, subject), facts in now.items()
    ]
    if rows:
        connection.execute(insert(alerts), rows)


def open_alerts(connection: Connection) -> tuple[Alert, ...]:
    """What holds now, newest first."""
    rows = connection.execute(select(alerts).where(alerts.c.ended_ms.is_(None)).order_by(alerts.c.id.desc()))
    return tuple(map(_alert, rows))


def past_alerts(connection: Connection, most: int) -> tuple[Alert, ...]:
    """What held once, the last ended first."""
    ended = select(alerts).where(alerts.c.ended_ms.is_not(None))
    rows = connection.execute(ended.order_by(alerts.c.ended_ms.desc(), alerts.c.id.desc()).limit(most))
    return tuple(map(_alert, rows))


def acknowledge_alert(connection: Connection, number: int, by: str, note: str, now_ms: int) -> Alert:
    """Somebody looks after it; EmitraceError where there is no such alert, or somebody does already."""
    row = connection.execute(select(alerts).where(alerts.c.id == number)).first()
    if row is None:
        raise EmitraceError(f"alert {number}", "there is none", "`emitrace-collector alerts list` shows their numbers.")
    if row.acknowledged_ms is not None:
        seen = f"{row.acknowledged_by} has acknowledged it already"
        raise EmitraceError(f"alert {number}", seen, "Talk to them; nothing was changed.")
    note = note.strip()[:LONGEST_NOTE]
    said = {"acknowledged_ms": now_ms, "acknowledged_by": by, "note": note}
    connection.execute(update(alerts).where(alerts.c.id == number).values(said))
    record(connection, "alert-acknowledged", f"alert/{number}", now_ms, detail=note)
    return _alert(connection.execute(select(alerts).where(alerts.c.id == number)).one())


def untold(connection: Connection, way: str, remind_from_ms: int) -> tuple[list[Alert], list[Alert]]:
    """What a way has still to tell: alerts raised, or unacknowledged since long; and alerts that ended since.

    One that ended before anybody was told of it is told of as ended alone.
    """

    def told(word: str, since_ms: int = 0) -> Any:
        return exists().where(
            tellings.c.alert == alerts.c.id, tellings.c.way == way, tellings.c.word == word, tellings.c.at_ms > since_ms
        )

    holds = alerts.c.ended_ms.is_(None)
    unknown = ~told("raised")
    forgotten = alerts.c.acknowledged_ms.is_(None) & ~told("raised", remind_from_ms)
    raised = connection.execute(select(alerts).where(holds, unknown | forgotten).order_by(alerts.c.id))
    ended = connection.execute(select(alerts).where(~holds, ~told("ended")).order_by(alerts.c.id))
    return list(map(_alert, raised)), list(map(_alert, ended))


def note_told(connection: Connection, way: str, word: str, told: Sequence[Alert], now_ms: int) -> None:
    """A way has told of them."""
    for one in told:
        place = (tellings.c.alert == one.id, tellings.c.way == way, tellings.c.word == word)
        if not connection.execute(update(tellings).where(*place).values(at_ms=now_ms)).rowcount:
            connection.execute(insert(tellings).values(alert=one.id, way=way, word=word, at_ms=now_ms))


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        row.id, Kind(row.kind), row.subject, json.loads(row.facts), row.raised_ms, row.ended_ms, row.acknowledged_ms,
        row.acknowledged_by, row.note,
    )  # fmt: skip
