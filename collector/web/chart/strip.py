"""A status strip: over time, how much is known; one band per row."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from collector.web.chart.model import Bucket, Chart, Key, State
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
    time_axis,
)
from collector.web.language import Words
from collector.web.shown import share_text
from collector.web.table import Cell, Column, Kind, Table

MOST_PIECES = 120
"""Above this many, neighbours of one state are drawn as one: single ones are too narrow to point at."""
BAND = 20
LABEL = 16
"""Height of a row's band, and of its name above it where there are several. [px]"""


def draw_strip(
    name: str, title: str, rows: Sequence[tuple[str, Sequence[Bucket]]], words: Words
) -> Chart | None:
    """The chart of rows of buckets over one time axis, or None where there is no row or no bucket."""
    if not rows or not rows[0][1]:
        return None
    content: list[Markup] = []
    named = LABEL if len(rows) > 1 else 0
    for place, (label, buckets) in enumerate(rows):
        y = TOP + (BAND + named) * place
        if named:
            content.append(element("text", label, x=0, y=y + LABEL - 4, class_="tick"))
        if len(buckets) <= MOST_PIECES:
            content += [_piece(name, bucket, n, len(buckets), y + named, words) for n, bucket in enumerate(buckets)]
        else:
            content += [
                _band(name, state, start / len(buckets), (end - start) / len(buckets), y + named)
                for state, start, end in runs([bucket.state for bucket in buckets])
            ]
    height = (BAND + named) * len(rows)
    every_bucket = [bucket for _, buckets in rows for bucket in buckets]
    svg = picture(
        name, title, words("chart.strip.said", n=len(rows[0][1])), TOP + height + FOOT,
        textures(name), *content, time_axis(rows[0][1], TOP + height + FOOT - 6),
    )  # fmt: skip
    legend = (Key(swatch(look="whole"), words("state.whole")), *quality_keys(name, every_bucket, words))
    columns = [Column(words("col.time")), *(Column(label, Kind.SHARE, share_text) for label, _ in rows)]
    lines = [
        [Cell(bucket.label, bucket.href), *(Cell(buckets[n].covered) for _, buckets in rows)]
        for n, bucket in enumerate(rows[0][1])
    ]
    return Chart(name, title, svg, legend, Table(f"{name}-table", title, columns, lines))


def _piece(name: str, bucket: Bucket, n: int, count: int, y: float, words: Words) -> Markup:
    """A bucket; of one known in part, as much is filled from below as is known."""
    state, covered = bucket.state, bucket.covered or 0.0
    said = words(f"chart.strip.{state.value}", time=bucket.label, covered=share_text(bucket.covered))
    known = Markup("")
    if state is State.PART:
        tall = (BAND - 3) * covered
        box = {"x": share(n / count), "y": y + BAND - 2 - tall, "width": share(1 / count), "height": tall}
        known = element("rect", **box, class_="whole filled")
    return opened(bucket, known, _band(name, state, n / count, 1 / count, y, element("title", said)))


def _band(name: str, state: State, x: float, width: float, y: float, *inside: Markup) -> Markup:
    fill = None if state is State.WHOLE else f"url(#{name}-{state.value})"
    return element(
        "rect", *inside, x=share(x), y=y + 1, width=share(width), height=BAND - 3, fill=fill, class_=state.value
    )
