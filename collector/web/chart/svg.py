"""SVG elements as escaped text, and the parts that charts share: axes, textures, swatches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from markupsafe import Markup, escape

from collector.web.chart.model import Bucket, Key, State, Unit
from collector.web.chart.scale import Scale, every, tick_text
from collector.web.language import Words

_T = TypeVar("_T")

TOP = 22
FOOT = 26
"""Room above the plot for the unit, and below it for the time axis. [px]"""
MOST_LABELS = 12
MOST_LABELS_PHONE = 5
SERIES = 8
"""How many series have a look of their own; further ones share the last."""

_TEXTURES: tuple[Markup, ...] = (
    Markup(""),
    Markup('<path d="M0 1.5h6M0 4.5h6" class="ink"/>'),
    Markup('<path d="M1.5 0v6M4.5 0v6" class="ink"/>'),
    Markup('<circle cx="2" cy="2" r="1" class="inked"/><circle cx="5" cy="5" r="1" class="inked"/>'),
    Markup('<path d="M0 3h6M3 0v6" class="ink"/>'),
    Markup('<path d="M0 3h6" class="ink"/>'),
    Markup('<path d="M3 0v6" class="ink"/>'),
    Markup('<circle cx="3" cy="3" r="1.2" class="inked"/>'),
)


def element(name: str, *children: str, **attributes: object) -> Markup:
    """An element; ``class_`` is class, other underscores are hyphens, None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")  # noqa: S704


def share(part: float) -> str:
    """A horizontal place or width as a share of the plot."""
    return f"{part * 100:.3f}".rstrip("0").rstrip(".") + "%"


def picture(name: str, title: str, said: str, height: float, *content: str, **attributes: object) -> Markup:
    """A whole chart of that height in px, named and described for screen readers."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"), element("desc", said, id=f"{name}-desc"), *content,
        class_="plot", role="img", aria_labelledby=f"{name}-title {name}-desc", width="100%", height=height,
        **attributes,
    )  # fmt: skip


def textures(name: str, series: int = 0) -> Markup:
    """The patterns of a chart: ``NAME-0`` on for series, ``NAME-part`` (hatched) and ``NAME-none`` (dotted)."""
    looks = [
        element(
            "pattern", element("rect", width=6, height=6, class_=f"s{n}"), _TEXTURES[n],
            id=f"{name}-{n}", width=6, height=6, patternUnits="userSpaceOnUse",
        )
        for n in range(min(series, SERIES))
    ]  # fmt: skip
    hatch = element(
        "pattern", element("path", d="M0 0v7", class_="hatch"),
        id=f"{name}-part", width=7, height=7, patternUnits="userSpaceOnUse", patternTransform="rotate(45)",
    )  # fmt: skip
    dots = element(
        "pattern", element("circle", cx=1.5, cy=1.5, r=0.8, class_="dot"),
        id=f"{name}-none", width=5, height=5, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    return element("defs", *looks, hatch, dots)


def fill_of(name: str, series: int) -> str:
    """The fill of a series."""
    return f"url(#{name}-{min(series, SERIES - 1)})"


def veil(name: str, state: State, x: float, y: float, width: float, height: float, said: str = "") -> Markup:
    """What lies over a place that is not whole: hatched where known in part, dotted where unknown."""
    if state is State.WHOLE:
        return Markup("")
    title = element("title", said) if said else Markup("")
    return element(
        "rect", title, x=share(x), y=y, width=share(width), height=max(height, 0),
        fill=f"url(#{name}-{state.value})", class_=state.value,
    )  # fmt: skip


def value_axis(scale: Scale, unit: Unit, height: float) -> Markup:
    """Grid lines with their numbers to the left of the plot; the unit stands once, above them."""
    lines = [element("text", unit.name, x=-8, y=10, class_="tick unit", text_anchor="end")]
    for tick in scale.ticks:
        y = TOP + height * (1 - scale.place(tick))
        lines.append(element("line", x1=0, x2="100%", y1=y, y2=y, class_="zero" if tick == 0 else "grid"))
        lines.append(element("text", tick_text(tick / unit.size), x=-8, y=y + 4, class_="tick", text_anchor="end"))
    return Markup("").join(lines)


def time_axis(buckets: Sequence[Bucket], y: float) -> Markup:
    """The short labels below the plot, each under the middle of its bucket; a phone shows fewer of them."""
    count = len(buckets)
    few, many = every(count, MOST_LABELS_PHONE), every(count, MOST_LABELS)
    labels = []
    for place, bucket in enumerate(buckets):
        if place % many and place % few:
            continue
        seen = "tick" if place % few == 0 and place % many == 0 else "tick phone" if place % few == 0 else "tick desk"
        labels.append(
            element("text", bucket.tick, x=share((place + 0.5) / count), y=y, class_=seen, text_anchor="middle")
        )
    return Markup("").join(labels)


def opened(bucket: Bucket, *content: str) -> Markup:
    """Content that a pointer may open; the table has the same links for the keyboard."""
    inside = Markup("").join(content)
    return element("a", inside, href=bucket.href, tabindex=-1) if bucket.href else inside


def swatch(fill: str | None = None, look: str | None = None) -> Markup:
    """A small square of a legend."""
    square = element("rect", x=1, y=1, width=14, height=14, rx=2, fill=fill, class_=look)
    return element("svg", square, width=16, height=16, aria_hidden="true")


def stroke_swatch(look: str) -> Markup:
    """An upright line of a legend."""
    line = element("line", x1=8, x2=8, y1=1, y2=15, class_=look)
    return element("svg", line, width=16, height=16, aria_hidden="true")


def quality_keys(name: str, buckets: Sequence[Bucket], words: Words) -> tuple[Key, ...]:
    """Legend entries of the states other than whole that occur."""
    seen = {bucket.state for bucket in buckets}
    return tuple(
        Key(swatch(f"url(#{name}-{state.value})", state.value), words(f"state.{state.value}"))
        for state in (State.PART, State.NONE)
        if state in seen
    )


def runs(states: Sequence[_T]) -> Iterator[tuple[_T, int, int]]:
    """Neighbours of one kind as (kind, first, behind the last)."""
    start = 0
    for n in range(1, len(states) + 1):
        if n == len(states) or states[n] != states[start]:
            yield states[start], start, n
            start = n


def _short(value: object) -> object:
    """Floats in at most two decimals: a hundredth of a pixel is enough."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
