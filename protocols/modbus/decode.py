"""Register words to numbers, over blocks of times x registers; a live poll is the one-row case.

Words stay as the device sent them until ``numbers``: on the wire and in the journal a value is its registers
in the map's order, first register highest, that of a scale factor last. Word and byte order, type, sentinels and
scale apply here, once. A value that is not available (a sentinel, NaN, infinity, a digit that is none, a scale
factor that is none, an index out of range) is a False in the mask that comes with every result; the number
beside it is 0 and means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.exact import LIMIT, half_even
from protocols.modbus.registermap import Register, ScaleFactor, Text, scale_of
from protocols.plan.bound import BoundPoint
from protocols.records import Float64, Int64, ReadRequest, UInt16, UInt64

Mask: TypeAlias = NDArray[np.bool_]

EXACT_FLOAT = 2**53
"""Integers up to here are float64 exactly."""
FLOAT_PRECISION = {"float32": 24, "float64": 53}
"""Significant bits of each float type."""
_DIGITS = Context(prec=40)
SURE_BELOW = 2.0**50
"""Quotients below this are screened in float64; above, they are computed exactly one by one."""


def join_words(registers: UInt16, request: ReadRequest) -> UInt64:
    """One unsigned integer per point from the registers of an answer.

    Parameters
    ----------
    registers : ndarray of uint16, shape (times, count)
        Answers of one request, a row each.
    request : ReadRequest

    Returns
    -------
    ndarray of uint64, shape (times, points)
        Registers in the map's order, the first one highest; no order of the device is undone yet.
    """
    if registers.ndim != 2 or registers.shape[1] != request.count:
        raise ValueError(f"registers of shape {registers.shape} are no answers of {request.count} registers")
    joined = np.zeros((registers.shape[0], len(request.points)), dtype=np.uint64)
    offsets, widths = np.array(request.offsets, dtype=np.intp), np.array(request.widths, dtype=np.intp)
    for column, each in request.scattered:
        widths[column] = 0
        for place in each:
            joined[:, column] = (joined[:, column] << np.uint64(16)) | registers[:, place]
    for width in np.unique(widths[widths > 0]).tolist():
        columns = np.flatnonzero(widths == width)
        places = offsets[columns, np.newaxis] + np.arange(width)
        sent = np.ascontiguousarray(registers[:, places], dtype=">u2")
        joined[:, columns] = sent.view(f">u{2 * width}")[:, :, 0]
    return joined


def numbers(words: UInt64, register: Register) -> tuple[Float64, Mask]:
    """Register numbers before scale, and which of them are available.

    Parameters
    ----------
    words : ndarray of uint64, shape (n,)
        As ``join_words`` gives them.
    register : Register

    Returns
    -------
    tuple of (ndarray of float64, ndarray of bool), shape (n,)
        64-bit integers beyond 2**53 are rounded to the nearest float64; ``indexes`` does not round them.
    """
    number, available = _unmasked(words, register)
    return np.where(available, number, 0.0), available


def availability(words: UInt64, register: Register) -> Mask:
    """The mask of ``numbers`` without the numbers, for words of any shape."""
    return _unmasked(words, register)[1]


def _unmasked(words: UInt64, register: Register) -> tuple[Float64, Mask]:
    """Numbers and where they are available; what stands where none is means nothing."""
    if register.scale_factor is None:
        return _own_numbers(words, register)
    stated = np.zeros(words.shape, dtype=np.bool_)
    for rows, _ in _scale_factors(words, register.scale_factor):
        stated |= rows
    number, available = _own_numbers(words >> np.uint64(16), register)
    return number, available & stated


def decimals(words: UInt64, register: Register) -> list[Decimal | None]:
    """Register numbers as people read them, before the map's scale; None where not available.

    Integers are exact at any size. A float is the shortest decimal that names it among the floats of its type:
    what the meter's own display would show, and never another register content. A scale factor of the device is
    applied; where it divides without end, 40 digits are kept.
    """
    if register.scale_factor is None:
        return _own_decimals(words, register)
    shown: list[Decimal | None] = [None] * words.size
    for rows, stated in _scale_factors(words, register.scale_factor):
        for place, own in zip(
            np.flatnonzero(rows).tolist(), _own_decimals(words[rows] >> np.uint64(16), register), strict=True
        ):
            if own is not None:
                shown[place] = _DIGITS.divide(own * stated.numerator, Decimal(stated.denominator))
    return shown


def _own_decimals(words: UInt64, register: Register) -> list[Decimal | None]:
    """As ``decimals``, a scale factor left out."""
    bits = _in_order(words, register)
    available = _present(bits, register)
    if register.family == "float":
        floats = _floats(bits, register).astype(register.type)
        available = available & np.isfinite(floats)
        texts = [np.format_float_positional(number, unique=True, trim="-") for number in floats]
    elif register.family == "s":
        texts = list(map(str, _signed(bits, register).tolist()))
    else:
        whole, valid = _unsigned(bits, register)
        available, texts = available & valid, list(map(str, whole.tolist()))
    return [Decimal(text) if here else None for text, here in zip(texts, available.tolist(), strict=True)]


def values(words: UInt64, point: BoundPoint) -> tuple[Float64, Mask]:
    """Values in the base unit: number x numerator / denominator of the point's ratio + offset, in this order.

    Returns
    -------
    tuple of (ndarray of float64, ndarray of bool), shape (n,)
        Where the register has a scale factor, the ratio is the exact product of the point's and the factor's.
    """
    number, available = numbers(words, point.register)
    factor = point.register.scale_factor
    with np.errstate(over="ignore"):
        if factor is None:
            value = number * float(point.ratio.numerator) / float(point.ratio.denominator)
        else:
            value = np.zeros_like(number)
            for rows, stated in _scale_factors(words, factor):
                ratio = point.ratio * stated
                value[rows] = number[rows] * float(ratio.numerator) / float(ratio.denominator)
        if point.offset:
            value = value + float(point.offset)
    available = available & np.isfinite(value)
    return np.where(available, value, 0.0), available


def indexes(words: UInt64, point: BoundPoint) -> tuple[Int64, Mask]:
    """Counter indexes: the exact value of number x ratio, rounded half to even once.

    Parameters
    ----------
    words : ndarray of uint64, shape (n,)
    point : BoundPoint

    Returns
    -------
    tuple of (ndarray of int64, ndarray of bool), shape (n,)
        In the counter's base unit. A negative number, an index above 2**62 or above the counter's own modulus is not
        available: no such counter shows it.
    """
    register, factor = point.register, point.register.scale_factor
    if factor is None:
        result, available = _own_indexes(words, register, point.ratio)
    else:
        result, available = np.zeros(words.shape, dtype=np.int64), np.zeros(words.shape, dtype=np.bool_)
        for rows, stated in _scale_factors(words, factor):
            result[rows], available[rows] = _own_indexes(words[rows] >> np.uint64(16), register, point.ratio * stated)
    return result, available if point.modulus is None else available & (result <= point.modulus)


def exact_value(word: int, register: Register) -> Fraction | None:
    """One joined word in the register's unit, as people read it; None where it is not available."""
    (number,) = decimals(np.array([word], dtype=np.uint64), register)
    return None if number is None else Fraction(number) * scale_of(register) + Fraction(register.offset)


def text_of(registers: Sequence[int], text: Text) -> str | None:
    """The characters of a text's registers, without trailing zeros and blanks; None where they are no ASCII."""
    order: Literal["big", "little"] = text.byte_order
    data = b"".join(register.to_bytes(2, order) for register in registers).rstrip(b"\x00 ")
    return data.decode("ascii") if data.isascii() and all(32 <= one < 127 for one in data) else None


def _scale_factors(words: UInt64, factor: ScaleFactor) -> Iterator[tuple[Mask, Fraction]]:
    """Where each scale factor stands that occurs in the words' last registers, and what it states."""
    last = words & np.uint64(0xFFFF)
    for word in np.unique(last).tolist():
        stated = factor.ratio(word)
        if stated is not None:
            yield last == word, stated


def _own_numbers(words: UInt64, register: Register) -> tuple[Float64, Mask]:
    """Numbers of the register itself, a scale factor left out; what stands where none is available means nothing."""
    bits = _in_order(words, register)
    available = _present(bits, register)
    if register.family == "float":
        number = _floats(bits, register)
        return number, available & np.isfinite(number)
    if register.family == "s":
        return _signed(bits, register).astype(np.float64), available
    whole, valid = _unsigned(bits, register)
    return whole.astype(np.float64), available & valid


def _own_indexes(words: UInt64, register: Register, ratio: Fraction) -> tuple[Int64, Mask]:
    """Indexes of the register itself at a ratio."""
    bits = _in_order(words, register)
    available = _present(bits, register)
    if register.family == "float":
        return _indexes_of_floats(_floats(bits, register), available, ratio, FLOAT_PRECISION[register.type])
    if register.family == "s":
        whole, valid = bits, _signed(bits, register) >= 0
    else:
        whole, valid = _unsigned(bits, register)
    available = available & valid
    return _indexes_of_integers(np.where(available, whole, np.uint64(0)), available, ratio)


def _in_order(words: UInt64, register: Register) -> UInt64:
    """The value's bits, most significant first: undo the device's word order, then its byte order."""
    bits = words.astype(np.uint64, copy=False)
    if register.word_order == "little" and register.width > 1:
        source, bits = bits, np.zeros_like(bits)
        for _ in range(register.width):
            bits = (bits << np.uint64(16)) | (source & np.uint64(0xFFFF))
            source = source >> np.uint64(16)
    if register.byte_order == "little":
        low = np.uint64(0x00FF00FF00FF00FF)
        bits = ((bits & low) << np.uint64(8)) | ((bits >> np.uint64(8)) & low)
    return bits


def _present(bits: UInt64, register: Register) -> Mask:
    """Where the bits are none of the sentinels."""
    if not register.sentinels:
        return np.ones(bits.shape, dtype=np.bool_)
    return ~np.isin(bits, np.array(register.sentinels, dtype=np.uint64))


def _unsigned(bits: UInt64, register: Register) -> tuple[UInt64, Mask]:
    """Unsigned numbers: all bits, the ``bits`` the map names, or packed digits, none of which is above 9."""
    if register.family == "bcd":
        return _digits(bits, register.width)
    if register.bits is not None:
        low, high = register.bits
        bits = (bits >> np.uint64(low)) & np.uint64((1 << high - low + 1) - 1)
    return bits, np.ones(bits.shape, dtype=np.bool_)


def _digits(bits: UInt64, width: int) -> tuple[UInt64, Mask]:
    """Numbers of packed decimal digits, and where every digit is one."""
    number, valid = np.zeros_like(bits), np.ones(bits.shape, dtype=np.bool_)
    for shift in range(16 * width - 4, -1, -4):
        digit = (bits >> np.uint64(shift)) & np.uint64(0xF)
        valid &= digit <= 9
        number = number * np.uint64(10) + digit
    return number, valid


def _signed(bits: UInt64, register: Register) -> Int64:
    """Two's complement of the register's width."""
    unused = np.int64(64 - 16 * register.width)
    return (bits.view(np.int64) << unused) >> unused


def _floats(bits: UInt64, register: Register) -> Float64:
    """IEEE 754 numbers of the bits; a float32 becomes float64 before anything is done with it."""
    if register.type == "float64":
        return bits.view(np.float64)
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def _indexes_of_integers(numbers_: UInt64, available: Mask, ratio: Fraction) -> tuple[Int64, Mask]:
    """Half-even of integer x ratio: int64 where the product fits, Python integers elsewhere."""
    numerator, denominator = ratio.numerator, ratio.denominator
    result = np.zeros(numbers_.shape, dtype=np.int64)
    fits = available & (numbers_ <= np.uint64(LIMIT // numerator))
    if denominator >= LIMIT:
        fits = np.zeros_like(fits)
    else:
        product = np.where(fits, numbers_, np.uint64(0)).astype(np.int64) * np.int64(min(numerator, LIMIT))
        quotient, rest = np.divmod(product, np.int64(denominator))
        half = rest > (denominator - rest)
        tie = rest == (denominator - rest)
        result = quotient + (half | (tie & (quotient % 2 == 1))).astype(np.int64)
    large = available & ~fits
    return _one_by_one(result, available, large, [Fraction(int(number)) for number in numbers_[large]], ratio)


def _indexes_of_floats(number: Float64, available: Mask, ratio: Fraction, precision: int) -> tuple[Int64, Mask]:
    """Half-even of float x ratio, for numbers of so many significant bits.

    Where every product fits into float64 its nearest integer is the exact one. Otherwise product and quotient
    are off by at most two roundings, 2**-52 of the result: where the result keeps further than that from a tie
    its nearest integer is the exact one again. The rest are computed as fractions.
    """
    available = available & np.isfinite(number) & (number >= 0)
    number = np.where(available, number, 0.0)
    sure = np.zeros(number.shape, dtype=np.bool_)
    nearest = np.zeros(number.shape, dtype=np.float64)
    if max(ratio.numerator, ratio.denominator) <= EXACT_FLOAT:
        with np.errstate(over="ignore", under="ignore"):
            near = number * float(ratio.numerator) / float(ratio.denominator)
        small = near < SURE_BELOW
        near = np.where(small, near, 0.0)
        distance = np.abs(near - np.floor(near) - 0.5)
        sure = small if _product_is_exact(ratio, precision) else small & (distance > near * 2.0**-51)
        nearest = np.where(sure, np.rint(near), 0.0)
    doubtful = available & ~sure
    exact = [Fraction(float(n)) for n in number[doubtful]]
    return _one_by_one(nearest.astype(np.int64), available, doubtful, exact, ratio)


def _product_is_exact(ratio: Fraction, precision: int) -> bool:
    """Whether number x ratio of such numbers never needs more than a float64's 53 bits."""
    odd = ratio.numerator // (ratio.numerator & -ratio.numerator)
    return ratio.denominator & (ratio.denominator - 1) == 0 and odd.bit_length() + precision <= 53


def _one_by_one(
    result: Int64, available: Mask, where: Mask, numbers_: list[Fraction], ratio: Fraction
) -> tuple[Int64, Mask]:
    """Fill in the exact indexes at ``where``; one above the limit is not available."""
    available = available.copy()
    for position, number in zip(np.flatnonzero(where), numbers_, strict=True):
        exact = number * ratio
        index = half_even(exact.numerator, exact.denominator)
        available[position] = index <= LIMIT
        result[position] = index if index <= LIMIT else 0
    return np.where(available, result, 0), available
