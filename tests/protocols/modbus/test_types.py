"""Every type against a reader written for this test alone: it reads one register at a time and counts in fractions."""

import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.decode import exact_value, indexes, join_words, numbers, text_of, values
from protocols.modbus.planner import plan_reads
from protocols.modbus.registermap import WIDTHS, Quirks, Register, Text
from tests.protocols.modbus.points import make_point, make_register
from tests.protocols.modbus.test_planner import bound_of

LIMIT = 2**62


def naive_number(memory: dict[int, int], register: Register) -> Fraction | None:
    """The number of a register with its scale factor, read byte by byte; None where there is none."""
    places = list(register.addresses) or [register.address + i for i in range(WIDTHS[register.type])]
    if register.word_order == "little":
        places.reverse()
    raw = b"".join(memory[place].to_bytes(2, register.byte_order) for place in places)
    bits = int.from_bytes(raw, "big")
    if bits in register.sentinels:
        return None
    if register.type.startswith("bcd"):
        digits = raw.hex()
        if not digits.isdecimal():
            return None
        number = Fraction(int(digits))
    elif register.type.startswith("float"):
        value = struct.unpack(">f" if register.type == "float32" else ">d", raw)[0]
        if not math.isfinite(value):
            return None
        number = Fraction(value)
    elif register.type.startswith("s"):
        number = Fraction(int.from_bytes(raw, "big", signed=True))
    elif register.bits is not None:
        low, high = register.bits
        number = Fraction(int("0" + f"{bits:064b}"[63 - high : 64 - low], 2))
    else:
        number = Fraction(bits)
    scaled = naive_factor(memory, register)
    return None if scaled is None else number * scaled


def naive_factor(memory: dict[int, int], register: Register) -> Fraction | None:
    """What the scale factor says; 1 where the register has none."""
    factor = register.scale_factor
    if factor is None:
        return Fraction(1)
    word = memory[factor.address]
    if word in factor.sentinels:
        return None
    number = struct.unpack(">h" if factor.type == "s16" else ">H", word.to_bytes(2, "big"))[0]
    if factor.bits is not None:
        number = int(f"{word:016b}"[15 - factor.bits[1] : 16 - factor.bits[0]], 2)
    number += factor.add
    if factor.meaning == "exponent":
        return Fraction(f"1e{number}") if -18 <= number <= 18 else None
    if number < 1:
        return None
    return Fraction(number) if factor.meaning == "factor" else 1 / Fraction(number)


@st.composite
def registers(draw: st.DrawFn) -> Register:
    """A register of any type, order and place, with whatever its type may have."""
    kind = draw(st.sampled_from(sorted(WIDTHS)))
    width = WIDTHS[kind]
    keys: dict[str, Any] = {"type": kind, "byte_order": draw(st.sampled_from(["big", "little"]))}
    if draw(st.booleans()):
        keys["addresses"] = draw(st.permutations(range(8)))[:width]
    else:
        keys |= {"address": draw(st.integers(0, 4)), "word_order": draw(st.sampled_from(["big", "little"]))}
    if kind.startswith("u") and draw(st.booleans()):
        keys["bits"] = sorted(draw(st.tuples(*[st.integers(0, 16 * width - 1)] * 2)))
    if width < 4 and draw(st.booleans()):
        meaning = draw(st.sampled_from(["exponent", "factor", "divisor"]))
        bits = draw(st.none() | st.tuples(*[st.integers(0, 15)] * 2).map(sorted))
        keys["scale_factor"] = {
            "address": draw(st.integers(0, 9)), "type": draw(st.sampled_from(["u16", "s16"])), "meaning": meaning,
            "add": draw(st.integers(-20, 20)), "bits": bits, "sentinels": draw(st.lists(st.just(0x8000), max_size=1)),
        }  # fmt: skip
    keys["sentinels"] = draw(st.lists(st.sampled_from([0, 1, 2 ** (16 * width) - 1]), max_size=2))
    return make_register(**keys)


words = st.integers(0, 0xFFFF) | st.sampled_from([0, 1, 2, 3, 0x0010, 0x1234, 0x9999, 0x8000, 0x7FFF, 0xFFFE, 0xFFFF])
memories = st.lists(words, min_size=12, max_size=12).map(lambda w: dict(enumerate(w)))
ratios = st.sampled_from([Fraction(1), Fraction(10**6), Fraction(1, 100), Fraction(1000, 3)])


@given(st.lists(registers(), min_size=1, max_size=6), st.lists(memories, min_size=1, max_size=3), ratios)
def test_planner_and_decoder_read_what_a_naive_reader_reads(
    all_registers: list[Register], instants: list[dict[int, int]], ratio: Fraction
) -> None:
    """Numbers, indexes and values of every register at every instant, over whatever requests the plan makes."""
    points = [make_point(register, ratio) for register in all_registers]
    for request in plan_reads(bound_of(points, [("a", 1)], [Quirks(max_registers=12, max_gap=1)])):
        answers = [[memory[request.address + i] for i in range(request.count)] for memory in instants]
        joined = join_words(np.array(answers, dtype=np.uint16), request)
        for column, position in enumerate(request.points):
            register, point = all_registers[position], points[position]
            wanted = [naive_number(memory, register) for memory in instants]
            got, available = numbers(joined[:, column], register)
            value, valued = values(joined[:, column], point)
            index, indexed = indexes(joined[:, column], point)
            exact = [None if number is None or number < 0 else round(number * ratio) for number in wanted]

            assert [number is not None for number in wanted] == available.tolist()
            assert [0.0] * int((~available).sum()) == got[~available].tolist()
            assert [number if number is None or number <= LIMIT else None for number in exact] == [
                int(i) if there else None for i, there in zip(index, indexed, strict=True)
            ]
            for number, one, there in zip(wanted, value.tolist(), valued.tolist(), strict=True):
                if number is not None and there:
                    assert one == pytest.approx(float(number * ratio), rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("keys", "line", "value"),
    [
        ({"type": "bcd32"}, [0x0012, 0x3456], 123456),
        ({"type": "bcd32", "byte_order": "little", "word_order": "little"}, [0x5634, 0x1200], 123456),
        ({"type": "bcd16", "scale": "0.1"}, [0x9999], Fraction("999.9")),
        ({"type": "bcd16"}, [0x12A4], None),
        ({"type": "u48"}, [1, 0, 2], 2**32 + 2),
        ({"type": "s48"}, [0xFFFF, 0xFFFF, 0xFFFE], -2),
        ({"type": "u16", "bits": [4, 7]}, [0xABCD], 0xC),
        ({"type": "u16", "bits": [4, 7], "sentinels": [0xFFFF]}, [0xFFFF], None),
        ({"type": "s16", "quantity": "gas_temperature", "unit": "Cel", "scale": "0.1", "offset": "-273.15"},
         [2982], Fraction("25.05")),
        ({"type": "u16", "scale_factor": {"address": 9, "sentinels": [0x8000]}}, [2301, 0xFFFF], Fraction("230.1")),
        ({"type": "u16", "scale_factor": {"address": 9, "sentinels": [0x8000]}}, [2301, 0x8000], None),
        ({"type": "s32", "scale_factor": {"address": 9}}, [0xFFFF, 0xFFFE, 2], -200),
        ({"type": "u16", "scale_factor": {"address": 9, "bits": [8, 15], "add": -4}}, [1100, 0x0403], 1100),
        ({"type": "u16", "scale_factor": {"address": 9, "meaning": "factor"}}, [15, 40], 600),
        ({"type": "u16", "scale_factor": {"address": 9, "meaning": "divisor"}}, [15, 40], Fraction(3, 8)),
        ({"type": "u16", "scale_factor": {"address": 9, "meaning": "divisor"}}, [15, 0], None),
        ({"type": "u64", "addresses": [3, 4, 1, 2]}, [0, 1, 2, 3], (1 << 32) + (2 << 16) + 3),
    ],
)  # fmt: skip
def test_words_mean_the_number_written_by_hand(keys: dict[str, Any], line: list[int], value: Fraction | None) -> None:
    """Digits, parts, scale factors, offsets and listed registers, each with a number worked out by hand."""
    word = 0
    for each in line:
        word = word << 16 | each
    got = exact_value(word, make_register(**keys))

    assert value is None if got is None else value == pytest.approx(got, rel=1e-15)


def test_an_offset_is_added_in_the_base_unit() -> None:
    """A register in kelvin: value x scale + offset, and an unavailable one stays unavailable."""
    register = make_register(type="u16", quantity="gas_temperature", unit="Cel", sentinels=[0xFFFF])
    point = make_point(register, Fraction(1, 10), offset=Fraction("-273.15"))
    value, available = values(np.array([2982, 0xFFFF], dtype=np.uint64), point)

    assert [298.2 - 273.15, 0.0] == value.tolist()
    assert [True, False] == available.tolist()


@pytest.mark.parametrize(
    ("words_", "order", "value"),
    [
        ([0x4142, 0x4300], "big", "ABC"),
        ([0x4241, 0x2043], "little", "ABC"),
        ([0x4142, 0x0742], "big", None),
        ([0xFFFF], "big", None),
        ([0, 0], "big", ""),
    ],
)
def test_a_text_is_its_characters_or_nothing(words_: list[int], order: str, value: str | None) -> None:
    """Either packing; trailing zeros and blanks go; what is no ASCII is no text."""
    text = Text.model_validate(
        {"name": "maker", "function": 3, "address": 0, "registers": len(words_), "byte_order": order}
    )

    assert value == text_of(words_, text)


def test_codes_and_flags_have_meanings() -> None:
    """An enumeration names its numbers, a bit field the bits that are set."""
    state = {"quantity": "device_status", "unit": "1"}

    assert "running" == make_register(**state, codes={"1": "running"}).meaning(1)
    assert "low battery, tilt" == make_register(**state, flags={"0": "low battery", "3": "tilt"}).meaning(9)
    assert "" == make_register(**state).meaning(4)
