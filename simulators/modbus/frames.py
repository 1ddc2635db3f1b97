"""Frames of Modbus TCP and of RTU: from bytes to requests, from answers to bytes."""

from __future__ import annotations

import struct

MBAP = struct.Struct(">HHHB")
"""Transaction, protocol, length of what follows, unit."""
LEAST_RTU = 4
"""Unit, function and check."""
LEAST_LENGTH, MOST_LENGTH = 2, 254
"""Unit and PDU of a Modbus TCP frame."""


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """An answer on Modbus TCP."""
    return MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """An answer on a serial line."""
    body = bytes((unit,)) + pdu
    return body + check(body)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def check(body: bytes) -> bytes:
    """The CRC-16 of a serial frame as it travels, low byte first."""
    crc = 0xFFFF
    for byte in body:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def rtu_request(frame: bytes) -> tuple[int, bytes] | None:
    """Unit and PDU of a serial frame; None where it is too short or its check is wrong."""
    if len(frame) < LEAST_RTU or check(frame[:-2]) != frame[-2:]:
        return None
    return frame[0], frame[1:-2]


def rtu_request_length(data: bytes) -> int | None:
    """Length of the serial request that begins with these bytes; None where they do not tell yet.

    Only needed where no silence ends a request, that is over TCP. A function that is not known is taken to be
    without data.
    """
    if len(data) < 2:
        return None
    function = data[1]
    if function in (15, 16):
        return 9 + data[6] if len(data) > 6 else None
    if function == 23:
        return 13 + data[10] if len(data) > 10 else None
    return {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 8: 8, 22: 10, 43: 7}.get(function, LEAST_RTU)
