"""Who stands on a line, what was asked of them, and what each request is answered with."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from simulators.instruments import Device
from simulators.modbus.answers import ExceptionCode, answer, refusal, registers_of
from simulators.modbus.delivery import Delivery

NOBODY = 0
"""Unit id under which requests to unit ids of nobody are counted."""


def utc_ms() -> int:
    """The wall clock. [ms]"""
    return time.time_ns() // 1_000_000


class Line:
    """Devices behind one socket or pseudo-terminal, until it is closed.

    Parameters
    ----------
    devices : sequence of Device
        Each with a unit id of its own.
    clock : callable
        UTC. [ms]
    gateway : bool
        Whether unit ids of nobody get exception 0x0B, as from a TCP gateway; a serial line stays silent.

    Attributes
    ----------
    requests : Counter of (unit id, function)
        What was asked for; unit ids of nobody count as 0.
    registers : Counter of unit id
        How many registers were asked for.
    """

    def __init__(self, devices: Sequence[Device], clock: Callable[[], int] = utc_ms, *, gateway: bool = True) -> None:
        self.devices = {device.instrument.unit: device for device in devices}
        self.requests: Counter[tuple[int, int]] = Counter()
        self.registers: Counter[int] = Counter()
        self._clock = clock
        self._gateway = gateway

    def ask(self, transaction: int, unit: int, pdu: bytes) -> Delivery | None:
        """The answer to a request; None where nobody is there to give one."""
        if not pdu:
            return None
        device = self.devices.get(unit)
        self._count(unit if device is not None else NOBODY, pdu)
        if device is None:
            gone = refusal(pdu[0], ExceptionCode.GATEWAY_NO_RESPONSE)
            return Delivery(transaction, unit, gone) if self._gateway else None
        at_ms = self._clock()

        def read(function: int, address: int, count: int) -> list[int] | None:
            return device.read(function, address, count, at_ms)

        return Delivery(transaction, unit, answer(device, device.instrument.serial, pdu, read))

    def _count(self, unit: int, pdu: bytes) -> None:
        self.requests[unit, pdu[0]] += 1
        asked = registers_of(pdu)
        if asked is not None:
            self.registers[unit] += asked[1]
