"""Counter indexes to amounts per window: a guarded state machine, then a split of differences by time.

An accepted index is an integer; amounts are differences of such integers, so any split adds up exactly.
The state machine never guesses: an index that does not fit waits as a candidate; three candidates that fit
each other are a reset, with the amount between the old and the new index unknown; a rollover is accepted
only at a known modulus and a plausible rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protocols.exact import LIMIT, proportion
from protocols.plan.bound import BoundPoint
from protocols.records import CounterState, Int64

HOUR_MS = 3_600_000
CONFIRMATIONS = 3
"""Readings that must fit each other before a lower or implausible index becomes the new baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Amounts:
    """Amounts of one counter over consecutive windows.

    Attributes
    ----------
    from_ms, to_ms, amount, gap : ndarray of int64, shape (windows,)
        Window edges [UTC ms], amount [base unit], and the largest difference over an outage that reaches
        into the window, 0 where its shape is known [base unit].
    """

    from_ms: Int64
    to_ms: Int64
    amount: Int64
    gap: Int64


@dataclass(frozen=True, slots=True)
class Reset:
    """A counter that started anew: the amount between the two indexes is unknown."""

    closed_ms: int
    closing_index: int
    opened_ms: int
    opening_index: int


@dataclass(frozen=True, slots=True, eq=False)
class CounterFold:
    """What the fold of one counter yields; ``fits[i]`` tells whether sample i was accepted at once."""

    state: CounterState | None
    amounts: tuple[Amounts, ...]
    resets: tuple[Reset, ...]
    fits: NDArray[np.bool_]


def fold_counter(
    point: BoundPoint, window_ms: int, state: CounterState | None, at_ms: Int64, indexes: Int64, close: bool
) -> CounterFold:
    """Fold the available indexes of one counter over a span.

    Parameters
    ----------
    point : BoundPoint
    window_ms : int
        Cell of the window grid. [ms]
    state : CounterState or None
        None before the first accepted index.
    at_ms, indexes : ndarray of int64, shape (samples,)
        Strictly later than the state's last sample and ascending. [UTC ms; base unit]
    close : bool
        Close the partial window at the last accepted index (a clean stop).

    Returns
    -------
    CounterFold
    """
    amounts: list[Amounts] = []
    resets: list[Reset] = []
    fits = np.ones(at_ms.size, dtype=np.bool_)
    at = 0
    if state is None and at_ms.size:
        state = CounterState(int(at_ms[0]), int(indexes[0]), int(at_ms[0]), 0)
        at = 1
    while state is not None and at < at_ms.size:
        run = 0 if state.candidates else _plausible_run(point, state, at_ms[at:], indexes[at:])
        if run:
            state, cut = _advance(point, window_ms, state, at_ms[at : at + run], indexes[at : at + run])
            amounts.append(cut)
            at += run
            continue
        state, cut_or_none, reset, fit = _judge(point, window_ms, state, int(at_ms[at]), int(indexes[at]))
        if cut_or_none is not None:
            amounts.append(cut_or_none)
        if reset is not None:
            resets.append(reset)
        fits[at] = fit
        at += 1
    if close and state is not None:
        state, rest = _close(state)
        if rest is not None:
            amounts.append(rest)
    return CounterFold(state, tuple(a for a in amounts if a.amount.size), tuple(resets), fits)


def _allowed(point: BoundPoint, elapsed_ms: int) -> int:
    """Greatest plausible growth over a time: the stated rate plus one step of the indication."""
    if point.max_per_hour is None:
        return LIMIT
    return point.max_per_hour * elapsed_ms // HOUR_MS + int(point.resolution) + 1


def _growth(point: BoundPoint, index: int, before: int, elapsed_ms: int) -> int | None:
    """Plausible growth from one index to a later one, rollover included; None where it does not fit."""
    allowed = _allowed(point, elapsed_ms)
    step = index - before
    if 0 <= step <= allowed:
        return step
    if point.modulus is not None and step < 0 and step + point.modulus <= allowed:
        return step + point.modulus
    return None


def _plausible_run(point: BoundPoint, state: CounterState, at_ms: Int64, indexes: Int64) -> int:
    """How many leading samples fit without a rollover, judged over whole arrays."""
    elapsed = np.diff(at_ms, prepend=state.last_ms)
    steps = np.diff(indexes, prepend=state.last_index)
    if point.max_per_hour is None:
        bad = steps < 0
    else:
        if point.max_per_hour * int(np.max(elapsed)) >= LIMIT:
            return 0
        allowed = point.max_per_hour * elapsed // HOUR_MS + int(point.resolution) + 1
        bad = (steps < 0) | (steps > allowed)
    return int(np.argmax(bad)) if bool(np.any(bad)) else int(at_ms.size)


def _judge(
    point: BoundPoint, window_ms: int, state: CounterState, at_ms: int, index: int
) -> tuple[CounterState, Amounts | None, Reset | None, bool]:
    """One step of the state machine for a sample that the run did not cover."""
    growth = _growth(point, index, state.last_index, at_ms - state.last_ms)
    if growth is not None:
        clean = replace(state, candidates=())
        knot = np.array([at_ms], dtype=np.int64)
        after, cut = _split(point, window_ms, clean, knot, np.array([growth], dtype=np.int64))
        return replace(after, last_index=index), cut, None, True
    waiting = state.candidates
    if waiting and _growth(point, index, waiting[-1][1], at_ms - waiting[-1][0]) is None:
        waiting = ()
    waiting = (*waiting, (at_ms, index))
    if len(waiting) < CONFIRMATIONS:
        return replace(state, candidates=waiting), None, None, False
    closed, rest = _close(state)
    opened_ms, opening = waiting[0]
    reset = Reset(closed.last_ms, closed.last_index, opened_ms, opening)
    fresh = CounterState(opened_ms, opening, opened_ms, 0)
    knots = np.array([at for at, _ in waiting[1:]], dtype=np.int64)
    growths = [
        _growth(point, index_b, index_a, at_b - at_a) or 0 for (at_a, index_a), (at_b, index_b) in pairwise(waiting)
    ]
    after, cut = _split(point, window_ms, fresh, knots, np.array(growths, dtype=np.int64))
    return replace(after, last_index=index), _joined(rest, cut), reset, False


def _advance(
    point: BoundPoint, window_ms: int, state: CounterState, at_ms: Int64, indexes: Int64
) -> tuple[CounterState, Amounts]:
    """Accept a run of plausible indexes."""
    growths = np.diff(indexes, prepend=state.last_index)
    after, cut = _split(point, window_ms, state, at_ms, growths)
    return replace(after, last_index=int(indexes[-1])), cut


def _split(
    point: BoundPoint, window_ms: int, state: CounterState, knots: Int64, growths: Int64
) -> tuple[CounterState, Amounts]:
    """Spread growths over the window grid by time, with cumulative half-even rounding.

    Part k is R(edge k) - R(edge k-1), R the amount since ``emitted_to_ms`` interpolated between accepted
    samples; what lies behind the last whole cell stays pending. Inside a difference that spans more than
    an hour the grid is hours: the shape is unknown there anyway.
    """
    times = np.concatenate((np.array([state.last_ms], dtype=np.int64), knots))
    totals = state.pending + np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(growths, dtype=np.int64)))
    spans = np.diff(times)
    gaps = np.where(spans > point.hold_ms, growths, 0)
    edges = _edges(times, window_ms)
    segment = np.clip(np.searchsorted(times, edges, side="left") - 1, 0, max(spans.size - 1, 0))
    reached = totals[segment] + proportion(growths[segment], edges - times[segment], spans[segment])
    parts = np.diff(reached, prepend=0)
    starts = np.concatenate((np.array([state.emitted_to_ms], dtype=np.int64), edges))[: edges.size]
    reach = _gap_reach(times, gaps, np.concatenate((starts, edges[-1:])), state.gap)
    if edges.size:
        after = CounterState(
            int(times[-1]),
            state.last_index,
            int(edges[-1]),
            int(totals[-1] - reached[-1]),
            _pending_gap(times, gaps, int(edges[-1])),
        )
    else:
        after = CounterState(
            int(times[-1]),
            state.last_index,
            state.emitted_to_ms,
            int(totals[-1]),
            max(state.gap, int(np.max(gaps)) if gaps.size else 0),
        )
    return after, Amounts(starts, edges, parts, reach)


def _edges(times: Int64, window_ms: int) -> Int64:
    """Window edges after the first time up to the last; strictly inside a span of over an hour only full hours.

    The window grid is never built over such a span, however long a batch says it is.
    """
    parts: list[Int64] = []
    done = int(times[0])  # edges up to the last accepted sample were decided before
    for at in np.flatnonzero(np.diff(times) > HOUR_MS):
        start, end = int(times[at]), int(times[at + 1])
        parts.append(_multiples(done + 1, start, window_ms))
        parts.append(_multiples(start + 1, end - 1, HOUR_MS))
        done = end - 1
    parts.append(_multiples(done + 1, int(times[-1]), window_ms))
    return np.concatenate(parts)


def _multiples(low: int, high: int, step: int) -> Int64:
    """Multiples of a step in [low, high], ascending."""
    return np.arange(-(-low // step) * step, high + 1, step, dtype=np.int64)


def _gap_reach(times: Int64, gaps: Int64, bounds: Int64, carried: int) -> Int64:
    """Largest gap difference that overlaps each window; ``carried`` belongs to the first one."""
    windows = max(bounds.size - 1, 0)
    reach = np.zeros(windows, dtype=np.int64)
    if windows == 0:
        return reach
    reach[0] = carried
    for at in np.flatnonzero(gaps):
        low = max(int(np.searchsorted(bounds, times[at], side="right")) - 1, 0)
        high = min(int(np.searchsorted(bounds, times[at + 1], side="left")), windows)
        reach[low:high] = np.maximum(reach[low:high], gaps[at])
    return reach


def _pending_gap(times: Int64, gaps: Int64, emitted_to_ms: int) -> int:
    """Largest gap difference that reaches behind the last emitted edge."""
    behind = gaps[times[1:] > emitted_to_ms]
    return int(np.max(behind)) if behind.size else 0


def _close(state: CounterState) -> tuple[CounterState, Amounts | None]:
    """Emit the pending part up to the last accepted index."""
    if state.last_ms <= state.emitted_to_ms:
        return state, None
    rest = Amounts(
        np.array([state.emitted_to_ms], dtype=np.int64),
        np.array([state.last_ms], dtype=np.int64),
        np.array([state.pending], dtype=np.int64),
        np.array([state.gap], dtype=np.int64),
    )
    return replace(state, emitted_to_ms=state.last_ms, pending=0, gap=0), rest


def _joined(first: Amounts | None, second: Amounts) -> Amounts:
    """Two consecutive runs of windows as one."""
    if first is None:
        return second
    return Amounts(
        np.concatenate((first.from_ms, second.from_ms)),
        np.concatenate((first.to_ms, second.to_ms)),
        np.concatenate((first.amount, second.amount)),
        np.concatenate((first.gap, second.gap)),
    )
