from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.web.chart.bars import draw_bars
from collector.web.chart.heat import Square, draw_heat
from collector.web.chart.model import Bucket, Chart, Row, State
from collector.web.chart.scale import every, nice_scale, tick_text
from collector.web.chart.series import draw_series
from collector.web.chart.strip import draw_strip
from collector.web.language import Words
from collector.web.shown import mass_unit

EN = Words("en")
KG = mass_unit(5_000_000)
ONE = 1_000_000
"""A kilogram in mg."""


def parsed(chart: Chart | None) -> ElementTree.Element:
    """The drawing as XML."""
    assert chart is not None
    return ElementTree.fromstring(str(chart.svg))  # noqa: S314 -- our own drawing


def of(root: ElementTree.Element, name: str, look: str | None = None) -> list[ElementTree.Element]:
    """Elements of a name and class, wherever they are."""
    return [one for one in root.iter(name) if look is None or look in (one.get("class") or "").split()]


def titles(root: ElementTree.Element) -> Iterator[str]:
    """What each part says when pointed at."""
    return (one.text or "" for one in root.iter("title"))


def days(*covered: float | None) -> list[Bucket]:
    """Buckets of a month, known to these shares."""
    return [Bucket(f"2026-01-{n + 1:02}", f"{n + 1}", share, f"/d/{n + 1}") for n, share in enumerate(covered)]


@given(st.lists(st.floats(-1e18, 1e18), min_size=1, max_size=20), st.integers(3, 8))
def test_a_scale_holds_its_values_and_zero_in_round_steps(values: list[float], most: int) -> None:
    """Few ticks, evenly apart, 1, 2, 2.5 or 5 times a power of ten, from below the least to above the greatest."""
    scale = nice_scale(values, most)
    step = scale.ticks[1] - scale.ticks[0]
    low, high = min(0.0, *values), max(0.0, *values)

    assert 2 <= len(scale.ticks) <= most + 2
    assert scale.ticks[0] - step * 1e-6 <= low
    assert high <= scale.ticks[-1] + step * 1e-6
    assert any(tick == 0 for tick in scale.ticks)
    assert f"{step:.1e}"[:3] in {"1.0", "2.0", "2.5", "5.0"}


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "0"), (-2.5, "\u22122.5"), (12_500.0, "12\u202f500"), (0.05, "0.05")]
)
def test_a_tick_has_no_needless_digits(value: float, expected: str) -> None:
    """Groups of three, a true minus, no trailing noughts."""
    assert expected == tick_text(value)


def test_labels_are_few_and_evenly_apart() -> None:
    """Hours are labelled by whole days, and never more labels than fit."""
    assert [1, 3, 24, 72] == [every(count, 12) for count in (12, 31, 24 * 12, 744)]


def test_bars_stack_up_and_down_from_zero() -> None:
    """Positive parts on top of each other, negative ones below zero; heights are true to scale."""
    rows = [Row("grid", [2 * ONE, ONE]), Row("export", [-ONE, None]), Row("boiler", [2 * ONE, ONE])]
    root = parsed(draw_bars("c", "t", days(1.0, 1.0), rows, KG, EN, height=200))
    pieces = [(float(one.get("y", 0)), float(one.get("height", 0))) for one in of(root, "rect", "piece")]
    zero = float(of(root, "line", "zero")[0].get("y1", 0))
    grid, export, boiler = pieces[:3]

    assert 5 == len(pieces)
    assert [zero, grid[0], zero, 2 * export[1], 2 * export[1]] == pytest.approx(
        [grid[0] + grid[1], boiler[0] + boiler[1], export[0], grid[1], boiler[1]], abs=0.02
    )


def test_a_bar_says_its_parts_its_total_and_its_uncertainty() -> None:
    """Each part names itself; the whisker spans U to both sides of the total and says it."""
    rows = [Row("grid", [ONE]), Row("boiler", [3 * ONE])]
    root = parsed(draw_bars("c", "t", days(1.0), rows, KG, EN, height=200, total_u=[ONE]))
    (whisker,) = of(root, "line", "whisker")
    scale_px = float(of(root, "rect", "piece")[0].get("height", 0))

    assert ["2026-01-01: 4.000 ± 1.000 kg"] == list(titles(whisker))
    assert "2026-01-01\nboiler: 3.000 kg" in list(titles(root))
    assert pytest.approx(2 * scale_px) == float(whisker.get("y2", 0)) - float(whisker.get("y1", 0))


def test_unknown_is_dotted_full_height_and_partly_known_hatched() -> None:
    """No data is neither no bar nor one of zero; an incomplete bar is veiled; a known zero draws nothing."""
    chart = draw_bars("c", "t", days(0.0, 0.5, 1.0, 1.0), [Row("x", [None, ONE, 0, 2 * ONE])], KG, EN, height=200)
    root = parsed(chart)
    (none,), (part,) = of(root, "rect", "none"), of(root, "rect", "part")

    assert chart is not None
    assert (200.0, "url(#c-none)", "url(#c-part)") == (float(none.get("height", 0)), none.get("fill"), part.get("fill"))
    assert ["2026-01-01: no data"] == list(titles(none))
    assert ["2026-01-02: 1.000 kg (incomplete)"] == list(titles(part))
    assert ["x", "incomplete", "no data, which is not zero"] == [key.text for key in chart.legend]
    assert ["–", "1.000", "0.000", "2.000"] == [chart.table.columns[1].shown(row[1].value) for row in chart.table.rows]


def test_a_curve_breaks_where_nothing_is_known() -> None:
    """Two stretches are two curves and two bands, with a dotted gap between; none of them touches zero."""
    buckets = days(1.0, 1.0, 0.0, 0.4, 1.0)
    row = Row("total", [ONE, 2 * ONE, None, ONE, ONE], [ONE / 10] * 5)
    root = parsed(draw_series("c", "t", buckets, row, KG, EN, height=100))
    curves = [one.get("d", "") for one in of(root, "path", "curve")]

    assert (2, 2) == (len(curves), len(of(root, "path", "band")))
    assert ["M100.0", "M700.0"] == [curve.split()[0] for curve in curves]
    assert (["40%"], ["60%"]) == tuple([one.get("x") for one in of(root, "rect", look)] for look in ("none", "part"))
    assert "2026-01-03: no data" in list(titles(root))
    assert "2026-01-02: 2.000 ± 0.100 kg" in list(titles(root))


def test_a_lone_known_bucket_is_seen() -> None:
    """Between two gaps a value is a short line, not a point without extent."""
    root = parsed(draw_series("c", "t", days(0.0, 1.0, 0.0), Row("x", [None, ONE, None]), KG, EN))
    (curve,) = of(root, "path", "curve")
    places = [float(place) for place in re.findall(r"[ML]([\d.]+) ", curve.get("d", ""))]

    assert places[0] < places[1]


def test_a_heat_map_names_its_classes_and_leaves_out_what_is_no_time() -> None:
    """Lightness grows with the value; 30 February has no cell; unknown hours are dotted, incomplete ones hatched."""
    values: Sequence[float | None] = (ONE, 6 * ONE, None)
    cells = [Square(bucket, value) for bucket, value in zip(days(1.0, 0.5, 0.0), values, strict=True)]
    chart = draw_heat("c", "t", ["1", "2", "3", "4"], [("01", [*cells, None])], KG, EN)
    root = parsed(chart)
    classes = [one.get("class") for one in of(root, "rect") if re.fullmatch(r"h\d", one.get("class") or "")]

    assert chart is not None
    assert ["h1", "h5"] == classes
    assert (1, 1) == (len(of(root, "rect", "none")), len(of(root, "rect", "part")))
    assert ["0–1", "1–2", "2–3", "3–4", "4–5", "5–6 kg"] == [key.text for key in chart.legend[:6]]
    assert ["01", "1", "6", "–", "–"] == [
        column.shown(cell.value) for column, cell in zip(chart.table.columns, chart.table.rows[0], strict=True)
    ]


def test_a_heat_map_dots_neighbours_without_data_as_one() -> None:
    """One textured piece for a run of them, which a printer draws at once; each still says its time and opens it."""
    cells = [Square(bucket, value) for bucket, value in zip(days(1.0, 0.0, 0.0), (ONE, None, None), strict=True)]
    root = parsed(draw_heat("c", "t", ["1", "2", "3"], [("01", cells), ("02", [None, *cells[1:]])], KG, EN))

    assert ["66.667%"] * 2 == [one.get("width") for one in of(root, "rect", "none")]
    assert 4 == len(of(root, "rect", "clear"))
    assert 2 == list(titles(root)).count(EN("chart.none", time="2026-01-03"))


def test_a_strip_shows_how_much_is_known() -> None:
    """Whole, part and none look different and say their share; 99.95 % is whole only for the eye, not in the table."""
    chart = draw_strip("c", "t", [("grid", days(1.0, 0.25, 0.0, None))], EN)
    looks = [one.get("class") for one in of(parsed(chart), "rect") if one.get("height") == "17"]
    (filled,) = of(parsed(chart), "rect", "filled")

    assert chart is not None
    assert (["whole", "part", "none", "none"], "4.25") == (looks, filled.get("height"))
    assert ["100.0\u202f%", "25.0\u202f%", "0.0\u202f%", "–"] == [
        chart.table.columns[1].shown(row[1].value) for row in chart.table.rows
    ]
    assert "2026-01-02: 25.0\u202f% complete" in list(titles(parsed(chart)))


def test_a_strip_of_many_buckets_is_drawn_in_runs() -> None:
    """Neighbours of one state are one piece; the table still has a line for each."""
    buckets = [Bucket(f"{n}", f"{n}", 1.0 if n < 100 else 0.0) for n in range(300)]
    chart = draw_strip("c", "t", [("grid", buckets)], EN)
    root = parsed(chart)

    assert chart is not None
    assert (1, 1, 300) == (len(of(root, "rect", "whole")), len(of(root, "rect", "none")), len(chart.table.rows))


def test_nothing_known_draws_no_chart() -> None:
    """A page then says in words what comes next."""
    assert None is draw_bars("c", "t", days(0.0), [Row("x", [None])], KG, EN)
    assert None is draw_series("c", "t", days(0.0), Row("x", [None]), KG, EN)
    assert None is draw_heat("c", "t", ["1"], [("1", [Square(days(0.0)[0], None)])], KG, EN)
    assert None is draw_strip("c", "t", [], EN)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_chart_is_named_described_and_opened_by_a_pointer(language: str) -> None:
    """A title and a description for screen readers, ids of its own, links that the keyboard finds in the table."""
    words, buckets = Words(language), days(1.0, 0.5)
    charts = [
        draw_bars("a", "一 & <b>", buckets, [Row('"x"', [ONE, ONE])], KG, words),
        draw_series("b", "一 & <b>", buckets, Row('"x"', [ONE, ONE]), KG, words),
        draw_heat("c", "一 & <b>", ["1", "2"], [("x", [Square(one, ONE) for one in buckets])], KG, words),
        draw_strip("d", "一 & <b>", [("x", buckets)], words),
    ]
    ids: list[str] = []
    for chart in charts:
        root = parsed(chart)
        assert chart is not None
        named = [one for one in root.iter() if one.get("id") in (root.get("aria-labelledby") or "").split()]
        ids += [one.get("id", "") for one in root.iter() if one.get("id")]

        assert ["title", "desc"] == [one.tag for one in named]
        assert "一 & <b>" == named[0].text
        assert ({"-1"}, {"/d/1", "/d/2"}) == (
            {one.get("tabindex") for one in root.iter("a")}, {one.get("href") for one in root.iter("a")}
        )  # fmt: skip
        assert chart.table.rows
    assert len(ids) == len(set(ids))


def test_the_state_of_a_bucket() -> None:
    """A few milliseconds short still count as whole; not begun and without data are none."""
    states = [Bucket("", "", share).state for share in (1.0, 0.9995, 0.99, 0.0, None)]

    assert [State.WHOLE, State.WHOLE, State.PART, State.NONE, State.NONE] == states
