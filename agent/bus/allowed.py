"""Which requests may leave this program: those that read, whoever asks for what."""

from __future__ import annotations

from protocols.errors import EmitraceError

READING = frozenset({1, 2, 3, 4, 17})
"""Coils, discrete inputs, holding and input registers, server id."""
ENCAPSULATED, DEVICE_IDENTIFICATION = 43, 14
"""Function 43 carries several interfaces; of these only 14 reads."""


class NotAllowedError(EmitraceError):
    """A request that could change something in a device."""


def check_reads(frame: bytes, at: int) -> None:
    """Refuse a frame whose function code, at a place in it, is none that only reads.

    Raises
    ------
    NotAllowedError
        Before a byte of it has left.
    """
    function = frame[at] if len(frame) > at else None
    if function in READING or (function == ENCAPSULATED and frame[at + 1 : at + 2] == bytes((DEVICE_IDENTIFICATION,))):
        return
    hint = "meters are only ever read: functions 1 to 4, 17, and 43 with interface 14"
    raise NotAllowedError("Modbus request", f"function {function} of {frame.hex(' ')}", hint)
