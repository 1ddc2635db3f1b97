"""The overview, and the form on it that builds an inventory version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.hours.calendar import By
from collector.inventory.profile import load_profile
from collector.store.inventories import build_inventory
from collector.web import overview
from collector.web.chart.bars import draw_bars
from collector.web.chart.model import Bucket, Chart, Row
from collector.web.frame import Entry, Frame, View
from collector.web.language import LANGUAGES
from collector.web.period import Asked, PeriodError, around
from collector.web.preferences import with_query
from collector.web.shown import instant, mass_unit, percent
from protocols.errors import EmitraceError

ENTRY = Entry("overview", "/")
LOCAL_HOUR = "%Y-%m-%dT%H:%M"


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its form."""

    def page_of(view: View, status: int = 200, said: str | None = None, **form: str) -> Response:
        gathered = overview.gather(books, now_ms())
        values = {**_details(books, gathered, view), **form}
        return view.render("overview.html", status, o=gathered, said=said, **values)

    @router.get("/")
    @needs(Permission.READ)
    def overview_page(request: Request) -> Response:
        return page_of(frame.open(request))

    @router.post("/inventory/build")
    @needs(Permission.BUILD)
    def build(
        request: Request,
        from_: Annotated[str, Form()] = "",
        to: Annotated[str, Form()] = "",
        gwp: Annotated[str, Form()] = "",
    ) -> Response:
        view = frame.open(request)
        words, at_ms = view.words, now_ms()
        profile, _ = load_profile(books.config.settings.inventory.profile)
        try:
            if gwp not in profile.gwp.allowed:
                raise PeriodError(words("gwp.unknown", seen=gwp[:16], known=", ".join(profile.gwp.allowed)))
            period = Asked(from_, to).period(words, view.site_zone, at_ms)
            stored = build_inventory(books.database, books.plans, books.origin, *period, gwp, at_ms, profile.id)
        except (PeriodError, EmitraceError) as error:
            said = str(error) if isinstance(error, PeriodError) else words("refused", seen=error)
            return page_of(view, 422, said, build_from=from_, build_to=to, gwp_default=gwp)
        return RedirectResponse(f"/inventory/{stored.version}?done=built", status_code=303)


def _details(books: Books, o: overview.Overview, view: View) -> Mapping[str, Any]:
    """What the template needs besides the gathered content."""
    profile, _ = load_profile(books.config.settings.inventory.profile)
    month_from, month_to = overview.month_of(o.now_ms, o.zone)
    month, words = o.month, view.words
    calibrated = "–"
    if month is not None:
        shares = dict(month.inventory.status_co2e_mg)
        calibrated = percent(shares.get("in-interval", 0), sum(shares.values()))

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
        "build_from": instant(month_from, o.zone, LOCAL_HOUR), "build_to": instant(month_to, o.zone, LOCAL_HOUR),
        "gwp_sets": profile.gwp.allowed, "gwp_default": profile.gwp.default,
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
