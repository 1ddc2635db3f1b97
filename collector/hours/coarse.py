"""The three statuses of hour rows of before: in interval, overdue, or unknown, from certificates alone.

Kept for one thing: inventories sealed and bundles made under these rules have to verify as long as they exist. Due
soon is in interval; a failure is overdue from its day until the next pass, and what was in interval since the day
after the last pass is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calibration.events import Known
from calibration.instruments import from_plan
from calibration.reach_back import Suspect, suspect_at, suspect_windows
from calibration.requirements import Requirement
from calibration.status import Piece, State, Status, Timeline, timeline
from protocols.plan.model import Instrument

_COARSE = {State.DUE_SOON: State.IN_INTERVAL, State.FAILED: State.OVERDUE}
_PAPERS = Requirement("papers", lead_ms=0)


def coarse_life(instrument: Instrument, events: Sequence[Known], as_known_at: int | None, zone: str) -> Timeline:
    """Status of an instrument of a plan from its certificates as events; the rest as of ``calibration.status``."""
    subject = from_plan(instrument)
    life = timeline(subject, as_known_at, events, zone, _PAPERS)
    suspects = suspect_windows(subject, events, as_known_at, zone, _PAPERS)
    return Timeline.of(Status(State.UNKNOWN, "", None), _pieces(life, suspects))


def _pieces(life: Timeline, suspects: Sequence[Suspect]) -> Iterator[Piece]:
    edges = {edge for one in suspects for edge in (one.from_ms, one.to_ms) if edge is not None}
    for t_ms in sorted(edges.union(life.starts)):
        found = life.at(t_ms)
        state = _COARSE.get(found.state, found.state)
        suspect = suspect_at(suspects, t_ms) if state is State.IN_INTERVAL else ""
        yield t_ms, Status(State.UNKNOWN, suspect, None) if suspect else Status(state, found.cause, None)
