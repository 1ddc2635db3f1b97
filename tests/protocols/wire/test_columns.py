"""Columns and blocks: exact both ways, small, and bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from protocols.records import Int64, UInt64
from protocols.wire.blocks import pack_block, unpack_block
from protocols.wire.columns import (
    list_deltas,
    list_float32,
    list_signed,
    list_unsigned,
    pack_deltas,
    pack_float32,
    pack_signed,
    pack_unsigned,
    unpack_deltas,
    unpack_float32,
    unpack_signed,
    unpack_unsigned,
    unzigzag,
    zigzag,
)
from protocols.wire.errors import WireError

_signed = hnp.arrays(np.int64, st.integers(0, 40))
_unsigned = hnp.arrays(np.uint64, st.integers(0, 40))


def test_zigzag_order() -> None:
    """Small magnitudes become small numbers, and the extremes have their place."""
    values = np.array([0, -1, 1, -2, 2, 2**63 - 1, -(2**63)], dtype=np.int64)

    assert [0, 1, 2, 3, 4, 2**64 - 2, 2**64 - 1] == zigzag(values).tolist()
    assert values.tolist() == unzigzag(zigzag(values)).tolist()


@given(_unsigned)
def test_unsigned_columns(values: UInt64) -> None:
    """Unsigned integers come back."""
    assert values.tolist() == unpack_unsigned(pack_unsigned(values), values.size, "x").tolist()


@given(_signed.filter(lambda v: not (v == -(2**63)).any()))
def test_signed_columns(values: Int64) -> None:
    """Signed integers come back."""
    assert values.tolist() == unpack_signed(pack_signed(values), values.size, "x").tolist()


@given(hnp.arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 2**63 - 1)), st.integers(-(2**63), 2**63 - 1))
def test_delta_columns(values: Int64, start: int) -> None:
    """Differences are modular, so no pair of values is too far apart."""
    assert values.tolist() == unpack_deltas(pack_deltas(values, start), values.size, "x", start, below=2**63).tolist()


def test_a_column_on_the_wire() -> None:
    """Width, then byte planes: the layout that schema.cddl describes."""
    assert "00" == pack_unsigned([0, 0, 0]).hex()
    assert "01010203" == pack_unsigned([1, 2, 3]).hex()
    assert "0201020100" == pack_unsigned([0x101, 2]).hex()
    assert "01020100" == pack_deltas([1, 0, 0]).hex()
    assert "0000" + "0000" + "c080" + "3f3f" == pack_float32([1.5, 1.0], "x").hex()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03\x00\x00\x00",
        b"\x01\x01",
        b"\x02\x01\x00",
        b"\x01\x00\x00",
        b"\x00\x00",
        b"\x09" + bytes(18),
        None,
        5,
    ],
)
def test_other_columns_are_refused(data: object) -> None:
    """Widths that do not exist, sizes that do not fit, widths wider than needed."""
    with pytest.raises(WireError):
        unpack_unsigned(data, 2, "x")


def test_float32_columns() -> None:
    """Only float32 values, none negative, none infinite."""
    values = [0.0, 1.5, float(np.float32(0.1)), 2.0**-149, float(np.finfo(np.float32).max)]

    assert values == unpack_float32(pack_float32(values, "x"), 5, "x").tolist()
    for wrong in (0.1, float("inf"), float("nan"), 1e300):
        with pytest.raises(WireError):
            pack_float32([wrong], "x")
    for wrong_bytes in (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\x00\x00\x80\xbf"):
        with pytest.raises(WireError):
            unpack_float32(wrong_bytes, 1, "x")


@given(st.sampled_from([1, 2, 4]), st.integers(0, 9), st.integers(1, 5), st.randoms(use_true_random=False))
def test_blocks(width: int, times: int, points: int, random: object) -> None:
    """Words of every width come back, whatever the jump between two of them."""
    draw = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    mask = np.uint64(2 ** (16 * width) - 1)
    words = draw.integers(0, 2**64 - 1, (times, points), dtype=np.uint64, endpoint=True) & mask
    last = draw.integers(0, 2**64 - 1, points, dtype=np.uint64, endpoint=True) & mask
    packed = pack_block(words, last, width, "x")

    assert times * points * width * 2 == len(packed)
    assert words.tolist() == unpack_block(packed, last, times, width, "x").tolist()


def test_a_block_on_the_wire() -> None:
    """Two points, two times, 16 bits: modular steps 1, -1, 2, 258 as zigzag, plane by plane, point by point."""
    words = np.array([[1, 65535], [3, 257]], dtype=np.uint64)

    assert "0204" + "0104" + "0000" + "0002" == pack_block(words, np.array([0, 0], dtype=np.uint64), 1, "x").hex()


def _opened(opener: Callable[[], Any]) -> object:
    """What a reader gives, as a list, or the text of its refusal."""
    try:
        values = opener()
    except WireError as error:
        return str(error)
    return values.tolist() if isinstance(values, np.ndarray) else values


_packed = st.binary(max_size=40) | st.builds(pack_unsigned, hnp.arrays(np.uint64, st.integers(0, 12)))
_count = st.integers(0, 20)
_bound = st.sampled_from([1, 256, 2**31, 2**62, 2**63])


@given(_packed, _count, _bound, st.sampled_from([-1, 0, 5, 2**62]))
def test_columns_as_lists_are_read_and_refused_as_arrays_are(data: bytes, count: int, below: int, start: int) -> None:
    """The way without numpy gives the same numbers and the same refusals, whatever the bytes."""
    pairs = (
        (lambda: list_unsigned(data, count, "x", below), lambda: unpack_unsigned(data, count, "x", below)),
        (lambda: list_signed(data, count, "x", below), lambda: unpack_signed(data, count, "x", below)),
        (
            lambda: list_deltas(data, count, "x", start, least=-1, below=below),
            lambda: unpack_deltas(data, count, "x", start, least=-1, below=below),
        ),
        (lambda: list_float32(data, count, "x"), lambda: unpack_float32(data, count, "x")),
        (lambda: list_float32(data, len(data) // 4, "x"), lambda: unpack_float32(data, len(data) // 4, "x")),
    )
    for without, with_numpy in pairs:
        assert _opened(with_numpy) == _opened(without)


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=16), st.integers(-(2**63), 2**63 - 1))
def test_lists_come_back_from_columns(values: list[int], start: int) -> None:
    """Packed and opened as lists, signed and in differences."""
    assert values == list_signed(pack_signed(values), len(values), "x")
    assert values == list_deltas(pack_deltas(values, start), len(values), "x", start, least=-(2**63), below=2**63)
