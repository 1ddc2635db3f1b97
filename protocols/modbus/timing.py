"""How long a request takes on its line, and how many unused registers are cheaper to read than to skip.

On a serial line a frame takes its characters, and 3.5 characters of silence stand before it (Modbus over serial line
V1.02, 2.5.1.1; above 19,200 baud the silence is 1.75 ms). Over TCP the bytes cost next to nothing and the turnaround is
everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from protocols.records import ReadRequest

REQUEST_BYTES = 8
"""Unit, function, address, count, check: a read request on a serial line."""
ANSWER_BYTES = 5
"""Unit, function, byte count, check around the registers of an answer."""
SILENT_CHARACTERS = 3.5
FAST_BAUD, FAST_SILENCE_MS = 19_200, 1.75


@dataclass(frozen=True, slots=True)
class LineTiming:
    """What a request costs on one line.

    Attributes
    ----------
    turnaround_ms : float
        From the last byte of the request to the first of the answer. [ms]
    baud : int
        0 where the line is a network, whose bytes cost nothing. [bit/s]
    bits : int
        Bits of a character with start, parity and stop: 10 for 8N1, 11 for 8E1 and 8N2.
    """

    turnaround_ms: float
    baud: int = 0
    bits: int = 11

    @property
    def character_ms(self) -> float:
        """Time of one character. [ms]"""
        return 1000.0 * self.bits / self.baud if self.baud else 0.0

    @property
    def silence_ms(self) -> float:
        """Silence before a frame. [ms]"""
        return FAST_SILENCE_MS if self.baud > FAST_BAUD else SILENT_CHARACTERS * self.character_ms

    @property
    def request_ms(self) -> float:
        """What a request costs before the first register. [ms]"""
        framing = (REQUEST_BYTES + ANSWER_BYTES) * self.character_ms + 2 * self.silence_ms
        return (framing if self.baud else 0.0) + self.turnaround_ms

    @property
    def register_ms(self) -> float:
        """What each register costs. [ms]"""
        return 2 * self.character_ms

    def poll_ms(self, registers: int) -> float:
        """Time of one request and its answer. [ms]"""
        return self.request_ms + registers * self.register_ms

    @property
    def gap_that_pays(self) -> int:
        """Unused registers that are read no slower than a further request would take; 125 where they cost nothing."""
        return min(125, floor(self.request_ms / self.register_ms)) if self.register_ms else 125


@dataclass(frozen=True, slots=True)
class ClassLoad:
    """What the requests of one scan class on one bus ask of it.

    ``busy_ms`` is how long one round takes, ``slack_ms`` what then is left of the interval: negative where the bus
    cannot keep up. ``utilisation`` is the share of the bus's time.
    """

    bus: int
    scan_class: int
    requests: int
    registers: int
    busy_ms: float
    slack_ms: float
    utilisation: float


def class_loads(
    requests: Sequence[ReadRequest], intervals_ms: Sequence[int], timings: Sequence[LineTiming]
) -> list[ClassLoad]:
    """The load of every scan class on every bus, in order; ``timings`` request by request."""
    loads = []
    for bus, scan_class in sorted({(request.bus, request.scan_class) for request in requests}):
        own = [
            (request, timing)
            for request, timing in zip(requests, timings, strict=True)
            if (request.bus, request.scan_class) == (bus, scan_class)
        ]
        interval = intervals_ms[scan_class]
        busy = sum(timing.poll_ms(request.count) for request, timing in own)
        counts = sum(request.count for request, _ in own)
        loads.append(ClassLoad(bus, scan_class, len(own), counts, busy, interval - busy, busy / interval))
    return loads
