"""A heat map: two ways of cutting time (hours of days, days of months), a lightness per value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from collector.web.chart.model import Bucket, Chart, Key, State, Unit
from collector.web.chart.scale import every, nice_scale, tick_text
from collector.web.chart.svg import (
    FOOT,
    TOP,
    element,
    opened,
    picture,
    quality_keys,
    runs,
    share,
    swatch,
    textures,
    veil,
)
from collector.web.language import Words
from collector.web.table import Cell, Column, Kind, Table, Value

STEPS = 6
"""Classes of lightness; even steps of a round scale, so that the legend can name each."""
CELL = 18
MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Square:
    """One cell: its bucket, and its value or None where nothing is known."""

    bucket: Bucket
    value: float | None


def draw_heat(
    name: str, title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Square | None]]], unit: Unit,
    words: Words,
) -> Chart | None:  # fmt: skip
    """The chart of rows under columns, or None where no cell is known; a None cell is no time at all (30 February)."""
    squares = [square for _, line in rows for square in line if square is not None]
    values = [square.value for square in squares if square.value is not None]
    if not values:
        return None
    scale = nice_scale(values, STEPS)
    height = CELL * len(rows)
    few = every(len(rows), 16)
    content: list[Markup] = []
    for place, (label, line) in enumerate(rows):
        y = TOP + CELL * place
        if place % few == 0:
            content.append(element("text", label, x=-8, y=y + CELL - 5, class_="tick", text_anchor="end"))
        # Neighbours without data are dotted as one: a printer takes its time over every textured piece.
        content += [
            veil(name, State.NONE, start / len(columns), y, (end - start) / len(columns), CELL - 1)
            for unknown, start, end in runs([square is not None and square.value is None for square in line]) if unknown
        ]
        for n, square in enumerate(line):
            if square is not None:
                content.append(_cell(name, square, n / len(columns), y, 1 / len(columns), scale.place, unit, words))
    sparse = every(len(columns), MOST_LABELS)
    labels = [
        element("text", label, x=share((n + 0.5) / len(columns)), y=TOP + height + FOOT - 8, class_="tick",
                text_anchor="middle")
        for n, label in enumerate(columns) if n % sparse == 0
    ]  # fmt: skip
    svg = picture(
        name, title, words("chart.heat.said", rows=len(rows), columns=len(columns)), TOP + height + FOOT,
        textures(name), *content, *labels,
    )  # fmt: skip
    steps = [
        Key(swatch(look=f"h{_step(scale.place((low + high) / 2))}"),
            f"{tick_text(low / unit.size)}\u2013{tick_text(high / unit.size)}")
        for low, high in zip(scale.ticks, scale.ticks[1:], strict=False)
    ]  # fmt: skip
    steps[-1] = Key(steps[-1].swatch, f"{steps[-1].text} {unit.name}")
    legend = (*steps, *quality_keys(name, [square.bucket for square in squares], words))
    return Chart(name, title, svg, legend, _table(name, title, columns, rows, unit, words))


def _cell(
    name: str, square: Square, x: float, y: float, width: float, place: Callable[[float], float], unit: Unit,
    words: Words,
) -> Markup:  # fmt: skip
    bucket = square.bucket
    box = {"x": share(x), "y": y, "width": share(width), "height": CELL - 1}
    if square.value is None:
        said = words("chart.none", time=bucket.label)
        return opened(bucket, element("rect", element("title", said), **box, class_="clear"))
    said = f"{bucket.label}: {unit.text(square.value)} {unit.name}"
    if bucket.state is not State.WHOLE:
        said = words("chart.part", said=said)
    look = f"h{_step(place(square.value))}"
    over = veil(name, State.PART, x, y, width, CELL - 1, said) if bucket.state is not State.WHOLE else Markup("")
    return opened(bucket, element("rect", element("title", said), **box, class_=look), over)


def _step(place: float) -> int:
    return min(int(place * STEPS), STEPS - 1)


def _table(
    name: str, title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Square | None]]], unit: Unit,
    words: Words,
) -> Table:  # fmt: skip
    def short(value: Value) -> str:
        """Three figures: what fits 24 or 31 columns on paper."""
        return "\u2013" if value is None or isinstance(value, str) else tick_text(float(f"{value / unit.size:.3g}"))

    head = [Column(words("col.time")), *(Column(label, Kind.UNCERTAINTY, short) for label in columns)]
    lines = [
        [Cell(label), *(Cell(square.value if square else None) for square in line)] for label, line in rows
    ]
    return Table(f"{name}-table", f"{title} ({unit.name})", head, lines)
