"""What stood behind each window: the calibration status of its instruments and their chains, over all time.

An instrument is what its monitoring plan says, unless a record of the same id and serial number was entered: then
the newest record known counts. Where an instrument is a member of chains, what it measures is as good as the worst
member of these chains that is in its place; else it stands for itself. Of several instruments behind an input, the
worst decides. A suspect stretch shows as unknown (``calibration.reach_back.overlaid``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from calibration.course import Course
from calibration.effects import Does, Effect, effects, seen
from calibration.events import Known
from calibration.instruments import Chain, Instrument, Member, Mpe, from_plan
from calibration.reach_back import overlaid, suspect_windows
from calibration.requirements import TRACEABILITY
from calibration.status import State, Timeline, of_chain, timeline_of, worst_of
from collector.hours.coarse import coarse_life
from collector.hours.model import COARSE, RULES
from collector.hours.scales import Measure, Scales
from collector.hours.sources import instruments_behind, points_of
from protocols.plan.bound import BoundPlan
from protocols.plan.model import Instrument as Planned
from protocols.records import Window

Behind: TypeAlias = Callable[[Window], tuple[Timeline, State | None]]
"""The status behind a window over all time, and its state over the window; None where that changes within."""


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Record = TypeVar("_Record", bound=_Named)


@dataclass(frozen=True, slots=True)
class Trust:
    """Calibration records, in any order, each with the size of the evidence log from which on it is known.

    ``certificates`` are as events; ``events`` are all others, of which the coarse rules know nothing.
    """

    certificates: Sequence[Known] = ()
    events: Sequence[Known] = ()
    instruments: Sequence[tuple[Instrument, int]] = ()
    chains: Sequence[tuple[Chain, int]] = ()


class Lives:
    """Statuses as known at one size of the log (None: all that is given), each worked out once.

    ``rules`` is ``RULES``, or ``COARSE`` for documents of before.
    """

    def __init__(self, trust: Trust, as_known_at: int | None = None, rules: int = RULES) -> None:
        if rules not in (COARSE, RULES):
            raise ValueError(f"rules {rules} of hours: this program knows {COARSE} and {RULES}")
        self._as_known_at = as_known_at
        self._rules = rules
        self._events: dict[str, list[Known]] = defaultdict(list)
        for known in (*trust.certificates, *(trust.events if rules != COARSE else ())):
            self._events[known[0].instrument].append(known)
        self._instruments = newest(trust.instruments, as_known_at)
        self._chains: dict[str, list[Chain]] = defaultdict(list)
        for chain in newest(trust.chains, as_known_at).values():
            for name in sorted({member.instrument for member in chain.members}):
                self._chains[name].append(chain)
        self._found: dict[tuple[Instrument, str], tuple[Timeline, list[Effect]]] = {}
        self._plans: dict[bytes, Behind] = {}
        self._scales: dict[bytes, Scales] = {}

    @property
    def entered(self) -> tuple[Instrument, ...]:
        """Every instrument that was entered, as its newest record says."""
        return tuple(self._instruments.values())

    def events(self, instrument: str) -> tuple[Known, ...]:
        """Events of an instrument as known, whatever serial number they are for."""
        found = self._events.get(instrument, ())
        return tuple(one for one in found if self._as_known_at is None or one[1] <= self._as_known_at)

    def chains(self, instrument: str) -> tuple[Chain, ...]:
        """Chains that an instrument is or was a member of."""
        return tuple(self._chains.get(instrument, ()))

    def subject(self, planned: Planned) -> Instrument:
        """An instrument of a plan as it is known."""
        entered = self._instruments.get(planned.id)
        return entered if entered is not None and entered.serial == planned.serial else from_plan(planned)

    def of_planned(self, planned: Planned, zone: str) -> Timeline:
        """Status of an instrument of a plan, without its chains; ``zone`` is the facility's IANA name."""
        if self._rules == COARSE:
            return coarse_life(planned, self._events.get(planned.id, ()), self._as_known_at, zone)
        return self.of(self.subject(planned), zone)

    def chained(self, plan: BoundPlan, planned: Planned) -> Timeline:
        """Status of what an instrument of a plan measures: of its chains, or its own where it is in none."""
        zone = plan.plan.facility.time_zone
        chains = self._chains.get(planned.id, ()) if self._rules != COARSE else ()
        if not chains:
            return self.of_planned(planned, zone)
        own = {one.id: one for one in plan.plan.instruments}
        names = {member.instrument for chain in chains for member in chain.members}
        lives = {name: self._member(name, own.get(name), zone) for name in names}
        return worst_of([of_chain(chain, lives) for chain in chains])

    def behind(self, plan: BoundPlan) -> Behind:
        """What tells the status behind any window of a plan."""
        if plan.digest not in self._plans:
            self._plans[plan.digest] = self._of_plan(plan)
        return self._plans[plan.digest]

    def scales(self, plan: BoundPlan) -> Scales | None:
        """What turns the uncertainties that a plan's windows state into the ledger's; None: they stay."""
        if self._rules == COARSE:
            return None
        if plan.digest not in self._scales:
            self._scales[plan.digest] = Scales({one.id: self._measures(plan, one) for one in plan.plan.instruments})
        return self._scales[plan.digest]

    def members(self, plan: BoundPlan, planned: Planned) -> list[tuple[Member, Timeline]]:
        """The other members of the chains of a plan's instrument, each once and with its own status."""
        if self._rules == COARSE:
            return []
        own = {one.id: one for one in plan.plan.instruments}
        zone = plan.plan.facility.time_zone
        return [
            (member, self._member(member.instrument, own.get(member.instrument), zone))
            for member in self._others(planned)
        ]

    def _others(self, planned: Planned) -> list[Member]:
        chains = self._chains.get(planned.id, ())
        return list(dict.fromkeys(one for chain in chains for one in chain.members if one.instrument != planned.id))

    def _measures(self, plan: BoundPlan, planned: Planned) -> Measure:
        zone = plan.plan.facility.time_zone
        own = {one.id: one for one in plan.plan.instruments}
        others = []
        for member in self._others(planned):
            there = own.get(member.instrument)
            subject = self._instruments.get(member.instrument) if there is None else self.subject(there)
            if subject is not None:
                others.append((member, self._course(subject, subject.mpe, zone)))
        limits = from_plan(planned).mpe
        return Measure(self._course(self.subject(planned), limits, zone), tuple(others))

    def _of_plan(self, plan: BoundPlan) -> Behind:
        inputs: dict[tuple[int, int, int], Timeline] = {}
        planned = {one.id: one for one in plan.plan.instruments}
        splits = self._rules != COARSE

        def behind(window: Window) -> tuple[Timeline, State | None]:
            key = (window.source, window.input, window.gas)
            life = inputs.get(key)
            if life is None:
                points = points_of(plan.sources[window.source], window.input, window.gas)
                names = instruments_behind(plan, points)
                life = inputs[key] = worst_of([self.chained(plan, planned[name]) for name in names])
            at = bisect_right(life.starts, window.from_ms)
            changes = splits and at < len(life.starts) and life.starts[at] < window.to_ms
            return life, None if changes else life.statuses[at].state

        return behind

    def _member(self, name: str, planned: Planned | None, zone: str) -> Timeline:
        """Status of a member of a chain; of one that nobody registered, unknown."""
        if planned is not None:
            return self.of_planned(planned, zone)
        entered = self._instruments.get(name)
        return worst_of(()) if entered is None else self.of(entered, zone)

    def of(self, subject: Instrument, zone: str) -> Timeline:
        """Status of an instrument by itself; ``zone`` is the facility's IANA name."""
        key = (subject, zone)
        if key not in self._found:
            events = self._events.get(subject.id, ())
            known = seen(subject, effects(subject, TRACEABILITY, events, ZoneInfo(zone)), self._as_known_at)
            suspects = suspect_windows(subject, events, self._as_known_at, zone)
            passes = [one for one in known if one.does is Does.PASS]
            self._found[key] = overlaid(timeline_of(known), suspects), passes
        return self._found[key][0]

    def _course(self, subject: Instrument, limits: Mpe, zone: str) -> Course:
        life = self.of(subject, zone)
        events = {event.id: event for event, _ in self._events.get(subject.id, ())}
        return Course(subject, limits, life, self._found[subject, zone][1], events)


def newest(records: Iterable[tuple[_Record, int]], as_known_at: int | None) -> dict[str, _Record]:
    """By id, the record that became known last, up to a size of the evidence log."""
    seen = [one for one in records if as_known_at is None or one[1] <= as_known_at]
    return {record.id: record for record, _ in sorted(seen, key=lambda one: one[1])}
