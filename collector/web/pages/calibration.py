"""Calibration: which instruments are due, how each one stands, and the files that prove it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from calibration.due import Bucket
from collector.accounts.reach import Limit, Reach
from collector.accounts.roles import Permission
from collector.api.gate import needs, reach_of
from collector.books import Books
from collector.calibration.feed import calendar
from collector.calibration.overview import Standing, due
from collector.clock import now_ms
from collector.store.evidence_files import file_of
from collector.web.calibration import SIGNS, Asked, asked_of, gather, gather_one
from collector.web.chart.statuses import draw_statuses, draw_trend
from collector.web.export import exported, provenance_of
from collector.web.frame import Entry, Frame, View
from collector.web.qr import drawn
from collector.web.table import Cell, Column, Kind, Table

ENTRY = Entry("calibration", "/calibration", section="evidence", limited=True)
INLINE = frozenset({"application/pdf", "image/jpeg", "image/png", "image/webp"})
"""Shown by a browser itself; everything else is downloaded."""
CALENDAR = "text/calendar; charset=utf-8"

Known = Annotated[str, Query(max_length=40)]


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages, the calendar and the files."""
    _add_lists(router, books, frame)
    _add_one(router, books, frame)


def _add_lists(router: APIRouter, books: Books, frame: Frame) -> None:
    @router.get("/calibration")
    @needs(Permission.READ, Limit.APPLIED)
    def list_page(request: Request, known: Known = "", state: str = "", all: str = "") -> Response:  # noqa: A002
        view = frame.open(request)
        asked, found, refused = _found_by(books, view, known)
        if refused is not None:
            return refused
        if view.site is not None and len(view.sites) > 1:
            found = tuple(one for one in found if one.site == view.site.id)
        listed = due(found)
        counts = Counter(one.bucket for one in listed)
        shown: Sequence[Standing] = found if all else listed
        shown = [one for one in shown if not state or one.status.state.value == state]
        table = _table(shown, view)
        if "format" in request.query_params:
            with books.database.reading() as connection:
                _, basis = gather(books, connection, asked, view.reach)
            more = ((view.words("export.what"), view.words("calibration.title")),
                    (view.words("calibration.known"), asked.known or view.words("calibration.known-now")))  # fmt: skip
            return exported(
                request.query_params["format"], [table], None, provenance_of(view, basis, more), "calibration", view
            )
        return view.render(
            "calibration.html", found=shown, every=len(found), counts=counts, buckets=tuple(Bucket), signs=SIGNS,
            states=sorted({one.status.state for one in found}, key=lambda one: one.value), state=state, all=all,
            known=asked.known, sites={site.id: site for site in view.sites},
        )  # fmt: skip

    @router.get("/calibration/due.ics")
    @needs(Permission.READ, Limit.APPLIED)
    def feed(request: Request) -> Response:
        view = frame.open(request)
        _, found, _ = _found_by(books, view, "")
        base = str(request.base_url).rstrip("/")
        return Response(calendar(found, base, now_ms()), media_type=CALENDAR)


def _add_one(router: APIRouter, books: Books, frame: Frame) -> None:
    @router.get("/calibration/instruments/{instrument}")
    @needs(Permission.READ, Limit.APPLIED)
    def instrument_page(request: Request, instrument: str, known: Known = "") -> Response:
        view = frame.open(request)
        site = view.site.id if view.site is not None else None
        with books.database.reading() as connection:
            try:
                asked = asked_of(connection, known, view.site_zone, view.now_ms)
            except ValueError:
                return view.error(422, view.words("calibration.known-unreadable", seen=known))
            found = gather_one(books, connection, instrument, site, asked, view.reach)
        if found is None:
            return view.error(404, view.words("calibration.unknown-instrument", seen=instrument[:64]))
        zone = ZoneInfo(found.standing.zone)
        strip = draw_statuses("life", view.words("calibration.strip"), found.stretches, found.marks, asked.at_ms, zone,
                              view.words)  # fmt: skip
        trend = draw_trend("trend", view.words("calibration.trend"), found.trend, zone, view.words)
        return view.render(
            "instrument.html", page=found, one=found.standing, instrument=found.standing.instrument, strip=strip,
            trend=trend, signs=SIGNS, known=asked.known,
        )  # fmt: skip

    @router.get("/calibration/instruments/{instrument}/label")
    @needs(Permission.READ, Limit.APPLIED)
    def label(request: Request, instrument: str) -> Response:
        view = frame.open(request)
        _, found, _ = _found_by(books, view, "")
        one = next((one for one in found if one.instrument.id == instrument), None)
        if one is None:
            return view.error(404, view.words("calibration.unknown-instrument", seen=instrument[:64]))
        base = str(request.base_url).rstrip("/")
        address = f"{base}/calibration/instruments/{quote(instrument, safe='')}"
        return view.render("label.html", one=one, qr=drawn(address), address=address)

    @router.get("/calibration/files/{sha256}")
    @needs(Permission.READ, Limit.APPLIED)
    def file(request: Request, sha256: str) -> Response:
        reach = reach_of(request)
        with books.database.reading() as connection:
            kept = file_of(connection, sha256)
            if kept is None or (reach.is_limited and sha256 not in _within(books, connection, reach)):
                view = frame.open(request)
                return view.error(404, view.words("calibration.unknown-file"))
        about, data = kept
        how = "inline" if about.media_type in INLINE else "attachment"
        ending = about.media_type.rpartition("/")[2]
        headers = {
            "Content-Disposition": f'{how}; filename="{about.sha256[:16]}.{ending}"',
            "Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff",
        }  # fmt: skip
        return Response(data, media_type=about.media_type, headers=headers)


def _found_by(books: Books, view: View, known: str) -> tuple[Asked, tuple[Standing, ...], Response | None]:
    with books.database.reading() as connection:
        try:
            asked = asked_of(connection, known, view.site_zone, view.now_ms)
        except ValueError:
            return Asked(0, None, ""), (), view.error(422, view.words("calibration.known-unreadable", seen=known))
        found, _ = gather(books, connection, asked, view.reach)
    return asked, found, None


def _within(books: Books, connection: Connection, reach: Reach) -> frozenset[str]:
    """Files that events of the instruments inside a reach name."""
    inside, _ = gather(books, connection, Asked(now_ms(), None, ""), reach)
    lives = books.trust.lives(connection)
    return frozenset(
        event.document.sha256
        for one in inside
        for event, _ in lives.events(one.instrument.id)
        if event.document is not None and event.document.sha256
    )


def _table(found: Sequence[Standing], view: View) -> Table:
    """A line per instrument, as the page shows it and as a file."""
    words = view.words
    names = ("instrument", "serial", "name", "site", "regime", "location", "duty-holder")
    columns = [
        *(Column(words(f"calibration.{name}")) for name in names), Column(words("col.state")),
        Column(words("calibration.last-day")), Column(words("calibration.days"), Kind.COUNT),
        Column(words("calibration.cause")),
    ]  # fmt: skip
    rows = [
        [
            Cell(one.instrument.id), Cell(one.instrument.serial), Cell(view.named(one.instrument) or None),
            Cell(one.site or None), Cell(words(f"regime.{one.instrument.regime.value}")),
            Cell(one.instrument.location or None), Cell(one.instrument.duty_holder or None),
            Cell(words(f"calibration.{one.status.state.value}")),
            Cell(None if one.last_day is None else one.last_day.isoformat()), Cell(one.days),
            Cell(one.status.cause or None),
        ]
        for one in found
    ]  # fmt: skip
    return Table("instruments", words("calibration.title"), columns, rows)
