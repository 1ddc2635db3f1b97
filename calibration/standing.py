"""The three states that an hour row carries today: in interval, overdue, or unknown, from certificates alone.

A coarse view of ``calibration.status`` for instruments of a monitoring plan:

- due soon is in interval; a failure is overdue from its day until the next pass, because the instrument has
  shown that it must not be relied on;
- a failure also reaches back: what was in interval since the day after the last pass is unknown, because nobody
  can tell when the instrument left its limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from calibration.certificates import Certificate
from calibration.events import from_certificate
from calibration.instruments import from_plan
from calibration.reach_back import Suspect, suspect_at, suspect_windows
from calibration.requirements import Requirement
from calibration.status import Interval, Piece, State, Status, Timeline
from calibration.status import timeline as timeline_of_events
from protocols.plan.model import Instrument

Known: TypeAlias = tuple[Certificate, int]
"""A certificate and the size of the evidence log from which on it is known."""

_COARSE = {State.DUE_SOON: State.IN_INTERVAL, State.FAILED: State.OVERDUE}
_PAPERS = Requirement("papers", lead_ms=0)


def status(
    instrument: Instrument, t_ms: int, as_known_at: int | None, certificates: Iterable[Known], zone: str
) -> Status:
    """Status of an instrument at one instant.

    Parameters
    ----------
    instrument : Instrument
        Its id, serial and regime decide which certificates are evidence.
    t_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log; records known from a greater size are not seen. None: all that is given.
    certificates : iterable of (Certificate, int)
        In any order; those of other instruments are passed over.
    zone : str
        IANA name of the facility's zone.
    """
    return timeline(instrument, as_known_at, certificates, zone).at(t_ms)


def status_intervals(
    instrument: Instrument,
    from_ms: int,
    to_ms: int,
    as_known_at: int | None,
    certificates: Iterable[Known],
    zone: str,
) -> list[Interval]:
    """Statuses of an instrument over [from, to): adjacent stretches that agree with ``status`` everywhere."""
    return timeline(instrument, as_known_at, certificates, zone).between(from_ms, to_ms)


def timeline(instrument: Instrument, as_known_at: int | None, certificates: Iterable[Known], zone: str) -> Timeline:
    """An instrument's status over all time, to be asked many times."""
    events = [(from_certificate(record), known) for record, known in certificates if record.instrument == instrument.id]
    subject = from_plan(instrument)
    life = timeline_of_events(subject, as_known_at, events, zone, _PAPERS)
    suspects = suspect_windows(subject, events, as_known_at, zone, _PAPERS)
    return Timeline.of(Status(State.UNKNOWN, "", None), _pieces(life, suspects))


def _pieces(life: Timeline, suspects: Sequence[Suspect]) -> Iterator[Piece]:
    edges = {edge for one in suspects for edge in (one.from_ms, one.to_ms) if edge is not None}
    for t_ms in sorted(edges.union(life.starts)):
        found = life.at(t_ms)
        state = _COARSE.get(found.state, found.state)
        suspect = suspect_at(suspects, t_ms) if state is State.IN_INTERVAL else ""
        yield t_ms, Status(State.UNKNOWN, suspect, None) if suspect else Status(state, found.cause, None)
