"""The fold over a whole span: windows, slots, the next state, and resets that it finds.

Points of one kind that a request reads are folded together, as a block of points x times; only what is odd about
a point (a glitch, a reset, a hole in its values) is folded for it alone. Both give the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from protocols.modbus.decode import Mask, availability, indexes
from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPlan, BoundPoint
from protocols.quantities import Kind
from protocols.records import (
    Absence,
    CounterState,
    Event,
    EventKind,
    Fate,
    Float64,
    FoldState,
    HeldSample,
    Int64,
    PointState,
    Samples,
    SlotCount,
    UInt64,
    Window,
    fate_code,
)
from protocols.windows.conversion import factors_at
from protocols.windows.counters import Amounts, CounterFold, Reset, close_counter, fold_alike, fold_counter
from protocols.windows.instants import judge
from protocols.windows.issue import counter_windows, rate_windows
from protocols.windows.rates import Held, carry, hold, window_edges
from protocols.windows.series import Answers, span_answers

HOLD_ENDERS = frozenset(
    {
        EventKind.AGENT_START,
        EventKind.AGENT_STOP,
        EventKind.OPERATING_STOP,
        EventKind.METER_SWAP,
    }
)
"""Events no held value crosses; a check ends the holds of its own analyzer, by its status."""
DERIVED = frozenset({EventKind.COUNTER_RESET, EventKind.CALIBRATION_CHECK})
"""Events the fold itself finds; they are compared, never given."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Yield of the fold over a span."""

    windows: tuple[Window, ...]
    state: FoldState
    slots: tuple[SlotCount, ...]
    derived_events: tuple[Event, ...]


def fold(
    bound: BoundPlan,
    state: FoldState,
    samples: Sequence[Samples],
    events: Sequence[Event],
    from_ms: int,
    to_ms: int,
) -> Folded:
    """Fold the samples and events of [from, to) into windows, slots and the next state.

    Parameters
    ----------
    bound : BoundPlan
    state : FoldState
        What the span before yielded.
    samples : sequence of Samples
        Every request of the read plan, over exactly the slots due in the span.
    events : sequence of Event
        Stated events; derived ones are ignored.
    from_ms, to_ms : int
        The span. [UTC ms]

    Returns
    -------
    Folded

    Raises
    ------
    ValueError
        The samples are not those of the plan and span.
    """
    answers = span_answers(bound, samples, from_ms, to_ms)
    given = [event for event in events if event.kind not in DERIVED]
    closing = any(e.kind is EventKind.AGENT_STOP for e in given)
    swaps = _swaps(bound, given)
    alike = [(one, columns) for one in answers for columns in one.alike(bound.kinds)]
    counters = [bound.points[one.points[columns[0]]].kind is Kind.COUNTER for one, columns in alike]
    yields = _fold_all_instants(bound, state, alike, given, to_ms)
    held = _held(yields)
    for (one, columns), counts in zip(alike, counters, strict=True):
        if counts:
            _fold_counters(bound, state, one, columns, closing, swaps, held, yields)
    slots: list[SlotCount] = []
    derived: list[Event] = []
    points: list[PointState] = []
    for position, point in enumerate(bound.points):
        own = yields[position]
        points.append(own.state)
        slots.extend(SlotCount(position, code, count) for code, count in own.fates)
        derived.extend(_reset_event(point, reset) for reset in own.resets)
        derived.extend(own.checks)
    edges = window_edges(from_ms, to_ms, bound.window_ms)
    counted = counter_windows(bound, {position: own.amounts for position, own in yields.items()})
    windows: list[Window] = []
    for index, source in enumerate(bound.sources):
        if source.counters:
            windows.extend(counted[index])
        else:
            windows.extend(rate_windows(index, source, held, edges))
    return Folded(tuple(windows), FoldState(to_ms, tuple(points)), tuple(slots), tuple(derived))


def held_instants(
    bound: BoundPlan, state: FoldState, samples: Sequence[Samples], events: Sequence[Event], from_ms: int, to_ms: int
) -> dict[int, Held]:
    """What is held of each instant over a span, by position of the point, as ``fold`` takes it; same parameters."""
    answers = span_answers(bound, samples, from_ms, to_ms)
    alike = [(one, columns) for one in answers for columns in one.alike(bound.kinds)]
    return _held(_fold_all_instants(bound, state, alike, [e for e in events if e.kind not in DERIVED], to_ms))


@dataclass(frozen=True, slots=True, eq=False)
class _Yield:
    """What the fold gives for one point; ``fates`` are (code, slots), ascending."""

    state: PointState
    fates: Sequence[tuple[int, int]]
    amounts: tuple[Amounts, ...] = ()
    resets: tuple[Reset, ...] = ()
    checks: tuple[Event, ...] = ()
    held: Held | None = None


def _held(yields: dict[int, _Yield]) -> dict[int, Held]:
    return {position: own.held for position, own in yields.items() if own.held is not None}


def _fold_all_instants(
    bound: BoundPlan,
    state: FoldState,
    alike: Sequence[tuple[Answers, list[int]]],
    given: Sequence[Event],
    to_ms: int,
) -> dict[int, _Yield]:
    """What the fold gives for every point that is no counter, by position."""
    enders = np.array(sorted(e.at_ms for e in given if e.kind in HOLD_ENDERS), dtype=np.int64)
    rate_points = _rate_points(bound)
    yields: dict[int, _Yield] = {}
    for one, columns in alike:
        if bound.points[one.points[columns[0]]].kind is not Kind.COUNTER:
            _fold_instants(bound, state, one, columns, rate_points, enders, to_ms, yields)
            _fold_judged(bound, state, one, columns, rate_points, enders, to_ms, yields)
    return yields


def _rate_points(bound: BoundPlan) -> frozenset[int]:
    """Positions of the points whose held values some source or counter needs; nothing else is carried."""
    points = {source.operating.point for source in bound.sources if source.operating is not None}
    for source in bound.sources:
        for one in source.rates:
            points |= set(one.inputs.values())
    for point in bound.points:
        if point.conversion is not None:
            points |= {point.conversion.temperature, point.conversion.pressure}
    return frozenset(points)


def _fold_counters(
    bound: BoundPlan,
    state: FoldState,
    answers: Answers,
    columns: list[int],
    closing: bool,
    swaps: dict[int, list[int]],
    held: dict[int, Held],
    yields: dict[int, _Yield],
) -> None:
    """Counters of one kind and request over the span: together where all fits, else one by one."""
    positions = [answers.points[column] for column in columns]
    points = [bound.points[position] for position in positions]
    words = np.ascontiguousarray(answers.words[:, columns].T)
    flat, present = indexes(words.ravel(), points[0])
    index, available = flat.reshape(words.shape), present.reshape(words.shape)
    whole = np.all(available, axis=1).tolist()
    befores = [state.points[position] for position in positions]
    simple = [
        sound and point.conversion is None and point.instrument not in swaps
        for sound, point in zip(whole, points, strict=True)
    ]
    counters = [before.counter if sound else None for before, sound in zip(befores, simple, strict=True)]
    folds = fold_alike(points, bound.window_ms, counters, answers.at_ms, index)
    usual = _fates(answers.fates, {})
    lasts = _last_words(words, befores)
    for place, (position, before) in enumerate(zip(positions, befores, strict=True)):
        folded, fates = folds.get(place), usual
        if folded is None:
            factors: Float64 | None = None
            known, waiting = available[place], 0
            conversion = points[place].conversion
            if conversion is not None:
                conditions = held[conversion.temperature], held[conversion.pressure]
                factors, stated = factors_at(conversion, *conditions, answers.due_ms)
                waiting = int(np.count_nonzero(known & ~stated))
                known = known & stated
            cuts = [0, *np.searchsorted(answers.due_ms, swaps.get(points[place].instrument, [])).tolist()]
            readings = _Readings(answers.at_ms, index[place], known, factors)
            folded, moved = _fold_one(points[place], bound.window_ms, before.counter, readings, cuts)
            if waiting:
                moved[Fate.NOT_AVAILABLE] -= waiting
                moved[fate_code(Fate.NOT_AVAILABLE, Absence.NO_CONDITIONS)] = waiting
            fates = _fates(answers.fates, moved)
        if closing:
            folded = close_counter(folded)
        carried = PointState(lasts[place], folded.state)
        yields[position] = _Yield(carried, fates, folded.amounts, folded.resets)


def _fold_one(
    point: BoundPoint, window_ms: int, before: CounterState | None, readings: _Readings, cuts: Sequence[int]
) -> tuple[CounterFold, dict[int, int]]:
    """One counter; and of its answered slots how many were not available and how many did not fit.

    ``cuts`` are where its meter was swapped, the first one 0: there the old counter closes, and a new one opens that
    has nothing to do with it.
    """
    amounts: list[Amounts] = []
    resets: list[Reset] = []
    fits: list[Mask] = []
    late_ones, state = 0, before
    for place, low in enumerate(cuts):
        if place:
            state = None
        part = readings.between(low, cuts[place + 1] if place + 1 < len(cuts) else readings.at_ms.size)
        late = np.zeros(part.at_ms.size, dtype=np.bool_)
        if state is not None:
            late = part.at_ms <= max([state.last_ms, *(at for at, _ in state.candidates)])
        use = part.available & ~late
        factors = None if part.factors is None else part.factors[use]
        folded = fold_counter(point, window_ms, state, part.at_ms[use], part.index[use], factors)
        if place + 1 < len(cuts):
            folded = close_counter(folded)
        state = folded.state
        amounts += folded.amounts
        resets += folded.resets
        fits.append(folded.fits)
        late_ones += int(np.count_nonzero(late & part.available))
    fit = np.concatenate(fits)
    absent = readings.available.size - int(np.count_nonzero(readings.available))
    moved = {int(Fate.NOT_AVAILABLE): absent, int(Fate.UNCERTAIN): late_ones + int(np.count_nonzero(~fit))}
    return CounterFold(state, tuple(amounts), tuple(resets), fit), moved


@dataclass(frozen=True, slots=True, eq=False)
class _Readings:
    """What a counter's answered slots showed, and what a volume is converted by."""

    at_ms: Int64
    index: Int64
    available: Mask
    factors: Float64 | None

    def between(self, low: int, high: int) -> _Readings:
        """Those from one place to another."""
        factors = None if self.factors is None else self.factors[low:high]
        return _Readings(self.at_ms[low:high], self.index[low:high], self.available[low:high], factors)


def _swaps(bound: BoundPlan, events: Sequence[Event]) -> dict[int, list[int]]:
    """When the meter of an instrument was swapped: what is due from then on is another meter's. [UTC ms]"""
    positions = {instrument.id: position for position, instrument in enumerate(bound.plan.instruments)}
    found: dict[int, list[int]] = {}
    for event in sorted(events, key=lambda one: one.at_ms):
        if event.kind is EventKind.METER_SWAP and event.subject in positions:
            found.setdefault(positions[event.subject], []).append(event.at_ms)
    return found


def _fold_instants(
    bound: BoundPlan,
    state: FoldState,
    answers: Answers,
    columns: list[int],
    rate_points: frozenset[int],
    enders: Int64,
    to_ms: int,
    yields: dict[int, _Yield],
) -> None:
    """Points of one kind and request that are no counters: what is available, and what is held."""
    columns = [column for column in columns if not bound.points[answers.points[column]].is_judged]
    if not columns:
        return
    positions = [answers.points[column] for column in columns]
    words = np.ascontiguousarray(answers.words[:, columns].T)
    available = availability(words, bound.points[positions[0]].register)
    absent = (words.shape[1] - np.count_nonzero(available, axis=1)).tolist()
    usual = _fates(answers.fates, {})
    lasts = _last_words(words, [state.points[position] for position in positions])
    for place, position in enumerate(positions):
        held: Held | None = None
        tail: tuple[HeldSample, ...] = ()
        if position in rate_points:
            point, mask = bound.points[position], available[place]
            fates = np.zeros(int(np.count_nonzero(mask)), dtype=np.int64)
            held = hold(point, state.points[position].held, answers.at_ms[mask], words[place][mask], fates, enders)
            tail = carry(held, to_ms, enders)
        counts = _fates(answers.fates, {Fate.NOT_AVAILABLE: absent[place]}) if absent[place] else usual
        yields[position] = _Yield(PointState(lasts[place], None, tail), counts, held=held)


def _fold_judged(
    bound: BoundPlan,
    state: FoldState,
    answers: Answers,
    columns: list[int],
    rate_points: frozenset[int],
    enders: Int64,
    to_ms: int,
    yields: dict[int, _Yield],
) -> None:
    """Instants with a status register or plausibility rules, one by one."""
    for column in columns:
        position = answers.points[column]
        point, before = bound.points[position], state.points[position]
        if not point.is_judged:
            continue
        words = np.ascontiguousarray(answers.words[:, column])
        status_words: UInt64 | None = None
        status_register: Register | None = None
        if point.status is not None:
            status_register = bound.points[point.status.point].register
            if point.status.point in answers.points:
                status_words = np.ascontiguousarray(answers.words[:, answers.points.index(point.status.point)])
        judged = judge(point, before.instant, before.last_words, answers.at_ms, words, status_words, status_register)
        held: Held | None = None
        tail: tuple[HeldSample, ...] = ()
        if position in rate_points:
            kept = judged.fates != int(Fate.NOT_AVAILABLE)  # no value of its own ends no hold; a status does
            held = hold(point, before.held, answers.at_ms[kept], words[kept], judged.fates[kept], enders)
            tail = carry(held, to_ms, enders)
        codes, numbers = np.unique(judged.fates, return_counts=True)
        moved = dict(zip(codes.tolist(), numbers.tolist(), strict=True))
        moved.pop(int(Fate.GOOD), None)
        (last,) = _last_words(words[np.newaxis], [before])
        carried = PointState(last, None, tail, judged.state)
        yields[position] = _Yield(carried, _fates(answers.fates, moved), checks=judged.checks, held=held)


def _last_words(words: UInt64, befores: Sequence[PointState]) -> list[int]:
    """The newest words of each point, shape (points, samples); the old ones where there is no sample."""
    if not words.shape[1]:
        return [before.last_words for before in befores]
    return cast("list[int]", words[:, -1].tolist())


def _fates(met: dict[int, int], moved: dict[int, int]) -> Sequence[tuple[int, int]]:
    """Slots per fate code, ascending; ``moved`` are answered ones that are not good after all."""
    counts = dict(met)
    for code, count in moved.items():
        counts[code] = counts.get(code, 0) + count
        counts[Fate.GOOD] = counts.get(Fate.GOOD, 0) - count
    return [(int(code), counts[code]) for code in sorted(counts) if counts[code]]


def _reset_event(point: BoundPoint, reset: Reset) -> Event:
    """A counter that started anew, as an event."""
    return Event(
        EventKind.COUNTER_RESET,
        reset.opened_ms,
        point.id,
        (
            ("closed_ms", reset.closed_ms),
            ("closing_index", reset.closing_index),
            ("opening_index", reset.opening_index),
        ),
    )
