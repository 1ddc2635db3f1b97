"""Stops of the plant: while one lasts its owner takes nothing, and every total stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simulators.boiler import Boiler
from simulators.schedule import State

Span = tuple[int, int]
"""From and to, in milliseconds since the plant's start."""
Instant = Callable[[float], float]
Total = Callable[[int], int]


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time as spans that neither touch nor overlap, in order."""
    joined: list[Span] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        elif low < high:
            joined.append((low, high))
    return tuple(joined)


def standing_still(total: Total, spans: tuple[Span, ...]) -> Total:
    """A total that does not grow in the spans: exact, for it is a difference of the same total."""

    def stopped(t_ms: int) -> int:
        missed = sum(total(min(t_ms, high)) - total(low) for low, high in spans if t_ms > low)
        return total(t_ms) - missed

    return stopped


def replaced(signal: Instant, instead: float, spans: tuple[Span, ...]) -> Instant:
    """A signal that has another value in the spans."""

    def stopped(t_s: float) -> float:
        return instead if any(low <= 1000 * t_s < high for low, high in spans) else signal(t_s)

    return stopped


def load_at_rest(name: str) -> dict[str, float]:
    """What the signals of a load are while it is off; its voltage and frequency are the grid's."""
    return {f"{name}.power": 0.0, f"{name}.phase_power": 0.0, f"{name}.current": 0.0}


def boiler_at_rest(boiler: Boiler) -> dict[str, float]:
    """What the signals of boiler and stack are while it is off: humid air that stands still."""
    o2, water = boiler.still_air()
    return {
        "boiler.gas_flow": 0.0,
        "boiler.state": float(State.STOPPED),
        "stack.flow": 0.0,
        "stack.co2_wet": 0.0,
        "stack.co2_dry": 0.0,
        "stack.o2_wet": o2,
        "stack.water": water,
    }
