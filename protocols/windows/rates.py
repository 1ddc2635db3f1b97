"""Held values to masses per window, for a source whose emission is a rate (a stack, purchased steam).

A sample holds until the next one, the next event, or its hold time, whichever is first; a value is never
extended backwards. Between two breakpoints every input is constant, so a window's mass is a sum of
integers: each stretch's rate x time is rounded half to even to micrograms, then added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.exact import half_even, sum_by_group, to_int64
from protocols.ghg.cems import mass_rate_kg_per_h, sensitivities
from protocols.ghg.steam import steam_rate_kg_per_h
from protocols.modbus.decode import numbers, values
from protocols.plan.bound import BoundOperating, BoundPoint, BoundSource, CemsSeries, RateSeries, SteamSeries
from protocols.records import Float64, HeldSample, Int64, UInt64
from protocols.windows.instants import doubtful, usable

Mask: TypeAlias = NDArray[np.bool_]

UG_PER_MS = 2500.0 / 9.0
"""1 kg/h in micrograms per millisecond: 1e9 / 3.6e6."""
MOST_KG_PER_H = 1.0e8
"""A rate beyond this is no emission but a garbled word; it also keeps every sum of a window inside int64."""
SQRT3 = 1.7320508075688772


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Samples of one instant over a span, the ones carried in first, with the end of each hold.

    A sample whose fate is not usable ends the hold of the one before, and holds nothing itself.
    """

    point: BoundPoint
    at_ms: Int64
    ends_ms: Int64
    words: UInt64
    fates: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Masses:
    """Windows of one rate-based source and gas; arrays of shape (windows,), masses in mg, times in ms."""

    from_ms: Int64
    to_ms: Int64
    mass_mg: Int64
    operating_ms: Int64
    measured_ms: Int64
    stopped_ms: Int64
    u_independent: Float64
    u_shared: Float64  # shape (windows, causes)
    doubtful: Mask


def hold(
    point: BoundPoint,
    carried: tuple[HeldSample, ...],
    at_ms: Int64,
    words: UInt64,
    fates: Int64,
    events_ms: Int64,
) -> Held:
    """Join carried and new samples and end each hold: next sample, next event, or ``hold_ms``."""
    times = np.concatenate((np.array([s.at_ms for s in carried], dtype=np.int64), at_ms))
    joined = np.concatenate((np.array([s.words for s in carried], dtype=np.uint64), words))
    codes = np.concatenate((np.array([s.fate for s in carried], dtype=np.int64), fates))
    ends = times + point.hold_ms
    if times.size > 1:
        ends[:-1] = np.minimum(ends[:-1], times[1:])
    if events_ms.size and times.size:
        following = np.searchsorted(events_ms, times, side="right")
        has = following < events_ms.size
        ends[has] = np.minimum(ends[has], events_ms[following[has]])
    return Held(point, times, ends, joined, codes)


def carry(held: Held, to_ms: int, events_ms: Int64) -> tuple[HeldSample, ...]:
    """What still matters behind the span's end: holds that reach it, and samples stamped at or after it."""
    keep = (held.ends_ms > to_ms) | (held.at_ms >= to_ms)
    if events_ms.size:
        keep &= held.at_ms >= int(events_ms[-1])
    columns = (column[keep].tolist() for column in (held.at_ms, held.words, held.fates))
    return tuple(HeldSample(at, word, fate) for at, word, fate in zip(*columns, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Elementary stretches of a span: every input constant in each; ``group`` starts each window."""

    start_ms: Int64
    length_ms: Int64
    group: Int64


def window_edges(from_ms: int, to_ms: int, window_ms: int) -> Int64:
    """Edges of the cells of the grid clipped to [from, to]."""
    first = (from_ms // window_ms + 1) * window_ms
    inner = np.arange(first, to_ms, window_ms, dtype=np.int64)
    return np.concatenate((np.array([from_ms], dtype=np.int64), inner, np.array([to_ms], dtype=np.int64)))


def fold_rates(source: BoundSource, series: RateSeries, held: dict[int, Held], edges: Int64) -> Masses:
    """Masses of one gas of a rate-based source over the windows between ``edges``.

    Parameters
    ----------
    source : BoundSource
        Carries the operating state's meaning.
    series : RateSeries
    held : dict of int to Held
        By position of the point, for every input and, where there is one, the state signal. Without one a source
        operates while its flow is known.
    edges : ndarray of int64, shape (windows + 1,)
        Ascending window edges. [UTC ms]

    Returns
    -------
    Masses
        All windows, those without any known operating state included (times 0).
    """
    one = _evaluate(source, series, held, edges)
    stretches, valid, rate, lengths = one.stretches, one.valid, one.rate, one.stretches.length_ms
    ug = _contributions(one)
    mass = np.array([half_even(int(v), 1000) for v in sum_by_group(ug, stretches.group)], dtype=np.int64)
    measured_ms = sum_by_group(np.where(valid, lengths, 0), stretches.group)
    shared, independent = _uncertainty(series, one.inputs, one.columns, one.slopes, one.active, valid, stretches)
    shared = _with_factors(series, shared, mass)
    replaced = [(h.at_ms, one.active[name]) for name, h in one.inputs.items()]
    replaced += [] if one.state is None else [(one.state.at_ms, one.signal)]
    known = np.where(valid, rate, 0.0), valid | one.stopped
    independent = independent + _between_samples(*known, replaced, stretches)
    return Masses(
        edges[:-1],
        edges[1:],
        mass,
        sum_by_group(np.where(one.operating, lengths, 0), stretches.group),
        measured_ms,
        sum_by_group(np.where(one.stopped, lengths, 0), stretches.group),
        np.sqrt(independent),
        shared,
        sum_by_group(np.where(valid & one.doubted, lengths, 0), stretches.group) > 0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A rate-based source over elementary stretches, in each of which every input is constant.

    ``columns`` are the inputs [base units], ``rate`` is in kg/h; both mean something only where ``valid``.
    ``active`` and ``signal`` are the places of the samples that hold, -1 where none does.
    """

    stretches: Stretches
    inputs: dict[str, Held]
    state: Held | None
    active: dict[str, Int64]
    signal: Int64
    columns: dict[str, Float64]
    rate: Float64
    slopes: dict[str, Float64]
    operating: Mask
    stopped: Mask
    valid: Mask
    doubted: Mask


def rate_stretches(
    source: BoundSource, series: RateSeries, held: dict[int, Held], edges: Int64
) -> tuple[Evaluated, Int64]:
    """What ``fold_rates`` adds up: each stretch with its inputs and rate, and what it contributes. [ug]"""
    evaluated = _evaluate(source, series, held, edges)
    return evaluated, _contributions(evaluated)


def _contributions(one: Evaluated) -> Int64:
    """Mass of each stretch, rounded half to even. [ug]"""
    rate = np.where(one.valid, one.rate, 0.0)
    return to_int64(np.asarray(rate * one.stretches.length_ms * UG_PER_MS, dtype=np.float64))


def _evaluate(source: BoundSource, series: RateSeries, held: dict[int, Held], edges: Int64) -> Evaluated:
    inputs = {name: held[position] for name, position in series.inputs.items()}
    if source.operating is None and isinstance(series, CemsSeries):
        raise ValueError(f"source {source.id}: a stack needs an operating state")
    state = None if source.operating is None else held[source.operating.point]
    stretches = _stretches([*inputs.values(), *([] if state is None else [state])], edges)
    active = {name: active_at(h, stretches.start_ms) for name, h in inputs.items()}
    if source.operating is None or state is None:
        signal = np.full(stretches.start_ms.size, -1, dtype=np.int64)
        operating, stopped = active["flow"] >= 0, np.zeros(stretches.start_ms.size, dtype=np.bool_)
    else:
        signal = active_at(state, stretches.start_ms)
        operating, stopped = _operating(source.operating, state, signal)
    valid, doubted = operating.copy(), np.zeros(operating.size, dtype=np.bool_)
    for index in active.values():
        valid &= index >= 0
    columns: dict[str, Float64] = {}
    for name, h in inputs.items():
        index = active[name]
        decoded, available = values(h.words, h.point) if h.words.size else (np.zeros(0), np.zeros(0, np.bool_))
        available = available & usable(h.fates)
        valid &= np.where(index >= 0, available[index] if decoded.size else False, False)
        if decoded.size:
            doubted |= (index >= 0) & doubtful(h.fates)[index]
        columns[name] = np.where(valid, decoded[index] if decoded.size else 0.0, 0.0)
    rate, slopes = _rate(source, series, columns)
    valid &= np.abs(rate) <= MOST_KG_PER_H  # NaN (no gas can be in such a state) or garbled: operating, not measured
    return Evaluated(
        stretches, inputs, state, active, signal, columns, rate, slopes, operating, stopped, valid, doubted
    )


def _stretches(held: list[Held], edges: Int64) -> Stretches:
    """Cut the span at every window edge, sample and end of hold."""
    low, high = int(edges[0]), int(edges[-1])
    cuts = np.unique(np.concatenate([edges, *(h.at_ms for h in held), *(h.ends_ms for h in held)]))
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    starts = cuts[:-1]
    return Stretches(starts, np.diff(cuts), np.searchsorted(starts, edges[:-1]).astype(np.int64))


def active_at(held: Held, at_ms: Int64) -> Int64:
    """Index of the sample that holds at each instant; -1 where none does."""
    index = np.searchsorted(held.at_ms, at_ms, side="right").astype(np.int64) - 1
    if held.at_ms.size:
        index = np.where((index >= 0) & (at_ms < held.ends_ms[np.maximum(index, 0)]), index, -1)
    return index


def _codes(held: Held) -> Int64:
    """State codes of the samples; -1 where the register says nothing."""
    if not held.words.size:
        return np.zeros(0, dtype=np.int64)
    number, available = numbers(held.words, held.point.register)
    return np.where(available, np.where(available, number, 0.0).astype(np.int64), -1)


def _operating(meaning: BoundOperating, state: Held, index: Int64) -> tuple[Mask, Mask]:
    """Which stretches are operating time and which are stopped by evidence; the rest is unknown."""
    codes = _codes(state)
    code = np.where(index >= 0, codes[index], -1) if codes.size else np.full(index.size, -1, dtype=np.int64)
    known = index >= 0
    operating = known & np.isin(code, np.array(sorted(meaning.operating), dtype=np.int64))
    stopped = known & np.isin(code, np.array(sorted(meaning.stopped), dtype=np.int64))
    return operating, stopped


def _rate(source: BoundSource, series: RateSeries, columns: dict[str, Float64]) -> tuple[Float64, dict[str, Float64]]:
    """Mass rate [kg/h] of a series from its inputs [base units], and its slope with each of them."""
    if isinstance(series, SteamSeries):
        flow, temperature, pressure = columns["flow"], columns.get("temperature"), columns["pressure"]
        return steam_rate_kg_per_h(flow, temperature, pressure, series.rule)
    state_of_gas = (
        columns["flow"],
        source.gases[series.gas],
        columns["concentration"],
        columns.get("temperature"),
        columns.get("pressure"),
        columns.get("moisture"),
        series.flow_reference,
        series.fraction_is_dry,
    )
    return mass_rate_kg_per_h(*state_of_gas), sensitivities(*state_of_gas)


def _uncertainty(
    series: RateSeries,
    inputs: dict[str, Held],
    columns: dict[str, Float64],
    slopes: dict[str, Float64],
    active: dict[str, Int64],
    valid: Mask,
    stretches: Stretches,
) -> tuple[Float64, Float64]:
    """Shared part per cause [mg] and square of the independent part [mg^2], per window.

    Shared: u = limit of error / sqrt(3), the same for every sample of an instrument, so linear over the
    stretches and, conservatively, over the inputs of one instrument. Independent: repeatability, one draw
    per sample, so linear within a sample and in quadrature between samples.
    """
    windows = stretches.group.size
    shared = np.zeros((windows, len(series.causes)), dtype=np.float64)
    independent = np.zeros(windows, dtype=np.float64)
    owners = _owners(inputs)
    for name, one in inputs.items():
        slope = np.abs(slopes[name])
        level = np.abs(columns[name])
        limit = level * (one.point.mpe_percent_of_reading / 100.0) + one.point.mpe_absolute
        ug = _amount(slope * limit / SQRT3, valid, stretches)
        cause = owners.index(one.point.instrument)
        shared[:, cause] = shared[:, cause] + sum_by_group(ug, stretches.group) / 1000.0
        draws = _amount(slope * level * (one.point.repeatability_percent / 100.0), valid, stretches)
        independent = independent + _squares(draws, active[name], stretches)
    return shared, independent


def _owners(inputs: dict[str, Held]) -> list[int]:
    """The instruments behind the inputs, in order of first use: the first causes of a series."""
    return list(dict.fromkeys(one.point.instrument for one in inputs.values()))


def _with_factors(series: RateSeries, shared: Float64, mass_mg: Int64) -> Float64:
    """The shared parts with those of the factors, each relative to the mass."""
    for place, cause in enumerate(series.causes):
        if cause.relative:
            shared[:, place] = np.abs(mass_mg) * cause.relative
    return shared


def _amount(rate: Float64, valid: Mask, stretches: Stretches) -> Int64:
    """A rate [kg/h], at most the greatest that is believed, over each stretch. [ug]"""
    bounded = np.minimum(np.where(valid, rate, 0.0), MOST_KG_PER_H)
    return to_int64(np.asarray(bounded * stretches.length_ms * UG_PER_MS, dtype=np.float64))


def _squares(draws: Int64, index: Int64, stretches: Stretches) -> Float64:
    """Sum over samples of (sum over a sample's stretches)^2, per window. [mg^2]"""
    first = np.diff(index, prepend=-2) != 0
    first[stretches.group] = True
    starts = np.flatnonzero(first).astype(np.int64)
    mg = sum_by_group(draws, starts) / 1000.0
    squares = (mg * mg).tolist()
    bounds = [*np.searchsorted(starts, stretches.group).tolist(), len(squares)]
    return np.array([math.fsum(squares[low:high]) for low, high in pairwise(bounds)], dtype=np.float64)


def _between_samples(rate: Float64, known: Mask, samples: list[tuple[Int64, Int64]], stretches: Stretches) -> Float64:
    """Square of the part from what a rate does while the samples behind it stand, per window. [mg^2]

    ``rate`` is zero where the source is stopped by evidence, so that starts and stops are changes like any other.
    ``samples`` are, of each input and of the state signal, the times and which of them stands in each stretch.

    A rate that stood for L and is then seen to have changed by d was off by an amount anywhere between 0 and d x L,
    taken as rectangular: d x L / 2 with u = |d| x L / sqrt(12) (JCGM 100:2008, 4.3.7). The holds are not corrected
    for the first, as the rule of holding is what a window states, so its sum over the window, in which ups and
    downs cancel, joins u in quadrature (F.2.4.5). A change is told by the sample that shows it, so it counts in the
    window of that sample, for the time that the replaced sample stood.
    """
    places = np.flatnonzero(known)
    group = np.searchsorted(stretches.group, places, side="right")
    told = group[1:] == group[:-1]
    after, before = places[1:][told], places[:-1][told]
    ends = stretches.start_ms[before] + stretches.length_ms[before]
    stood = np.zeros(after.size, dtype=np.int64)
    for at_ms, index in samples:
        replaced = (index[after] != index[before]) & (index[before] >= 0)
        if at_ms.size:
            stood = np.where(replaced, np.maximum(stood, ends - at_ms[index[before]]), stood)
    off = to_int64(np.asarray((rate[after] - rate[before]) * stood * UG_PER_MS, dtype=np.float64))
    bounds = np.searchsorted(after, stretches.group).astype(np.int64)
    trend = sum_by_group(off, bounds) / 2000.0
    mg = off / 1000.0
    squares = (mg * mg / 12.0).tolist()
    ranges = pairwise([*bounds.tolist(), len(squares)])
    scatter = np.array([math.fsum(squares[low:high]) for low, high in ranges], dtype=np.float64)
    return np.asarray(trend * trend + scatter, dtype=np.float64)
