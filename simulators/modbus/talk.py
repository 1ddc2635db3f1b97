"""A conversation on one connection: requests in, answers out when and as their faults let them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulators.modbus.delivery import Delivery, Way
from simulators.modbus.line import Line


class Talk:
    """What every framing has in common: delays, answers held back, connections cut.

    Parameters
    ----------
    line : Line
    turnaround_s : float
        What every answer takes, beyond its faults. [s]
    reset : callable
        Cuts the connection.
    """

    def __init__(self, line: Line, turnaround_s: float, reset: Callable[[], None]) -> None:
        self.line = line
        self._turnaround_s = turnaround_s
        self._reset = reset
        self._loop = asyncio.get_running_loop()
        self._held: list[Delivery] = []
        self._later: set[asyncio.TimerHandle] = set()

    def received(self, data: bytes) -> None:
        """Bytes of requests have come."""
        raise NotImplementedError

    def close(self) -> None:
        """Forget what is under way."""
        for timer in self._later:
            timer.cancel()

    def _send(self, delivery: Delivery, from_s: float) -> None:
        """Let an answer go whose first character begins at a time of the loop; that may just have passed."""
        raise NotImplementedError

    def _release(self) -> None:
        """A request has come: what was held back for it leaves."""
        for old in self._held:
            self._send(old, self._loop.time())
        self._held.clear()

    def _dispatch(self, delivery: Delivery, asked_s: float) -> None:
        """Do with an answer what its faults say; ``asked_s`` is when its request was over."""
        if delivery.way is Way.HELD:
            self._held.append(delivery)
        elif delivery.way is Way.RESET:
            self._reset()
        elif delivery.way is Way.SENT:
            self._at(asked_s + delivery.delay_s + self._turnaround_s, delivery)

    def _at(self, from_s: float, delivery: Delivery) -> None:
        if from_s <= self._loop.time():
            self._send(delivery, from_s)
            return

        def now() -> None:
            self._later.discard(timer)
            self._send(delivery, from_s)

        timer = self._loop.call_at(from_s, now)
        self._later.add(timer)
