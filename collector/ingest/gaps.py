"""What to ask an agent for again, and when: at a bounded rate, slower the longer it does not help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0

Ranges = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Asked:
    ranges: Ranges
    due_s: float
    wait_s: float


@dataclass(slots=True)
class GapKeeper:
    """Remembers per stream what is missing and when to ask for it; ``clock`` is monotonic. [s]"""

    clock: Callable[[], float]
    _asked: dict[tuple[str, bytes], _Asked] = field(default_factory=dict)

    def note(self, stream: tuple[str, bytes], missing: Ranges) -> None:
        """What is missing of a stream now; items that merely overtook each other get a moment to arrive."""
        before = self._asked.get(stream)
        if not missing:
            self._asked.pop(stream, None)
        elif before is None:
            self._asked[stream] = _Asked(missing, self.clock() + FIRST_WAIT_S / 2, FIRST_WAIT_S)
        elif before.ranges != missing:
            closed_some = before.ranges[0] != missing[0]
            before.ranges = missing
            if closed_some:
                before.wait_s = FIRST_WAIT_S

    def due(self) -> list[tuple[str, bytes, Ranges]]:
        """What to ask for now; each asking doubles the wait until the next."""
        now = self.clock()
        asking: list[tuple[str, bytes, Ranges]] = []
        for (agent_id, stream_id), asked in self._asked.items():
            if asked.due_s <= now:
                asking.append((agent_id, stream_id, asked.ranges))
                asked.due_s = now + asked.wait_s
                asked.wait_s = min(2 * asked.wait_s, LONGEST_WAIT_S)
        return asking
