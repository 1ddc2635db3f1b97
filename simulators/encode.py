"""From a value to register words, written on its own: the decoder under test is never consulted.

Integers through Decimal, floats through ``struct``, packed digits as the text of the number; registers come out in
the order of the map, that of a scale factor last.
"""

from __future__ import annotations

import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal

from protocols.modbus.registermap import Register

_EXACT = Context(prec=60)
_INTEGERS = {
    "u16": (16, False), "s16": (16, True), "u32": (32, False), "s32": (32, True),
    "u48": (48, False), "s48": (48, True), "u64": (64, False), "s64": (64, True),
}
_DIGITS = {"bcd16": 4, "bcd32": 8, "bcd48": 12, "bcd64": 16}
_FLOATS = {"float32": ">f", "float64": ">d"}


class EncodeError(ValueError):
    """A value does not fit its register."""


def integer_range(register: Register) -> tuple[int, int]:
    """Least and greatest number of an integer register."""
    bits, signed = _INTEGERS[register.type]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def is_plain(register: Register) -> bool:
    """Whether the register is a whole integer or float with a fixed scale, whose words an array can be viewed as."""
    whole = register.type in _FLOATS or register.type in ("u16", "s16", "u32", "s32", "u64", "s64")
    return whole and register.bits is None and register.scale_factor is None and not register.offset


def raw_number(value: Decimal, register: Register) -> Decimal:
    """The number that stands in the register for a value in its unit, where a scale factor says 10**0 or 1."""
    value = _EXACT.subtract(value, register.offset)
    if register.scale_by == "divide":
        return _EXACT.multiply(value, register.scale)
    return _EXACT.divide(value, register.scale)


def encode(value: Decimal, register: Register, stated: int | None = None) -> tuple[int, ...]:
    """Register words of a value.

    Parameters
    ----------
    value : Decimal
        In the register's unit.
    register : Register
        Its type, scale, word order, byte order and scale factor.
    stated : int, optional
        Exponent, factor or divisor its scale factor shows; without it 0, or 1 where it is no exponent.

    Returns
    -------
    tuple of int
        16-bit words in the order of ``register.places``.

    Raises
    ------
    EncodeError
        The number is too great or too small for the type.
    """
    number = raw_number(value, register)
    scaling: tuple[int, ...] = ()
    if register.scale_factor is not None:
        is_exponent = register.scale_factor.meaning == "exponent"
        stated = stated if stated is not None else 0 if is_exponent else 1
        if is_exponent:
            number = number.scaleb(-stated, _EXACT)
        elif register.scale_factor.meaning == "factor":
            number = _EXACT.divide(number, Decimal(stated))
        else:
            number = _EXACT.multiply(number, Decimal(stated))
        scaling = (_scaling_word(stated - register.scale_factor.add, register),)
    return (*_arranged(_bytes(number, register), register), *scaling)


def pattern(bits: int, register: Register) -> tuple[int, ...]:
    """The words of a whole-width bit pattern, in the order of the map; without those of a scale factor."""
    return _arranged(bits.to_bytes(2 * register.width, "big"), register)


def _arranged(data: bytes, register: Register) -> tuple[int, ...]:
    """Bytes, most significant first, as the register's words."""
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    if register.byte_order == "little":
        pairs = [pair[::-1] for pair in pairs]
    if register.word_order == "little":
        pairs.reverse()
    return tuple(int.from_bytes(pair, "big") for pair in pairs)


def _scaling_word(number: int, register: Register) -> int:
    factor = register.scale_factor
    if factor is None:
        raise EncodeError(f"register {register.name} has no scale factor")
    low = 0 if factor.bits is None else factor.bits[0]
    signed = factor.type == "s16" and factor.bits is None
    try:
        return int.from_bytes((number << low).to_bytes(2, "big", signed=signed), "big")
    except OverflowError as error:
        raise EncodeError(f"register {register.name}: {number} does not fit its scale factor") from error


def _bytes(number: Decimal, register: Register) -> bytes:
    """The number's bytes, most significant first."""
    if register.type in _FLOATS:
        try:
            return struct.pack(_FLOATS[register.type], float(number))
        except OverflowError as error:
            raise EncodeError(f"register {register.name}: {number} does not fit {register.type}") from error
    whole = int(number.to_integral_value(rounding=ROUND_HALF_EVEN))
    if register.type in _DIGITS:
        text = f"{whole:0{_DIGITS[register.type]}d}"
        if whole < 0 or len(text) > _DIGITS[register.type]:
            raise EncodeError(f"register {register.name}: {whole} does not fit {register.type}")
        return bytes.fromhex(text)
    bits, signed = _INTEGERS[register.type]
    if register.bits is not None:
        low, high = register.bits
        if not 0 <= whole < 1 << high - low + 1:
            raise EncodeError(f"register {register.name}: {whole} does not fit bits {low} to {high}")
        whole <<= low
    try:
        return whole.to_bytes(bits // 8, "big", signed=signed)
    except OverflowError as error:
        raise EncodeError(f"register {register.name}: {whole} does not fit {register.type}") from error
