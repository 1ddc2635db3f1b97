"""Requests and refusals of the Modbus application protocol, without device or line."""

from __future__ import annotations

import struct
from enum import IntEnum

READS = (3, 4)
MOST_REGISTERS = 125
_READ = struct.Struct(">BHH")


class ExceptionCode(IntEnum):
    """Exception codes of the Modbus application protocol."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    DEVICE_BUSY = 6
    GATEWAY_NO_RESPONSE = 0x0B


def refusal(function: int, code: ExceptionCode) -> bytes:
    """An exception answer."""
    return bytes((function | 0x80, code))


def registers_of(pdu: bytes) -> tuple[int, int] | None:
    """Address and count of a register read; None where the request is none."""
    if len(pdu) != _READ.size or pdu[0] not in READS:
        return None
    _, address, count = _READ.unpack(pdu)
    return address, count


def register_answer(function: int, words: list[int]) -> bytes:
    """An answer with registers."""
    return struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)
