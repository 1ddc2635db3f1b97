"""The oracle is ``struct`` for bits and ``Fraction`` for sums: neither is used by the decoder's fast paths."""

import math
import struct
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from protocols.exact import half_even
from protocols.modbus.decode import availability, indexes, join_words, numbers, values
from protocols.modbus.registermap import WIDTHS, Register, ScaleFactor
from protocols.quantities import Kind
from protocols.records import UInt64
from tests.plans import small_plan
from tests.protocols.modbus.points import make_point, make_register, make_request

FORMATS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q", "float32": "f", "float64": "d"}
ORDERS = [(word, byte) for word in ("big", "little") for byte in ("big", "little")]
LIMIT = 2**62


def device_registers(value: float, kind: str, word_order: str, byte_order: str) -> list[int]:
    """What a device puts on the line, register by register."""
    raw = struct.pack(">" + FORMATS[kind], value)
    registers = [raw[at : at + 2] for at in range(0, len(raw), 2)]
    if word_order == "little":
        registers.reverse()
    return [int.from_bytes(r if byte_order == "big" else r[::-1], "big") for r in registers]


def words_of(line: list[list[int]], kind: str) -> np.ndarray:
    """Joined words of answers that hold one value each."""
    width = WIDTHS[kind]
    return join_words(np.array(line, dtype=np.uint16).reshape(-1, width), make_request((0,), (width,), width))[:, 0]


def numbers_of(kind: str) -> st.SearchStrategy[float]:
    """Any value of a type, NaN and infinities included."""
    if kind.startswith("float"):
        return st.floats(width=32 if kind == "float32" else 64)
    bits = 16 * WIDTHS[kind]
    return st.integers(0, 2**bits - 1) if kind.startswith("u") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def exact(value: float, kind: str) -> Fraction | None:
    """The value the bits mean, exactly; None where it is none."""
    if kind.startswith("float"):
        stored = struct.unpack(">" + FORMATS[kind], struct.pack(">" + FORMATS[kind], value))[0]
        return Fraction(stored) if math.isfinite(stored) else None
    return Fraction(value)


ratios = st.one_of(
    st.sampled_from(
        [Fraction(1), Fraction(10**6), Fraction(10**4), Fraction(1, 10), Fraction(1000, 3), Fraction(3, 2)]
    ),
    st.builds(Fraction, st.integers(1, 10**14), st.integers(1, 10**6)),
    st.builds(Fraction, st.integers(1, 10**30), st.integers(1, 10**30)),
)


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data())
def test_numbers_are_what_struct_packed(kind: str, orders: tuple[str, str], data: st.DataObject) -> None:
    """Every type in every word and byte order decodes to the number that was packed; NaN and inf to none."""
    packed = data.draw(st.lists(numbers_of(kind), min_size=1, max_size=5))
    register = make_register(type=kind, word_order=orders[0], byte_order=orders[1])
    number, available = numbers(words_of([device_registers(v, kind, *orders) for v in packed], kind), register)

    wanted = [exact(value, kind) for value in packed]
    assert [value is not None for value in wanted] == available.tolist()
    assert [0.0 if value is None else float(value) for value in wanted] == number.tolist()


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data(), ratio=ratios)
def test_indexes_are_exact_half_even_integers(kind: str, ratio: Fraction, data: st.DataObject) -> None:
    """Number x ratio is rounded once, ties to even; below zero or above 2**62 there is no index."""
    packed = data.draw(st.lists(numbers_of(kind), min_size=1, max_size=5))
    point = make_point(make_register(type=kind), ratio)
    index, available = indexes(words_of([device_registers(v, kind, "big", "big") for v in packed], kind), point)

    assert [expected(value, kind, ratio) for value in packed] == [
        int(i) if there else None for i, there in zip(index, available, strict=True)
    ]


def expected(value: float, kind: str, ratio: Fraction) -> int | None:
    """The index by exact arithmetic."""
    number = exact(value, kind)
    if number is None or number < 0:
        return None
    result = round(number * ratio)  # Fraction rounds half to even
    return result if result <= LIMIT else None


@pytest.mark.parametrize("kind", ["float32", "float64"])
@given(twice=st.integers(0, 2**24 - 1), power=st.integers(0, 20))
def test_ties_of_floats_go_to_the_even_integer(kind: str, twice: int, power: int) -> None:
    """Halves, made exactly, where a float64 shortcut could err."""
    value = math.ldexp(twice, -power)
    ratio = Fraction(2**power, 2)
    index, available = indexes(
        words_of([device_registers(value, kind, "big", "big")], kind), make_point(make_register(type=kind), ratio)
    )

    assert ([half_even(twice, 2)], [True]) == (index.tolist(), available.tolist())


@given(value=st.integers(0, 2**32 - 1), ratio=ratios)
def test_values_are_multiplied_then_divided(value: int, ratio: Fraction) -> None:
    """The written order of the float arithmetic: number x numerator / denominator."""
    got, _ = values(
        words_of([device_registers(value, "u32", "big", "big")], "u32"), make_point(make_register(type="u32"), ratio)
    )

    assert [float(value) * float(ratio.numerator) / float(ratio.denominator)] == got.tolist()


@pytest.mark.parametrize(
    ("kind", "orders", "sentinel", "line"),
    [
        ("s16", ("big", "big"), 0x8000, [0x8000]),
        ("u16", ("big", "little"), 0x7FFF, [0xFF7F]),
        ("u32", ("little", "big"), 0x80000001, [0x0001, 0x8000]),
        ("float32", ("big", "big"), 0x7F7FFFFF, [0x7F7F, 0xFFFF]),
        ("u64", ("big", "big"), 2**64 - 1, [0xFFFF] * 4),
    ],
)
def test_a_sentinel_is_not_available(kind: str, orders: tuple[str, str], sentinel: int, line: list[int]) -> None:
    """The pattern is stated most significant first, whatever order the device sends it in."""
    register = make_register(type=kind, word_order=orders[0], byte_order=orders[1], sentinels=[sentinel])
    words = words_of([line, device_registers(1, kind, *orders)], kind)

    assert [False, True] == numbers(words, register)[1].tolist()
    assert [False, True] == values(words, make_point(register))[1].tolist()
    assert [False, True] == indexes(words, make_point(register))[1].tolist()


def test_an_index_beyond_the_modulus_is_not_available() -> None:
    """All bits one in a counter that rolls over before: no such counter shows it, whether the map says so or not."""
    register = make_register(type="u32", modulus=10_000_000)
    words = words_of([[0xFFFF, 0xFFFF], [0x0098, 0x9681], [0x0098, 0x9680], [0, 7]], "u32")

    assert [False, False, True, True] == indexes(words, make_point(register, modulus=10_000_000))[1].tolist()


def test_counters_of_another_modulus_are_decoded_apart() -> None:
    """Points are decoded together where their words mean the same; the modulus decides what is a word at all."""
    plan = small_plan()
    counters = tuple(replace(plan.points[0], id=f"p{modulus}", modulus=modulus) for modulus in (None, 5, 5))

    assert [0, 1, 1] == list(replace(plan, points=counters).kinds)


def test_words_keep_the_registers_of_the_map_first_register_highest() -> None:
    """Joining changes no order: what goes on the wire is what the device sent."""
    registers = np.array([[1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14]], dtype=np.uint16)
    joined = join_words(registers, make_request((0, 1, 3), (1, 2, 4), 7))

    assert [[1, 0x0002_0003, 0x0004_0005_0006_0007], [8, 0x0009_000A, 0x000B_000C_000D_000E]] == joined.tolist()


def test_a_published_float_reads_as_the_manual_says() -> None:
    """The SDM630 protocol document's example: 0x43667333 is 230.45 V (to the float32)."""
    number, _ = numbers(words_of([[0x4366, 0x7333]], "float32"), make_register(type="float32"))

    assert [230.4499969482422] == number.tolist()


def test_an_answer_of_another_length_is_refused() -> None:
    """A row that is not the request's is a programming error, not data."""
    with pytest.raises(ValueError, match="no answers of 3 registers"):
        join_words(np.zeros((1, 2), dtype=np.uint16), make_request((0,), (1,), 3))


def test_no_rows_decode_to_no_numbers() -> None:
    """A span without answers is an empty block."""
    words = np.zeros(0, dtype=np.uint64)
    for kind in FORMATS:
        point = make_point(make_register(type=kind))
        assert (0, 0, 0) == (
            numbers(words, point.register)[0].size,
            values(words, point)[0].size,
            indexes(words, point)[0].size,
        )


DECODES = {
    "type": "u48", "word_order": "little", "byte_order": "little", "bits": (0, 3), "sentinels": (7,),
    "scale_factor": ScaleFactor(address=9),
}
DESCRIBES = {
    "name", "quantity", "function", "address", "addresses", "scale", "scale_by", "offset", "unit", "temperature",
    "moisture", "modulus", "resolution", "codes", "flags", "page", "note",
}


def test_points_are_of_one_kind_only_where_their_words_mean_the_same() -> None:
    """Whatever changes a number or its availability makes another kind; what only describes, or scales, does not."""
    assert set(Register.model_fields) == DECODES.keys() | DESCRIBES
    plan = small_plan()
    at = next(place for place, point in enumerate(plan.points) if point.kind is Kind.INSTANT)
    point = plan.points[at]

    def kinds(**changed: object) -> tuple[int, ...]:
        other = replace(point, register=point.register.model_copy(update=changed))
        return replace(plan, points=(point, other)).kinds

    for name, value in DECODES.items():
        assert (0, 1) == kinds(**{name: value}), name
    assert (0, 0) == kinds(name="other", address=77, scale=Decimal(3), note="x")


def test_counters_of_one_kind_have_one_ratio_and_one_hold() -> None:
    """Indexes of other steps are never rounded together, nor holes of other lengths judged together."""
    plan = small_plan()
    point = next(point for point in plan.points if point.kind is Kind.COUNTER)
    others = (point, replace(point, ratio=point.ratio * 2), replace(point, hold_ms=point.hold_ms + 1), point)

    assert (0, 1, 2, 0) == replace(plan, points=others).kinds


@given(hnp.arrays(np.uint64, st.tuples(st.integers(1, 4), st.integers(0, 6))))
def test_availability_of_a_block_is_that_of_its_words(words: UInt64) -> None:
    """Any shape, any type, with a scale factor or without: the mask is that of the numbers."""
    for kind in ("u16", "s32", "bcd32", "float32", "float64"):
        for factor in (None, ScaleFactor(address=9)):
            register = make_register().model_copy(
                update={"type": kind, "scale_factor": factor, "sentinels": (0, 0xFFFF)}
            )

            assert numbers(words.ravel(), register)[1].tolist() == availability(words, register).ravel().tolist()
