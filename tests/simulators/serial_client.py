"""The other end of a pseudo-terminal: bytes by hand, no Modbus library."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from pathlib import Path

from simulators.modbus.frames import check


class SerialClient:
    """An open serial port and what has come in on it, each piece with the loop's time."""

    def __init__(self, path: Path, baud: int) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        state = termios.tcgetattr(self.fd)
        state[4] = state[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(self.fd, termios.TCSANOW, state)
        self.pieces: list[tuple[float, bytes]] = []
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.fd, self._read)

    @property
    def data(self) -> bytes:
        """What has come in since the last request."""
        return b"".join(piece for _, piece in self.pieces)

    def send(self, body: bytes) -> float:
        """Send a frame with its check; the time it was sent."""
        self.pieces.clear()
        os.write(self.fd, body + check(body))
        return self._loop.time()

    async def receive(self, count: int, timeout_s: float = 5.0) -> bytes:
        """Wait until so many bytes have come in; all that came."""
        async with asyncio.timeout(timeout_s):
            while len(self.data) < count:
                self._more.clear()
                await self._more.wait()
        return self.data

    async def quiet(self, for_s: float) -> bytes:
        """What has come in by the end of a time. [s]"""
        await asyncio.sleep(for_s)
        return self.data

    def close(self) -> None:
        """Close the port."""
        self._loop.remove_reader(self.fd)
        os.close(self.fd)

    def _read(self) -> None:
        self.pieces.append((self._loop.time(), os.read(self.fd, 4096)))
        self._more.set()
