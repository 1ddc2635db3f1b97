"""Which units of a bus are worth asking. Pure: time enters as an argument, chance by a seed.

A unit that fails to answer several times in a row is taken for dead: its slots are *device dead* and cost the bus
nothing. Now and then its cheapest request is let through; an answer, be it a refusal, brings the unit back. The
pauses between such probes grow, and all probes of a bus together draw on one budget of its time, however many
units are dead. Units often die and return together (a cable, a fuse): with one back, the others are probed next.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from random import Random

from protocols.records import Fate, ReadRequest

OPENS_AFTER = 3
"""Failures in a row."""
PROBE_SHARE = 0.01
"""Of a bus's time, for the probes of all its dead units."""
BUDGET_OVER_MS = 600_000
"""A quiet bus saves its share up for so long, so that no ten minutes spend more than two of it and one probe."""
FIRST_PAUSE_COSTS, FIRST_PAUSE_MS = 10, 1_000
"""The first pause, in costs of the failure before it; at least this long."""
LONGEST_PAUSE_MS = 300_000
JITTER = 0.1

_GATEWAY_GAVE_UP = (10, 11)  # Modbus exceptions by which a gateway says that the unit behind it does not answer


@dataclass(slots=True)
class _Unit:
    """One unit: ``pause_ms`` is 0 while it is believed alive."""

    probe: int
    failures: int = 0
    pause_ms: float = 0.0
    since_ms: int = 0
    next_ms: float = 0.0


class Breakers:
    """The breakers of one bus, one per unit.

    Parameters
    ----------
    requests : sequence of ReadRequest
        The read plan.
    intervals : sequence of (int, int)
        Position in the read plan and interval [ms] of every request on the bus.
    refused : set of int
        Positions of requests that tell nothing of a unit, as the device refuses them.
    start_ms : int
        Times given later are not before it. [ms]
    seed : int
        Of the jitter.
    """

    def __init__(
        self,
        requests: Sequence[ReadRequest],
        intervals: Sequence[tuple[int, int]],
        start_ms: int,
        seed: int,
        refused: Set[int] = frozenset(),
    ) -> None:
        self._unit_of = {position: requests[position].unit for position, _ in intervals}
        cost = {
            position: (position in refused, interval, requests[position].count) for position, interval in intervals
        }
        self._units = {
            unit: _Unit(min((one for one, of in self._unit_of.items() if of == unit), key=cost.__getitem__))
            for unit in sorted(set(self._unit_of.values()))
        }
        self._random = Random(seed)
        self._budget_ms = PROBE_SHARE * BUDGET_OVER_MS
        self._budget_at_ms = start_ms

    def is_dead(self, position: int) -> bool:
        """Whether the unit of a request is taken for dead."""
        return self._units[self._unit_of[position]].pause_ms > 0

    def lets_through(self, position: int, now_ms: int) -> bool:
        """Whether a request may be sent: its unit is believed alive, or this is the probe and it is time for one."""
        unit = self._units[self._unit_of[position]]
        if not unit.pause_ms:
            return True
        return position == unit.probe and now_ms >= unit.next_ms and self._budget(now_ms) > 0

    def met(self, position: int, fate: int, sent_ms: int, now_ms: int) -> bool:
        """Take what became of a request that was sent; True where its unit died or came back by it."""
        unit = self._units[self._unit_of[position]]
        if not _is_failure(fate):
            unit.failures = 0
            if unit.pause_ms:
                unit.pause_ms = 0.0
                for other in self._units.values():
                    other.next_ms = now_ms
                return True
            return False
        unit.failures += 1
        cost_ms = now_ms - sent_ms
        if unit.pause_ms:
            self._budget_ms = self._budget(now_ms) - cost_ms
            self._budget_at_ms = now_ms
            self._pause(unit, 2 * unit.pause_ms, now_ms)
        elif unit.failures >= OPENS_AFTER:
            unit.since_ms = now_ms
            self._pause(unit, max(FIRST_PAUSE_MS, FIRST_PAUSE_COSTS * cost_ms), now_ms)
            return True
        return False

    def failing(self, position: int) -> tuple[int, ...]:
        """All requests of the unit of a request, where it failed to answer the last one; else none."""
        number = self._unit_of[position]
        if not self._units[number].failures:
            return ()
        return tuple(one for one, unit in self._unit_of.items() if unit == number)

    def dead(self) -> dict[int, int]:
        """The units taken for dead and since when. [ms]"""
        return {number: unit.since_ms for number, unit in self._units.items() if unit.pause_ms}

    def _pause(self, unit: _Unit, pause_ms: float, now_ms: int) -> None:
        unit.pause_ms = min(pause_ms, LONGEST_PAUSE_MS)
        unit.next_ms = now_ms + unit.pause_ms * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _budget(self, now_ms: int) -> float:
        saved_ms = self._budget_ms + PROBE_SHARE * (now_ms - self._budget_at_ms)
        return min(saved_ms, PROBE_SHARE * BUDGET_OVER_MS)


def _is_failure(fate: int) -> bool:
    """Whether a fate code says that the unit did not answer, or not as one that is there."""
    kind, detail = fate & 0xFF, fate >> 8
    if kind == Fate.EXCEPTION:
        return detail in _GATEWAY_GAVE_UP
    return kind in (Fate.TIMEOUT, Fate.DISCONNECTED, Fate.BAD_ANSWER)
