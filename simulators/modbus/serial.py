"""A serial line on a pseudo-terminal, on systems that have them (Linux, macOS)."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from contextlib import suppress
from pathlib import Path

from protocols.modbus.timing import LineTiming
from simulators.modbus.line import Line
from simulators.modbus.rtu import PacedWire

_CHUNK = 4096


class SerialServer:
    """A line on a pseudo-terminal, served until it is stopped.

    Parameters
    ----------
    line : Line
        Of kind RTU.
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
    def place(self) -> str:
        """Kind and path of the line."""
        return f"{self.line.kind.value} {self.path}"

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
