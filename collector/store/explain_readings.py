"""The readings behind a window, each with its register words and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collector.store.explain_formula import in_base_units
from collector.store.readings import OpenedBatch, Reading, block_of, readings_of
from protocols.modbus.decode import exact_value
from protocols.plan.bound import BoundPoint
from protocols.plan.model import Instrument
from protocols.quantities import Kind
from protocols.records import Fate, ReadRequest, Window, fate_of


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


def point_trail(
    name: str, place: int, around: Sequence[OpenedBatch], window: Window, ends: Mapping[int, int]
) -> PointTrail:
    """A point with its readings inside the window and those that reach into it from before or close it."""
    plan = around[0].plan
    point = plan.points[place]
    request = block_of(around[0].batch, place)[0].request
    found = [one for opened in around for one in readings_of(opened, place)]
    kept = [one for one in found if _matters(one, point, window, ends)]
    bases = iter(in_base_units(np.array([one.word for one in kept if one.word is not None], dtype=np.uint64), point))
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
