"""Raw readings of a bundle, row by row with their provenance: slot, words, value, fate, batch and leaf.

A row per point and slot, in the order of the streams. The signature of each batch and its place in the log are
checked on the way; that windows and figures follow is what the verifier itself checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np

from collector.evidence.verify.text import utc
from protocols.exact import LIMIT
from protocols.modbus.decode import availability, decimals, indexes, values
from protocols.modbus.registermap import scale_of
from protocols.plan.bound import BoundPlan, BoundPoint
from protocols.quantities import Kind
from protocols.records import Batch, Fate, FoldState, Int64, Samples, UInt64, fate_of, fate_text
from protocols.windows.counters import fold_counter
from protocols.windows.instants import judge

COLUMNS = (
    "agent", "stream", "sequence", "batch", "leaf", "point", "instrument", "slot", "due_utc", "answered_utc", "words",
    "value", "unit", "base", "base_unit", "quality", "fate",
)  # fmt: skip
_QUALITY = {Fate.GOOD: "good", Fate.UNCERTAIN: "uncertain"}
_DIGITS = Context(prec=40)
_UNSURE, _CARRIED = -1, -2
_BESIDE_FATES = {_UNSURE: "answered", _CARRIED: "carried"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: of these points (all where empty) that are due in [from, to). [UTC ms]"""

    points: frozenset[str] = frozenset()
    from_ms: int = 0
    to_ms: int = LIMIT


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch comes from: agent, digest of its bytes, and position in the log."""

    agent: str
    digest: str
    leaf: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One row; ``columns`` gives it in the order of COLUMNS, all as text, empty where there is nothing.

    ``value`` is what the register says in its own unit, an exact decimal; ``base`` the same in the plan's base unit,
    ratios of transformers included: for a counter the exact integer that differences are taken of.
    """

    origin: Origin
    stream: str
    sequence: int
    point: BoundPoint
    instrument: str
    slot: int
    due_ms: int
    at_ms: int | None
    words: str
    value: str
    base: str
    fate: int

    def columns(self) -> tuple[str, ...]:
        """The row as text."""
        beside = _BESIDE_FATES.get(self.fate)
        quality = beside or _QUALITY.get(fate_of(self.fate), "missing")
        answered = "" if self.at_ms is None else utc(self.at_ms)
        return (
            self.origin.agent, self.stream, str(self.sequence), self.origin.digest, str(self.origin.leaf),
            self.point.id, self.instrument, str(self.slot), utc(self.due_ms), answered,
            self.words, self.value, self.point.register.unit, self.base,
            self.point.quantity.definition.base_unit, quality, beside or fate_text(self.fate),
        )  # fmt: skip


@dataclass(slots=True)
class _Judging:
    """Fates of answered samples, point by point; ``told`` are the slot counts the agent signed."""

    plan: BoundPlan
    state: FoldState
    told: dict[int, dict[int, int]] = field(default_factory=dict)

    def fates(self, block: Samples, position: int, column: int, at_ms: Int64) -> Int64:
        """Fate code of every slot of a point; of answered ones -1 where the signed counts do not bear it out."""
        point = self.plan.points[position]
        words = np.ascontiguousarray(block.words[:, column])
        answered = np.flatnonzero(block.fates == Fate.GOOD)
        codes = block.fates.astype(np.int64)
        codes[answered] = self._answered(block, point, position, words, at_ms)
        found, counts = np.unique(codes, return_counts=True)
        if dict(zip(found.tolist(), counts.tolist(), strict=True)) != self.told.get(position, {}):
            codes[answered] = _UNSURE
        return codes

    def _answered(self, block: Samples, point: BoundPoint, position: int, words: UInt64, at_ms: Int64) -> Int64:
        before = self.state.points[position]
        if point.kind is Kind.COUNTER:
            index, available = indexes(words, point)
            late = np.zeros(words.size, dtype=np.bool_)
            if before.counter is not None:
                late = at_ms <= max([before.counter.last_ms, *(at for at, _ in before.counter.candidates)])
            use = available & ~late
            fits = fold_counter(point, self.plan.window_ms, before.counter, at_ms[use], index[use]).fits
            codes = np.where(available, int(Fate.UNCERTAIN), int(Fate.NOT_AVAILABLE)).astype(np.int64)
            codes[np.flatnonzero(use)[fits]] = int(Fate.GOOD)
            return codes
        if point.is_judged:
            status = None if point.status is None else self.plan.points[point.status.point].register
            beside: UInt64 | None = None
            if point.status is not None and point.status.point in block.request.points:
                beside = np.ascontiguousarray(block.words[:, block.request.points.index(point.status.point)])
            return judge(point, before.instant, before.last_words, at_ms, words, beside, status).fates
        here = availability(words, point.register)
        return np.where(here, int(Fate.GOOD), int(Fate.NOT_AVAILABLE)).astype(np.int64)


def readings_of(batch: Batch, plan: BoundPlan, origin: Origin, wanted: Wanted, *, first: bool) -> Iterator[Reading]:
    """The readings of a batch, request by request, point by point, slot by slot.

    ``first``: of its stream. Then what its counters showed last before it comes first, as its opening state says:
    the first difference is taken from there.
    """
    if first:
        yield from _carried(batch, plan, origin, wanted)
    told: dict[int, dict[int, int]] = {}
    for slot in batch.slots:
        told.setdefault(slot.point, {})[slot.fate] = slot.count
    judging = _Judging(plan, batch.opening, told)
    for block in batch.samples:
        interval = plan.intervals_ms[block.request.scan_class]
        answered = np.flatnonzero(block.fates == Fate.GOOD)
        at_ms = (block.first_slot + answered) * interval + block.delay_ms
        for column, position in enumerate(block.request.points):
            point = plan.points[position]
            if wanted.points and point.id not in wanted.points:
                continue
            codes = judging.fates(block, position, column, at_ms).tolist()
            yield from _rows(batch, plan, origin, wanted, block, column, codes, at_ms.tolist(), interval)


def _carried(batch: Batch, plan: BoundPlan, origin: Origin, wanted: Wanted) -> Iterator[Reading]:
    for point, state in zip(plan.points, batch.opening.points, strict=True):
        if state.counter is None or (wanted.points and point.id not in wanted.points):
            continue
        slot = state.counter.last_ms // point.interval_ms
        yield Reading(
            origin, batch.stream_id.hex(), batch.sequence, point, plan.plan.instruments[point.instrument].id, slot,
            slot * point.interval_ms, state.counter.last_ms, "", "", str(state.counter.last_index), _CARRIED,
        )  # fmt: skip


def _rows(
    batch: Batch, plan: BoundPlan, origin: Origin, wanted: Wanted, block: Samples, column: int, codes: Sequence[int],
    at_ms: Sequence[int], interval: int,
) -> Iterator[Reading]:  # fmt: skip
    point = plan.points[block.request.points[column]]
    words = np.ascontiguousarray(block.words[:, column])
    shown, based = _values(words, point), _bases(words, point)
    digits = 4 * block.request.widths[column]
    instrument = plan.plan.instruments[point.instrument].id
    place = -1
    for number, code in enumerate(codes):
        slot = block.first_slot + number
        answered = block.fates[number] == Fate.GOOD
        place += bool(answered)
        if not wanted.from_ms <= slot * interval < wanted.to_ms:
            continue
        yield Reading(
            origin, batch.stream_id.hex(), batch.sequence, point, instrument, slot, slot * interval,
            at_ms[place] if answered else None,
            f"{int(words[place]):0{digits}x}" if answered else "",
            shown[place] if answered else "", based[place] if answered else "", code,
        )  # fmt: skip


def _values(words: UInt64, point: BoundPoint) -> list[str]:
    """What the register says in its own unit, exact as far as 40 digits go."""
    scale = scale_of(point.register)
    offset = Fraction(point.register.offset)
    return ["" if own is None else _text(_scaled(own, scale, offset)) for own in decimals(words, point.register)]


def _scaled(own: Decimal, scale: Fraction, offset: Fraction) -> Decimal:
    exact = _DIGITS.divide(_DIGITS.multiply(own, Decimal(scale.numerator)), Decimal(scale.denominator))
    return _DIGITS.add(exact, _DIGITS.divide(Decimal(offset.numerator), Decimal(offset.denominator)))


def _text(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bases(words: UInt64, point: BoundPoint) -> list[str]:
    """In the base unit: integers of a counter, shortest floats of an instant."""
    if point.kind is Kind.COUNTER:
        index, available = indexes(words, point)
        return [str(one) if here else "" for one, here in zip(index.tolist(), available.tolist(), strict=True)]
    number, available = values(words, point)
    return [repr(one) if here else "" for one, here in zip(number.tolist(), available.tolist(), strict=True)]
