"""A bus as pollers and field tools share it: a connection that is kept, and one request at a time on it.

Whoever asks waits until the one before has its fate, in the order of asking. A failed connect is tried again for
ever, at a bounded rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from agent.bus.allowed import DEVICE_IDENTIFICATION, ENCAPSULATED
from agent.bus.answer import Answer, Question
from agent.bus.tally import Tally
from protocols.errors import EmitraceError
from protocols.records import Fate

RECONNECT_FIRST_S = 0.1
RECONNECT_MOST_S = 10.0
SERVER_ID = bytes((17,))
"""Maker, product code and revision, from object 0 on (MODBUS application protocol V1.1b3, 6.21)."""

Listener = Callable[[str, float, bytes], None]
"""Hears every frame: ``sent`` or ``came``, the loop's time [s], and its bytes."""


class Talk(Protocol):
    """One connection: a question, then its answer or the end of the wait for it."""

    lost: asyncio.Event
    listener: Listener | None
    turnaround_ms: float
    """Of the newest answer: from the last byte of the question to the first of the answer, as far as can be told."""

    async def ask(self, question: Question) -> Answer:
        """Send a question and wait for what comes of it; NotAllowedError where it does not only read."""

    def drop(self) -> None:
        """Cut the connection."""


Connect = Callable[[Tally], Awaitable[Talk]]
"""Makes a connection; OSError or EmitraceError where there is none to be had."""


class Bus:
    """A line with devices on it.

    Parameters
    ----------
    connect : callable
        Makes a connection.
    timeout_s : float
        For connecting and for each answer. [s]
    mono_ms : callable
        The clock that stamps answers. [ms]
    """

    def __init__(self, connect: Connect, timeout_s: float, mono_ms: Callable[[], int]) -> None:
        self.timeout_s = timeout_s
        self.tally = Tally()
        self.problem = ""
        """Why there is no connection; empty while there is one."""
        self._connect_once = connect
        self._mono_ms = mono_ms
        self._talk: Talk | None = None
        self._listener: Listener | None = None
        self._questions: dict[tuple[int, int, int, int], Question] = {}
        self._turn = asyncio.Lock()
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

    def listen(self, listener: Listener | None) -> None:
        """Hear every frame from now on; None to hear no more."""
        self._listener = listener
        if self._talk is not None:
            self._talk.listener = listener

    async def read(self, unit: int, function: int, address: int, count: int) -> Answer:
        """Read registers (functions 3 and 4) or bits (1 and 2); never raises for what the bus does."""
        asked = unit, function, address, count
        question = self._questions.get(asked)
        if question is None:
            question = self._questions[asked] = _reading(*asked)
        return await self.ask(question)

    async def server_id(self, unit: int) -> Answer:
        """What a unit says of itself by function 17: byte count, then bytes of the maker's choice."""
        return await self.ask(Question(unit, SERVER_ID))

    async def identification(self, unit: int, code: int = 1, first: int = 0) -> Answer:
        """What a unit says of itself by function 43, interface 14, from an object on; the objects undecoded."""
        return await self.ask(Question(unit, bytes((ENCAPSULATED, DEVICE_IDENTIFICATION, code, first))))

    async def ask(self, question: Question) -> Answer:
        """Send one question in its turn.

        Raises
        ------
        NotAllowedError
            It does not only read; nothing has left.
        """
        async with self._turn:
            talk = self._talk
            if talk is None or talk.lost.is_set():
                answer = Answer(Fate.DISCONNECTED, self._mono_ms())
                self.tally.of(question.unit).add(answer.fate, 0.0)
                return answer
            answer = await talk.ask(question)
            self.tally.of(question.unit).add(answer.fate, talk.turnaround_ms)
            return answer

    async def _connect(self) -> bool:
        try:
            async with asyncio.timeout(self.timeout_s):
                self._talk = await self._connect_once(self.tally)
        except (OSError, EmitraceError) as error:  # a TimeoutError is an OSError
            self.problem = str(error) or f"no connection within {self.timeout_s:g} s"
            return False
        self._talk.listener = self._listener
        self.problem = ""
        return True

    async def _keep(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while True:
            if self._talk is not None and self.connected:
                delay_s = RECONNECT_FIRST_S
                await self._talk.lost.wait()
                self.problem = "the connection was lost"
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MOST_S)
            await self._connect()


def _reading(unit: int, function: int, address: int, count: int) -> Question:
    """A read request; ValueError for another function."""
    if function not in {1, 2, 3, 4}:
        raise ValueError(f"function {function} reads neither registers nor bits")
    size = 2 * count if function > 2 else -(-count // 8)
    return Question(unit, bytes((function, *address.to_bytes(2, "big"), *count.to_bytes(2, "big"))), size)
