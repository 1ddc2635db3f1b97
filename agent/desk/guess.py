"""What registers may mean: every type and every order of bytes and words side by side. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
"""High word and byte first; low word first; low byte first; both."""
_FORMATS = {
    1: (("u16", ">H"), ("s16", ">h")),
    2: (("u32", ">I"), ("s32", ">i"), ("float32", ">f")),
    3: (("u48", ""), ("s48", "")),
    4: (("u64", ">Q"), ("s64", ">q"), ("float64", ">d")),
}


def interpretations(registers: Sequence[int]) -> list[tuple[str, int, tuple[str, ...]]]:
    """Every reading of the registers.

    Parameters
    ----------
    registers : sequence of int
        As they came, each 0 to 65535.

    Returns
    -------
    list of (str, int, tuple of str)
        Type, place of its first register, and the number in each of ``ORDERS``; of one register the orders ABCD and
        BADC only differ. Empty text where the bits are no number of that type.
    """
    rows = []
    for width, types in _FORMATS.items():
        for first in range(len(registers) - width + 1):
            part = registers[first : first + width]
            for name, form in (*types, (f"bcd{16 * width}", "bcd")):
                rows.append((name, first, tuple(_number(part, order, form, name[0] == "s") for order in ORDERS)))
    return rows


def text_in(registers: Sequence[int]) -> str:
    """The registers as characters, two each; what is not printable is a point."""
    data = b"".join(one.to_bytes(2, "big") for one in registers)
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def _number(part: Sequence[int], order: str, form: str, signed: bool) -> str:
    words = [one.to_bytes(2, "big") for one in part]
    if order in {"CDAB", "DCBA"}:
        words.reverse()
    if order in {"BADC", "DCBA"}:
        words = [word[::-1] for word in words]
    data = b"".join(words)
    if form == "bcd":
        digits = data.hex()
        return str(int(digits)) if digits.isdecimal() else ""
    if not form:
        return str(int.from_bytes(data, "big", signed=signed))
    (number,) = struct.unpack(form, data)
    if isinstance(number, float):
        return f"{number:.7g}" if math.isfinite(number) else ""
    return str(number)
