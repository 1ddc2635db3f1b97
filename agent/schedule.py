"""Which slot of a bus is served next, and which come too late. Pure: time enters as an argument.

Slot k of a request is due at ``k x interval`` on the UTC line. Polls never queue: where a request's next slot
has become due, its older ones are given up as *bus busy*. Among due slots the one whose successor comes first
goes first; among equals the request that has waited longest. Requests to a unit that fails to answer go behind the
others of their round, so that the wait for it costs them as little as can be. Every slot is handed out exactly once:
served, skipped, or settled at a batch edge.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One slot of one request; ``request`` is its position in the read plan."""

    request: int
    slot: int
    due_ms: int


@dataclass(slots=True)
class _Line:
    """One request's place in time."""

    request: int
    interval_ms: int
    next_slot: int
    served_ms: int


class Agenda:
    """The slots of one bus from ``start_ms`` on.

    Parameters
    ----------
    requests : sequence of (int, int)
        Position in the read plan and interval [ms] of every request on the bus.
    start_ms : int
        Slots due before this are not handed out. [UTC ms]
    """

    def __init__(self, requests: Sequence[tuple[int, int]], start_ms: int) -> None:
        self._lines = [
            _Line(request, interval, -(-start_ms // interval), start_ms) for request, interval in requests
        ]
        self._underway: Turn | None = None

    def take(self, now_ms: int) -> tuple[list[Turn], Turn | None]:
        """Slots that came too late, and the one to serve now; it stays under way until ``finish``."""
        skipped: list[Turn] = []
        chosen: _Line | None = None
        chosen_rank: tuple[int, int] | None = None
        for line in self._lines:
            latest = now_ms // line.interval_ms
            if latest < line.next_slot:
                continue
            skipped.extend(self._pass(line, latest))
            rank = ((latest + 1) * line.interval_ms, line.served_ms)
            if chosen_rank is None or rank < chosen_rank:
                chosen, chosen_rank = line, rank
        if chosen is None:
            return skipped, None
        turn = _turn(chosen, chosen.next_slot)
        chosen.next_slot += 1
        chosen.served_ms = now_ms
        self._underway = turn
        return skipped, turn

    def put_back(self, requests: Collection[int], now_ms: int) -> None:
        """Let requests go behind the others for one round, as if served in the next; so none starves."""
        for line in self._lines:
            if line.request in requests:
                line.served_ms = now_ms + line.interval_ms

    def finish(self) -> None:
        """The slot under way has its fate."""
        self._underway = None

    def wake_ms(self) -> int | None:
        """When the next slot becomes due; None where the bus has no requests. [UTC ms]"""
        return min((line.next_slot * line.interval_ms for line in self._lines), default=None)

    def settled(self, before_ms: int) -> bool:
        """Whether every slot due before an instant has been handed out and finished."""
        if self._underway is not None and self._underway.due_ms < before_ms:
            return False
        wake_ms = self.wake_ms()
        return wake_ms is None or wake_ms >= before_ms

    def settle(self, before_ms: int) -> tuple[list[Turn], Turn | None]:
        """Give up what is still due before an instant: slots never served, and the one still under way."""
        skipped: list[Turn] = []
        for line in self._lines:
            skipped.extend(self._pass(line, -(-before_ms // line.interval_ms)))
        underway = self._underway
        return skipped, underway if underway is not None and underway.due_ms < before_ms else None

    @staticmethod
    def _pass(line: _Line, to_slot: int) -> list[Turn]:
        passed = [_turn(line, slot) for slot in range(line.next_slot, to_slot)]
        line.next_slot = max(line.next_slot, to_slot)
        return passed


def _turn(line: _Line, slot: int) -> Turn:
    return Turn(line.request, slot, slot * line.interval_ms)
