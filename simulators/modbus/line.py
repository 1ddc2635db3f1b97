"""Who stands on a line, what was asked of them, what each request is answered with, and the faults it meets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from simulators.encode import encode
from simulators.faults.catalogue import applies
from simulators.faults.fault import Fault, LineKind, Occasion, Words
from simulators.instruments import Channel, Device
from simulators.modbus.answers import answer
from simulators.modbus.delivery import Delivery
from simulators.modbus.pdu import ExceptionCode, refusal, registers_of

NOBODY = 0
"""Unit id under which requests to unit ids of nobody are counted."""
Meeting = tuple[Fault, Occasion]


def utc_ms() -> int:
    """The wall clock. [ms]"""
    return time.time_ns() // 1_000_000


class Line:
    """Devices behind one socket or pseudo-terminal.

    Parameters
    ----------
    devices : sequence of Device
        Each with a unit id of its own.
    clock : callable
        UTC. [ms]
    kind : LineKind
        On Modbus TCP a unit id of nobody gets exception 0x0B, as from a gateway; a serial line stays silent.
    faults : sequence of Fault
        Those that cannot show on this kind of line have no effect.
    seed, start_ms : int
        The plant's: they decide what is drawn and when a fault begins.

    Attributes
    ----------
    requests : Counter of (unit id, function)
        What was asked for; unit ids of nobody count as 0.
    registers : Counter of unit id
        How many registers were asked for.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        clock: Callable[[], int] = utc_ms,
        *,
        kind: LineKind = LineKind.TCP,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        start_ms: int = 0,
    ) -> None:
        self.devices = {device.instrument.unit: device for device in devices}
        self.kind = kind
        self.requests: Counter[tuple[int, int]] = Counter()
        self.registers: Counter[int] = Counter()
        self._clock = clock
        self._faults = [(number, fault) for number, fault in enumerate(faults) if applies(fault, kind)]
        self._seed, self._start_ms = seed, start_ms
        self._asked: Counter[int] = Counter()

    def ask(self, transaction: int, unit: int, pdu: bytes) -> Delivery | None:
        """The answer to a request; None where nobody is there to give one."""
        if not pdu:
            return None
        device = self.devices.get(unit)
        self._count(unit if device is not None else NOBODY, pdu)
        if device is None:
            gone = refusal(pdu[0], ExceptionCode.GATEWAY_NO_RESPONSE)
            return Delivery(transaction, unit, gone) if self.kind is LineKind.TCP else None
        at_ms = self._clock()
        met = self._met(unit, pdu, at_ms)
        delivery = Delivery(transaction, unit, self._answer(device, pdu, at_ms, met))
        for fault, occasion in met:
            delivery = fault.deliver(delivery, occasion)
        return delivery

    def _count(self, unit: int, pdu: bytes) -> None:
        self.requests[unit, pdu[0]] += 1
        asked = registers_of(pdu)
        if asked is not None:
            self.registers[unit] += asked[1]

    def _met(self, unit: int, pdu: bytes, at_ms: int) -> list[Meeting]:
        """The faults that this request meets."""
        self._asked[unit] += 1
        met = []
        for number, fault in self._faults:
            if fault.holds(at_ms, self._start_ms) and fault.meets(unit, pdu):
                begins_ms = fault.begins_ms(self._start_ms)
                asked = self._asked[unit]
                occasion = Occasion(self._seed, number, unit, asked, begins_ms)
                if fault.probability >= 1 or occasion.draw("meets") < fault.probability:
                    met.append((fault, occasion))
        return met

    @staticmethod
    def _answer(device: Device, pdu: bytes, at_ms: int, met: Sequence[Meeting]) -> bytes:
        for fault, occasion in met:
            refused = fault.refuses(pdu, occasion)
            if refused is not None:
                return refused

        def words_of(channel: Channel, at: int) -> tuple[int, ...]:
            return faulty_words(channel, met, at)

        def read(function: int, address: int, count: int) -> list[int] | None:
            return device.read(function, address, count, at_ms, words_of)

        serial = device.instrument.serial
        for fault, _ in met:
            serial = fault.serial(serial)
        return answer(device, serial, pdu, read)


def faulty_words(channel: Channel, met: Sequence[Meeting], at_ms: int) -> tuple[int, ...]:
    """The words of a register that shows what its faults make of it."""
    register, shown = channel.register, channel.shown
    for fault, occasion in met:
        shown = fault.value(register, shown, occasion)

    def plain(at: int) -> tuple[int, ...]:
        return encode(shown(at), register)

    words: Words = plain
    for fault, occasion in met:
        words = fault.words(register, words, occasion)
    return words(at_ms)
