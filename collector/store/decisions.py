"""What people decide about objects in quarantine: the newest decision counts, all are kept, and so are the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from collector.store.audit import Outcome, record
from collector.store.quarantine import Quarantined
from collector.store.schema import quarantine, quarantine_decisions
from protocols.errors import EmitraceError

LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: ``accept`` or ``reject``, by whom, why, and what came of it."""

    id: int
    entry: int
    decision: str
    outcome: str
    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in quarantine with its newest decision."""

    object: Quarantined
    decided: Decision | None


def record_decision(
    connection: Connection, entry: int, decision: str, outcome: str, by: str, reason: str, at_ms: int
) -> None:
    """Keep a decision and its entry of the audit trail; every decision goes through here.

    Raises
    ------
    EmitraceError
        No reason is given.
    """
    connection.execute(
        insert(quarantine_decisions).values(
            entry=entry, decision=decision, outcome=outcome, by=by, reason=checked_reason(reason), at_ms=at_ms
        )
    )
    record(
        connection, f"quarantine-{decision}", f"quarantine/{entry}", at_ms, detail=f"{outcome}: {reason.strip()}",
        outcome=Outcome.REFUSED if outcome == "refused" else Outcome.DONE,
    )  # fmt: skip


def checked_reason(reason: str) -> str:
    """A reason that says something; EmitraceError where it does not."""
    said = reason.strip()
    if not said:
        raise EmitraceError("decision", "no reason is given", "Say why, for those who read it in five years.")
    return said[:LONGEST_REASON]


def read_entries(
    connection: Connection, reason: str | None = None, *, before: int | None = None, limit: int = 100
) -> list[Entry]:
    """Objects in quarantine, newest first by number; those below ``before``, and of one reason where it is given."""
    columns = [column for column in quarantine.c if column.name not in ("bytes", "digest")]
    query = select(*columns).order_by(quarantine.c.id.desc()).limit(limit)
    if reason is not None:
        query = query.where(quarantine.c.reason == reason)
    if before is not None:
        query = query.where(quarantine.c.id < before)
    found = [Quarantined(**row) for row in connection.execute(query).mappings()]
    newest = _newest(connection, [one.id for one in found])
    return [Entry(one, newest.get(one.id)) for one in found]


def read_entry(connection: Connection, entry: int) -> tuple[Quarantined, bytes, bytes] | None:
    """An object with the SHA-256 of the whole of it and its kept bytes."""
    row = connection.execute(select(quarantine).where(quarantine.c.id == entry)).mappings().first()
    if row is None:
        return None
    own = {name: value for name, value in row.items() if name not in ("bytes", "digest")}
    return Quarantined(**own), row["digest"], row["bytes"]


def decisions_of(connection: Connection, entry: int) -> Sequence[Decision]:
    """Every decision about an object, in order."""
    rows = connection.execute(
        select(quarantine_decisions).where(quarantine_decisions.c.entry == entry).order_by(quarantine_decisions.c.id)
    )
    return [Decision(**row) for row in rows.mappings()]


def _newest(connection: Connection, entries: Sequence[int]) -> dict[int, Decision]:
    last = (
        select(func.max(quarantine_decisions.c.id))
        .where(quarantine_decisions.c.entry.in_(entries))
        .group_by(quarantine_decisions.c.entry)
    )
    rows = connection.execute(select(quarantine_decisions).where(quarantine_decisions.c.id.in_(last)))
    return {row["entry"]: Decision(**row) for row in rows.mappings()}
