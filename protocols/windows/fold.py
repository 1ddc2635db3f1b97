"""The fold over a whole span: windows, slots, the next state, and resets that it finds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocols.ghg.combustion import combustion_mass_mg
from protocols.ghg.energy import electricity_mass_mg
from protocols.ghg.uncertainty import quadrature, resolution
from protocols.modbus.decode import indexes, numbers
from protocols.plan.bound import BoundPlan, BoundPoint, BoundSource, CounterSeries
from protocols.plan.model import Method
from protocols.quantities import Kind
from protocols.records import (
    Event,
    EventKind,
    Fate,
    FoldState,
    HeldSample,
    Int64,
    PointState,
    Samples,
    SlotCount,
    UInt16,
    Window,
    WindowFlag,
)
from protocols.windows.counters import Amounts, Reset, fold_counter
from protocols.windows.rates import Held, carry, fold_rates, hold, window_edges
from protocols.windows.series import PointSeries, point_series, slot_range

READ_TIME_MS = 1000.0
"""How far an indication may lag behind its reading, taken as uniform over this time.

Meters refresh their registers about once a second; manuals rarely say. An assumption, confidence: unverified.
"""
HOLD_ENDERS = frozenset(
    {
        EventKind.AGENT_START,
        EventKind.AGENT_STOP,
        EventKind.CALIBRATION_CHECK,
        EventKind.OPERATING_STOP,
        EventKind.METER_SWAP,
    }
)
"""Events no held value crosses."""
DERIVED = frozenset({EventKind.COUNTER_RESET})
"""Events the fold itself finds; they are compared, never given."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Yield of the fold over a span."""

    windows: tuple[Window, ...]
    state: FoldState
    slots: tuple[SlotCount, ...]
    derived_events: tuple[Event, ...]


def initial_state(bound: BoundPlan, at_ms: int) -> FoldState:
    """State of a stream that has seen nothing, at the begin of its first span."""
    return FoldState(at_ms, tuple(PointState() for _ in bound.points))


def migrate(state: FoldState, old: BoundPlan, new: BoundPlan) -> FoldState:
    """The state under a new plan: kept for points whose id, instrument and register stayed the same."""
    kept = {point.id: (_identity(old, point), carried) for point, carried in zip(old.points, state.points, strict=True)}
    nothing = (None, PointState())
    points = []
    for point in new.points:
        identity, carried = kept.get(point.id, nothing)
        points.append(carried if identity == _identity(new, point) else PointState())
    return FoldState(state.at_ms, tuple(points))


def _identity(bound: BoundPlan, point: BoundPoint) -> tuple[object, ...]:
    """What must not change for a point's state to stay meaningful."""
    instrument = bound.plan.instruments[point.instrument]
    return (instrument.id, instrument.serial, point.register, point.ratio)


def fold(
    bound: BoundPlan, state: FoldState, samples: Sequence[Samples], events: Sequence[Event], from_ms: int, to_ms: int
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
    series = _series(bound, samples, from_ms, to_ms)
    given = [event for event in events if event.kind not in DERIVED]
    enders = np.array(sorted(e.at_ms for e in given if e.kind in HOLD_ENDERS), dtype=np.int64)
    closing = any(e.kind is EventKind.AGENT_STOP for e in given)
    edges = window_edges(from_ms, to_ms, bound.window_ms)
    rate_points = _rate_points(bound)
    points: list[PointState] = []
    slots: list[SlotCount] = []
    derived: list[Event] = []
    amounts: dict[int, tuple[Amounts, ...]] = {}
    held: dict[int, Held] = {}
    for position, (point, before) in enumerate(zip(bound.points, state.points, strict=True)):
        own = series[position]
        last_words = int(own.words[-1]) if own.words.size else before.last_words
        fates = own.fates.copy()
        if point.kind is Kind.COUNTER:
            folded, cut, resets = _fold_counter(point, bound.window_ms, before, own, fates, closing)
            amounts[position] = cut
            derived.extend(_reset_event(point, reset) for reset in resets)
            points.append(replace(folded, last_words=last_words))
        else:
            _, available = numbers(own.words, point.register)
            fates[own.answered[~available]] = Fate.NOT_AVAILABLE
            tail: tuple[HeldSample, ...] = ()
            if position in rate_points:
                held[position] = hold(point, before.held, own.at_ms[available], own.words[available], enders)
                tail = carry(held[position], to_ms, enders)
            points.append(PointState(last_words, None, tail))
        slots.extend(_slot_counts(position, fates))
    windows: list[Window] = []
    for index, source in enumerate(bound.sources):
        if source.counters:
            for one in source.counters:
                windows.extend(_counter_windows(index, source, one, bound.points[one.point], amounts[one.point]))
        else:
            windows.extend(_rate_windows(index, source, held, edges))
    return Folded(tuple(windows), FoldState(to_ms, tuple(points)), tuple(slots), tuple(derived))


def _rate_points(bound: BoundPlan) -> frozenset[int]:
    """Positions of the points whose held values some source is computed from; nothing else is carried."""
    points: set[int | None] = {source.operating.point for source in bound.sources if source.operating is not None}
    for source in bound.sources:
        for one in source.cems:
            points |= {one.flow, one.temperature, one.pressure, one.moisture, one.concentration}
    return frozenset(point for point in points if point is not None)


def _series(bound: BoundPlan, samples: Sequence[Samples], from_ms: int, to_ms: int) -> dict[int, PointSeries]:
    """Samples by point, after checking that they are the plan's, over the span's slots, in time order."""
    series: dict[int, PointSeries] = {}
    for block in samples:
        request = block.request
        if not 0 <= request.scan_class < len(bound.intervals_ms):
            raise ValueError(f"request of scan class {request.scan_class}: the plan has {len(bound.intervals_ms)}")
        interval = bound.intervals_ms[request.scan_class]
        expected = slot_range(from_ms, to_ms, interval)
        if (block.first_slot, block.fates.size) != expected:
            raise ValueError(
                f"request {request.address}+{request.count} of unit {request.unit}: slots {block.first_slot}"
                f"+{block.fates.size}, the span has {expected[0]}+{expected[1]}"
            )
        if block.delay_ms.size and int(np.min(block.delay_ms)) < 0:
            raise ValueError(f"request {request.address}+{request.count}: an answer lies before its due instant")
        checked: Int64 | None = None
        for position, own in point_series(block, interval).items():
            if position >= len(bound.points) or position in series:
                raise ValueError(f"point {position} is unknown or read twice")
            if bound.points[position].scan_class != request.scan_class:
                raise ValueError(f"point {bound.points[position].id} is read in another scan class than its own")
            if checked is not own.at_ms and bool(np.any(own.at_ms[1:] <= own.at_ms[:-1])):
                raise ValueError(f"point {bound.points[position].id}: answers are not in time order")
            checked = own.at_ms  # one array for all points of a request
            series[position] = own
    missing = [point.id for position, point in enumerate(bound.points) if position not in series]
    if missing:
        raise ValueError(f"no request reads {', '.join(missing)}")
    return series


def _fold_counter(
    point: BoundPoint, window_ms: int, before: PointState, own: PointSeries, fates: UInt16, closing: bool
) -> tuple[PointState, tuple[Amounts, ...], tuple[Reset, ...]]:
    """One counter over the span; marks in ``fates`` what did not fit or was not available."""
    index, available = indexes(own.words, point)
    fates[own.answered[~available]] = Fate.NOT_AVAILABLE
    late = np.zeros(own.at_ms.size, dtype=np.bool_)
    if before.counter is not None:
        last = max([before.counter.last_ms, *(at for at, _ in before.counter.candidates)])
        late = own.at_ms <= last
        fates[own.answered[late & available]] = Fate.UNCERTAIN
    use = available & ~late
    folded = fold_counter(point, window_ms, before.counter, own.at_ms[use], index[use], closing)
    fates[own.answered[use][~folded.fits]] = Fate.UNCERTAIN
    return PointState(0, folded.state), folded.amounts, folded.resets


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


def _slot_counts(position: int, fates: UInt16) -> list[SlotCount]:
    """Slots of a point per fate code, ascending."""
    if fates.size and bool(np.all(fates == fates[0])):  # as nearly always; unique() sorts
        return [SlotCount(position, int(fates[0]), fates.size)]
    codes, counts = np.unique(fates, return_counts=True)
    return [SlotCount(position, int(code), int(count)) for code, count in zip(codes, counts, strict=True)]


def _counter_windows(
    index: int, source: BoundSource, one: CounterSeries, point: BoundPoint, cuts: tuple[Amounts, ...]
) -> list[Window]:
    """Windows of one (input, gas) from the amounts of its counter."""
    mass_mg = electricity_mass_mg if source.method is Method.ELECTRICITY else combustion_mass_mg
    step = resolution(float(point.resolution) * one.coefficient)
    windows: list[Window] = []
    for cut in cuts:
        columns = (cut.from_ms, cut.to_ms, cut.amount, cut.gap, mass_mg(cut.amount, one.coefficient))
        for start, end, amount, gap, mass in zip(*(column.tolist() for column in columns), strict=True):
            width = end - start
            lag = resolution(mass * READ_TIME_MS / width)
            shape = resolution(gap * one.coefficient)
            windows.append(
                Window(
                    index, one.input, one.gas, start, end, amount, one.sign * mass, width, width, 0,
                    WindowFlag.INTERPOLATED if gap else 0, 0.0,
                    tuple(_float32(cause.relative * mass) for cause in one.causes),
                    _float32(quadrature((step, lag, shape))),
                )
            )  # fmt: skip
    return windows


def _rate_windows(index: int, source: BoundSource, held: dict[int, Held], edges: Int64) -> list[Window]:
    """Windows of a CEMS source, gas by gas; a window whose state is wholly unknown is absent, not zero."""
    windows: list[Window] = []
    for series in source.cems:
        masses = fold_rates(source, series, held, edges)
        known = masses.operating_ms + masses.stopped_ms > 0
        for at in np.flatnonzero(known):
            mass, measured = int(masses.mass_mg[at]), int(masses.measured_ms[at])
            lag = resolution(mass * READ_TIME_MS / measured) if measured else 0.0
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
                    0,
                    _float32(float(masses.u_independent[at])),
                    tuple(_float32(float(u)) for u in masses.u_shared[at]),
                    _float32(lag),
                )
            )
    return windows


def _float32(value: float) -> float:
    """The nearest float32, as uncertainties travel."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
