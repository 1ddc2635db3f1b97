"""Readings taken before the time is known: they stand on the boot's monotonic clock and are placed once it is. Pure.

Slots are counted on the monotonic clock as if it were UTC. When the run's offset is known every due instant moves by
it; what then falls between two slots goes to the slot before, its delay longer by the rest, so that each reading
keeps its instant to the millisecond and no two share a slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from agent.parts import SetAside
from agent.results import Result, encode_entry
from protocols.records import Fate

MOST = 200_000
"""Results kept; the oldest go."""
TOGETHER = 5_000
"""Results in one line of what is set aside."""


class Early:
    """Results on the monotonic clock.

    Parameters
    ----------
    intervals_ms : sequence of int
        Interval of each request. [ms]
    """

    def __init__(self, intervals_ms: Sequence[int], most: int = MOST) -> None:
        self._intervals_ms = intervals_ms
        self._results: deque[Result] = deque(maxlen=most)
        self.lost = 0

    def __len__(self) -> int:
        return len(self._results)

    def report(self, result: Result) -> None:
        """Keep a slot's outcome."""
        self.lost += len(self._results) == self._results.maxlen
        self._results.append(result)

    def due_ms(self, result: Result) -> int:
        """When a placed result's slot was due. [UTC ms]"""
        return result.slot * self._intervals_ms[result.request]

    def placed(self, offset_ms: int) -> list[Result]:
        """Every result on the UTC line of an offset, in the order they came."""
        return [self._placed(result, offset_ms) for result in self._results]

    def aside(self, results: Sequence[Result], sequence: int, reason: str) -> list[SetAside]:
        """Results that cannot stand in the stream, to be set aside; ``sequence`` is of its next item."""
        lines: list[SetAside] = []
        for start in range(0, len(results), TOGETHER):
            some = results[start : start + TOGETHER]
            from_ms, to_ms = min(map(self.due_ms, some)), max(map(self.due_ms, some)) + 1
            lines.append(SetAside(sequence, from_ms, to_ms, reason, len(some), encode_entry(some, ())))
        return lines

    def _placed(self, result: Result, offset_ms: int) -> Result:
        slot, rest_ms = divmod(self.due_ms(result) + offset_ms, self._intervals_ms[result.request])
        delay_ms = result.delay_ms + rest_ms if result.fate == Fate.GOOD else 0
        return Result(result.request, slot, result.fate, delay_ms, result.registers)
