"""When a pushed plan goes out: at once, and again until the agent's stream settles it, for an agent may be away."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocols.messages import PlanPush

LOOK_S = 2.0
AGAIN_S = 60.0


class PushKeeper:
    """What was sent when; ``clock`` is monotonic. [s]"""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked_s = float("-inf")
        self._sent: dict[str, tuple[PlanPush, float]] = {}

    def looks(self) -> bool:
        """Whether it is time to look for what waits."""
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_S:
            return False
        self._looked_s = now_s
        return True

    def due(self, waiting: Mapping[str, PlanPush]) -> dict[str, PlanPush]:
        """What goes out now, by agent; the rest was sent less than ``AGAIN_S`` ago."""
        now_s = self._clock()
        self._sent = {agent: sent for agent, sent in self._sent.items() if waiting.get(agent) == sent[0]}
        due = {
            agent: push
            for agent, push in waiting.items()
            if agent not in self._sent or now_s - self._sent[agent][1] >= AGAIN_S
        }
        self._sent.update({agent: (push, now_s) for agent, push in due.items()})
        return due
