"""Lines behind a TCP port: Modbus TCP, in clear or in TLS, and RTU over TCP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from protocols.modbus.timing import LineTiming
from simulators.faults.fault import LineKind
from simulators.modbus.delivery import Delivery
from simulators.modbus.frames import LEAST_LENGTH, MBAP, MOST_LENGTH, tcp_frame
from simulators.modbus.line import Line
from simulators.modbus.rtu import PacedWire
from simulators.modbus.talk import Talk

NETWORK = LineTiming(0.0)
"""Bytes and turnaround cost nothing."""


class TcpServer:
    """A line served at a TCP port until it is stopped.

    Parameters
    ----------
    line : Line
        Its kind says whether Modbus TCP or RTU is spoken.
    timing : LineTiming
        Turnaround of every answer; a baud rate is that of the serial line behind a transparent converter.
    tls : SSLContext, optional
        For Modbus over TLS.
    """

    def __init__(self, line: Line, timing: LineTiming = NETWORK, tls: ssl.SSLContext | None = None) -> None:
        self.line = line
        self.timing = timing
        self.place = ""
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; the bound port (useful where ``port`` is 0).

        Raises
        ------
        OSError
            The address can't be bound.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Connection(self), host, port, ssl=self._tls)
        except OSError as error:
            seen = f"can't listen at {host}:{port}: {error.strerror or error}"
            raise OSError(f"Modbus server: {seen}. Free the port or choose another") from error
        bound = int(self._server.sockets[0].getsockname()[1])
        self.place = f"{self.line.kind.value} {host}:{bound}"
        return bound

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is None:
            return
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        await self._server.wait_closed()
        self._server = None

    def opened(self, transport: asyncio.Transport) -> None:
        """A client has come."""
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        """A client has gone."""
        self._open.discard(transport)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._talk: Talk | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._transport = transport
        self._server.opened(transport)
        line, timing = self._server.line, self._server.timing
        talk = _TcpTalk if line.kind is LineKind.TCP else PacedWire
        self._talk = talk(line, timing, self._write, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The client has gone."""
        if self._talk is not None:
            self._talk.close()
        if self._transport is not None:
            self._server.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._talk is not None:
            self._talk.received(data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class _TcpTalk(Talk):
    """Requests and answers in Modbus TCP frames; a frame that is none cuts the connection."""

    def __init__(
        self, line: Line, timing: LineTiming, write: Callable[[bytes], None], reset: Callable[[], None]
    ) -> None:
        super().__init__(line, timing.turnaround_ms / 1000, reset)
        self._write = write
        self._heard = b""

    def received(self, data: bytes) -> None:
        """Take every frame that is whole."""
        self._heard += data
        while len(self._heard) >= MBAP.size:
            transaction, protocol, length, unit = MBAP.unpack_from(self._heard)
            if protocol or not LEAST_LENGTH <= length <= MOST_LENGTH:
                self._reset()
                return
            size = MBAP.size - 1 + length
            if len(self._heard) < size:
                return
            pdu, self._heard = self._heard[MBAP.size : size], self._heard[size:]
            self._take(transaction, unit, pdu)

    def _take(self, transaction: int, unit: int, pdu: bytes) -> None:
        asked_s = self._loop.time()
        self._release()
        delivery = self.line.ask(transaction, unit, pdu)
        if delivery is not None:
            self._dispatch(delivery, asked_s)

    def _send(self, delivery: Delivery, from_s: float) -> None:  # noqa: ARG002 - bytes take no time here
        self._write(delivery.edited(tcp_frame(delivery.transaction, delivery.unit, delivery.pdu)))
