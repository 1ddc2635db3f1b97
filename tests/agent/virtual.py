"""A loop whose clock jumps to the next timer instead of waiting for it, and a bus that lives on it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

from agent.bus.answer import Answer
from agent.bus.bus import Bus, Talk
from agent.bus.tally import Tally
from protocols.records import Fate


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing but timers may be waited for on it."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self))
        self.now_s = 0.0

    def time(self) -> float:
        """Virtual time. [s]"""
        return self.now_s


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Be there at once."""
        if timeout is None:
            raise RuntimeError("nothing left to wait for")
        self._loop.now_s += timeout
        return []


class VirtualLine:
    """The time line of a run on a virtual loop, from 0."""

    offset_ms = 0

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        """Virtual time. [ms]"""
        return int(1000 * self._loop.now_s + 1e-6)


async def _nowhere(_: Tally) -> Talk:
    raise OSError("a virtual line has no connection")


class VirtualBus(Bus):
    """A line that takes the time ``behave`` says for a unit's answer and its fate, and sums up what each took."""

    def __init__(self, line: VirtualLine, behave: Callable[[int, int], tuple[float, int]]) -> None:
        super().__init__(_nowhere, 1.0, line.now_ms)
        self._line = line
        self._behave = behave
        self.spent: list[tuple[int, int, int]] = []
        """Unit, begin and end of every question. [ms]"""

    @property
    def connected(self) -> bool:
        """Always."""
        return True

    async def read(self, unit: int, function: int, address: int, count: int) -> Answer:  # noqa: ARG002 - as the real
        """Take the time, then say the fate."""
        begin_ms = self._line.now_ms()
        took_s, fate = self._behave(unit, begin_ms)
        await asyncio.sleep(took_s)
        self.spent.append((unit, begin_ms, self._line.now_ms()))
        return Answer(fate, self._line.now_ms(), bytes(2 * count) if fate == Fate.GOOD else b"")
