"""Events, instruments and chains that were entered: kept for ever, logged, and known from their leaf on.

An event is entered once; a correction is another event that supersedes it. Of an instrument or a chain the record
entered last is the one that counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from calibration.encoding import Kept, encode_record, read_record
from calibration.errors import CalibrationError
from calibration.events import Event, Known, from_certificate
from calibration.instruments import Chain, Instrument, from_plan
from collector.store.audit import record
from collector.store.certificates import all_certificates
from collector.store.log import append_leaf
from collector.store.plans import PlanBook, newest_plans
from collector.store.reached import mark_reached
from collector.store.schema import calibration_records

EVENT, INSTRUMENT, CHAIN = "calibration-event", "instrument", "chain"
"""Kinds of leaves."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record with its place in the log; known from tree size ``leaf + 1`` on. ``known_ms`` is UTC ms."""

    record: Kept
    digest: bytes
    leaf: int
    known_ms: int
    by: str

    @property
    def known_from(self) -> int:
        """Size of the log from which on it is known."""
        return self.leaf + 1


def add_record(connection: Connection, book: PlanBook, kept: Kept, at_ms: int, by: str) -> bool:
    """Keep a record and ask anew for the hours it may touch; False where the same one counts already.

    Parameters
    ----------
    connection : Connection
        Of a write transaction.
    book : PlanBook
        To see which plans name its instruments.
    kept : Event, Instrument or Chain
    at_ms : int
        [UTC ms]
    by : str
        Account or system user that enters it.

    Raises
    ------
    CalibrationError
        Another event of this id is kept.
    """
    kind, data = _kind(kept), encode_record(kept)
    digest = hashlib.sha256(data).digest()
    rows = calibration_records
    before = connection.scalar(
        select(rows.c.digest).where(rows.c.kind == kind, rows.c.id == kept.id).order_by(rows.c.leaf.desc()).limit(1)
    )
    if before == digest:
        return False
    if before is not None and kind == EVENT:
        raise CalibrationError(
            f"event {kept.id}", "another event of this id is already kept",
            "Events are never edited: give a new id and name the old one in supersedes.",
        )  # fmt: skip
    leaf = append_leaf(connection, kind, kept.id, digest, at_ms)
    connection.execute(
        insert(rows).values(
            leaf=leaf, kind=kind, id=kept.id, about=_about(kept), digest=digest, bytes=data, known_ms=at_ms, by=by
        )
    )  # fmt: skip
    record(connection, f"{kind}-entered", kept.id, at_ms, detail=_about(kept))
    touched = _members_ever(connection, kept.id) if isinstance(kept, Chain) else {_about(kept)}
    mark_reached(connection, book, touched, kept if isinstance(kept, Event) else None)
    return True


def all_records(connection: Connection, kinds: Collection[str] = (EVENT, INSTRUMENT, CHAIN)) -> list[StoredRecord]:
    """Every record of some kinds, in the order of entry."""
    rows = calibration_records
    found = connection.execute(select(rows).where(rows.c.kind.in_(kinds)).order_by(rows.c.leaf))
    return [StoredRecord(read_record(row.bytes), row.digest, row.leaf, row.known_ms, row.by) for row in found]


def known_events(connection: Connection) -> tuple[Known, ...]:
    """Every event, certificates entered as such among them, with the size of the log from which on it is known."""
    entered = [(one.record, one.known_from) for one in all_records(connection, (EVENT,))]
    certified = [(from_certificate(one.certificate), one.leaf + 1) for one in all_certificates(connection)]
    return (*certified, *((one, known) for one, known in entered if isinstance(one, Event)))


def instruments_entered(connection: Connection, as_known_at: int | None = None) -> dict[str, Instrument]:
    """By id, the newest record of each instrument known at a size of the log (None: all)."""
    found = all_records(connection, (INSTRUMENT,))
    return {one.id: one for one in _seen(found, as_known_at) if isinstance(one, Instrument)}


def instruments_known(connection: Connection, book: PlanBook, as_known_at: int | None = None) -> dict[str, Instrument]:
    """By id, every instrument of the agents' newest plans and every one entered.

    An entered record tells more than a plan and wins over it; one with another serial number than the plan's is
    another instrument, and the plan's counts.
    """
    entered = instruments_entered(connection, as_known_at)
    known = dict(entered)
    for plan in newest_plans(connection, book, as_known_at).values():
        for planned in plan.plan.instruments:
            if planned.id not in entered or entered[planned.id].serial != planned.serial:
                known[planned.id] = from_plan(planned)
    return known


def chains_known(connection: Connection, as_known_at: int | None = None) -> dict[str, Chain]:
    """By id, the newest record of each chain known at a size of the log (None: all)."""
    found = all_records(connection, (CHAIN,))
    return {one.id: one for one in _seen(found, as_known_at) if isinstance(one, Chain)}


def _members_ever(connection: Connection, chain: str) -> set[str]:
    """Instruments that any record of a chain names."""
    kept = (one.record for one in all_records(connection, (CHAIN,)))
    return {member.instrument for one in kept if isinstance(one, Chain) and one.id == chain for member in one.members}


def _seen(found: Iterable[StoredRecord], as_known_at: int | None) -> list[Kept]:
    return [one.record for one in found if as_known_at is None or one.known_from <= as_known_at]


def _kind(kept: Kept) -> str:
    return EVENT if isinstance(kept, Event) else INSTRUMENT if isinstance(kept, Instrument) else CHAIN


def _about(kept: Kept) -> str:
    """The instrument or chain a record is about."""
    return kept.instrument if isinstance(kept, Event) else kept.id
