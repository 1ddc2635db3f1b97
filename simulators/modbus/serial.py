"""A serial line on a pseudo-terminal: Modbus RTU at the pace of a baud rate, in both directions.

A pseudo-terminal hands bytes over at once; here each takes its time. A request has come when its last character
would have been sent and 3.5 characters of silence have passed; the answer leaves one character after the other. The
loop's clock decides how punctually: an epoll loop is up to 1 ms late with a character, a loop on ``select`` (see
``precise_loop``) some 0.1 ms.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import termios
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import floor
from pathlib import Path

from protocols.modbus.timing import LineTiming
from simulators.modbus.delivery import Delivery, Way
from simulators.modbus.frames import rtu_frame, rtu_request
from simulators.modbus.line import Line

_CHUNK = 4096
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


class PacedWire:
    """The timing of a serial line between the bytes that come and go at once.

    Parameters
    ----------
    line : Line
    timing : LineTiming
        Its baud rate and character, and the turnaround that every answer takes.
    write : callable
        Takes the bytes that have arrived at the other end now.
    """

    def __init__(self, line: Line, timing: LineTiming, write: Callable[[bytes], None]) -> None:
        self.line = line
        self.short_gaps = 0
        self._timing = timing
        self._character_s = timing.character_ms / 1000
        self._silence_s = timing.silence_ms / 1000
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._heard = b""
        self._heard_until_s = 0.0
        self._quiet_since_s = float("-inf")
        self._end_of_request: asyncio.TimerHandle | None = None
        self._later: set[asyncio.TimerHandle] = set()
        self._held: list[Delivery] = []
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
        if self._end_of_request is not None:
            self._end_of_request.cancel()
        self._end_of_request = self._loop.call_at(self._heard_until_s + self._silence_s, self._take)

    def close(self) -> None:
        """Forget what is under way."""
        for timer in (self._end_of_request, self._pump, *self._later):
            if timer is not None:
                timer.cancel()

    def _take(self) -> None:
        frame, self._heard = self._heard, b""
        self._end_of_request = None
        request = rtu_request(frame)
        for old in self._held:
            self._send(old)
        self._held.clear()
        delivery = None if request is None else self.line.ask(0, *request)
        if delivery is None:
            return
        if delivery.echo:
            self._put(frame, self._heard_until_s)
        if delivery.way is Way.HELD:
            self._held.append(delivery)
        elif delivery.way is Way.SENT:
            self._after(delivery.delay_s + self._timing.turnaround_ms / 1000, delivery)

    def _after(self, delay_s: float, delivery: Delivery) -> None:
        if not delay_s:
            self._send(delivery)
            return

        def now() -> None:
            self._later.discard(timer)
            self._send(delivery)

        timer = self._loop.call_later(delay_s, now)
        self._later.add(timer)

    def _send(self, delivery: Delivery) -> None:
        self._put(delivery.edited(rtu_frame(delivery.unit, delivery.pdu)), self._loop.time())

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


class SerialServer:
    """A line on a pseudo-terminal, served until it is stopped.

    Parameters
    ----------
    line : Line
        Made with ``gateway=False``: on a serial line nobody answers for a unit id that is not there.
    timing : LineTiming
        With a baud rate.
    mind_speed : bool
        Whether requests at another baud rate than the line's are not understood. A pseudo-terminal tells the baud
        rate that was set on it, and nothing of parity.
    """

    def __init__(self, line: Line, timing: LineTiming, *, mind_speed: bool = True) -> None:
        speed = getattr(termios, f"B{timing.baud}", None)
        if speed is None:
            raise ValueError(f"serial line: no baud rate {timing.baud}. Usual are 9600, 19200, 38400 and 115200")
        self.line = line
        self.timing = timing
        self.path = Path()
        self._speed = speed if mind_speed else None
        self._ends: tuple[int, int] | None = None
        self._link: Path | None = None
        self._wire: PacedWire | None = None

    @property
    def short_gaps(self) -> int:
        """Requests that began before 3.5 characters had passed since the answer before them."""
        return 0 if self._wire is None else self._wire.short_gaps

    def start(self, link: Path | None = None) -> Path:
        """Open the pseudo-terminal inside a running loop; the path a client opens.

        Parameters
        ----------
        link : Path, optional
            Where a symbolic link to it is put, so that its name is known beforehand.

        Raises
        ------
        OSError
            The system has no pseudo-terminal left, or the link can't be made.
        """
        ours, theirs = os.openpty()  # theirs stays open here: else the line would hang up with its first client
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self._ends = ours, theirs
        self.path = Path(os.ttyname(theirs))
        if link is not None:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.path)
            self._link = self.path = link
        self._wire = PacedWire(self.line, self.timing, self._write)
        asyncio.get_running_loop().add_reader(ours, self._read)
        return self.path

    def stop(self) -> None:
        """Hang up."""
        if self._ends is None:
            return
        asyncio.get_running_loop().remove_reader(self._ends[0])
        if self._wire is not None:
            self._wire.close()
        for end in self._ends:
            os.close(end)
        self._ends = None
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _read(self) -> None:
        if self._ends is None or self._wire is None:
            return
        with suppress(BlockingIOError):
            data = os.read(self._ends[0], _CHUNK)
            if self._speed is None or termios.tcgetattr(self._ends[1])[5] == self._speed:
                self._wire.received(data)

    def _write(self, data: bytes) -> None:
        if self._ends is not None:
            with suppress(BlockingIOError):  # nobody reads: on a wire these characters would be lost as well
                os.write(self._ends[0], data)
