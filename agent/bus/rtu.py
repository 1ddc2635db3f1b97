"""Modbus RTU as a master: silence before each request, and a line that is dirty until it has been quiet.

An RTU answer bears no transaction id: one that comes late looks like the answer to the next request to the same
unit. So after a request without an answer nothing is sent until the line has been silent for as long as a device may
still begin to answer (``late_s``), and after a frame that makes no sense until its rest must have come. What comes
while nobody waits is thrown away, counted, and makes the line dirty anew. A device or gateway that keeps an answer
until the next request comes would still be believed: so at first and after a failure a unit is out of step, its next
request is preceded by one for another number of registers: only an answer of that length shows that both speak of the
same. pymodbus frames the requests and computes the checksum; its own client lets frames follow too closely and takes
late answers for the next (measured).

The silence of 3.5 characters before a frame is kept (Modbus over serial line V1.02, 2.5.1.1), from the last byte
that was seen. The last millisecond of it is slept through in place: an event loop's timers are too coarse for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from agent.bus.allowed import check_reads
from agent.bus.answer import Answer, Question
from agent.bus.bus import Connect, Listener
from agent.bus.tally import Tally
from protocols.modbus.timing import LineTiming
from protocols.records import Fate

COARSE_S = 0.0012
"""What is left to sleep in place once an event loop's timer has woken. [s]"""
REST_S = 0.05
"""After a frame that makes no sense: how long the line must be quiet before the next request, at least. [s]"""
MOST_DRAIN_S = 5.0
"""A line that is never quiet for so long is left and opened anew. [s]"""
_HEAD = 2  # unit, function
_CRC = 2
_EXCEPTION = 0x80
_MOST = 256
_framer = FramerRTU(DecodePDU(is_server=False))


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a line.

    Attributes
    ----------
    line : LineTiming
        Baud rate and bits of a character; a baud rate of 0 where a gateway keeps the line.
    timeout_s : float
        From the end of a request to the first byte of its answer. [s]
    late_s : float
        How much later a device may still answer. [s]
    idle_s : float
        Silence before a request, where devices need more than 3.5 characters. [s]
    echo : bool
        The line gives back what is sent.
    """

    line: LineTiming
    timeout_s: float
    late_s: float
    idle_s: float = 0.0
    echo: bool = False

    @property
    def gap_s(self) -> float:
        """Silence before each request. [s]"""
        return max(self.line.silence_ms / 1000, self.idle_s)

    def takes_s(self, octets: int) -> float:
        """Time of so many characters on the line. [s]"""
        return octets * self.line.character_ms / 1000


class Wire(Protocol):
    """What a serial port and a TCP connection have in common here."""

    def write(self, data: bytes) -> None:
        """Send bytes; OSError where the other end is gone."""

    def abort(self) -> None:
        """Close at once."""


def rtu_over_tcp(host: str, port: int, pace: Pace, mono_ms: Callable[[], int]) -> Connect:
    """Connections to a gateway that hands RTU frames on."""

    async def connect(tally: Tally) -> RtuTalk:
        _, talk = await asyncio.get_running_loop().create_connection(lambda: RtuTalk(pace, mono_ms, tally), host, port)
        return talk

    return connect


class RtuTalk(asyncio.Protocol):
    """One opened line."""

    def __init__(self, pace: Pace, mono_ms: Callable[[], int], tally: Tally) -> None:
        self.lost = asyncio.Event()
        self.listener: Listener | None = None
        self.turnaround_ms = 0.0
        self._pace = pace
        self._mono_ms = mono_ms
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._frames: dict[Question, bytes] = {}
        self._held = bytearray()
        self._echo_left = b""
        self._question = Question(0, b"")
        self._waiter: asyncio.Future[Answer] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._sent_s = 0.0
        self._first_s = 0.0
        self._last_s = self._loop.time()
        self._clear_s = 0.0  # not before this may anything be sent
        self._in_step: set[int] = set()  # units whose newest request was answered
        self._mute: set[int] = set()  # units that were silent to a request for another length

    async def ask(self, question: Question) -> Answer:
        """Wait until the line is quiet, send, and wait for what comes of it; a unit that failed is tested before."""
        if question.unit not in self._in_step and question.size > 0:
            return await self._ask_out_of_step(question)
        answer = await self._ask(question)
        if _is_of_the_unit(answer):
            self._in_step.add(question.unit)
        return answer

    async def _ask_out_of_step(self, question: Question) -> Answer:
        """Believe a unit that answers with another length where that was asked; one silent to that, as told above."""
        unit, took_ms = question.unit, 0.0
        early: Answer | None = None
        if unit in self._mute:
            early = await self._ask(question)
            took_ms = self.turnaround_ms
            if not _is_of_the_unit(early):
                self._mute.discard(unit)
                return early
        tested = await self._ask(_of_another_length(question))
        if _is_of_the_unit(tested):
            self._mute.discard(unit)
            self._in_step.add(unit)
            return await self.ask(question)
        if tested.fate != Fate.TIMEOUT:
            self._mute.discard(unit)
            return tested
        self._mute.add(unit)
        if early is None:
            return tested
        self._in_step.add(unit)
        self.turnaround_ms = took_ms
        return early

    async def _ask(self, question: Question) -> Answer:
        frame = self._frames.get(question)
        if frame is None:
            frame = self._frames[question] = _framer.encode(question.pdu, question.unit, 0)
        check_reads(frame, 1)
        self._in_step.discard(question.unit)
        if not await self._quiet():
            self.drop()
            return Answer(Fate.DISCONNECTED, self._mono_ms())
        self._question, self._first_s = question, 0.0
        self._held.clear()
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        try:
            self._send(frame)
            self._alarm = self._loop.call_at(self._sent_s + self._pace.timeout_s, self._ring)
            return await waiter
        finally:
            self._waiter = None
            if self._alarm is not None:
                self._alarm.cancel()
            if not waiter.done() or waiter.cancelled():  # given up half way: an answer may still come
                self._dirty(self._late_until_s)

    def attach(self, wire: Wire) -> None:
        """The line is open; what a device may have begun to say before is not listened to."""
        self._wire = wire
        self._last_s = self._loop.time()

    def drop(self) -> None:
        """Close the line: what is still under way on it cannot mislead."""
        if self._wire is not None:
            self._wire.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP connection stands."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self.attach(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is over, by whatever cause."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or such that nobody waits for."""
        now_s = self._loop.time()
        if self.listener is not None:
            self.listener("came", now_s, data)
        self._last_s = now_s
        if self._waiter is None or self._waiter.done():
            self._tally.of(self._question.unit).strays += 1
            self._dirty(now_s + REST_S)
            return
        if self._echo_left:
            data = self._without_echo(data)
            if not data:
                return
        if not self._held:
            self._first_s = now_s
        self._held += data
        self._judge()

    def _send(self, frame: bytes) -> None:
        """The one place where bytes leave."""
        check_reads(frame, 1)
        now_s = self._loop.time()
        if self.listener is not None:
            self.listener("sent", now_s, frame)
        self._echo_left = frame if self._pace.echo else b""
        self._sent_s = self._last_s = now_s + self._pace.takes_s(len(frame))
        try:
            if self._wire is not None:
                self._wire.write(frame)
        except OSError:
            self.drop()

    def _without_echo(self, data: bytes) -> bytes:
        """What is left of received bytes once those that only give back the request are gone."""
        expected = self._echo_left[: len(data)]
        if data[: len(expected)] != expected:
            self._echo_left = b""
            self._fail(Fate.BAD_ANSWER, self._last_s + REST_S)
            return b""
        self._echo_left = self._echo_left[len(expected) :]
        return data[len(expected) :]

    def _judge(self) -> None:
        """Once the frame is whole: the answer, or a bad one."""
        held, question = self._held, self._question
        size = _frame_size(held)
        if size is None or (len(held) <= _MOST and len(held) < size):
            return
        function = question.pdu[0]
        tally = self._tally.of(question.unit)
        frame = bytes(held)
        if size < 0 or len(frame) != size or not _checks(frame):
            tally.bad_checksums += size > 0 and len(frame) == size
            self._fail(Fate.BAD_ANSWER, self._last_s + REST_S)
        elif frame[0] != question.unit or frame[1] & ~_EXCEPTION != function:
            tally.strays += 1
            self._fail(Fate.BAD_ANSWER, self._late_until_s)
        elif frame[1] & _EXCEPTION:
            self._answer(Fate.EXCEPTION | frame[2] << 8)
        elif question.size < 0:
            self._answer(Fate.GOOD, frame[_HEAD:-_CRC])
        elif frame[2] == question.size:
            self._answer(Fate.GOOD, frame[_HEAD + 1 : -_CRC])
        else:
            self._fail(Fate.BAD_ANSWER, self._late_until_s)

    def _answer(self, fate: int, data: bytes = b"") -> None:
        if self._waiter is not None and not self._waiter.done():
            self.turnaround_ms = 1000 * max(self._first_s - self._sent_s, 0.0)
            self._waiter.set_result(Answer(fate, self._mono_ms(), data))

    @property
    def _late_until_s(self) -> float:
        """Until when the device may still answer the request that was sent last."""
        return self._sent_s + self._pace.timeout_s + self._pace.late_s

    def _fail(self, fate: Fate, clear_s: float) -> None:
        """No answer, and nothing is sent before a time."""
        self._dirty(clear_s)
        self._answer(fate)

    def _ring(self) -> None:
        """The time for an answer is over; one that has begun gets the time its characters take."""
        if self._waiter is None or self._waiter.done():
            return
        if self._held:
            size = _frame_size(self._held) or _MOST
            until_s = self._last_s + self._pace.takes_s(max(size - len(self._held), 0)) + REST_S
            if self._loop.time() < until_s:
                self._alarm = self._loop.call_at(until_s, self._ring)
                return
            self._fail(Fate.BAD_ANSWER, self._late_until_s)
        else:
            self._fail(Fate.TIMEOUT, self._late_until_s)

    def _dirty(self, clear_s: float) -> None:
        self._clear_s = max(self._clear_s, clear_s)

    async def _quiet(self) -> bool:
        """Wait for the silence before a request; False where a dirty line would not become quiet."""
        until_s = max(self._loop.time(), self._clear_s) + MOST_DRAIN_S
        while not self.lost.is_set():
            now_s = self._loop.time()
            left_s = max(self._last_s + self._pace.gap_s, self._clear_s) - now_s
            if left_s <= 0:
                return True
            if now_s > until_s:
                return False
            if left_s > COARSE_S:
                await asyncio.sleep(left_s - COARSE_S)
            else:
                time.sleep(left_s)  # noqa: ASYNC251 - no longer than COARSE_S: see above
        return False

    def _end(self) -> None:
        self._answer(Fate.BAD_ANSWER if self._held else Fate.DISCONNECTED)
        self.lost.set()


def _of_another_length(question: Question) -> Question:
    """A read from the same address on that is answered with another number of bytes."""
    function, count = question.pdu[0], int.from_bytes(question.pdu[3:5], "big")
    other = 1 if count > 16 or (function > 2 and count > 1) else count + (16 if function <= 2 else 1)
    size = 2 * other if function > 2 else -(-other // 8)
    return Question(question.unit, question.pdu[:3] + other.to_bytes(2, "big"), size)


def _is_of_the_unit(answer: Answer) -> bool:
    """Whether the unit answered, with an exception too."""
    return answer.fate == Fate.GOOD or answer.fate & 0xFF == Fate.EXCEPTION


def _frame_size(held: bytearray) -> int | None:
    """Bytes of the frame that begins so; None where more must come to tell, -1 where no answer begins so."""
    if len(held) < _HEAD + 1:
        return None
    function = held[1]
    if function & _EXCEPTION:
        return _HEAD + 1 + _CRC
    if function in {1, 2, 3, 4, 17}:
        return _HEAD + 1 + held[2] + _CRC
    return _identification_size(held) if function == 43 else -1


def _identification_size(held: bytearray) -> int | None:
    """The same of function 43, interface 14, whose objects each bear their length."""
    at = _HEAD + 6  # interface, code, conformity, more follows, next object, number of objects
    if len(held) < at:
        return None
    for _ in range(held[at - 1]):
        if len(held) < at + 2:
            return None
        at += 2 + held[at + 1]
        if at > _MOST:
            return -1
    return at + _CRC


def _checks(frame: bytes) -> bool:
    return FramerRTU.compute_CRC(frame[:-_CRC]).to_bytes(2, "big") == frame[-_CRC:]
