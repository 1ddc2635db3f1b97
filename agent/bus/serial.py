"""A serial port as a line: found by its stable name, opened for one program alone, read when it has something."""

from __future__ import annotations

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serial import Serial, SerialException

from agent.bus.bus import Connect
from agent.bus.rtu import Pace, RtuTalk
from agent.bus.tally import Tally
from protocols.errors import EmitraceError

BY_ID = Path("/dev/serial/by-id")
"""Where Linux names adapters by maker and serial number: these names stay when an adapter changes its socket."""
PARITIES = {"none": "N", "even": "E", "odd": "O"}
_CHUNK = 4096


class PortError(EmitraceError):
    """A serial port that cannot be had."""


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port and how its characters are made: 8 data bits always."""

    path: str
    baud: int
    parity: str
    stop_bits: int


def serial(port: Port, pace: Pace, mono_ms: Callable[[], int]) -> Connect:
    """Openings of a port; after an adapter was unplugged the port is looked for under its name again."""

    async def connect(tally: Tally) -> RtuTalk:
        device = await asyncio.to_thread(_open, port)
        talk = RtuTalk(pace, mono_ms, tally)
        talk.attach(_SerialWire(device, talk))
        return talk

    return connect


def stable_names() -> list[str]:
    """The ports of this machine that have a stable name."""
    with suppress(OSError):
        return sorted(str(path) for path in BY_ID.iterdir())
    return []


class _SerialWire:
    """An open port on the event loop."""

    def __init__(self, device: Serial, talk: RtuTalk) -> None:
        self._device = device
        self._talk = talk
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = device.fileno()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Hand a frame to the driver, whose buffer is larger than any."""
        if self._fd is not None and os.write(self._fd, data) != len(data):
            raise OSError(errno.EIO, "the serial driver did not take a whole frame")

    def abort(self) -> None:
        """Close the port."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._fd = None
            with suppress(OSError, SerialException):
                self._device.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK) if self._fd is not None else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._talk.data_received(data)
        else:  # an adapter was pulled out
            self.abort()
            self._talk.connection_lost(None)


def _open(port: Port) -> Serial:
    try:
        device = Serial(
            port.path, port.baud, parity=PARITIES[port.parity], stopbits=port.stop_bits, timeout=0, exclusive=True
        )
    except SerialException as error:
        raise _explained(port, error) from error
    except ValueError as error:
        raise PortError(f"serial port {port.path}", str(error), "choose a baud rate that the adapter has") from error
    except termios.error as error:  # no OSError; a driver says so of a parity or rate that it cannot set
        seen = f"refuses {port.baud} baud, 8{PARITIES[port.parity]}{port.stop_bits}"
        raise PortError(f"serial port {port.path}", seen, "choose settings that the adapter has") from error
    os.set_blocking(device.fileno(), False)
    return device


def _explained(port: Port, error: SerialException) -> PortError:
    """What is wrong with a port, and what to do."""
    subject = f"serial port {port.path}"
    names = ", ".join(stable_names()) or "none"
    if error.errno == errno.ENOENT:
        return PortError(subject, "is not there", f"plug the adapter in, or name one of {BY_ID}: {names}")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PortError(subject, "may not be opened", "put the agent's user into the group dialout")
    if error.errno in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in str(error):
        return PortError(subject, "is in use by another program", "end it: two masters on one line garble each other")
    return PortError(subject, str(error), f"check the adapter; ports with a stable name: {names}")
