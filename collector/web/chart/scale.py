"""Scales: a few round ticks that hold all values and zero."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
SLACK = 1e-9
STRIDES = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 96, 120, 168, 240, 336)
"""Every so many labels are written: whole days of hours, and the like."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from its lowest to its highest tick."""

    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Share of the way from the lowest tick (0) to the highest (1)."""
        low, high = self.ticks[0], self.ticks[-1]
        return (value - low) / (high - low)


def nice_scale(values: Iterable[float], most: int = 5) -> Scale:
    """The scale with the finest round step (1, 2, 2.5, 5 x 10^n) whose at most ``most`` steps hold values and zero."""
    known = [0.0, *(float(value) for value in values if math.isfinite(value))]
    low, high = min(known), max(known)
    if low == high:
        return Scale((0.0, 1.0))
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (*NICE, *(10 * factor for factor in NICE)):
        step = factor * power
        first, last = math.floor(low / step + SLACK), math.ceil(high / step - SLACK)
        if last - first <= most:
            break
    return Scale(tuple(n * step for n in range(first, last + 1)))


def tick_text(value: float) -> str:
    """A tick's number without needless digits, in groups of three."""
    text = f"{value:,.6f}".rstrip("0").rstrip(".").replace(",", "\u202f").replace("-", "\u2212")
    return "0" if text in ("", "\u22120") else text


def every(count: int, most: int) -> int:
    """The least round step that leaves at most ``most`` of ``count`` labels."""
    for step in STRIDES:
        if math.ceil(count / step) <= most:
            return step
    return math.ceil(count / most)
