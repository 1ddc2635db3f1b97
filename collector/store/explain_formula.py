"""A window's formula with the values in it: the indexes of a counter, or the stretches over which rates are held."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from collector.store.readings import OpenedBatch, position_of, readings_of
from protocols.exact import half_even
from protocols.modbus.decode import indexes, values
from protocols.plan.bound import BoundPoint, BoundSource, CounterSeries, RateSeries
from protocols.quantities import Kind
from protocols.records import UInt64, Window
from protocols.windows.fold import held_instants
from protocols.windows.rates import rate_stretches


@dataclass(frozen=True, slots=True)
class IndexAt:
    """A counter's index at a window's edge, between the readings around it; ``carried``: the first one is known
    from the batch's opening state only.

    index = before + (after - before) x (at_ms - before_ms) / (after_ms - before_ms), rounded half to even.
    """

    at_ms: int
    index: int
    before_ms: int
    before: int
    after_ms: int
    after: int
    carried: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """mass = sign x rint(activity x coefficient); ``agrees``: the two indexes differ by the activity.

    They do not where the counter rolled over or started anew, where its volume is converted, or where an index was
    not believed.
    """

    sign: int
    coefficient: float
    base_unit: str
    begin: IndexAt | None
    end: IndexAt | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which nothing changes: inputs [base units], rate [kg/h], and what it adds [ug].

    ``state`` is running, stopped or unknown; ``rate_kg_per_h`` is None where the rate is not known.
    """

    from_ms: int
    to_ms: int
    state: str
    inputs: tuple[tuple[str, float | None], ...]
    rate_kg_per_h: float | None
    added_ug: int


@dataclass(frozen=True, slots=True)
class Held:
    """mass = sum of rate x time over the stretches, in micrograms, rounded half to even to milligrams."""

    method: str
    stretches: tuple[Stretch, ...]
    sum_ug: int
    agrees: bool


def counted_by(series: CounterSeries, window: Window, point: BoundPoint, around: Sequence[OpenedBatch]) -> Counted:
    """How the counter's indexes at the window's edges make its mass, from the batches around it."""
    marks: dict[int, tuple[int, bool]] = {}
    for opened in around:
        place = position_of(opened.plan, point.id)
        if place is None:
            continue
        counter = opened.batch.opening.points[place].counter
        if counter is not None:
            marks.setdefault(counter.last_ms, (counter.last_index, True))
        answered = [one for one in readings_of(opened, place) if one.has_value]
        index, available = indexes(np.array([one.word for one in answered], dtype=np.uint64), point)
        for one, at, here in zip(answered, index.tolist(), available.tolist(), strict=True):
            if here and one.at_ms is not None:
                marks[one.at_ms] = (at, False)
    begin, end = (_index_at(edge, marks) for edge in (window.from_ms, window.to_ms))
    agrees = begin is not None and end is not None and end.index - begin.index == window.activity
    return Counted(series.sign, series.coefficient, point.quantity.definition.base_unit, begin, end, agrees)


def _index_at(edge_ms: int, marks: Mapping[int, tuple[int, bool]]) -> IndexAt | None:
    """The index at an instant, interpolated between the readings before and at or after it."""
    times = sorted(marks)
    place = bisect_left(times, edge_ms)
    if place == len(times):
        return None
    after_ms = times[place]
    before_ms = times[place - 1] if place else after_ms
    if place == 0 and after_ms != edge_ms:
        return None
    (before, carried), (after, _) = marks[before_ms], marks[after_ms]
    between = half_even((after - before) * (edge_ms - before_ms), after_ms - before_ms) if place else 0
    return IndexAt(edge_ms, before + between, before_ms, before, after_ms, after, carried)


def held_by(
    stating: OpenedBatch, bound: BoundSource, series: RateSeries, window: Window
) -> tuple[Held, dict[int, Mapping[int, int]]]:
    """The stretches of a window, and until when each sample holds, by point."""
    batch = stating.batch
    samples = held_instants(stating.plan, batch.opening, batch.samples, batch.events, batch.from_ms, batch.to_ms)
    edges = np.array([window.from_ms, window.to_ms], dtype=np.int64)
    one, added = rate_stretches(bound, series, samples, edges)
    starts = [*one.stretches.start_ms.tolist(), window.to_ms]
    decoded = {name: in_base_units(held.words, held.point) for name, held in one.inputs.items()}
    stretches = []
    for place, (from_ms, to_ms) in enumerate(pairwise(starts)):
        state = "running" if one.operating[place] else "stopped" if one.stopped[place] else "unknown"
        inputs = tuple(
            (name, decoded[name][at] if (at := int(one.active[name][place])) >= 0 else None) for name in decoded
        )
        rate = float(one.rate[place]) if one.valid[place] else None
        stretches.append(Stretch(from_ms, to_ms, state, inputs, rate, int(added[place])))
    total = sum(one.added_ug for one in stretches)
    ends = {
        place: dict(zip(held.at_ms.tolist(), held.ends_ms.tolist(), strict=True)) for place, held in samples.items()
    }
    return Held(bound.method.value, tuple(stretches), total, half_even(total, 1000) == window.mass_mg), dict(ends)


def in_base_units(words: UInt64, point: BoundPoint) -> list[int | float | None]:
    """Words in base units; None where they mean nothing."""
    if not words.size:
        return []
    number, available = indexes(words, point) if point.kind is Kind.COUNTER else values(words, point)
    return [one if here else None for one, here in zip(number.tolist(), available.tolist(), strict=True)]
