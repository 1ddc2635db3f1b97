"""Entering records: kept as they are, with what their checks found said at once.

An event that a check keeps from counting is evidence all the same of what was handed in; it gives no validity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from calibration.checks import Finding, examine
from calibration.encoding import Kept
from calibration.events import Event
from calibration.instruments import Chain, Instrument
from calibration.requirements import TRACEABILITY
from collector.store.calibration import add_record, instruments_known
from collector.store.plans import PlanBook

_ORDER = (Instrument, Chain, Event)


@dataclass(frozen=True, slots=True)
class Entered:
    """A record, whether it is new to the books, and what was found about it.

    ``subject`` is the instrument an event is about; None where none of that id is known, then nothing could be
    checked and nothing is supported.
    """

    record: Kept
    fresh: bool
    findings: tuple[Finding, ...]
    subject: Instrument | None

    @property
    def counts(self) -> bool:
        """Whether an event can do what it was entered for; true of any other record."""
        if not isinstance(self.record, Event):
            return True
        return self.subject is not None and not any(finding.blocks for finding in self.findings)


def enter(connection: Connection, book: PlanBook, records: Iterable[Kept], at_ms: int, by: str) -> tuple[Entered, ...]:
    """Keep records, instruments first, in one transaction; CalibrationError where an event's id is taken."""
    ordered = sorted(records, key=lambda one: _ORDER.index(type(one)))
    fresh = [add_record(connection, book, one, at_ms, by) for one in ordered]
    known = instruments_known(connection, book)
    return tuple(judged(one, is_fresh, known) for one, is_fresh in zip(ordered, fresh, strict=True))


def judged(record: Kept, fresh: bool, known: dict[str, Instrument]) -> Entered:
    """What was found about a record, given the instruments that are known."""
    if not isinstance(record, Event):
        return Entered(record, fresh, (), record if isinstance(record, Instrument) else None)
    subject = known.get(record.instrument)
    return Entered(record, fresh, () if subject is None else examine(record, subject, TRACEABILITY), subject)
