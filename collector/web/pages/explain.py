"""Explain this number: a period's figure and its parts, an inventory's figure and its rows, a window and its words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.reach import Limit, OutsideError, Reach
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.api.shapes import fate_name
from collector.api.within import need_within
from collector.books import Books
from collector.hours.calendar import By, span_of
from collector.hours.cells import cell_of
from collector.inventory.matrix import matrix_of
from collector.inventory.model import Inventory, InventoryRow
from collector.inventory.profile import load_profile
from collector.store.explain_window import explain_window
from collector.store.inventories import read_inventory
from collector.store.knowledge import known_now
from collector.store.plans import newest_plan
from collector.store.series import SeriesRow
from collector.store.trail import Level, Named, find_series, read_level
from collector.web.addresses import bundle_address, figure_address, hour_address, trail_address
from collector.web.causes import names_of, shares_of, text_of
from collector.web.frame import Frame, View
from collector.web.pages.hour import duration
from collector.web.period import FIRST_MS, LAST_MS, Period, PeriodError, read_period
from protocols.errors import EmitraceError
from protocols.ghg.gwp import co2e_mg, gwp_set, species
from protocols.plan.model import Method

MOST_VERSIONS = 2**31
MOST_INPUTS = 10_000
MOST_ROWS = 40
"""Rows of one list on a page; the JSON document has them all."""


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages."""
    profile, _ = load_profile(books.config.settings.inventory.profile)

    @router.get("/explain")
    @needs(Permission.READ, Limit.APPLIED)
    def figure_page(request: Request, agent: str = "", source: str = "", gas: str = "") -> Response:
        view, query = frame.open(request), request.query_params
        reach = view.reach
        reach.need_agent(agent)
        try:
            with books.database.reading() as connection:
                named = find_series(connection, books.plans, agent, source, gas)
                usual = view.usual(By.YEAR, named.zone)
                asked = {name: query.get(name, "") for name in ("from", "to")}
                period = read_period(asked, view.words, named.zone, view.now_ms, usual)
                reach.need_period(period.from_ms, period.to_ms)
                level = read_level(connection, named, period.from_ms, period.to_ms)
                plan = newest_plan(connection, books.plans, agent)
                known = known_now(connection)
        except PeriodError as error:
            return view.error(422, str(error))
        except OutsideError:
            raise
        except EmitraceError as error:
            return view.error(404, view.words("hour.unknown", seen=error.subject[:80], hint=error.hint[:400]))
        names = {} if plan is None else names_of(plan)
        return view.render(
            "explain.html", n=named, level=level, known=known, **_figure(named, level, profile.gwp.default, reach),
            shares=shares_of(level.total.total, names, view) if level.total else [],
        )  # fmt: skip

    @router.get("/inventory/{version:int}/explain")
    @needs(Permission.READ, Limit.APPLIED)
    def inventory_page(request: Request, version: int, category: str = "", gas: str = "") -> Response:
        view = frame.open(request)
        try:
            if version >= MOST_VERSIONS:
                raise EmitraceError(f"version {version}", "is not here")
            with books.database.reading() as connection:
                stored = read_inventory(connection, version)
        except EmitraceError:
            return view.error(404, view.words("missing.version", version=version))
        need_within(stored.inventory, version, view.reach)
        found = _cell(stored.inventory, category, gas)
        if found is None:
            return view.error(404, view.words("explain.no-cell", seen=f"{category[:16]} {gas[:16]}"))
        weights = gwp_set(stored.inventory.pinned.gwp_set)
        return view.render(
            "explain-inventory.html", v=stored, cell=found, category=category, gas_name=gas,
            potential=lambda row: weights.potential(row.gwp_record),
            row_address=partial(_row_address, stored.inventory, view.site_zone),
        )  # fmt: skip

    @router.get("/explain/window")
    @needs(Permission.READ, Limit.APPLIED)
    def window_page(
        request: Request, agent: str = "", source: str = "", gas: str = "", input: str = "1"  # noqa: A002 -- the address's
    ) -> Response:  # fmt: skip
        view = frame.open(request)
        try:
            from_ms, number = int(request.query_params.get("from", "")[:16]), int(input[:6]) - 1
            if not FIRST_MS <= from_ms <= LAST_MS or not 0 <= number < MOST_INPUTS:
                raise ValueError(from_ms)
        except ValueError:
            return view.error(422, view.words("explain.unreadable"))
        view.reach.need(agent, from_ms, from_ms + 1)
        try:
            with books.database.reading() as connection:
                named = find_series(connection, books.plans, agent, source, gas)
                found = explain_window(connection, books.plans, agent, source, gas, from_ms, number)
                known = known_now(connection)
        except EmitraceError as error:
            return view.error(404, view.words("hour.unknown", seen=error.subject[:120], hint=error.hint[:400]))
        own = {"agent": agent, "source": source, "gas": gas}
        cell = cell_of(from_ms, named.zone)
        return view.render(
            "explain-window.html", x=found, n=named, known=known, duration=duration,
            text=partial(text_of, view), most=MOST_ROWS, fate=partial(fate_words, view),
            hour=hour_address(**own, at_ms=from_ms), trail=trail_address(**own, span=cell, at_ms=from_ms),
            bundle=bundle_address(**own, span=cell), clock=lambda at_ms: _clock(view, at_ms),
            scale=_scale, hexed=lambda number: f"0x{number:04x}",
        )  # fmt: skip


def fate_words(view: View, code: int) -> str:
    """A fate code in the page's words."""
    name = fate_name(code)
    number = name.removeprefix("exception-")
    return view.words.of("fate", name) if number == name else view.words("fate.exception", code=number)


def _figure(named: Named, level: Level, gwp: str, reach: Reach) -> Mapping[str, Any]:
    """What the page of a period needs besides its level."""
    own = {"agent": named.facts.agent, "source": named.facts.source, "gas": named.gas}
    weights = gwp_set(gwp)
    record = species(named.gas, Method(named.facts.method), weights)
    span = (level.from_ms, level.to_ms)
    at_ms = level.total.total.from_ms if level.total else None
    return {
        "part_address": lambda part: _part_address(own, level, named.zone, part),
        "upward": _upward(own, level, named.zone, reach),
        "trail": trail_address(**own, span=span, at_ms=at_ms), "bundle": bundle_address(**own, span=span),
        "weighed": co2e_mg(level.total.mass_mg, record, weights) if level.total else 0,
        "potential": weights.potential(record), "gwp": gwp, "duration": duration,
        "explorer": "/emissions?" + urlencode(
            Period(*span, level.by, named.zone).query | own | {"site": named.site, "split": "both"}
        ),
    }  # fmt: skip


def _part_address(own: Mapping[str, str], level: Level, zone: ZoneInfo, part: SeriesRow) -> str:
    if level.by is By.HOUR:
        return hour_address(**own, at_ms=part.from_ms)
    return figure_address(**own, period=Period(part.from_ms, part.to_ms, level.by, zone))


def _upward(own: Mapping[str, str], level: Level, zone: ZoneInfo, reach: Reach) -> list[tuple[str, str]]:
    """The year and month that hold the period: (how it is called, address)."""
    found = []
    for by, form in ((By.YEAR, 4), (By.MONTH, 7)):
        span = span_of(level.from_ms, by, zone)
        wider = span[0] <= level.from_ms and level.to_ms <= span[1] and span != (level.from_ms, level.to_ms)
        if wider and reach.covers(*span):
            period = Period(*span, by, zone)
            found.append((period.text(span[0])[:form], figure_address(**own, period=period)))
    return found


def _cell(inventory: Inventory, category: str, gas: str) -> Any:
    """The matrix's total, a row's, a column's or a cell; None where it has none of that name."""
    matrix = matrix_of(inventory)
    number = int(category) if category.isascii() and category.isdigit() and len(category) == 1 else None
    if category and number is None:
        return None
    if number is not None and gas:
        return matrix.cells.get((number, gas))
    if number is not None:
        return matrix.by_category.get(number)
    return matrix.by_gas.get(gas) if gas else matrix.total


def _row_address(inventory: Inventory, zone: ZoneInfo, row: InventoryRow) -> str:
    period = Period(inventory.from_ms, inventory.to_ms, By.MONTH, zone)
    return figure_address(row.agent, row.source, row.gas, period)


def _clock(view: View, at_ms: int) -> str:
    """A time to the millisecond."""
    return f"{view.time(at_ms, '%H:%M:%S')}.{at_ms % 1000:03}"


def _scale(register: Any) -> str:
    """What a register's number is multiplied or divided by."""
    return f"{'×' if register.scale_by == 'multiply' else '÷'} {register.scale.normalize():f}"
