"""An analyzer's check cycle: zero gas, then span gas, at the end of every cycle."""

from __future__ import annotations

from enum import IntEnum

from simulators.scenario import CheckCycle


class Doing(IntEnum):
    """What the analyzer's status register shows."""

    MEASURING = 0
    ZERO = 1
    SPAN = 2


def doing(cycle: CheckCycle, since_start_ms: int) -> Doing:
    """What the analyzer is doing so long after the scenario's start."""
    left_ms = 1000 * cycle.every_s - since_start_ms % (1000 * cycle.every_s)
    if left_ms <= 1000 * cycle.span_s:
        return Doing.SPAN
    return Doing.ZERO if left_ms <= 1000 * (cycle.zero_s + cycle.span_s) else Doing.MEASURING
