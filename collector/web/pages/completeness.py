"""Data completeness: every point on every day, with reasons; a day opens what is known of its gaps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.hours.calendar import By
from collector.store.completeness import PointDay, read_completeness, read_gaps
from collector.store.knowledge import known_now
from collector.web.chart.heat import Square, draw_heat
from collector.web.chart.model import Bucket, Chart
from collector.web.export import exported, provenance_of
from collector.web.frame import Entry, Frame, View
from collector.web.pages.explain import fate_words
from collector.web.period import Period, PeriodError, read_period
from collector.web.table import Cell, Column, Kind, Line, Table

ENTRY = Entry("completeness", "/completeness", section="evidence", limited=True)
MOST_DAYS = 100
"""More days than this are no picture; a longer period is asked for by parts."""


LABEL = 8
"""Characters that fit beside the chart."""


class _Percent:
    """Shares of 0 to 1 in per cent; never 100 unless whole."""

    name = "%"
    size = 0.01

    def text(self, value: float) -> str:
        """One decimal."""
        shown = f"{100 * value:.1f}"
        return "99.9" if shown == "100.0" and value < 1 else shown


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page."""

    @router.get("/completeness")
    @needs(Permission.READ, Limit.APPLIED)
    def completeness_page(request: Request) -> Response:
        view, query = frame.open(request), request.query_params
        words, site = view.words, view.site or (view.sites[0] if view.sites else None)
        if site is None:
            return view.render("completeness.html", site=None)
        usual = view.usual(By.MONTH, site.zone)
        try:
            period = read_period(
                {name: query.get(name, "") for name in ("from", "to")}, words, site.zone, view.now_ms, usual
            )
            if period.to_ms - period.from_ms > (MOST_DAYS + 1) * 86_400_000:
                raise PeriodError(words("completeness.long", most=MOST_DAYS))
        except PeriodError as error:
            return view.error(422, str(error))
        view.reach.need_period(period.from_ms, period.to_ms)
        with books.database.reading() as connection:
            found = read_completeness(connection, books.plans, site, period.from_ms, period.to_ms, view.now_ms)
            days = sorted({one.day for one in found})
            opened = query.get("day") if query.get("day") in days else None
            of_day = [one for one in found if one.day == opened]
            gaps = read_gaps(connection, site, of_day[0].span, view.now_ms) if of_day else None
            known = known_now(connection)
        table = _table(found, view)
        if "format" in query:
            basis = ((words("export.what"), words("completeness.title")), (words("site"), view.named(site)))
            name = f"completeness-{period.text(period.from_ms)[:10]}"
            return exported(query["format"], [table], None, provenance_of(view, known, basis), name, view)
        return view.render(
            "completeness.html", site=site, period=period, found=found, table=table, of_day=of_day, gaps=gaps,
            opened=opened, chart=_chart(found, days, view), expected=sum(one.expected for one in found),
            with_value=sum(one.with_value for one in found), silent=sum(one.silent for one in found),
            lost=sum(one.lost for one in found),
            accounted=sum(one.accounted for one in found), excess=[one for one in found if one.excess],
            fate=partial(fate_words, view), before=_moved(view, period, -1),
            after=_moved(view, period, 1) if period.to_ms <= view.now_ms else None,
            last_day=period.text(period.to_ms - 1)[:10], day_address=lambda day: view.address(day=day) + "#day",
        )  # fmt: skip


def _moved(view: View, period: Period, steps: int) -> str | None:
    moved = period.shifted(steps)
    if not view.reach.covers(moved.from_ms, moved.to_ms):
        return None
    return view.address(**{"from": moved.text(moved.from_ms), "to": moved.text(moved.to_ms), "day": None})


def _chart(found: Sequence[PointDay], days: Sequence[str], view: View) -> Chart | None:
    """Points under days: the share of due slots with a value; a day of which nothing came is dotted, never left out."""
    by_point: dict[str, dict[str, PointDay]] = {}
    for one in found:
        by_point.setdefault(one.point, {})[one.day] = one

    def square(one: PointDay | None) -> Square | None:
        if one is None or not one.expected:
            return None
        share = min(one.with_value / one.expected, 1.0)
        bucket = Bucket(f"{one.point} {one.day}", one.day[5:], share, view.address(day=one.day) + "#day")
        return Square(bucket, share if one.accounted else None)

    rows = [(_short(point), [square(own.get(day)) for day in days]) for point, own in sorted(by_point.items())]
    title = view.words("completeness.chart")
    return draw_heat("completeness", title, [day[5:] for day in days], rows, _Percent(), view.words)


def _short(point: str) -> str:
    """What of a point's name fits beside the chart: its instrument and its end; its cells say the whole."""
    return point if len(point) <= LABEL else f"{point[: LABEL - 4]}…{point[-3:]}"


def _table(found: Sequence[PointDay], view: View) -> Table:
    """A line per point and day, a column per reason; due = accounted for + nothing came - excess."""
    words = view.words
    codes = sorted({code for one in found for code, _ in one.fates})
    columns = [
        Column(words("col.day")), Column(words("hour.point")), Column(words("col.agent")),
        Column(words("completeness.expected"), Kind.COUNT), Column(words("completeness.accounted"), Kind.COUNT),
        *(Column(fate_words(view, code), Kind.COUNT) for code in codes),
        Column(words("completeness.silent"), Kind.COUNT), Column(words("completeness.lost"), Kind.COUNT),
        Column(words("completeness.excess"), Kind.COUNT),
    ]  # fmt: skip
    rows: list[Line] = []
    for one in sorted(found, key=lambda one: (one.day, one.point, one.agent)):
        own = dict(one.fates)
        counts = [one.expected, one.accounted, *(own.get(code, 0) for code in codes), one.silent, one.lost, one.excess]
        rows.append([Cell(one.day), Cell(one.point), Cell(one.agent[:12]), *(Cell(count) for count in counts)])
    return Table("slots", words("completeness.title"), columns, rows)
