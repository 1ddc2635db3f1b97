"""RTU at the pace of a baud rate, in both directions.

Pseudo-terminals and sockets hand bytes over at once; here each takes its time. A request has come when its last
character would have been sent and 3.5 characters of silence have passed; the answer leaves one character after the
other. The loop's clock decides how punctually: an epoll loop is up to 1 ms late with a character, a loop on
``select`` (see ``precise_loop``) some 0.1 ms.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from protocols.modbus.timing import LineTiming
from simulators.modbus.delivery import Delivery
from simulators.modbus.frames import rtu_frame, rtu_request, rtu_request_length
from simulators.modbus.line import Line
from simulators.modbus.talk import Talk

_EARLY_S = 20e-6
"""A character that is due within this time is sent: closer no loop wakes."""


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are not rounded up to milliseconds; for at most 1,000 connections."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


@dataclass
class Sending:
    """Bytes on their way, the first of which begins at ``from_s``; ``sent`` of them are out."""

    from_s: float
    data: bytes
    sent: int = 0


class PacedWire(Talk):
    """The timing of a serial line between the bytes that come and go at once.

    Parameters
    ----------
    line : Line
    timing : LineTiming
        Its baud rate and character, and the turnaround that every answer takes. Without a baud rate bytes take no
        time, and a request ends where its own length says.
    write : callable
        Takes the bytes that have arrived at the other end now.
    reset : callable, optional
        Cuts the connection.
    """

    def __init__(
        self,
        line: Line,
        timing: LineTiming,
        write: Callable[[bytes], None],
        reset: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(line, timing.turnaround_ms / 1000, reset)
        self.short_gaps = 0
        self._character_s = timing.character_ms / 1000
        self._silence_s = timing.silence_ms / 1000
        self._write = write
        self._heard = b""
        self._heard_until_s = 0.0
        self._quiet_since_s = float("-inf")
        self._end_of_request: asyncio.TimerHandle | None = None
        self._leaving: deque[Sending] = deque()
        self._free_at_s = 0.0
        self._pump: asyncio.TimerHandle | None = None

    def received(self, data: bytes) -> None:
        """Bytes that the other end has begun to send now."""
        now = self._loop.time()
        if not self._heard and now - self._quiet_since_s < self._silence_s and not self._leaving:
            self.short_gaps += 1
        self._heard += data
        self._heard_until_s = max(self._heard_until_s, now) + len(data) * self._character_s
        if not self._character_s:
            self._cut()
            return
        if self._end_of_request is not None:
            self._end_of_request.cancel()
        self._end_of_request = self._loop.call_at(self._heard_until_s + self._silence_s, self._take)

    def close(self) -> None:
        """Forget what is under way."""
        super().close()
        for timer in (self._end_of_request, self._pump):
            if timer is not None:
                timer.cancel()

    def _cut(self) -> None:
        """Take every request that is whole; bytes that are none are forgotten."""
        while (length := rtu_request_length(self._heard)) is not None and length <= len(self._heard):
            frame, self._heard = self._heard[:length], self._heard[length:]
            self._answer(frame)

    def _take(self) -> None:
        """Silence has ended what was heard: it is one request, or none."""
        frame, self._heard = self._heard, b""
        self._end_of_request = None
        self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        request = rtu_request(frame)
        if request is None:
            self._heard = b""
        self._release()
        delivery = None if request is None else self.line.ask(0, *request)
        if delivery is None:
            return
        if delivery.echo:
            self._put(frame, self._heard_until_s)
        self._dispatch(delivery, self._heard_until_s + self._silence_s)

    def _send(self, delivery: Delivery, from_s: float) -> None:
        self._put(delivery.edited(rtu_frame(delivery.unit, delivery.pdu)), from_s)

    def _put(self, data: bytes, from_s: float) -> None:
        start = max(from_s, self._free_at_s)
        self._free_at_s = start + len(data) * self._character_s
        self._leaving.append(Sending(start, data))
        if self._pump is None:
            self._move()

    def _move(self) -> None:
        """Send every character whose time is over, and come back for the next one."""
        self._pump = None
        now = self._loop.time()
        while self._leaving:
            first = self._leaving[0]
            over = len(first.data)
            if self._character_s:
                over = min(over, floor((now + _EARLY_S - first.from_s) / self._character_s))
            if over > first.sent:
                self._write(first.data[first.sent : over])
                first.sent = over
            if first.sent < len(first.data):
                self._pump = self._loop.call_at(first.from_s + (first.sent + 1) * self._character_s, self._move)
                return
            self._leaving.popleft()
            self._quiet_since_s = now
