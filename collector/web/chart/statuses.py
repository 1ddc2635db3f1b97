"""Statuses of an instrument over time, and how far its tests found it off its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from markupsafe import Markup

from calibration.days import midnight
from calibration.events import Event
from calibration.status import Interval, State
from collector.web.calibration import SIGNS, Trend
from collector.web.chart.model import Chart, Key
from collector.web.chart.svg import FOOT, TOP, element, picture, share, stroke_swatch, swatch, textures
from collector.web.language import Words
from collector.web.shown import instant
from collector.web.table import Cell, Column, Kind, Table

BAND = 30
WIDE = 0.03
"""A stretch of this share of the strip has room for its sign."""
HEIGHT = 160
MOST = 2.0
EDGE = 0.03
"""Errors beyond so many limits are drawn at the edge; the table has the figure."""
TEXTURES = {
    State.IN_INTERVAL: None, State.DUE_SOON: "part", State.EXEMPT: None, State.OVERDUE_JUSTIFIED: "part",
    State.OVERDUE: "part", State.UNKNOWN: "none", State.FAILED: "part", State.SUSPENDED: "none",
}  # fmt: skip


def draw_statuses(
    name: str, title: str, stretches: Sequence[Interval], marks: Sequence[tuple[int, Event]], now_ms: int,
    zone: ZoneInfo, words: Words,
) -> Chart:  # fmt: skip
    """The strip: a colour, a texture and a sign per state, a stroke per event, and where now is."""
    begin, end = stretches[0][0], stretches[-1][1]
    day = "%Y-%m-%d"

    def place(t_ms: int) -> float:
        return (t_ms - begin) / (end - begin)

    content: list[Markup] = []
    for from_ms, to_ms, status in stretches:
        x, wide = place(from_ms), place(to_ms) - place(from_ms)
        word = words(f"calibration.{status.state.value}")
        said = f"{word}: {instant(from_ms, zone, day)} – {instant(to_ms - 1, zone, day)}"
        box = {"x": share(x), "y": TOP, "width": share(wide), "height": BAND}
        content.append(element("rect", element("title", said), **box, class_=f"life {status.state.value}"))
        texture = TEXTURES[status.state]
        if texture:
            content.append(element("rect", element("title", said), **box, fill=f"url(#{name}-{texture})"))
        if wide > WIDE:
            sign = element("text", SIGNS[status.state], x=share(x + wide / 2), y=TOP + BAND / 2 + 5,
                           text_anchor="middle", class_="sign")  # fmt: skip
            content.append(sign)
    for at_ms, event in marks:
        said = f"{words(f'calibration.what.{event.what.value}')} {instant(at_ms, zone, day)} {event.id}"
        line = element("title", said)
        content.append(
            element(
                "line", line, x1=share(place(at_ms)), x2=share(place(at_ms)), y1=TOP - 6, y2=TOP + BAND + 6,
                class_="event",
            )
        )  # fmt: skip
    now = share(place(now_ms))
    content.append(element("line", x1=now, x2=now, y1=TOP - 10, y2=TOP + BAND + 2, class_="now"))
    content += _years(begin, end, zone, TOP + BAND + FOOT - 8)
    seen = {status.state for _, _, status in stretches}
    svg = picture(name, title, words("calibration.strip-said", n=len(stretches)), TOP + BAND + FOOT, textures(name),
                  *content)  # fmt: skip
    legend = (
        *(Key(swatch(look=f"life {state.value}"), f"{SIGNS[state]} {words(f'calibration.{state.value}')}")
          for state in State if state in seen),
        *((Key(stroke_swatch("event"), words("calibration.event-mark")),) if marks else ()),
        Key(stroke_swatch("now"), words("calibration.now")),
    )  # fmt: skip
    columns = [Column(words("calibration.from")), Column(words("calibration.to")), Column(words("col.state")),
               Column(words("calibration.cause"))]  # fmt: skip
    rows = [
        [Cell(instant(a, zone, day)), Cell(instant(b - 1, zone, day)), Cell(words(f"calibration.{s.state.value}")),
         Cell(s.cause or None)]
        for a, b, s in stretches
    ]  # fmt: skip
    return Chart(name, title, svg, legend, Table(f"{name}-table", title, columns, rows))


def draw_trend(name: str, title: str, trend: Sequence[Trend], zone: ZoneInfo, words: Words) -> Chart | None:
    """Errors of tests over time in shares of the limit: a circle as found, a cross as left; the limits are dashed."""
    if not trend:
        return None
    begin, end = midnight(trend[0].day, zone), midnight(trend[-1].day, zone)
    pad = max((end - begin) // 20, 30 * 86_400_000)
    begin, end = begin - pad, end + pad

    def spot(one: Trend) -> tuple[float, float]:
        return (midnight(one.day, zone) - begin) / (end - begin), TOP + HEIGHT * (
            0.5 - max(-MOST, min(MOST, one.share)) / (2 * MOST)
        )

    content = [
        element("line", x1=0, x2="100%", y1=TOP + HEIGHT * (0.5 - level / (2 * MOST)),
                y2=TOP + HEIGHT * (0.5 - level / (2 * MOST)), class_="zero" if not level else "limit")
        for level in (-1, 0, 1)
    ]  # fmt: skip
    content += [
        element("text", text, x=-8, y=TOP + HEIGHT * (0.5 - level / (2 * MOST)) + 4, class_="tick", text_anchor="end")
        for level, text in ((-1, "−MPE"), (0, "0"), (1, "+MPE"))
    ]
    for one in trend:
        x, y = spot(one)
        said = element("title", f"{one.day} {one.event}, {one.nominal}: {100 * one.share:+.0f} % MPE")
        look = "found" if one.when == "found" else "left"
        content.append(element("circle", said, cx=share(x), cy=y, r=5, class_=f"spot {look}"))
    content += _years(begin, end, zone, TOP + HEIGHT + FOOT - 6)
    svg = picture(name, title, words("calibration.trend-said", n=len(trend)), TOP + HEIGHT + FOOT, *content)
    whens: Mapping[str, str] = {when: words(f"calibration.as-{when}") for when in ("found", "left")}
    legend = tuple(
        Key(element("svg", element("circle", cx=8, cy=8, r=5, class_=f"spot {when}"), width=16, height=16,
                    aria_hidden="true"), text)
        for when, text in whens.items()
        if any(one.when == when for one in trend)
    )  # fmt: skip
    columns = [Column(words("col.day")), Column(words("calibration.event")), Column(words("calibration.point")),
               Column(words("calibration.when")), Column(words("calibration.of-mpe"), Kind.SHARE, _signed)]  # fmt: skip
    rows = [
        [Cell(one.day.isoformat()), Cell(one.event), Cell(str(one.nominal)), Cell(whens[one.when]), Cell(one.share)]
        for one in trend
    ]
    return Chart(name, title, svg, legend, Table(f"{name}-table", title, columns, rows))


def _signed(value: object) -> str:
    return f"{100 * value:+.1f} %" if isinstance(value, float) else "–"


def _years(begin: int, end: int, zone: ZoneInfo, y: float) -> list[Markup]:
    first, last = (int(instant(t_ms, zone, "%Y")) for t_ms in (begin, end))
    found = []
    for year in range(first, last + 1):
        at_ms = midnight(date(year, 1, 1), zone)
        place = (at_ms - begin) / (end - begin)
        if EDGE < place < 1 - EDGE:
            found.append(element("text", str(year), x=share(place), y=y, class_="tick", text_anchor="middle"))
    return found
