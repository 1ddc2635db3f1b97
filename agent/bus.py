"""One Modbus TCP endpoint: one request at a time, reads only, and no answer believed that was not asked for.

Requests are framed by pymodbus, once per request of the read plan; the connection is ours. pymodbus's client
takes half of the processor that a whole agent may take for a poll (measured beside each other, 50 devices, 3
requests each: docs/benchmarks.md), lets an answer with transaction id 0 pass and does not compare the register
count. Here an answer is compared where it lies in the receive buffer: transaction id, protocol, unit, function
and byte count, then its registers are cut out once. Whatever else comes ends as a fate code.

A failed connect is tried again for ever, at a bounded rate.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from agent.waiting import is_cancelled
from protocols.records import Fate

RECONNECT_FIRST_S = 0.1
RECONNECT_MOST_S = 10.0
READS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
"""The function codes that may leave this program."""

_FRAME = struct.Struct(">HHHBBB")  # transaction, protocol, length, unit; function and byte count
_SHORTEST = _FRAME.size  # an exception answer: its number stands where the byte count would
_BEFORE_LENGTH = 6
_LENGTHS = range(3, 255)
_BUFFER = 4096
_framer = FramerSocket(DecodePDU(is_server=False))


class Answer(NamedTuple):
    """Outcome of one request.

    Attributes
    ----------
    fate : int
        Fate code: GOOD, or why there is no value.
    at_ms : int
        Monotonic time of the last byte of the answer; of giving up where there is none. [ms]
    registers : bytes
        Two bytes each, high byte first; empty unless GOOD.
    """

    fate: int
    at_ms: int
    registers: bytes = b""


class Bus:
    """An endpoint and its connection.

    Parameters
    ----------
    host, port : str, int
    timeout_s : float
        For connecting and for each answer. [s]
    mono_ms : callable
        The clock that stamps answers. [ms]
    """

    def __init__(self, host: str, port: int, timeout_s: float, mono_ms: Callable[[], int]) -> None:
        self.timeout_s = timeout_s
        self._host, self._port = host, port
        self._mono_ms = mono_ms
        self._talk: _Talk | None = None
        self._questions: dict[tuple[int, int, int, int], bytes] = {}
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._talk is not None and not self._talk.lost.is_set()

    async def open(self) -> bool:
        """Try to connect once, then keep trying in the background; True where the first try succeeded."""
        connected = await self._connect()
        self._keeper = asyncio.create_task(self._keep(), name="bus-connection")
        return connected

    async def close(self) -> None:
        """Give the connection up for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._talk is not None:
            self._talk.drop()

    async def read(self, unit: int, function: int, address: int, count: int) -> Answer:
        """Read registers; never raises for what the bus does."""
        asked = unit, function, address, count
        question = self._questions.get(asked)
        if question is None:
            question = self._questions[asked] = _question(*asked)
        talk = self._talk
        if talk is None or talk.lost.is_set():
            return Answer(Fate.DISCONNECTED, self._mono_ms())
        return await talk.ask(question, unit, function, 2 * count)

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout_s):
                _, self._talk = await loop.create_connection(
                    lambda: _Talk(self.timeout_s, self._mono_ms), self._host, self._port
                )
        except OSError:  # a TimeoutError is one
            return False
        return True

    async def _keep(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while not is_cancelled():
            if self._talk is not None and self.connected:
                delay_s = RECONNECT_FIRST_S
                await self._talk.lost.wait()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MOST_S)
            await self._connect()


class _Talk(asyncio.BufferedProtocol):
    """One connection: a question, then its answer or the end of the wait for it."""

    def __init__(self, timeout_s: float, mono_ms: Callable[[], int]) -> None:
        self.lost = asyncio.Event()
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

    async def ask(self, question: bytes, unit: int, function: int, size: int) -> Answer:
        """Send a framed question under the next transaction id and wait for what comes of it."""
        if self._transport is None or self._waiter is not None:
            raise RuntimeError("one request at a time, on an open connection")
        self._transaction = self._transaction % 0xFFFF + 1  # never 0, which a server that does not echo ids sends
        self._expected = unit, function, size
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self._deadline_s = self._loop.time() + self._timeout_s
        if self._alarm is None:
            self._alarm = self._loop.call_at(self._deadline_s, self._ring)
        self._transport.write(self._transaction.to_bytes(2, "big") + question)
        try:
            return await waiter
        finally:
            self._waiter = None

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
        transaction, _, _, unit, function, third = _FRAME.unpack_from(self._buffer, start)
        if transaction != self._transaction and transaction:
            return
        asked_unit, asked_function, asked_size = self._expected
        if not transaction or unit != asked_unit:
            self._answer(Fate.BAD_ANSWER, at_ms)
        elif function == asked_function and third == asked_size == size - _SHORTEST:
            self._answer(Fate.GOOD, at_ms, self._buffer[start + _SHORTEST : start + size])
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


def _question(unit: int, function: int, address: int, count: int) -> bytes:
    """A read request as it travels, without the transaction id in front; ValueError for anything but a read."""
    if function not in READS:
        raise ValueError(f"function {function}: only {sorted(READS)} may leave")
    return _framer.buildFrame(READS[function](address=address, count=count, dev_id=unit))[2:]
