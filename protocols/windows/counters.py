"""Counter indexes to amounts per window: a guarded state machine, then a split of differences by time.

An accepted index is an integer; amounts are differences of such integers, so any split adds up exactly.
The state machine never guesses: an index that does not fit waits as a candidate; three candidates that fit
each other are a reset, with the amount between the old and the new index unknown; zeros confirm nothing, however
many, until the counter moves; a rollover is accepted only at a known modulus and a plausible rate.

Counters that one request reads share their times; what fits without doubt, nearly everything, is judged and
split for all of them in one pass (``fold_alike``). The rest goes through the state machine one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protocols.exact import LIMIT, proportion, to_int64
from protocols.plan.bound import BoundPoint
from protocols.records import CounterState, Float64, Int64

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


def fold_alike(
    points: Sequence[BoundPoint], window_ms: int, states: Sequence[CounterState | None], at_ms: Int64, indexes: Int64
) -> dict[int, CounterFold]:
    """Fold counters that share their times; only those whose indexes all fit at once, without a rollover.

    Parameters
    ----------
    points : sequence of BoundPoint
        Of one ``hold_ms``.
    states : sequence of CounterState or None
    at_ms : ndarray of int64, shape (samples,)
        Ascending. [UTC ms]
    indexes : ndarray of int64, shape (points, samples)
        All available. [base unit]

    Returns
    -------
    dict of int to CounterFold
        By place in ``points``, each equal to what ``fold_counter`` gives; those left out have to go there.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for place, state in enumerate(states):
        if at_ms.size and state is not None and not state.candidates and state.last_ms < int(at_ms[0]):
            alike.setdefault((state.last_ms, state.emitted_to_ms), []).append(place)
    fits = np.ones(at_ms.size, dtype=np.bool_)
    folded: dict[int, CounterFold] = {}
    for places in alike.values():
        known = [state for place in places if (state := states[place]) is not None]
        own = indexes[places]
        growths = _growths(known, own)
        misfits = _misfits([points[place] for place in places], known[0].last_ms, at_ms, growths)
        sound = np.flatnonzero(~np.any(misfits, axis=1)).tolist()
        if sound:
            kept = [known[row] for row in sound]
            cuts = _split(points[places[sound[0]]].hold_ms, window_ms, kept, at_ms, growths[sound], own[sound, -1])
            for row, (state, cut) in zip(sound, cuts, strict=True):
                folded[places[row]] = CounterFold(state, (cut,) if cut.amount.size else (), (), fits)
    return folded


def close_counter(folded: CounterFold) -> CounterFold:
    """The same with the partial window closed at the last accepted index (a clean stop)."""
    if folded.state is None:
        return folded
    state, rest = _close(folded.state)
    amounts = folded.amounts if rest is None else (*folded.amounts, rest)
    return replace(folded, state=state, amounts=amounts)


def fold_counter(
    point: BoundPoint,
    window_ms: int,
    state: CounterState | None,
    at_ms: Int64,
    indexes: Int64,
    factors: Float64 | None = None,
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
    factors : ndarray of float64, shape (samples,), or None
        What a difference that ends with this sample is multiplied with, rounded half to even, before it is split: a
        volume at conditions becomes one at the reference state. Indexes stay as they are shown.

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
            own = None if factors is None else factors[at : at + run]
            state, cut = _advance(point, window_ms, state, at_ms[at : at + run], indexes[at : at + run], own)
            amounts.append(cut)
            at += run
            continue
        factor = None if factors is None else float(factors[at])
        state, cut_or_none, reset, fit = _judge(point, window_ms, state, int(at_ms[at]), int(indexes[at]), factor)
        if cut_or_none is not None:
            amounts.append(cut_or_none)
        if reset is not None:
            resets.append(reset)
        fits[at] = fit
        at += 1
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
    if point.modulus is not None and step < 0 <= step + point.modulus <= allowed:
        return step + point.modulus
    return None


def _growths(states: Sequence[CounterState], indexes: Int64) -> Int64:
    """Growths from each state's last index on, shape (points, samples)."""
    last = np.array([state.last_index for state in states], dtype=np.int64)
    return np.diff(indexes, prepend=last[:, np.newaxis], axis=1)


def _misfits(points: Sequence[BoundPoint], last_ms: int, at_ms: Int64, growths: Int64) -> NDArray[np.bool_]:
    """Which growths do not fit without a rollover, shape (points, samples); all of a point that is beyond int64."""
    elapsed = np.diff(at_ms, prepend=last_ms)
    longest = int(np.max(elapsed))
    misfits = growths < 0
    limited = [row for row, point in enumerate(points) if point.max_per_hour is not None]
    if limited:
        rates = [points[row].max_per_hour or 0 for row in limited]
        sure = [rate * longest < LIMIT for rate in rates]
        most = np.array([rate if safe else 0 for rate, safe in zip(rates, sure, strict=True)], dtype=np.int64)
        step = np.array([int(points[row].resolution) + 1 for row in limited], dtype=np.int64)
        allowed = most[:, np.newaxis] * elapsed // HOUR_MS + step[:, np.newaxis]
        misfits[limited] |= (growths[limited] > allowed) | ~np.array(sure)[:, np.newaxis]
    return misfits


def _plausible_run(point: BoundPoint, state: CounterState, at_ms: Int64, indexes: Int64) -> int:
    """How many leading samples fit without a rollover, judged over whole arrays."""
    misfits = _misfits([point], state.last_ms, at_ms, _growths([state], indexes[np.newaxis]))[0]
    return int(np.argmax(misfits)) if bool(np.any(misfits)) else int(at_ms.size)


def _judge(
    point: BoundPoint, window_ms: int, state: CounterState, at_ms: int, index: int, factor: float | None
) -> tuple[CounterState, Amounts | None, Reset | None, bool]:
    """One step of the state machine for a sample that the run did not cover."""
    growth = _growth(point, index, state.last_index, at_ms - state.last_ms)
    if growth is not None:
        after, cut = _split_one(point, window_ms, state, [at_ms], [growth], index, factor)
        return after, cut, None, True
    waiting = state.candidates
    if not index or (waiting and _growth(point, index, waiting[-1][1], at_ms - waiting[-1][0]) is None):
        waiting = ()  # zero after zero confirms nothing: so reads a meter that starts, and one whose register failed
    waiting = (*waiting, (at_ms, index))
    if len(waiting) < CONFIRMATIONS:
        return replace(state, candidates=waiting), None, None, False
    closed, rest = _close(state)
    opened_ms, opening = waiting[0]
    reset = Reset(closed.last_ms, closed.last_index, opened_ms, opening)
    fresh = CounterState(opened_ms, opening, opened_ms, 0)
    knots = [at for at, _ in waiting[1:]]
    growths = [
        _growth(point, index_b, index_a, at_b - at_a) or 0 for (at_a, index_a), (at_b, index_b) in pairwise(waiting)
    ]
    after, cut = _split_one(point, window_ms, fresh, knots, growths, index, factor)
    return after, _joined(rest, cut), reset, False


def _advance(
    point: BoundPoint, window_ms: int, state: CounterState, at_ms: Int64, indexes: Int64, factors: Float64 | None
) -> tuple[CounterState, Amounts]:
    """Accept a run of plausible indexes."""
    growths = _converted(_growths([state], indexes[np.newaxis]), factors)
    return _split(point.hold_ms, window_ms, [state], at_ms, growths, indexes[-1:])[0]


def _split_one(
    point: BoundPoint,
    window_ms: int,
    state: CounterState,
    knots: list[int],
    growths: list[int],
    index: int,
    factor: float | None,
) -> tuple[CounterState, Amounts]:
    """``_split`` for single steps of one counter."""
    steps, last = np.array([growths], dtype=np.int64), np.array([index], dtype=np.int64)
    steps = _converted(steps, None if factor is None else np.full(len(growths), factor))
    return _split(point.hold_ms, window_ms, [state], np.array(knots, dtype=np.int64), steps, last)[0]


def _converted(growths: Int64, factors: Float64 | None) -> Int64:
    """Growths times their factors, rounded half to even; shape (points, samples)."""
    return growths if factors is None else to_int64(np.asarray(growths.astype(np.float64) * factors, dtype=np.float64))


def _split(
    hold_ms: int, window_ms: int, states: Sequence[CounterState], knots: Int64, growths: Int64, indexes: Int64
) -> list[tuple[CounterState, Amounts]]:
    """Spread growths over the window grid by time, with cumulative half-even rounding.

    Part k is R(edge k) - R(edge k-1), R the amount since ``emitted_to_ms`` interpolated between accepted
    samples; what lies behind the last whole cell stays pending. Inside a difference that spans more than
    an hour the grid is hours: the shape is unknown there anyway.

    Parameters
    ----------
    states : sequence of CounterState
        Of one ``last_ms`` and ``emitted_to_ms``.
    knots : ndarray of int64, shape (samples,)
        Times of the samples, at least one. [UTC ms]
    growths : ndarray of int64, shape (points, samples)
    indexes : ndarray of int64, shape (points,)
        The last accepted ones.
    """
    first = states[0]
    times = np.concatenate((np.array([first.last_ms], dtype=np.int64), knots))
    totals = np.zeros((len(states), times.size), dtype=np.int64)
    np.cumsum(growths, axis=1, dtype=np.int64, out=totals[:, 1:])
    totals += np.array([state.pending for state in states], dtype=np.int64)[:, np.newaxis]
    spans = np.diff(times)
    edges = _edges(times, window_ms)
    segment = np.clip(np.searchsorted(times, edges, side="left") - 1, 0, spans.size - 1)
    reached = totals[:, segment] + proportion(growths[:, segment], edges - times[segment], spans[segment])
    parts = np.diff(reached, prepend=0, axis=1)
    starts = np.concatenate((np.array([first.emitted_to_ms], dtype=np.int64), edges))[: edges.size]
    emitted_to_ms = int(edges[-1]) if edges.size else first.emitted_to_ms
    pending = totals[:, -1] - (reached[:, -1] if edges.size else 0)
    long = spans > hold_ms
    gaps = np.where(long, growths, 0) if bool(np.any(long)) else None
    split: list[tuple[CounterState, Amounts]] = []
    for row, (state, index, left) in enumerate(zip(states, indexes.tolist(), pending.tolist(), strict=True)):
        gap = 0 if edges.size else state.gap
        reach = np.zeros(edges.size, dtype=np.int64)
        reach[:1] = state.gap
        if gaps is not None:
            _reach_windows(reach, times, gaps[row], np.concatenate((starts, edges[-1:])))
            gap = max(gap, _pending_gap(times, gaps[row], emitted_to_ms))
        after = CounterState(int(times[-1]), index, emitted_to_ms, left, gap)
        split.append((after, Amounts(starts, edges, parts[row], reach)))
    return split


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


def _reach_windows(reach: Int64, times: Int64, gaps: Int64, bounds: Int64) -> None:
    """Raise ``reach`` to the largest gap difference that overlaps each window."""
    for at in np.flatnonzero(gaps):
        low = max(int(np.searchsorted(bounds, times[at], side="right")) - 1, 0)
        high = min(int(np.searchsorted(bounds, times[at + 1], side="left")), reach.size)
        reach[low:high] = np.maximum(reach[low:high], gaps[at])


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
