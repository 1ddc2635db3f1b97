"""Windows to hour rows: a pure function, so that edge, collector and verifier agree to the last digit.

Every sum is of Python integers. A window is never split among cells: it belongs to the one that holds its start.
Where a source and gas have several counter inputs, their windows add, and a moment counts as measured only where
every input has a window over it. Where the calibration status behind a window changes inside it, its mass and
its times are split among the statuses by time (``calibration.shares``). The shared uncertainty of an instrument is
stated anew from its tests and its status (``scales``).

For a rate-based source the hour qualifies when measured time is at least ``min_share`` of operating time;
then mass = measured mass x operating time / measured time, rounded half to even once, and what that adds is
kept as its own integer. Otherwise nothing is added. Counter-based sources never scale: their index already
holds the whole amount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from calibration.shares import mass_by_state
from calibration.status import State, Timeline, worst
from collector.hours.cells import cell_of
from collector.hours.lives import Lives
from collector.hours.model import HourRow
from collector.hours.sources import series_of
from protocols.exact import half_even, sum_exact
from protocols.ghg.uncertainty import Parts, across, combine, scaled
from protocols.plan.bound import BoundPlan, BoundSource, Cause
from protocols.records import Window

MEASURED, SCALED, INCOMPLETE = "measured", "scaled", "incomplete"


@dataclass(frozen=True, slots=True)
class HourRule:
    """When an hour of a rate-based source qualifies: measured time >= ``min_share`` x operating time."""

    min_share: Fraction


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """Windows of one agent under one plan, in any order."""

    plan: BoundPlan
    windows: Sequence[Window]


@dataclass(slots=True)
class _Part:
    """One window with the calibration status behind it; ``state`` is None where that changes inside."""

    window: Window
    life: Timeline
    state: State | None
    causes: tuple[Cause, ...]
    sign: int
    scales: tuple[float, ...] | None

    def split(self, amount: int) -> Iterable[tuple[State, int]]:
        """An amount of the window per state, adding up to it."""
        if self.state is not None:
            return ((self.state, amount),)
        return mass_by_state(amount, self.life.between(self.window.from_ms, self.window.to_ms)).items()

    def state_at(self, at_ms: int) -> State:
        """The state at an instant of the window. [UTC ms]"""
        return self.life.at(at_ms).state if self.state is None else self.state


@dataclass(slots=True)
class _Open:
    """A row being gathered."""

    source: BoundSource
    parts: list[_Part] = field(default_factory=list)


def assemble(agent: str, spans: Iterable[WindowSpan], rule: HourRule, lives: Lives) -> tuple[HourRow, ...]:
    """Hour rows of one agent from its windows.

    Parameters
    ----------
    agent : str
        Agent id (hex of the key's fingerprint).
    spans : iterable of WindowSpan
        The windows, each group under the plan that made it. A cell is complete only when all its windows
        are given.
    rule : HourRule
        The accounting profile's rule.
    lives : Lives
        Statuses of every instrument and chain, as known at one size of the evidence log.

    Returns
    -------
    tuple of HourRow
        Ordered by cell, source and gas.
    """
    rows: dict[tuple[int, int, str, str], _Open] = {}
    for span in spans:
        zone = ZoneInfo(span.plan.plan.facility.time_zone)
        behind, scales = lives.behind(span.plan), lives.scales(span.plan)
        cell = (0, 0)
        for window in span.windows:
            source = span.plan.sources[window.source]
            if not cell[0] <= window.from_ms < cell[1]:
                cell = cell_of(window.from_ms, zone)
            key = (*cell, source.id, source.gases[window.gas])
            row = rows.get(key)
            if row is None:
                row = rows[key] = _Open(source)
            causes, sign = series_of(source, window)
            factors = None if scales is None else scales.at(causes, window.from_ms)
            row.parts.append(_Part(window, *behind(window), causes, sign, factors))
    return tuple(_close(agent, key, rows[key], rule) for key in sorted(rows))


def _close(agent: str, key: tuple[int, int, str, str], row: _Open, rule: HourRule) -> HourRow:
    from_ms, to_ms, source, gas = key
    parts = sorted(row.parts, key=lambda p: (p.window.from_ms, p.window.input))
    _refuse_overlaps(parts, source, gas)
    mass = sum_exact(p.window.mass_mg for p in parts)
    operating, measured, stopped, status_ms = _times(row.source, parts)
    method, numerator, denominator = _scaling(row.source, operating, measured, stopped, rule)
    total = half_even(mass * numerator, denominator)
    added = total - mass
    if method == SCALED and added == 0:
        method = MEASURED
    u = scaled(_uncertainty(parts), numerator / denominator)
    return HourRow(
        agent=agent, source=source, gas=gas, from_ms=from_ms, to_ms=to_ms, mass_mg=total, added_mg=added,
        activity=sum_exact(p.sign * p.window.activity for p in parts),
        operating_ms=operating, measured_ms=measured, stopped_ms=stopped, method=method,
        status_mg=_status_mass(parts, numerator, denominator), status_ms=status_ms,
        u_independent=u.independent, u_shared=tuple(sorted(u.shared.items())),
        u_end_first=u.end_first, u_end_last=u.end_last, windows=len(parts),
    )  # fmt: skip


def _refuse_overlaps(parts: Sequence[_Part], source: str, gas: str) -> None:
    """ValueError where an input states a moment twice: it would be counted twice."""
    ends: dict[int, int] = {}
    for part in parts:
        window = part.window
        if window.from_ms < ends.get(window.input, window.from_ms):
            seen = f"the time from {window.from_ms} to {ends[window.input]} is stated twice"
            raise ValueError(f"source {source}, input {window.input}, {gas}: {seen}")
        ends[window.input] = window.to_ms


def _scaling(source: BoundSource, operating: int, measured: int, stopped: int, rule: HourRule) -> tuple[str, int, int]:
    """Method and the ratio (numerator, denominator) that turns measured mass into the row's mass."""
    if source.counters:
        return (MEASURED if measured else INCOMPLETE), 1, 1
    if operating == 0:
        return (MEASURED if stopped else INCOMPLETE), 1, 1
    if measured == 0 or measured < rule.min_share * operating:
        return INCOMPLETE, 1, 1
    if measured == operating:
        return MEASURED, 1, 1
    return SCALED, operating, measured


def _times(source: BoundSource, parts: Sequence[_Part]) -> tuple[int, int, int, tuple[tuple[str, int], ...]]:
    """Operating, measured and stopped time of a row, and measured + stopped time per status. [ms]"""
    by_status: dict[str, int] = defaultdict(int)
    if not source.counters:
        for part in parts:
            for state, known_ms in part.split(part.window.measured_ms + part.window.stopped_ms):
                by_status[state.value] += known_ms
        return (
            sum_exact(p.window.operating_ms for p in parts),
            sum_exact(p.window.measured_ms for p in parts),
            sum_exact(p.window.stopped_ms for p in parts),
            _ordered(by_status),
        )
    for covering, from_ms, to_ms in _common(parts, _inputs_of_gas(source, parts[0].window.gas)):
        by_status[worst(part.state_at(from_ms) for part in covering).value] += to_ms - from_ms
    measured = sum_exact(by_status.values())
    return measured, measured, 0, _ordered(by_status)


def _inputs_of_gas(source: BoundSource, gas: int) -> tuple[int, ...]:
    return tuple(series.input for series in source.counters if series.gas == gas)


def _common(parts: Sequence[_Part], inputs: Sequence[int]) -> Iterator[tuple[list[_Part], int, int]]:
    """Stretches where every input has a window and no status changes, with the windows over each."""
    edges = sorted({edge for p in parts for edge in _edges(p)})
    at = {number: [p for p in parts if p.window.input == number] for number in inputs}
    position = dict.fromkeys(inputs, 0)
    for from_ms, to_ms in pairwise(edges):
        covering: list[_Part] = []
        for number in inputs:
            series = at[number]
            while position[number] < len(series) and series[position[number]].window.to_ms <= from_ms:
                position[number] += 1
            if position[number] < len(series) and series[position[number]].window.from_ms <= from_ms:
                covering.append(series[position[number]])
        if len(covering) == len(inputs):
            yield covering, from_ms, to_ms


def _edges(part: _Part) -> list[int]:
    window = part.window
    if part.state is not None:
        return [window.from_ms, window.to_ms]
    return [window.from_ms, *(to_ms for _, to_ms, _ in part.life.between(window.from_ms, window.to_ms))]


def _status_mass(parts: Sequence[_Part], numerator: int, denominator: int) -> tuple[tuple[str, int], ...]:
    """The row's mass per status by cumulative rounding, so that the parts add to the row exactly. [mg]"""
    measured: dict[str, int] = defaultdict(int)
    for part in parts:
        for state, mass in part.split(part.window.mass_mg):
            measured[state.value] += mass
    shares: dict[str, int] = {}
    cumulative, rounded = 0, 0
    for status in sorted(measured):
        cumulative += measured[status]
        up_to = half_even(cumulative * numerator, denominator)
        shares[status] = up_to - rounded
        rounded = up_to
    return _ordered(shares)


def _ordered(amounts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((status, amounts[status]) for status in sorted(amounts))


def _uncertainty(parts: Sequence[_Part]) -> Parts:
    """Parts of the row's standard uncertainty; inputs, and stretches with a hole between, have their own ends."""
    runs: dict[int, list[list[_Part]]] = defaultdict(list)
    for part in parts:
        own = runs[part.window.input]
        if own and own[-1][-1].window.to_ms == part.window.from_ms:
            own[-1].append(part)
        else:
            own.append([part])
    return across(combine([_stated(part) for part in run]) for series in runs.values() for run in series)


def _stated(part: _Part) -> Parts:
    window = part.window
    if len(part.causes) != len(window.u_shared):
        raise ValueError(f"a window states {len(window.u_shared)} shared parts, the plan has {len(part.causes)} causes")
    scales = part.scales or (1.0,) * len(part.causes)
    shared = {
        cause.name: part.sign * float(u) * scale
        for cause, u, scale in zip(part.causes, window.u_shared, scales, strict=True)
    }
    return Parts(float(window.u_independent), shared, float(window.u_end), float(window.u_end))
