"""The chart of the last day as numbers for an inline SVG; drawn on the server, so it prints and needs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from collector.web.language import Words
from collector.web.overview import Bar
from collector.web.shown import instant, mass_unit, percent

LEFT, RIGHT, TOP, BASE = 66.0, 716.0, 12.0, 164.0
WHOLE = 0.999
NICE = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """A grid line with its label."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar; ``kind`` is whole, part or none (no data: full height, so that it never reads as zero)."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    lines: tuple[Line, ...]
    bars: tuple[Rect, ...]


def nice_step(largest: int) -> int:
    """The least of 1, 2, 5 x 10^n of which three reach ``largest``."""
    power = 1
    while True:
        for factor in NICE:
            if 3 * factor * power >= largest:
                return factor * power
        power *= 10


def draw_bars(bars: Sequence[Bar], words: Words, zone: ZoneInfo) -> Chart | None:
    """The chart, or None where no hour has anything to show."""
    if not any(bar.covered > 0 for bar in bars):
        return None
    largest = max(1, *(bar.co2e_mg for bar in bars))
    unit, step = mass_unit(largest), nice_step(largest)
    top = 3 * step
    height = BASE - TOP
    slot = (RIGHT - LEFT) / len(bars)
    lines = tuple(
        Line(round(BASE - height * n / 3, 1), f"{n * step / unit.size_mg:g} {unit.name}" if n else "0")
        for n in range(4)
    )
    rects = []
    for place, bar in enumerate(bars):
        empty = bar.covered <= 0 and bar.co2e_mg == 0
        tall = height if empty else max(0.0, height * bar.co2e_mg / top)
        time = instant(bar.from_ms, zone, "%m-%d %H:%M")
        mass, share = f"{unit.text(bar.co2e_mg)} {unit.name}", percent(round(bar.covered * 1000), 1000)
        title = words("chart.bar.none", time=time) if empty else words("chart.bar", time=time, mass=mass, covered=share)
        label = instant(bar.from_ms, zone, "%H:%M") if (len(bars) - 1 - place) % 6 == 2 else ""
        kind = "none" if empty else "whole" if bar.covered >= WHOLE else "part"
        rects.append(
            Rect(
                round(LEFT + slot * place + 3, 1), round(BASE - tall, 1), round(slot - 6, 1), round(tall, 1),
                kind, title, label,
            )
        )  # fmt: skip
    return Chart(lines, tuple(rects))
