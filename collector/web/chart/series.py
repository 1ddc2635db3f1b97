"""A curve over time with its band of uncertainty; a gap where nothing is known, hatched where only part is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from collector.web.chart.model import Bucket, Chart, Key, Row, Unit
from collector.web.chart.scale import Scale, nice_scale
from collector.web.chart.svg import (
    FOOT,
    TOP,
    element,
    opened,
    picture,
    quality_keys,
    runs,
    swatch,
    textures,
    time_axis,
    value_axis,
    veil,
)
from collector.web.chart.tables import values_table
from collector.web.language import Words

WIDE = 1000
"""Width of the curve's own drawing space, stretched to the plot."""
MOST_TITLES = 400
"""Above this many buckets single ones are too narrow to point at."""


def draw_series(
    name: str, title: str, buckets: Sequence[Bucket], row: Row, unit: Unit, words: Words, height: float = 200
) -> Chart | None:
    """The chart of one series, or None where nothing is known in any bucket."""
    if all(value is None for value in row.values):
        return None
    us = row.u or [None] * len(row.values)
    edges = [
        edge
        for value, u in zip(row.values, us, strict=True)
        if value is not None
        for edge in (value - (u or 0), value + (u or 0))
    ]
    scale = nice_scale(edges)
    count = len(buckets)
    each = zip(buckets, row.values, us, strict=True) if count <= MOST_TITLES else ()
    marks = [_mark(bucket, value, u, unit, words, n, count, height) for n, (bucket, value, u) in enumerate(each)]
    veils = [
        veil(name, state, start / count, TOP, (end - start) / count, height)
        for state, start, end in runs([bucket.state for bucket in buckets])
    ]
    svg = picture(
        name, title, words("chart.series.said", name=row.name, n=count), TOP + height + FOOT,
        textures(name), value_axis(scale, unit, height), *veils,
        element(
            "svg", *_paths(row.values, us, scale, height), x=0, y=TOP, width="100%", height=height,
            viewBox=f"0 0 {WIDE} {height:g}", preserveAspectRatio="none", aria_hidden="true",
        ),
        *marks, time_axis(buckets, TOP + height + FOOT - 6),
    )  # fmt: skip
    band = (Key(swatch(look="band"), words("chart.band")),) if any(u for u in us) else ()
    legend = (Key(swatch(look="s0"), f"{row.name} ({unit.name})"), *band, *quality_keys(name, buckets, words))
    return Chart(name, title, svg, legend, values_table(name, title, buckets, [row], unit, words))


def _paths(
    values: Sequence[float | None], us: Sequence[float | None], scale: Scale, height: float
) -> Iterator[Markup]:
    """Band and curve of every stretch without a gap; a lone bucket is a short line."""
    count = len(values)

    def spot(place: float, value: float) -> str:
        return f"{WIDE * place / count:.1f} {height * (1 - scale.place(value)):.1f}"

    for known, start, end in runs([value is not None for value in values]):
        if not known:
            continue
        stretch = [(n + 0.5, float(values[n] or 0), float(us[n] or 0)) for n in range(start, end)]
        if len(stretch) == 1:
            _, value, u = stretch[0]
            stretch = [(start + 0.15, value, u), (start + 0.85, value, u)]
        if any(u for _, _, u in stretch):
            upper = [spot(at, value + u) for at, value, u in stretch]
            lower = [spot(at, value - u) for at, value, u in reversed(stretch)]
            yield element("path", d=f"M{'L'.join(upper + lower)}Z", class_="band")
        yield element("path", d=f"M{'L'.join(spot(at, value) for at, value, _ in stretch)}", class_="curve")


def _mark(
    bucket: Bucket, value: float | None, u: float | None, unit: Unit, words: Words, n: int, count: int, height: float
) -> Markup:
    """A clear column to point at, which says the bucket's figures and opens it."""
    if value is None:
        said = words("chart.none", time=bucket.label)
    else:
        said = f"{bucket.label}: {unit.text(value)}{f' ± {unit.text(u)}' if u else ''} {unit.name}"
    return opened(
        bucket,
        element("rect", element("title", said), x=f"{100 * n / count:.3f}%", y=TOP, width=f"{100 / count:.3f}%",
                height=height, class_="clear"),
    )  # fmt: skip

