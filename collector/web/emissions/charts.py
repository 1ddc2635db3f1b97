"""The explorer's figures as charts."""

from __future__ import annotations

from collections.abc import Sequence

from collector.hours.calendar import By
from collector.web.chart.bars import draw_bars
from collector.web.chart.heat import Square, draw_heat
from collector.web.chart.model import Bucket, Chart, Row
from collector.web.chart.series import draw_series
from collector.web.chart.strip import draw_strip
from collector.web.emissions.gather import DAY_MS, Explored, Line, Map, Step
from collector.web.emissions.groups import Group, expanded, label_of, largest, opened
from collector.web.frame import View
from collector.web.period import Period
from collector.web.shown import mass_unit

MOST_BARS = 200
"""More bars than this are too narrow to tell their parts; the curve shows them."""
TICKS = {By.HOUR: "%H:%M", By.DAY: "%m-%d", By.MONTH: "%Y-%m", By.YEAR: "%Y"}


def charts_of(found: Explored, groups: Sequence[Group], detail: Map | None, view: View) -> dict[str, Chart | None]:
    """The charts that the period has something to show in, by what they are; None: nothing to show."""
    words, unit = view.words, mass_unit(largest(found))
    buckets = [_bucket(found, step, view) for step in found.steps]
    totals = [step.co2e_mg for step in found.steps]
    u = [expanded(step.u_mg) for step in found.steps]
    rows = [Row(group.name, [group.value(place) for place in range(len(buckets))]) for group in groups]
    return {
        "bars": draw_bars("bars", words("emissions.bars"), buckets, rows, unit, words, total_u=u)
        if len(buckets) <= MOST_BARS else None,
        "series": draw_series(
            "series", words("emissions.series"), buckets, Row(words("col.total"), totals, u), unit, words
        ) if len(buckets) > 1 else None,
        "strip": draw_strip("strip", words("emissions.strip"), [
            (group.name, [_covered(bucket, group.lines, found.steps[n], place=n, found=found)
                          for n, bucket in enumerate(buckets)])
            for group in groups
        ], words),
        "heat": _heat(found, detail, view) if detail else None,
    }  # fmt: skip


def _heat(found: Explored, detail: Map, view: View) -> Chart | None:
    """Hours under days, or days under months: the local date decides the row, the local hour or day the column."""
    words, period = view.words, Period(found.period.from_ms, found.period.to_ms, detail.by, found.period.zone)
    row_form, column_form = ("%m-%d", "%H") if detail.by is By.HOUR else ("%Y-%m", "%d")
    names = [f"{n:02}" for n in (range(24) if detail.by is By.HOUR else range(1, 32))]
    lines: dict[str, dict[str, Square]] = {}
    for step in detail.steps:
        row, column = view.local(step.span[0], row_form), view.local(step.span[0], column_form)
        one = Period(*step.span, detail.by, period.zone)
        opened = one.opened(step.span) or one
        bucket = Bucket(label_of(step.span, period, view), column, step.covered, view.address(**opened.query))
        lines.setdefault(row, {}).setdefault(column, Square(bucket, step.co2e_mg))
    unit = mass_unit(max((abs(step.co2e_mg or 0) for step in detail.steps), default=0))
    rows = [(row, [squares.get(name) for name in names]) for row, squares in lines.items()]
    return draw_heat("heat", words(f"emissions.heat.{detail.by.value}"), names, rows, unit, words)


def _bucket(found: Explored, step: Step, view: View) -> Bucket:
    return Bucket(
        label_of(step.span, found.period, view), view.local(step.span[0], _tick(found.period)),
        step.covered, opened(found, step.span, None, view),
    )  # fmt: skip


def _covered(bucket: Bucket, lines: Sequence[Line], step: Step, place: int, found: Explored) -> Bucket:
    """The bucket with only these lines' completeness."""
    whole = sum(line.covered_ms[place] for line in found.lines)
    if not step.covered or not whole:
        return bucket
    due_ms = whole / step.covered * len(lines) / len(found.lines)
    own = min(1.0, sum(line.covered_ms[place] for line in lines) / due_ms)
    return Bucket(bucket.label, bucket.tick, own, bucket.href)


def _tick(period: Period) -> str:
    """The form of a label under the axis; hours of several days are told by their day."""
    return TICKS[By.DAY if period.by is By.HOUR and period.to_ms - period.from_ms > 2 * DAY_MS else period.by]
