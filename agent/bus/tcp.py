"""Modbus TCP, plain or through TLS: no answer believed that was not asked for.

Requests are framed by pymodbus, once per request of the read plan; the connection is ours. pymodbus's client
takes half of the processor that a whole agent may take for a poll (measured beside each other, 50 devices, 3
requests each: docs/benchmarks.md), lets an answer with transaction id 0 pass and does not compare the register
count. Here an answer is compared where it lies in the receive buffer: transaction id, protocol, unit, function
and byte count, then its registers are cut out once. Whatever else comes ends as a fate code.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from agent.bus.allowed import check_reads
from agent.bus.answer import Answer, Question
from agent.bus.bus import Connect, Listener
from agent.bus.tally import Tally
from protocols.records import Fate

_FRAME = struct.Struct(">HHHBBB")  # transaction, protocol, length, unit; function and byte count
_SHORTEST = _FRAME.size  # an exception answer: its number stands where the byte count would
_BEFORE_LENGTH = 6
_FUNCTION_AT = 7
_LENGTHS = range(3, 255)
_BUFFER = 4096
_framer = FramerSocket(DecodePDU(is_server=False))


def tcp(
    host: str, port: int, timeout_s: float, mono_ms: Callable[[], int], tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> Connect:
    """Connections to an endpoint.

    Parameters
    ----------
    timeout_s : float
        For each answer. [s]
    mono_ms : callable
        The clock that stamps answers. [ms]
    tls : SSLContext, optional
        What the endpoint's certificate is checked with; ``server_name`` is whose it must be, ``host`` unless given.
    """
    name = (server_name or host) if tls is not None else None

    async def connect(tally: Tally) -> TcpTalk:
        _, talk = await asyncio.get_running_loop().create_connection(
            lambda: TcpTalk(timeout_s, mono_ms, tally), host, port, ssl=tls, server_hostname=name
        )
        return talk

    return connect


class TcpTalk(asyncio.BufferedProtocol):
    """One connection: a question, then its answer or the end of the wait for it."""

    def __init__(self, timeout_s: float, mono_ms: Callable[[], int], tally: Tally) -> None:
        self.lost = asyncio.Event()
        self.listener: Listener | None = None
        self.turnaround_ms = 0.0
        self._tally = tally
        self._frames: dict[Question, bytes] = {}
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._mono_ms = mono_ms
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._held = 0
        self._transaction = 0
        self._expected = (0, 0, 0)  # unit, function, bytes
        self._waiter: asyncio.Future[Answer] | None = None
        self._deadline_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    async def ask(self, question: Question) -> Answer:
        """Send a question under the next transaction id and wait for what comes of it."""
        if self._transport is None or self._waiter is not None:
            raise RuntimeError("one request at a time, on an open connection")
        frame = self._frames.get(question)
        if frame is None:
            frame = self._frames[question] = _framer.encode(question.pdu, question.unit, 0)[2:]
        self._transaction = self._transaction % 0xFFFF + 1  # never 0, which a server that does not echo ids sends
        self._expected = question.unit, question.pdu[0] if question.pdu else -1, question.size
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._send(self._transaction.to_bytes(2, "big") + frame)
        self._waiter = waiter
        began_s = self._loop.time()
        self._deadline_s = began_s + self._timeout_s
        if self._alarm is None:
            self._alarm = self._loop.call_at(self._deadline_s, self._ring)
        try:
            return await waiter
        finally:
            self._waiter = None
            self.turnaround_ms = 1000 * (self._loop.time() - began_s)

    def _send(self, frame: bytes) -> None:
        """The one place where bytes leave."""
        check_reads(frame, _FUNCTION_AT)
        if self.listener is not None:
            self.listener("sent", self._loop.time(), frame)
        if self._transport is not None:
            self._transport.write(frame)

    def drop(self) -> None:
        """Cut the connection: what is still under way on it cannot mislead."""
        if self._transport is not None:
            self._transport.abort()
        self._end(Fate.DISCONNECTED)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is over, by whatever cause."""
        self._end(Fate.BAD_ANSWER if self._held else Fate.DISCONNECTED)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's signature
        """Where the next bytes go: behind those of an unfinished frame."""
        return self._view[self._held :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take every frame that is whole now."""
        at_ms = self._mono_ms()
        start, end = 0, self._held + nbytes
        while end - start >= _BEFORE_LENGTH:
            length = self._buffer[start + 4] << 8 | self._buffer[start + 5]
            if length not in _LENGTHS or self._buffer[start + 2] or self._buffer[start + 3]:
                self._answer(Fate.BAD_ANSWER, at_ms)
                self.drop()
                return
            size = _BEFORE_LENGTH + length
            if end - start < size:
                break
            self._take(start, size, at_ms)
            start += size
        self._held = end - start
        if start and self._held:
            self._buffer[: self._held] = self._buffer[start:end]

    def _take(self, start: int, size: int, at_ms: int) -> None:
        """Judge one frame: the answer, a bad one, or one to a question given up before."""
        if self.listener is not None:
            self.listener("came", self._loop.time(), bytes(self._buffer[start : start + size]))
        transaction, _, _, unit, function, third = _FRAME.unpack_from(self._buffer, start)
        if (transaction != self._transaction and transaction) or self._waiter is None:
            self._tally.of(unit).strays += 1
            return
        asked_unit, asked_function, asked_size = self._expected
        if not transaction or unit != asked_unit:
            self._answer(Fate.BAD_ANSWER, at_ms)
        elif function == asked_function and third == asked_size == size - _SHORTEST:
            self._answer(Fate.GOOD, at_ms, self._buffer[start + _SHORTEST : start + size])
        elif function == asked_function and asked_size < 0:
            self._answer(Fate.GOOD, at_ms, self._buffer[start + _FUNCTION_AT + 1 : start + size])
        elif function == asked_function | 0x80 and size == _SHORTEST:
            self._answer(Fate.EXCEPTION | third << 8, at_ms)
        else:
            self._answer(Fate.BAD_ANSWER, at_ms)

    def _answer(self, fate: int, at_ms: int, registers: bytearray | bytes = b"") -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(fate, at_ms, bytes(registers)))

    def _ring(self) -> None:
        """The alarm is set once and moved on when it rings, not with every question."""
        self._alarm = None
        if self._waiter is None or self._waiter.done() or self.lost.is_set():
            return
        if self._loop.time() < self._deadline_s:
            self._alarm = self._loop.call_at(self._deadline_s, self._ring)
        elif self._held:  # half an answer, whose rest would follow
            self._answer(Fate.BAD_ANSWER, self._mono_ms())
            self.drop()
        else:
            self._answer(Fate.TIMEOUT, self._mono_ms())

    def _end(self, fate: Fate) -> None:
        self._answer(fate, self._mono_ms())
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.lost.set()
