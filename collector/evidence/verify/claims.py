"""Who states which moment of which source: nobody may state a moment twice, in one stream or in two.

A second stream of an agent, or a second agent of the same site, over the same time would count every figure
twice.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from protocols.plan.bound import BoundPlan
from protocols.records import Window

_Stretch = tuple[int, int, str]


@dataclass(slots=True)
class Claims:
    """Stretches [from, to) stated so far with who did, by source, input and gas of each agent and of each site."""

    _stated: dict[tuple[str, str, int, str], list[_Stretch]] = field(default_factory=dict)

    def take(self, agent: str, stream: str, plan: BoundPlan, window: Window) -> str:
        """Claim a window's time; which part is stated already and by whom, empty where none is."""
        source = plan.sources[window.source]
        gas = source.gases[window.gas]
        owner = f"stream {stream} of agent {agent[:12]}"
        for whose in (agent, f"{plan.plan.organisation.id}/{plan.plan.facility.id}"):
            stated = self._stated.setdefault((whose, source.id, window.input, gas), [])
            taken = _taken(stated, window, owner)
            if taken is not None:
                low, high, other = taken
                return f"states {source.id} {gas} from {low} to {high}, which {other} states already"
        return ""


def _taken(stated: list[_Stretch], window: Window, owner: str) -> _Stretch | None:
    """The part of a window that is stated already; None where there is none, and the window is among them now."""
    at = bisect_right(stated, window.from_ms, key=_start)
    for from_ms, to_ms, other in stated[max(at - 1, 0) : at + 1]:
        low, high = max(from_ms, window.from_ms), min(to_ms, window.to_ms)
        if low < high:
            return low, high, other
    if at and stated[at - 1][1:] == (window.from_ms, owner):
        stated[at - 1] = (stated[at - 1][0], window.to_ms, owner)
    else:
        stated.insert(at, (window.from_ms, window.to_ms, owner))
    return None


def _start(stretch: _Stretch) -> int:
    return stretch[0]
