"""A slot as people see it: exact decimals, units, letters, reasons."""

from __future__ import annotations

import struct
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.live.point import Shown, Slot, follow, in_unit, slot_of, slots_of, text_of
from protocols.messages import Live, LiveReading
from protocols.modbus.decode import decimals
from protocols.records import Clock, ClockState, Fate
from tests.plans import float_words, small_plan

PLAN = small_plan()
INDEX = {point.id: index for index, point in enumerate(PLAN.points)}
VOLUME, FLOW, ENERGY = (PLAN.points[INDEX[name]] for name in ("gm-1.volume", "stack-1.flow", "em-1.energy"))


def test_a_value_is_exact_in_the_registers_unit() -> None:
    """A scale of 1/100 stays exact; a float is what the meter's display shows."""
    assert ("m3", "50.01") == (VOLUME.register.unit, text_of(slot_of(VOLUME, 0, 0, 0, 5001).value or Decimal(0)))
    assert "231.4" == text_of(slot_of(FLOW, 0, 0, 0, float_words(231.4)).value or Decimal(0))
    assert "-0.1" == text_of(slot_of(FLOW, 0, 0, 0, float_words(-0.1)).value or Decimal(0))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_decimal_of_a_float_names_that_float(number: float) -> None:
    """Read back as a float32 it is the same register content; nothing is rounded away."""
    (shown,) = decimals(np.array([float_words(number)], dtype=np.uint64), FLOW.register)

    assert shown is not None
    assert number == float(np.float32(shown))


@given(st.integers(0, 2**64 - 1))
def test_integers_beyond_float64_stay_exact(word: int) -> None:
    """A counter of 64 bits is never shown rounded."""
    register = ENERGY.register.model_copy(update={"type": "u64"})

    assert [Decimal(word)] == decimals(np.array([word], dtype=np.uint64), register)


def test_ratios_apply_once_and_an_endless_decimal_is_cut() -> None:
    """CT and PT multiply; a third has no last digit and is shown with fifteen."""
    scaled = replace(VOLUME, ratio=VOLUME.ratio * 40)
    third = replace(VOLUME, ratio=VOLUME.ratio * Fraction(1, 3))

    assert "2000.4" == text_of(in_unit(Decimal(5001), scaled))
    assert "0.00333333333333333" == text_of(in_unit(Decimal(1), third))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_the_device_calls_no_value_is_missing(number: float) -> None:
    """NaN is the device's word for nothing: missing, with that reason, never zero."""
    word = struct.unpack(">I", struct.pack(">f", number))[0]
    slot = slot_of(FLOW, 1000, 30, int(Fate.GOOD), word)

    assert (None, "M", int(Fate.NOT_AVAILABLE)) == (slot.value, slot.quality, slot.fate)


def test_letters_follow_the_fate() -> None:
    """G good, U uncertain, everything else M."""
    letters = {Fate(code): Slot(0, 0, code, None).quality for code in Fate}

    assert {Fate.GOOD, Fate.UNCERTAIN} == {fate for fate, letter in letters.items() if letter != "M"}
    assert ("G", "U") == (letters[Fate.GOOD], letters[Fate.UNCERTAIN])
    assert "M" == Slot(0, 0, Fate.EXCEPTION | 2 << 8, None).quality


def test_the_last_value_stays_beside_a_missing_slot() -> None:
    """A newer slot replaces, an older one is no news, a missing one keeps the last value with its own age."""
    good, missing = Slot(1000, 1030, 0, Decimal(7)), Slot(2000, 2000, int(Fate.TIMEOUT), None)
    first = follow(None, good, live=True, behind_ms=0)
    second = follow(first, missing, live=True, behind_ms=500)

    assert Shown(good, good, live=True) == first
    assert second is not None
    assert (missing, good) == (second.newest, second.last)
    assert 470 == second.age_ms(good, 2000)
    assert follow(second, good, live=True, behind_ms=0) is None


def test_a_live_message_must_fit_the_plan() -> None:
    """A point there is not, or a word wider than its registers, is refused whole."""
    clock = Clock(bytes(16), 0, ClockState.SYNCED, 1)

    def live(point: int, word: int) -> Live:
        return Live(bytes(16), PLAN.digest, clock, 9, (LiveReading(5, 1, 0, (point,), (word,)),))

    assert {INDEX["gm-1.volume"]} == slots_of(PLAN, live(INDEX["gm-1.volume"], 5001)).keys()
    for point, word in ((len(PLAN.points), 1), (INDEX["gm-1.volume"], 2**32)):
        with pytest.raises(ValueError, match=r"point|wider"):
            slots_of(PLAN, live(point, word))
