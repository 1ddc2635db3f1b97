"""The inventory: this month or this year as the ledger stands now, the versions built, and the form that builds one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.hours.calendar import By, span_of
from collector.hours.cells import HOUR_MS
from collector.inventory.model import Inventory
from collector.inventory.profile import load_profile
from collector.store.inventories import all_versions, build_inventory, compose_inventory
from collector.store.series import read_extent
from collector.web.drill import open_drill
from collector.web.frame import Entry, Frame, View
from collector.web.period import Asked, PeriodError
from collector.web.shown import instant
from protocols.errors import EmitraceError

ENTRY = Entry("inventory", "/inventory")
LOCAL_HOUR = "%Y-%m-%dT%H:%M"
SPANS = {"month": By.MONTH, "year": By.YEAR}


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its form."""
    profile, _ = load_profile(books.config.settings.inventory.profile)

    def page_of(view: View, status: int = 200, said: str | None = None, **form: str) -> Response:
        at_ms = now_ms()
        query = view.request.query_params
        live = query.get("live") if query.get("live") in SPANS else "month"
        with books.database.reading() as connection:
            extent = read_extent(connection)
            versions = all_versions(connection)
            from_ms, to_ms = span_of(at_ms, SPANS[live or "month"], view.site_zone)
            values: dict[str, Any] = {"inventory": None, "d": None, "due_ms": 0}
            if extent is not None and extent[1] > from_ms:
                begin_ms, end_ms = max(from_ms, extent[0]), min(to_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
                end_ms = max(end_ms, min(to_ms, extent[1]))  # a clock ahead of ours
                inventory = compose_inventory(
                    connection, books.plans, begin_ms, end_ms, profile.gwp.default, profile.id
                )
                values = {
                    "inventory": inventory, "due_ms": _due(inventory, at_ms),
                    "d": open_drill(connection, inventory, view.site_zone, "/inventory", query),
                }  # fmt: skip
        month_ms, _ = span_of(at_ms, By.MONTH, view.site_zone)
        asked = {
            "build_from": instant(month_ms, view.site_zone, LOCAL_HOUR),
            "build_to": instant(at_ms - at_ms % HOUR_MS + HOUR_MS, view.site_zone, LOCAL_HOUR),
            "gwp_default": profile.gwp.default,
        }
        return view.render(
            "inventory.html", status, versions=versions, live=live, said=said, gwp_sets=profile.gwp.allowed,
            **values, **(asked | form),
        )  # fmt: skip

    @router.get("/inventory")
    @needs(Permission.READ)
    def inventory_page(request: Request) -> Response:
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
        try:
            if gwp not in profile.gwp.allowed:
                raise PeriodError(words("gwp.unknown", seen=gwp[:16], known=", ".join(profile.gwp.allowed)))
            period = Asked(from_, to).period(words, view.site_zone, at_ms)
            stored = build_inventory(books.database, books.plans, *period, gwp, at_ms, profile.id)
        except (PeriodError, EmitraceError) as error:
            said = str(error) if isinstance(error, PeriodError) else words("refused", seen=error)
            return page_of(view, 422, said, build_from=from_, build_to=to, gwp_default=gwp)
        return RedirectResponse(f"/inventory/{stored.version}?done=built", status_code=303)


def _due(inventory: Inventory, at_ms: int) -> int:
    """What of a running period has gone by, per source and gas. [ms]"""
    covered = max((row.covered_ms for row in inventory.rows), default=0)
    return max(min(at_ms, inventory.to_ms) - inventory.from_ms, covered)
