"""Columns: many integers or float32 numbers of one meaning in one byte string.

An integer column is one byte w (0, 1, 2, 4 or 8: the fewest that hold the largest value) and then the values
as w-byte little-endian integers, byte plane after byte plane: all first bytes, then all second bytes, and so
on. Width 0 means that every value is zero. Signed values are zigzag coded first; a *delta* column holds each
value's modular difference to the one before it, the first to a given start. How many values there are is
always known, and bounded, before a column is opened.

The ``list_`` functions open a column as Python numbers. Where it holds a few values, as most columns of a batch
of a minute do, they do without numpy, whose calls would cost ten times the work.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from protocols.records import Int64, UInt64
from protocols.wire.fields import blob, refuse

_WIDTHS = (1, 2, 4, 8)
_FEW = 16
_WRAP = 2**64


def zigzag(values: Int64) -> UInt64:
    """Signed to unsigned: 0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ..."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: UInt64) -> Int64:
    """The way back of ``zigzag``."""
    return ((values >> np.uint64(1)) ^ (~(values & np.uint64(1)) + np.uint64(1))).view(np.int64)


def pack_unsigned(values: UInt64 | Iterable[int]) -> bytes:
    """A column of unsigned 64-bit integers."""
    column = values if isinstance(values, np.ndarray) else np.array(tuple(values), dtype=np.uint64)
    largest = int(column.max()) if column.size else 0
    if largest == 0:
        return b"\x00"
    width = next(w for w in _WIDTHS if largest < 1 << (8 * w))
    return bytes((width,)) + _planes(column.astype(f"<u{width}"), width)


def pack_signed(values: Int64 | Iterable[int]) -> bytes:
    """A column of signed 64-bit integers."""
    return pack_unsigned(zigzag(_signed(values)))


def pack_deltas(values: Int64 | Iterable[int], start: int = 0) -> bytes:
    """A column of signed 64-bit integers as modular differences along the column."""
    column = _signed(values).view(np.uint64)
    before = np.empty_like(column)
    if column.size:
        before[0] = np.array(start, dtype=np.int64).view(np.uint64)
        before[1:] = column[:-1]
    return pack_unsigned(zigzag((column - before).view(np.int64)))


def unpack_unsigned(data: object, count: int, where: str, below: int = 2**64) -> UInt64:
    """``count`` unsigned integers below ``below``."""
    packed = blob(data, where, 1 + 8 * count)
    width = packed[0] if packed else -1
    if width == 0:
        column = np.zeros(count, dtype=np.uint64)
    elif width in _WIDTHS:
        column = _unplanes(packed[1:], count, width, where).view(f"<u{width}").reshape(count).astype(np.uint64)
    else:
        refuse(where, f"a column of width {width}" if packed else "an empty column")
    if len(packed) != 1 + width * count:
        refuse(where, f"a column of {len(packed)} bytes for {count} values of width {width}")
    largest = int(column.max()) if count else 0
    least = next((w for w in _WIDTHS if largest < 1 << (8 * w)), 8) if largest else 0
    if least != width:
        refuse(where, f"a column of width {width} whose values fit in width {least}")
    if largest >= below:
        refuse(where, f"{largest} is not below {below}")
    return column


def unpack_signed(data: object, count: int, where: str, below: int = 2**63) -> Int64:
    """``count`` integers in (-below, below)."""
    return _within(unzigzag(unpack_unsigned(data, count, where)), -below, below, where)


def unpack_deltas(data: object, count: int, where: str, start: int = 0, *, least: int = 0, below: int) -> Int64:
    """``count`` integers in [least, below) from a column of differences."""
    column = unzigzag(unpack_unsigned(data, count, where)).view(np.uint64)
    origin = np.array(start, dtype=np.int64).view(np.uint64)
    values = (np.add.accumulate(column) + origin).view(np.int64)
    return _within(values, least - 1, below, where)


def list_unsigned(data: object, count: int, where: str, below: int = _WRAP) -> list[int]:
    """``unpack_unsigned`` as a list."""
    if count > _FEW:
        return cast("list[int]", unpack_unsigned(data, count, where, below).tolist())
    packed = blob(data, where, 1 + 8 * count)
    width = packed[0] if packed else -1
    if (width and width not in _WIDTHS) or len(packed) != 1 + width * count:
        unpack_unsigned(data, count, where, below)  # says what is wrong
    if not width:
        return [0] * count
    values = [int.from_bytes(packed[1 + at :: count], "little") for at in range(count)]
    if not values or not _bound_below(width) <= max(values) < below:
        unpack_unsigned(data, count, where, below)
    return values


def list_signed(data: object, count: int, where: str, below: int = 2**63) -> list[int]:
    """``unpack_signed`` as a list."""
    if count > _FEW:
        return cast("list[int]", unpack_signed(data, count, where, below).tolist())
    values = [coded >> 1 ^ -(coded & 1) for coded in list_unsigned(data, count, where)]
    return _list_within(values, -below, below, where)


def list_deltas(data: object, count: int, where: str, start: int = 0, *, least: int = 0, below: int) -> list[int]:
    """``unpack_deltas`` as a list."""
    if count > _FEW:
        return cast("list[int]", unpack_deltas(data, count, where, start, least=least, below=below).tolist())
    values: list[int] = []
    value = start
    for coded in list_unsigned(data, count, where):
        value = (value + (coded >> 1 ^ -(coded & 1)) + 2**63) % _WRAP - 2**63
        values.append(value)
    return _list_within(values, least - 1, below, where)


def list_float32(data: object, count: int, where: str) -> list[float]:
    """``unpack_float32`` as a list."""
    if count > _FEW:
        return cast("list[float]", unpack_float32(data, count, where).tolist())
    packed = blob(data, where, 4 * count, 4 * count)
    values: list[float] = [struct.unpack("<f", packed[at::count])[0] for at in range(count)]
    if not all(0.0 <= value < math.inf and math.copysign(1.0, value) > 0 for value in values):
        unpack_float32(data, count, where)  # says what is wrong
    return values


def pack_float32(values: Iterable[float], where: str) -> bytes:
    """A column of numbers that are float32 values already, little-endian, byte plane after byte plane."""
    wide = np.array(tuple(values), dtype=np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype("<f4")
    if not np.array_equal(narrow.astype(np.float64), wide) or np.isinf(wide).any():
        refuse(where, "a number that is not a finite float32 value")
    return _planes(narrow, 4)


def unpack_float32(data: object, count: int, where: str) -> NDArray[np.float64]:
    """``count`` finite float32 values, none negative, as float64."""
    packed = blob(data, where, 4 * count, 4 * count)
    column = _unplanes(packed, count, 4, where).view("<f4").reshape(count)
    if not np.isfinite(column).all() or np.signbit(column).any():
        refuse(where, "an uncertainty that is negative or not finite")
    return column.astype(np.float64)


def _signed(values: Int64 | Iterable[int]) -> Int64:
    return values if isinstance(values, np.ndarray) else np.array(tuple(values), dtype=np.int64)


def _planes(column: NDArray[Any], width: int) -> bytes:
    return column.view(np.uint8).reshape(column.size, width).T.tobytes()


def _unplanes(packed: bytes, count: int, width: int, where: str) -> NDArray[np.uint8]:
    if len(packed) != count * width:
        refuse(where, f"{len(packed)} bytes for {count} values of width {width}")
    return np.ascontiguousarray(np.frombuffer(packed, dtype=np.uint8).reshape(width, count).T)


def _bound_below(width: int) -> int:
    """The least value that needs so many bytes."""
    return 1 if width == 1 else 1 << (4 * width)


def _list_within(values: list[int], above: int, below: int, where: str) -> list[int]:
    if values and not above < min(values) <= max(values) < below:
        refuse(where, f"values {min(values)}..{max(values)} are not within {above + 1}..{below - 1}")
    return values


def _within(values: Int64, above: int, below: int, where: str) -> Int64:
    if values.size and not above < int(values.min()) <= int(values.max()) < below:
        refuse(where, f"values {int(values.min())}..{int(values.max())} are not within {above + 1}..{below - 1}")
    return values
