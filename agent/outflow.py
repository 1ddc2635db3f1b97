"""Which items go out now: the newest at once, the backlog oldest first at a bounded rate. Pure.

Two lanes share one session. The live lane holds the newest few items there are when the session begins and whatever
is sealed after them, so that the collector sees the present whatever is behind. The backlog lane holds the rest,
oldest first; it begins after a random wait and keeps to a rate, so that a fleet that comes back together does not
fall on the broker together. In either lane only so many items are under way that an absent collector cannot make the
broker's queue grow; one that stays without an acknowledgement is published again, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

WINDOW = 32
LIVE = 8
AGAIN_FIRST_S = 30.0
AGAIN_MOST_S = 600.0
BACKLOG_PER_S = 20.0
SPREAD_S = 60.0
"""A backlog begins within this, and within the time it takes at its rate."""
BURST_S = 1.0
"""What the backlog lane may make up after it had to wait."""


@dataclass(frozen=True, slots=True)
class _Published:
    """When an item went out, when it is due again, and how long the wait is after that. [s]"""

    at_s: float
    due_s: float
    wait_s: float
    live: bool


class Outflow:
    """What has been published since this connection stands, and when it is due again.

    Parameters
    ----------
    window, live : int
        Items under way without an acknowledgement at most, in the backlog lane and in the live lane.
    again_first_s : float
        Wait before an item is published a second time; it doubles with each. [s]
    backlog_per_s : float
        Items of the backlog in a second.
    chance : Random or None
        Where jitter comes from; None for the system's own.
    """

    def __init__(
        self,
        window: int = WINDOW,
        again_first_s: float = AGAIN_FIRST_S,
        backlog_per_s: float = BACKLOG_PER_S,
        live: int = LIVE,
        chance: Random | None = None,
    ) -> None:
        self.window = window
        self.live = live
        self._again_first_s = again_first_s
        self._interval_s = 1 / backlog_per_s
        self._chance = chance or Random()
        self._published: dict[int, _Published] = {}
        self._asked: dict[int, None] = {}
        self._lane: set[int] = set()
        self._live_from: int | None = None
        self._backlog_s: float | None = None
        self._held_back = False

    def reset(self) -> None:
        """Everything unacknowledged is due again: a new connection, or a collector that has come back."""
        self._published.clear()
        self._backlog_s = self._live_from = None

    def ask(self, stored: Iterable[int]) -> None:
        """The collector asks for these again though it has acknowledged them."""
        self._asked.update(dict.fromkeys(stored))

    def ask_again(self, first: int, last: int, now_s: float) -> None:
        """The collector lacks items first..last: what went out a while ago is due now; the rest comes by itself."""
        for item, one in self._published.items():
            if first <= item <= last and now_s - one.at_s >= self._again_first_s:
                self._published[item] = _Published(one.at_s, now_s, one.wait_s, one.live)

    def due(self, oldest: Sequence[int], newest: Sequence[int], now_s: float) -> list[int]:
        """What to publish now: the live lane first, each lane oldest first.

        Parameters
        ----------
        oldest, newest : sequence of int
            The ``window`` + ``live`` oldest and the ``live`` newest items without an acknowledgement, each in order.
        """
        self._forget(oldest, newest)
        self._lane_of(newest)
        again = {item for item, one in self._published.items() if one.due_s <= now_s}
        ready = again | self._live_now() | self._backlog_now(oldest, newest, now_s) | self._asked_now()
        return sorted(ready, key=lambda item: (item not in self._lane, item))

    def published(self, item: int, now_s: float) -> None:
        """The broker has it; the collector's word is awaited."""
        self._asked.pop(item, None)
        before = self._published.get(item)
        wait_s = self._again_first_s if before is None else before.wait_s
        live = item in self._lane if before is None else before.live
        self._published[item] = _Published(now_s, now_s + wait_s, min(2 * wait_s, AGAIN_MOST_S), live)

    def missing(self, item: int) -> None:
        """It is not stored any more."""
        self._asked.pop(item, None)
        self._published.pop(item, None)

    def all_live_published(self, newest: Sequence[int]) -> bool:
        """Whether the newest items, as many as may be under way, are with the broker."""
        self._lane_of(newest)
        return not self._asked and not self._live_now()

    def next_s(self, now_s: float) -> float:
        """How long until something is due again. [s]"""
        if self._asked:
            return 0.0
        dues = [one.due_s for one in self._published.values()]
        if self._held_back and self._backlog_s is not None:
            dues.append(self._backlog_s)
        return max(min(dues, default=now_s + AGAIN_MOST_S) - now_s, 0.0)

    def _forget(self, oldest: Sequence[int], newest: Sequence[int]) -> None:
        """Drop what is acknowledged; of items between the two lists nothing is known."""
        waiting = {*oldest, *newest}
        between = (oldest[-1], newest[0]) if oldest and newest else (0, 0)
        for item in self._published.keys() - waiting:
            if not between[0] < item < between[1]:
                del self._published[item]

    def _lane_of(self, newest: Sequence[int]) -> None:
        lane = newest[-self.live :]
        if self._live_from is None and lane:
            self._live_from = lane[0]
        self._lane = {item for item in lane if self._live_from is not None and item >= self._live_from}

    def _live_now(self) -> set[int]:
        under_way = sum(one.live for one in self._published.values())
        fresh = sorted(self._lane - self._published.keys())
        return set(fresh[-max(self.live - under_way, 0) :] if under_way < self.live else ())

    def _backlog_now(self, oldest: Sequence[int], newest: Sequence[int], now_s: float) -> set[int]:
        waiting = [item for item in oldest if item not in self._lane and item not in self._published]
        if not waiting:
            self._held_back = False
            return set()
        if self._backlog_s is None:
            own = [item for item in (*waiting, *newest) if item >= 0]  # those of old streams are below, and few
            count = max(len(waiting), own[-1] - own[0] if own else 0)
            self._backlog_s = now_s + self._chance.random() * min(SPREAD_S, count * self._interval_s)
        self._backlog_s = max(self._backlog_s, now_s - BURST_S)
        free = self.window - sum(not one.live for one in self._published.values())
        taken: set[int] = set()
        while len(taken) < min(free, len(waiting)) and self._backlog_s <= now_s:
            taken.add(waiting[len(taken)])
            self._backlog_s += self._interval_s * (0.5 + self._chance.random())
        self._held_back = len(taken) < min(free, len(waiting))
        return taken

    def _asked_now(self) -> set[int]:
        return set(list(self._asked)[: self.window])
