"""From a value to register words, written on its own: the decoder under test is never consulted.

Integers through Decimal, floats through ``struct``; registers come out in the order they go on the wire.
"""

from __future__ import annotations

import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal

from protocols.modbus.registermap import Register

_EXACT = Context(prec=60)
_INTEGERS = {
    "u16": (16, False), "s16": (16, True), "u32": (32, False), "s32": (32, True), "u64": (64, False), "s64": (64, True),
}
_FLOATS = {"float32": ">f", "float64": ">d"}


class EncodeError(ValueError):
    """A value does not fit its register."""


def integer_range(register: Register) -> tuple[int, int]:
    """Least and greatest number of an integer register."""
    bits, signed = _INTEGERS[register.type]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def raw_number(value: Decimal, register: Register) -> Decimal:
    """The number that stands in the register for a value in the register's unit."""
    if register.scale_by == "divide":
        return _EXACT.multiply(value, register.scale)
    return _EXACT.divide(value, register.scale)


def encode(value: Decimal, register: Register) -> tuple[int, ...]:
    """Register words of a value.

    Parameters
    ----------
    value : Decimal
        In the register's unit.
    register : Register
        Its type, scale, word order and byte order.

    Returns
    -------
    tuple of int
        16-bit words in the order of their addresses.

    Raises
    ------
    EncodeError
        The number is too great or too small for the type.
    """
    number = raw_number(value, register)
    if register.type in _FLOATS:
        try:
            data = struct.pack(_FLOATS[register.type], float(number))
        except OverflowError as error:
            raise EncodeError(f"register {register.name}: {number} does not fit {register.type}") from error
    else:
        bits, signed = _INTEGERS[register.type]
        whole = int(number.to_integral_value(rounding=ROUND_HALF_EVEN))
        try:
            data = whole.to_bytes(bits // 8, "big", signed=signed)
        except OverflowError as error:
            raise EncodeError(f"register {register.name}: {whole} does not fit {register.type}") from error
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    if register.byte_order == "little":
        pairs = [pair[::-1] for pair in pairs]
    if register.word_order == "little":
        pairs.reverse()
    return tuple(int.from_bytes(pair, "big") for pair in pairs)
