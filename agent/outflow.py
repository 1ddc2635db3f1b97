"""Which items go out now: oldest first, a bounded number at a time, each again after a growing wait. Pure.

Only the oldest ``window`` items without an acknowledgement are ever under way, so that an absent collector
cannot make the broker's queue grow; an item that stays without one is published again, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Iterable

WINDOW = 32
AGAIN_FIRST_S = 30.0
AGAIN_MOST_S = 600.0


class Outflow:
    """What has been published since this connection stands, and when it is due again."""

    def __init__(self, window: int = WINDOW, again_first_s: float = AGAIN_FIRST_S) -> None:
        self.window = window
        self._again_first_s = again_first_s
        self._due: dict[int, tuple[float, float]] = {}  # sequence -> (when due again, wait after that)
        self._asked: dict[int, None] = {}

    def reset(self) -> None:
        """Everything unacknowledged is due at once: a new connection, or a collector that has come back."""
        self._due.clear()

    def ask(self, sequences: Iterable[int]) -> None:
        """The collector asks for these again, acknowledged or not."""
        self._asked.update(dict.fromkeys(sequences))

    def due(self, unacknowledged: Iterable[int], now_s: float) -> list[int]:
        """What to publish now, oldest first, given the oldest items without an acknowledgement."""
        waiting = list(unacknowledged)[: self.window]
        for gone in self._due.keys() - set(waiting):
            del self._due[gone]
        ready = {sequence for sequence in waiting if now_s >= self._due.get(sequence, (now_s, 0.0))[0]}
        return sorted(ready | set(list(self._asked)[: self.window]))

    def published(self, sequence: int, now_s: float) -> None:
        """The broker has it; the collector's word is awaited."""
        self._asked.pop(sequence, None)
        wait_s = self._due.get(sequence, (0.0, self._again_first_s))[1]
        self._due[sequence] = (now_s + wait_s, min(2 * wait_s, AGAIN_MOST_S))

    def missing(self, sequence: int) -> None:
        """It is not stored any more."""
        self._asked.pop(sequence, None)
        self._due.pop(sequence, None)

    def all_published(self, unacknowledged: Iterable[int]) -> bool:
        """Whether everything that may be under way is with the broker."""
        return not self._asked and all(sequence in self._due for sequence in list(unacknowledged)[: self.window])

    def next_s(self, now_s: float) -> float:
        """How long until something is due again. [s]"""
        if self._asked:
            return 0.0
        return max(min((due for due, _ in self._due.values()), default=now_s + AGAIN_MOST_S) - now_s, 0.0)
