"""The overview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from calibration.status import VALID
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.hours.calendar import By
from collector.web import overview
from collector.web.chart.bars import draw_bars
from collector.web.chart.model import Bucket, Chart, Row
from collector.web.export import exported, provenance_of
from collector.web.frame import Entry, Frame, View
from collector.web.language import LANGUAGES
from collector.web.overview_tables import overview_tables
from collector.web.period import around
from collector.web.preferences import with_query
from collector.web.shown import mass_unit, percent

ENTRY = Entry("overview", "/")


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page."""

    @router.get("/")
    @needs(Permission.READ)
    def overview_page(request: Request) -> Response:
        view, gathered = frame.open(request), overview.gather(books, now_ms())
        details = _details(gathered, view)
        if "format" in request.query_params:
            query = request.query_params
            tables = overview_tables(gathered, view, details["name"], details["fate"])
            basis = provenance_of(view, gathered.known)
            return exported(query["format"], tables, query.get("table"), basis, "overview", view)
        return view.render("overview.html", o=gathered, **details)


def _details(o: overview.Overview, view: View) -> Mapping[str, Any]:
    """What the template needs besides the gathered content."""
    month, words = o.month, view.words
    calibrated = "–"
    if month is not None:
        shares = dict(month.inventory.status_co2e_mg)
        calibrated = percent(sum(shares.get(state.value, 0) for state in VALID), sum(shares.values()))

    def name(agent: str, source: str) -> str:
        return o.names.get((agent, source), (source, source))[words.language != LANGUAGES[0]]

    def fate(reason: str) -> str:
        code = reason.removeprefix("exception-")
        return words.of("fate", reason) if code == reason else words("fate.exception", code=code)

    return {
        "name": name, "fate": fate, "calibrated": calibrated,
        "chart": _chart(o, view),
        "month_href": with_query("/emissions", "", around(o.now_ms, By.MONTH, o.zone).query),
        "largest_hour": max((abs(hour.row.mass_mg) for hour in o.recent), default=0),
    }  # fmt: skip


def _chart(o: overview.Overview, view: View) -> Chart | None:
    """The last day hour by hour; an hour of which nothing is known has no value."""
    words = view.words
    buckets = [
        Bucket(
            view.time(bar.from_ms, "%m-%d %H:%M"), view.time(bar.from_ms, "%H:%M"), bar.covered,
            with_query("/emissions", "", around(bar.from_ms, By.HOUR, view.site_zone).query | {"split": "both"}),
        )
        for bar in o.bars
    ]  # fmt: skip
    values = [bar.co2e_mg if bar.covered or bar.co2e_mg else None for bar in o.bars]
    unit = mass_unit(max((abs(bar.co2e_mg) for bar in o.bars), default=0))
    return draw_bars("day", words("chart"), buckets, [Row(words("col.co2e"), values)], unit, words, height=150)
