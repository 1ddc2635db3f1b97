"""Amounts and held values become windows: masses, times and the three parts of their uncertainty."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from protocols.ghg.combustion import combustion_mass_mg
from protocols.ghg.energy import energy_mass_mg
from protocols.ghg.uncertainty import quadrature, quadrature_of_two, resolution
from protocols.plan.bound import BoundPlan, BoundPoint, BoundSource, CounterSeries
from protocols.plan.model import Method
from protocols.records import (
    Float64,
    Int64,
    Window,
    WindowFlag,
)
from protocols.windows.counters import Amounts
from protocols.windows.rates import Held, fold_rates

READ_TIME_MS = 1000.0
"""How far an indication may lag behind its reading, taken as uniform over this time.

Meters refresh their registers about once a second; manuals rarely say. An assumption, confidence: unverified.
"""
_Series: TypeAlias = tuple[int, CounterSeries, tuple[Amounts, ...]]


def counter_windows(bound: BoundPlan, amounts: Mapping[int, tuple[Amounts, ...]]) -> list[list[Window]]:
    """Windows of the counter-based sources, by source, from the amounts of their counters."""
    windows: list[list[Window]] = [[] for _ in bound.sources]
    by_mass: dict[Callable[[Int64, Float64], Int64], list[_Series]] = {}
    for index, source in enumerate(bound.sources):
        mass_mg = combustion_mass_mg if source.method is Method.COMBUSTION else energy_mass_mg
        by_mass.setdefault(mass_mg, []).extend((index, one, amounts[one.point]) for one in source.counters)
    for rule, series in by_mass.items():
        masses = iter(_masses(rule, series))
        for index, one, cuts in series:
            for cut in cuts:
                windows[index].extend(_counter_windows(index, one, bound.points[one.point], cut, next(masses)))
    return windows


def _masses(mass_mg: Callable[[Int64, Float64], Int64], series: Sequence[_Series]) -> list[list[int]]:
    """Masses cut by cut, formed in one pass. [mg]"""
    cuts = [(one.coefficient, cut.amount) for _, one, cuts in series for cut in cuts]
    if not cuts:
        return []
    ends = list(accumulate(amount.size for _, amount in cuts))
    coefficients = np.repeat([coefficient for coefficient, _ in cuts], [amount.size for _, amount in cuts])
    flat = mass_mg(np.concatenate([amount for _, amount in cuts]), coefficients).tolist()
    return [flat[end - amount.size : end] for end, (_, amount) in zip(ends, cuts, strict=True)]


def _counter_windows(
    index: int, one: CounterSeries, point: BoundPoint, cut: Amounts, masses: list[int]
) -> list[Window]:
    """Windows of one (input, gas) from amounts of its counter and their masses [mg]."""
    usual = 1.0 if point.conversion is None else point.conversion.usual
    step = resolution(float(point.resolution) * usual * one.coefficient)
    relatives = [cause.relative for cause in one.causes]
    causes = len(relatives)
    columns = (cut.from_ms, cut.to_ms, cut.amount, cut.gap)
    rows = list(zip(*(column.tolist() for column in columns), masses, strict=True))
    u_end = []
    for start, end, _, gap, mass in rows:
        lag = resolution(mass * READ_TIME_MS / (end - start))
        shape = resolution(gap * one.coefficient)
        u_end.append(quadrature((step, lag, shape)) if gap else quadrature_of_two(step, lag))
    ends = _float32s(u_end)
    shared = _float32s([relative * mass for mass in masses for relative in relatives])
    return [
        Window(
            index, one.input, one.gas, start, end, amount, one.sign * mass, end - start, end - start, 0,
            WindowFlag.INTERPOLATED if gap else 0, 0.0, shared[at * causes : (at + 1) * causes], ends[at],
        )
        for at, (start, end, amount, gap, mass) in enumerate(rows)
    ]  # fmt: skip


def rate_windows(index: int, source: BoundSource, held: dict[int, Held], edges: Int64) -> list[Window]:
    """Windows of a rate-based source, gas by gas; a window whose state is wholly unknown is absent, not zero."""
    windows: list[Window] = []
    for series in source.rates:
        masses = fold_rates(source, series, held, edges)
        known = masses.operating_ms + masses.stopped_ms > 0
        for at in np.flatnonzero(known):
            mass, measured = int(masses.mass_mg[at]), int(masses.measured_ms[at])
            lag = resolution(mass * READ_TIME_MS / measured) if measured else 0.0
            independent, end = _float32s([float(masses.u_independent[at]), lag])
            windows.append(
                Window(
                    index,
                    0,
                    series.gas,
                    int(masses.from_ms[at]),
                    int(masses.to_ms[at]),
                    0,
                    mass,
                    int(masses.operating_ms[at]),
                    measured,
                    int(masses.stopped_ms[at]),
                    WindowFlag.UNCERTAIN if masses.doubtful[at] else 0,
                    independent,
                    _float32s(masses.u_shared[at].tolist()),
                    end,
                )
            )
    return windows


def _float32s(values: Sequence[float]) -> tuple[float, ...]:
    """The nearest float32 of each, as uncertainties travel."""
    form = f"<{len(values)}f"
    return struct.unpack(form, struct.pack(form, *values))
