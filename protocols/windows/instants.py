"""Samples of an instant, judged one after the other: what the analyzer was doing, and whether a value can be believed.

A value is measured only while the status register, read in the same request, says so. What is read on zero gas,
on span gas or during maintenance is a check, never an emission; how a check went is an event. A measured value
outside its range, too far from the one before, or unchanged for too long stays but is uncertain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.modbus.decode import numbers, values
from protocols.modbus.registermap import Register
from protocols.plan.bound import BoundPlausible, BoundPoint, BoundStatus
from protocols.records import (
    Absence,
    Doubt,
    Event,
    EventKind,
    Fate,
    Float64,
    InstantState,
    Int64,
    Phase,
    Scalar,
    UInt64,
    fate_code,
)

Mask = NDArray[np.bool_]
USABLE = tuple(int(fate) for fate in Fate if fate.has_value)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Fate code of every answered sample, the checks that ended, and the state after the last sample."""

    fates: Int64
    checks: tuple[Event, ...]
    state: InstantState | None


def usable(fates: Int64) -> Mask:
    """Which samples are values to reckon with: good and uncertain ones."""
    return np.isin(fates & 0xFF, USABLE)


def doubtful(fates: Int64) -> Mask:
    """Which samples are uncertain."""
    return np.asarray(fates & 0xFF == int(Fate.UNCERTAIN))


def judge(
    point: BoundPoint,
    state: InstantState | None,
    last_words: int,
    at_ms: Int64,
    words: UInt64,
    status_words: UInt64 | None,
    status_register: Register | None,
) -> Judged:
    """Judge the answered samples of one instant over a span.

    Parameters
    ----------
    point : BoundPoint
        With a status, plausibility rules, or both.
    state : InstantState or None
        After the span before; None before the first answered sample.
    last_words : int
        Words of the newest sample before the span.
    at_ms : ndarray of int64, shape (samples,)
        Ascending. [UTC ms]
    words : ndarray of uint64, shape (samples,)
    status_words : ndarray of uint64, shape (samples,), or None
        The status register in the same answers; None where another request reads it, and then no value is measured.
    status_register : Register or None
        How they are decoded.

    Returns
    -------
    Judged
    """
    if not at_ms.size:
        return Judged(np.zeros(0, dtype=np.int64), (), state)
    before = state or InstantState(0, 0, Phase.MEASURE, 0)
    phases = _phases(point.status, at_ms.size, status_words, status_register)
    number, available = values(words, point)
    measured = (phases == Phase.MEASURE) & available
    runs = _runs(before.run, last_words, words, measured)
    fates = np.where(available, int(Fate.GOOD), int(Fate.NOT_AVAILABLE)).astype(np.int64)
    ahead, known = values(np.array([last_words], dtype=np.uint64), point)
    earlier, present = np.concatenate((ahead, number[:-1])), np.concatenate((known, available[:-1]))
    if point.plausible is not None:
        followed = np.concatenate((np.array([before.run > 0]), measured[:-1]))
        elapsed = np.diff(at_ms, prepend=before.last_ms)
        followed &= (elapsed > 0) & (elapsed <= point.hold_ms)
        doubts = _doubts(point.plausible, number, np.abs(number - earlier), followed, runs)
        fates = np.where(measured & (doubts > 0), int(Fate.UNCERTAIN) | doubts << 8, fates)
    for phase in np.unique(phases).tolist():
        fates = np.where(phases == phase, _fate_in(Phase(phase), fates), fates)
    checks: list[Event] = []
    phase, since_ms = before.phase, before.since_ms
    for at in _changes(before.phase, phases):
        if phase.is_check:
            shown = float(earlier[at]) if present[at] else None
            checks.append(_check(point, phase, since_ms, int(at_ms[at]), shown))
        phase, since_ms = Phase(int(phases[at])), int(at_ms[at])
    after = InstantState(int(at_ms[-1]), int(runs[-1]), phase, since_ms)
    return Judged(fates, tuple(checks), after)


def _phases(status: BoundStatus | None, count: int, words: UInt64 | None, register: Register | None) -> Int64:
    """What the analyzer was doing at each sample; measuring where the plan names no status register."""
    if status is None:
        return np.full(count, int(Phase.MEASURE), dtype=np.int64)
    phases = np.full(count, int(Phase.UNKNOWN), dtype=np.int64)
    if words is not None and register is not None:
        code, available = numbers(words, register)
        for meant, phase in status.phases:
            phases[available & (code == meant)] = int(phase)
    return phases


def _fate_in(phase: Phase, fates: Int64) -> Int64:
    """Fates of samples in a phase: a measured value keeps its own."""
    if phase is Phase.MEASURE:
        return fates
    if phase.is_check:
        code = fate_code(Fate.IN_CALIBRATION, phase)
    else:
        code = fate_code(Fate.NOT_AVAILABLE, Absence.FAULT if phase is Phase.FAULT else Absence.STATUS_UNKNOWN)
    return np.full(fates.shape, code, dtype=np.int64)


def _runs(run: int, last_words: int, words: UInt64, measured: Mask) -> Int64:
    """How many measured samples in a row up to each one have its very words; 0 where it is not measured."""
    earlier = np.concatenate((np.array([last_words], dtype=np.uint64), words[:-1]))
    goes_on = measured & (words == earlier) & np.concatenate((np.array([run > 0]), measured[:-1]))
    places = np.arange(words.size, dtype=np.int64)
    begins = np.flatnonzero(~goes_on)
    behind = np.searchsorted(begins, places, side="right") - 1
    inside = behind >= 0
    first = begins[np.maximum(behind, 0)] if begins.size else np.zeros(words.size, dtype=np.int64)
    lengths = np.where(inside, places - first + 1, places + 1 + run)
    return np.where(measured, lengths, 0).astype(np.int64)


def _doubts(rules: BoundPlausible, number: Float64, step: Float64, followed: Mask, runs: Int64) -> Int64:
    """Why a value is doubted; 0 where it is not. Range goes before frozen, frozen before step."""
    doubts = np.zeros(number.size, dtype=np.int64)
    if rules.max_step is not None:
        doubts[followed & (step > rules.max_step)] = int(Doubt.STEP)
    if rules.frozen_after is not None:
        doubts[runs >= rules.frozen_after] = int(Doubt.FROZEN)
    doubts[(number < rules.low) | (number > rules.high)] = int(Doubt.RANGE)
    return doubts


def _changes(before: Phase, phases: Int64) -> Iterator[int]:
    """Samples at which the analyzer is doing something else than at the one before."""
    yield from np.flatnonzero(np.diff(phases, prepend=int(before))).tolist()


def _check(point: BoundPoint, phase: Phase, from_ms: int, to_ms: int, measured: float | None) -> Event:
    """A check that ended: what was shown last, and how far from the gas. [base unit]

    ``to_ms`` is the first sample of something else. Drift is shown minus expected; what is not known is left out.
    """
    status = point.status
    gas = {Phase.ZERO: "zero_gas", Phase.SPAN: "span_gas"}.get(phase)
    expected: float | None = getattr(status, gas) if gas is not None else None
    details: list[tuple[str, Scalar]] = [("check", phase.name.lower()), ("from_ms", from_ms)]
    if gas is not None and measured is not None:
        details.append(("measured", measured))
    if expected is not None:
        details.append(("expected", expected))
        if measured is not None:
            details.append(("drift", measured - expected))
    return Event(EventKind.CALIBRATION_CHECK, to_ms, point.id, tuple(details))
