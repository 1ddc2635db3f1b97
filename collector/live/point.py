"""One slot of a point as people see it: an exact decimal with its unit, or the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

import numpy as np

from protocols.messages import Live
from protocols.modbus.decode import decimals
from protocols.plan.bound import BoundPlan, BoundPoint
from protocols.records import Fate, fate_of

QUALITY = {Fate.GOOD: "G", Fate.UNCERTAIN: "U"}
"""Letters of the fates that bring a value; every other fate is M, missing."""
ENDLESS_DIGITS = 15
"""Digits of a value whose decimal does not end (a ratio with a third in it)."""
STATES = ("running", "starting", "standby", "stopped")
"""States that a plan gives codes to."""
LIVE_SPARE_MS, BATCH_SPARE_MS = 5_000, 30_000
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a point.

    Attributes
    ----------
    due_ms, at_ms : int
        When it was due, and the last byte of its answer (due where there is none). [UTC ms of the agent]
    fate : int
        Fate code; NOT_AVAILABLE where the device itself says that it has no value.
    value : Decimal or None
        In the register's unit on the primary side of CT and PT; None where the slot is missing.
    """

    due_ms: int
    at_ms: int
    fate: int
    value: Decimal | None

    @property
    def quality(self) -> str:
        """G good, U uncertain, M missing."""
        return QUALITY.get(fate_of(self.fate), "M")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of a point: its newest slot, and the last one that brought a value.

    Attributes
    ----------
    newest : Slot
    last : Slot or None
        The newest slot itself where that has a value.
    live : bool
        Whether the agent showed it just now (unsigned), or it stands in a committed batch.
    behind_ms : int
        How far the agent's clock is behind ours as a live message told, its way included; 0 where none did. [ms]
    """

    newest: Slot
    last: Slot | None
    live: bool = False
    behind_ms: int = 0

    def stale_after_ms(self, plan: BoundPlan, point: BoundPoint) -> int:
        """Older than this a newest slot says that nothing comes any more: three intervals, and a batch's way. [ms]"""
        return 3 * point.interval_ms + (LIVE_SPARE_MS if self.live else plan.batch_ms + BATCH_SPARE_MS)

    def age_ms(self, slot: Slot, now_ms: int) -> int:
        """How long ago a slot was answered or should have been, by our clock; never negative. [ms]"""
        return max(0, now_ms - slot.at_ms - self.behind_ms)


@dataclass(frozen=True, slots=True)
class AgentNow:
    """An agent of a site with what is known of its points, by position in its plan.

    ``phase`` is its own unsigned word; ``batch_to_ms`` is where its newest committed batch ends.
    """

    agent_id: str
    name: str
    phase: str
    stream_id: bytes
    plan: BoundPlan
    batch_to_ms: int | None
    points: Mapping[int, Shown] = field(default_factory=dict)


def slot_of(point: BoundPoint, due_ms: int, delay_ms: int, fate: int, word: int | None) -> Slot:
    """The slot that a word or a reason makes; a word the register cannot hold raises ValueError."""
    if word is None:
        return Slot(due_ms, due_ms, fate, None)
    if word >> (16 * point.register.word_width):
        raise ValueError(f"word {word} is wider than the {point.register.word_width} registers of {point.id}")
    (number,) = decimals(np.array([word], dtype=np.uint64), point.register)
    if number is None:
        return Slot(due_ms, due_ms + delay_ms, int(Fate.NOT_AVAILABLE), None)
    return Slot(due_ms, due_ms + delay_ms, fate, in_unit(number, point))


def slots_of(plan: BoundPlan, live: Live) -> dict[int, Slot]:
    """Every slot of a live message; ValueError where it does not fit the plan."""
    found: dict[int, Slot] = {}
    for reading in live.readings:
        words = reading.words or (None,) * len(reading.points)
        for index, word in zip(reading.points, words, strict=True):
            if index >= len(plan.points):
                raise ValueError(f"point {index} of a plan with {len(plan.points)}")
            found[index] = slot_of(plan.points[index], reading.due_ms, reading.delay_ms, reading.fate, word)
    return found


def follow(before: Shown | None, slot: Slot, *, live: bool, behind_ms: int) -> Shown | None:
    """What is known after one more slot; None where that is no news."""
    if before is not None and slot.due_ms <= before.newest.due_ms:
        return None
    last = slot if slot.value is not None else before.last if before is not None else None
    return Shown(slot, last, live, behind_ms)


def state_of(plan: BoundPlan, index: int, value: Decimal | None) -> str | None:
    """What the code of a state point means to the source that uses it, one of STATES or unknown; None elsewhere."""
    point = plan.points[index].id
    for source in plan.plan.sources:
        meaning = source.operating
        if meaning is not None and meaning.point == point and value is not None:
            return next((state for state in STATES if value in getattr(meaning, state)), "unknown")
    return None


def in_unit(number: Decimal, point: BoundPoint) -> Decimal:
    """A register number in the register's unit, through scale, offset, CT and PT; exact where its decimal ends."""
    unit = point.quantity.definition.units[point.register.unit]
    exact = Fraction(number) * _factor(point.ratio, unit) + point.offset / unit
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    context = _EXACT if rest == 1 else Context(prec=ENDLESS_DIGITS, rounding=ROUND_HALF_EVEN)
    return context.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def text_of(value: Decimal) -> str:
    """A decimal in full, without exponent and without noughts at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=4096)
def _factor(ratio: Fraction, unit: Fraction) -> Fraction:
    return ratio / unit
