"""The other end of a line: bytes by hand over a socket or a pseudo-terminal, no Modbus client."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import termios
import tty
from pathlib import Path

from pymodbus.framer.rtu import FramerRTU


def serial_frame(body: bytes) -> bytes:
    """A serial frame; its check is computed by another library than the simulators' own."""
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


class Client:
    """An open line and what has come in on it since the last request, each piece with the loop's time."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.pieces: list[tuple[float, bytes]] = []
        self.ended = False
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    @property
    def data(self) -> bytes:
        """What has come in since the last request."""
        return b"".join(piece for _, piece in self.pieces)

    def write(self, data: bytes) -> float:
        """Send bytes; the time they were sent."""
        self.pieces.clear()
        os.write(self.fd, data)
        return self._loop.time()

    def ask(self, unit: int, pdu: bytes) -> float:
        """Send a request; the time it was sent."""
        raise NotImplementedError

    def frame(self, unit: int, pdu: bytes) -> bytes:
        """The frame that answers the last request with this PDU."""
        raise NotImplementedError

    async def receive(self, count: int, timeout_s: float = 5.0) -> bytes:
        """Wait until so many bytes have come in; all that came."""
        async with asyncio.timeout(timeout_s):
            while len(self.data) < count and not self.ended:
                self._more.clear()
                await self._more.wait()
        return self.data

    async def quiet(self, for_s: float) -> bytes:
        """What has come in by the end of a time. [s]"""
        await asyncio.sleep(for_s)
        return self.data

    def close(self) -> None:
        """Close the line."""
        self._loop.remove_reader(self.fd)
        os.close(self.fd)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            self.ended = True
            self._loop.remove_reader(self.fd)
        self.pieces.append((self._loop.time(), data))
        self._more.set()


class RtuClient(Client):
    """RTU, on whatever carries it."""

    def ask(self, unit: int, pdu: bytes) -> float:
        """Send a request; the time it was sent."""
        return self.write(self.frame(unit, pdu))

    def frame(self, unit: int, pdu: bytes) -> bytes:
        """A serial frame."""
        return serial_frame(bytes((unit,)) + pdu)


class RtuOverTcpClient(RtuClient):
    """RTU on a socket."""

    def __init__(self, port: int) -> None:
        super().__init__(connected(port))


class SerialClient(RtuClient):
    """RTU on a serial port."""

    def __init__(self, path: Path, baud: int) -> None:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(fd)
        state = termios.tcgetattr(fd)
        state[4] = state[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(fd, termios.TCSANOW, state)
        super().__init__(fd)


def connected(port: int) -> int:
    """A socket on loopback."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.setblocking(False)
    return opened.detach()


class TcpClient(Client):
    """Modbus TCP on a socket."""

    def __init__(self, port: int) -> None:
        self.transaction = 0
        super().__init__(connected(port))

    def ask(self, unit: int, pdu: bytes) -> float:
        """Send a request under the next transaction id; the time it was sent."""
        self.transaction += 1
        return self.write(self.frame(unit, pdu))

    def frame(self, unit: int, pdu: bytes) -> bytes:
        """A frame under the last transaction id."""
        return struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, unit) + pdu
