"""Stacked bars over time: what is positive stacks up from zero, what is negative down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from collector.web.chart.model import Bucket, Chart, Key, Row, State, Unit
from collector.web.chart.scale import Scale, nice_scale
from collector.web.chart.svg import (
    FOOT,
    TOP,
    element,
    fill_of,
    opened,
    picture,
    quality_keys,
    share,
    stroke_swatch,
    swatch,
    textures,
    time_axis,
    value_axis,
    veil,
)
from collector.web.chart.tables import values_table
from collector.web.language import Words

GAP = 0.16
"""Share of a bucket left free between bars."""


def draw_bars(
    name: str, title: str, buckets: Sequence[Bucket], rows: Sequence[Row], unit: Unit, words: Words,
    height: float = 200, total_u: Sequence[float | None] = (),
) -> Chart | None:  # fmt: skip
    """The chart, or None where nothing is known in any bucket; ``total_u`` puts a whisker on each bar's total."""
    if not rows or all(value is None for row in rows for value in row.values):
        return None
    us = total_u or [None] * len(buckets)
    stacks = [[row.values[n] for row in rows] for n in range(len(buckets))]
    ends = []
    for stack, u in zip(stacks, us, strict=True):
        up, down = _sum(v for v in stack if v and v > 0), _sum(v for v in stack if v and v < 0)
        ends += [up, down, up + down + (u or 0), up + down - (u or 0)]
    scale = nice_scale(ends)
    columns = [
        _column(name, n, len(buckets), bucket, stacks[n], us[n], rows, scale, unit, words, height)
        for n, bucket in enumerate(buckets)
    ]
    svg = picture(
        name, title, words("chart.bars.said", n=len(buckets), rows=", ".join(row.name for row in rows)),
        TOP + height + FOOT, textures(name, len(rows)), value_axis(scale, unit, height), *columns,
        time_axis(buckets, TOP + height + FOOT - 6),
    )  # fmt: skip
    keys = tuple(Key(swatch(fill_of(name, n)), row.name) for n, row in enumerate(rows))
    whisker = (Key(stroke_swatch("whisker"), words("chart.whisker")),) if any(us) else ()
    legend = (*keys, *whisker, *quality_keys(name, buckets, words))
    return Chart(name, title, svg, legend, values_table(name, title, buckets, rows, unit, words))


def _column(
    name: str, n: int, count: int, bucket: Bucket, stack: Sequence[float | None], u: float | None,
    rows: Sequence[Row], scale: Scale, unit: Unit, words: Words, height: float,
) -> Markup:  # fmt: skip
    x, width = (n + GAP / 2) / count, (1 - GAP) / count
    known = [value for value in stack if value is not None]
    if not known:
        said = words("chart.none", time=bucket.label)
        return opened(bucket, veil(name, State.NONE, x, TOP, width, height, said))

    def y(value: float) -> float:
        return TOP + height * (1 - scale.place(value))

    total = _sum(known)
    pieces = []
    up = down = 0.0
    for place, value in enumerate(stack):
        if not value:
            continue
        base = up if value > 0 else down
        top, bottom = max(base, base + value), min(base, base + value)
        said = f"{bucket.label}\n{rows[place].name}: {unit.text(value)} {unit.name}"
        pieces.append(
            element("rect", element("title", said), x=share(x), y=y(top), width=share(width),
                    height=y(bottom) - y(top), fill=fill_of(name, place), class_="piece")
        )  # fmt: skip
        up, down = (base + value, down) if value > 0 else (up, base + value)
    spread = f" ± {unit.text(u)}" if u else ""
    said = f"{bucket.label}: {unit.text(total)}{spread} {unit.name}"
    if bucket.state is not State.WHOLE:
        said = words("chart.part", said=said)
        pieces.append(veil(name, State.PART, x, y(up), width, y(down) - y(up), said))
    if u:
        middle = share((n + 0.5) / count)
        pieces.append(
            element("line", element("title", said), x1=middle, x2=middle, y1=y(total + u), y2=y(total - u),
                    class_="whisker")
        )  # fmt: skip
    return opened(bucket, *pieces)


def _sum(values: Iterable[float]) -> float:
    return math.fsum(values)
