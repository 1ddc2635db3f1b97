"""One window taken apart: its formula with the values in it, the readings, their words, and the signed batches.

The batch that states the window is folded again, so that what is shown is what the edge computed, not a likeness.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, select

from collector.store.hours import windows_stated
from collector.store.log import read_frontier
from collector.store.plans import PlanBook
from collector.store.readings import (
    OpenedBatch,
    Reading,
    block_of,
    items_holding,
    open_batch,
    position_of,
    readings_of,
)
from collector.store.schema import leaves
from collector.store.tree import inclusion
from protocols.errors import EmitraceError
from protocols.exact import half_even
from protocols.modbus.decode import exact_value, indexes, values
from protocols.plan.bound import BoundPlan, BoundPoint, BoundSource, CounterSeries, RateSeries
from protocols.plan.model import FactorRecord, Instrument
from protocols.quantities import Kind
from protocols.records import Fate, ReadRequest, UInt64, Window, fate_of
from protocols.windows.fold import held_instants
from protocols.windows.rates import rate_stretches
from protocols.windows.recompute import recompute


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch with its proof of origin and its place in the log.

    ``differences`` is what folding its raw words again gives otherwise than it states; empty is equal. ``path`` is
    the leaf's audit path in the log of ``tree_size`` leaves with that ``root``.
    """

    item: int
    sequence: int
    stream_id: bytes
    from_ms: int
    to_ms: int
    received_ms: int
    size: int
    digest: bytes
    previous: bytes
    key_id: bytes
    content_type: str
    signature: bytes
    clock: str
    clock_uncertainty_ms: int
    software: str
    leaf: int
    leaf_hash: bytes
    tree_size: int
    root: bytes
    path: tuple[bytes, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A reading with its words as registers and what they mean; None where they mean nothing.

    Attributes
    ----------
    registers : tuple of str
        Each register of the answer that belongs to the point, hex, in the map's order.
    value : str or None
        In the register's unit, exact.
    base : int, float or None
        In the base unit: a counter's index, an instant's value.
    holds_to_ms : int or None
        Until when it stands, where it is held. [UTC ms]
    """

    reading: Reading
    registers: tuple[str, ...]
    value: str | None
    base: int | float | None
    holds_to_ms: int | None


@dataclass(frozen=True, slots=True)
class PointTrail:
    """A point behind the window: what it is read by, and its readings around the window."""

    name: str
    point: BoundPoint
    instrument: Instrument
    request: ReadRequest
    bus: str
    readings: tuple[Shown, ...]


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


@dataclass(frozen=True, slots=True)
class ExplainedWindow:
    """A window from its formula down to signed words.

    ``counted`` is there for a counter, ``held`` for a rate; ``batches`` begin with the one that states the window.
    """

    agent: str
    source: str
    gas: str
    window: Window
    causes: tuple[str, ...]
    plan: BoundPlan
    factors: tuple[FactorRecord, ...]
    counted: Counted | None
    held: Held | None
    points: tuple[PointTrail, ...]
    batches: tuple[SignedBatch, ...]


def explain_window(
    connection: Connection, book: PlanBook, agent: str, source: str, gas: str, from_ms: int, counter_input: int = 0
) -> ExplainedWindow:
    """The window of a source, gas and input that begins at an instant.

    Raises
    ------
    EmitraceError
        There is none.
    """
    found = _find(connection, book, agent, (source, gas, counter_input), from_ms)
    if found is None:
        raise EmitraceError(
            f"window of {source} {gas}, input {counter_input + 1}, from {from_ms}", "is not in the books",
            "Open it from its hour.",
        )  # fmt: skip
    item, window = found
    stating = open_batch(connection, book, item)
    plan = stating.plan
    bound = plan.sources[window.source]
    series = _series(bound, window)
    named = _inputs(bound, series)
    margin_ms = max(plan.points[place].hold_ms for place in named.values())
    reach = items_holding(connection, agent, window.from_ms - margin_ms, window.to_ms + margin_ms)
    around = [stating if one == item else open_batch(connection, book, one) for one in sorted({item, *reach})]
    around = [one for one in around if one.plan.digest == plan.digest]
    around.sort(key=lambda one: one.batch.from_ms)
    counted, held, ends = None, None, dict[int, Mapping[int, int]]()
    if isinstance(series, CounterSeries):
        counted = _counted(series, window, plan.points[series.point], around)
    else:
        held, ends = _held(stating, bound, series, window)
    points = tuple(_point(name, place, around, window, ends.get(place, {})) for name, place in named.items())
    used = {item} | {one.reading.item for point in points for one in point.readings}
    batches = [stating, *(one for one in around if one.item in used and one.item != item)]
    stated = plan.plan.sources[window.source]
    records = {record.id: record for record in plan.plan.factors}
    return ExplainedWindow(
        agent=agent, source=source, gas=gas, window=window, causes=tuple(cause.name for cause in series.causes),
        plan=plan, factors=tuple(records[name] for name in stated.factors.get(gas, ())), counted=counted, held=held,
        points=points, batches=tuple(_signed(connection, one) for one in batches),
    )  # fmt: skip


def _find(
    connection: Connection, book: PlanBook, agent: str, wanted: tuple[str, str, int], from_ms: int
) -> tuple[int, Window] | None:
    for item, digest, window in windows_stated(connection, agent, from_ms, from_ms + 1):
        plan = book.of(connection, agent, digest)
        if plan is None:
            continue
        bound = plan.sources[window.source]
        if (bound.id, bound.gases[window.gas], window.input) == wanted:
            return item, window
    return None


def _series(bound: BoundSource, window: Window) -> CounterSeries | RateSeries:
    for counter in bound.counters:
        if (counter.input, counter.gas) == (window.input, window.gas):
            return counter
    return next(rate for rate in bound.rates if rate.gas == window.gas)


def _inputs(bound: BoundSource, series: CounterSeries | RateSeries) -> dict[str, int]:
    """Positions of the points behind a series, by what they are to it."""
    if isinstance(series, CounterSeries):
        return {"counter": series.point} | dict(zip(("temperature", "pressure"), series.conditions, strict=False))
    state = {} if bound.operating is None else {"state": bound.operating.point}
    return dict(series.inputs) | state


def _counted(series: CounterSeries, window: Window, point: BoundPoint, around: Sequence[OpenedBatch]) -> Counted:
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


def _held(
    stating: OpenedBatch, bound: BoundSource, series: RateSeries, window: Window
) -> tuple[Held, dict[int, Mapping[int, int]]]:
    """The stretches of a window, and until when each sample holds, by point."""
    batch = stating.batch
    samples = held_instants(stating.plan, batch.opening, batch.samples, batch.events, batch.from_ms, batch.to_ms)
    edges = np.array([window.from_ms, window.to_ms], dtype=np.int64)
    one, added = rate_stretches(bound, series, samples, edges)
    starts = [*one.stretches.start_ms.tolist(), window.to_ms]
    decoded = {name: _decoded(held.words, held.point) for name, held in one.inputs.items()}
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


def _decoded(words: UInt64, point: BoundPoint) -> list[int | float | None]:
    """Words in base units; None where they mean nothing."""
    if not words.size:
        return []
    number, available = indexes(words, point) if point.kind is Kind.COUNTER else values(words, point)
    return [one if here else None for one, here in zip(number.tolist(), available.tolist(), strict=True)]


def _point(name: str, place: int, around: Sequence[OpenedBatch], window: Window, ends: Mapping[int, int]) -> PointTrail:
    """A point with its readings inside the window and those that reach into it from before or close it."""
    plan = around[0].plan
    point = plan.points[place]
    request = block_of(around[0].batch, place)[0].request
    found = [one for opened in around for one in readings_of(opened, place)]
    kept = [one for one in found if _matters(one, point, window, ends)]
    bases = iter(_decoded(np.array([one.word for one in kept if one.word is not None], dtype=np.uint64), point))
    return PointTrail(
        name, point, plan.plan.instruments[point.instrument], request, plan.plan.buses[request.bus].id,
        tuple(_shown(one, point, ends, None if one.word is None else next(bases)) for one in kept),
    )  # fmt: skip


def _matters(one: Reading, point: BoundPoint, window: Window, ends: Mapping[int, int]) -> bool:
    if one.at_ms is None:
        return window.from_ms <= one.due_ms < window.to_ms
    if point.kind is Kind.COUNTER:
        return window.from_ms - point.interval_ms <= one.due_ms <= window.to_ms
    return one.at_ms < window.to_ms and ends.get(one.at_ms, one.at_ms + 1) > window.from_ms


def _shown(one: Reading, point: BoundPoint, ends: Mapping[int, int], base: int | float | None) -> Shown:
    if one.word is None:
        return Shown(one, (), None, None, None)
    width = len(point.register.places)
    registers = tuple(f"{one.word >> 16 * (width - 1 - place) & 0xFFFF:04x}" for place in range(width))
    exact = exact_value(one.word, point.register)
    shown = None if exact is None else str(exact.numerator) if exact.denominator == 1 else f"{float(exact):.10g}"
    holds = ends.get(one.at_ms) if one.at_ms is not None and fate_of(one.fate) is not Fate.NOT_AVAILABLE else None
    return Shown(one, registers, shown, base, holds)


def _signed(connection: Connection, opened: OpenedBatch) -> SignedBatch:
    batch = opened.batch
    kept = connection.scalar(select(leaves.c.leaf_hash).where(leaves.c.position == opened.leaf))
    tree = read_frontier(connection)
    return SignedBatch(
        item=opened.item, sequence=batch.sequence, stream_id=batch.stream_id, from_ms=batch.from_ms,
        to_ms=batch.to_ms, received_ms=opened.received_ms, size=opened.size, digest=opened.digest,
        previous=batch.previous, key_id=opened.sealed.kid, content_type=opened.sealed.content_type,
        signature=opened.sealed.signature, clock=batch.clock.state.name.lower(),
        clock_uncertainty_ms=batch.clock.uncertainty_ms, software=batch.software, leaf=opened.leaf,
        leaf_hash=kept or b"", tree_size=tree.size, root=tree.root,
        path=inclusion(connection, opened.leaf, tree.size), differences=tuple(recompute(opened.plan, batch)[0]),
    )  # fmt: skip
