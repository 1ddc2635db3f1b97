"""One hour of one source and gas, opened: method, uncertainty by cause, windows, signed batches, plan, instruments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.reach import Limit, Reach
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.api.shapes import fate_name
from collector.books import Books
from collector.hours.assemble import SCALED
from collector.hours.calendar import By, span_of
from collector.hours.model import HourRow
from collector.hours.sums import sum_of
from collector.inventory.profile import load_profile
from collector.inventory.uncertainty import parts_of
from collector.store.explain import ExplainedHour, explain_hour
from collector.web.addresses import bundle_address, hour_address, trail_address, window_address
from collector.web.causes import Share, names_of, shares_of, text_of
from collector.web.frame import Frame, View
from collector.web.period import FIRST_MS, LAST_MS, Period, read_instant
from protocols.errors import EmitraceError
from protocols.exact import sum_exact
from protocols.ghg.gwp import Potential, co2e_mg, gwp_set, species
from protocols.plan.model import Method
from protocols.records import fate_of

MINUTE = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class Weighed:
    """The mass as CO2 equivalent [mg], by which record of which set."""

    co2e_mg: int
    gwp_set: str
    potential: Potential


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page."""

    @router.get("/emissions/hour")
    @needs(Permission.READ, Limit.APPLIED)
    def hour_page(request: Request, agent: str = "", source: str = "", gas: str = "", at: str = "") -> Response:
        view = frame.open(request)
        try:
            at_ms = _instant(at, view)
        except ValueError:
            return view.error(422, view.words("hour.unreadable", seen=at[:40]))
        reach = view.reach
        reach.need(agent, at_ms, at_ms + 1)
        try:
            with books.database.reading() as connection:
                found = explain_hour(connection, books.plans, agent, source, gas, at_ms)
        except EmitraceError as error:
            return view.error(404, view.words("hour.unknown", seen=f"{error.subject[:80]}", hint=error.hint[:400]))
        reach.need_period(*found.cell)
        return view.render("hour.html", h=found, **_details(books, found, view, reach))


def _instant(text: str, view: View) -> int:
    """UTC ms, or a time of the facility."""
    at_ms = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else read_instant(text, view.site_zone)
    if not FIRST_MS <= at_ms <= LAST_MS:
        raise ValueError(text)
    return at_ms


def _details(books: Books, h: ExplainedHour, view: View, reach: Reach) -> dict[str, Any]:
    row = h.row.row if h.row else None
    covered = row.measured_ms + row.stopped_ms if row else 0
    stated = sum_exact(one.window.mass_mg for one in h.windows)

    def fate(code: int) -> str:
        name = fate_name(code)
        number = name.removeprefix("exception-")
        return view.words.of("fate", name) if number == name else view.words("fate.exception", code=number)

    day = Period(*span_of(h.cell[0], By.DAY, h.zone), By.HOUR, h.zone)
    own = {"agent": h.facts.agent, "source": h.facts.source, "gas": h.gas}
    return {
        "row": row, "covered": covered, "whole": h.cell[1] - h.cell[0], "stated": stated,
        "scaled": row is not None and row.method == SCALED, "weighed": _weigh(books, h, row),
        "shares": _shares(h, row, view), "fate": fate, "bounds": lambda span: _bounds(view, span),
        "sequences": {one.item: one.sequence for one in h.batches}, "duration": duration,
        "before": hour_address(**own, at_ms=h.cell[0] - 1), "after": hour_address(**own, at_ms=h.cell[1]),
        "nearest": [(at, hour_address(**own, at_ms=at)) for at in (h.earlier, h.later)
                    if at is not None and reach.covers(at, at + 1)],
        "day_address": "/emissions?" + urlencode({"site": h.site, **day.query, **own, "split": "both"}),
        "missing": _missing(h.slots), "text": lambda text: text_of(view, text), "dict": dict,
        "u_mg": parts_of(sum_of(row)).standard if row else 0.0, "inputs": len({one.window.input for one in h.windows}),
        "base_unit": h.base_unit, "window_address": partial(window_address, h.facts.agent, h.facts.source, h.gas),
        "trail": trail_address(h.facts.agent, h.facts.source, h.gas, h.cell),
        "bundle": bundle_address(**own, span=h.cell),
    }  # fmt: skip


def _weigh(books: Books, h: ExplainedHour, row: HourRow | None) -> Weighed | None:
    if row is None:
        return None
    profile, _ = load_profile(books.config.settings.inventory.profile)
    weights = gwp_set(profile.gwp.default)
    record = species(h.gas, Method(h.facts.method), weights)
    return Weighed(co2e_mg(row.mass_mg, record, weights), profile.gwp.default, weights.potential(record))


def _shares(h: ExplainedHour, row: HourRow | None, view: View) -> list[Share]:
    names = {name: text for one in h.plans for name, text in names_of(one.plan).items()}
    return [] if row is None else shares_of(sum_of(row), names, view)


def _missing(slots: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int, list[tuple[int, int]]]]:
    """Point, slots of the day, slots with a value, and the others by fate."""
    rows = []
    for point in sorted({point for point, _, _ in slots}):
        own = [(fate, count) for name, fate, count in slots if name == point]
        answered = sum(count for fate, count in own if fate_of(fate).has_value)
        others = [one for one in own if not fate_of(one[0]).has_value]
        rows.append((point, sum(count for _, count in own), answered, others))
    return rows


def _bounds(view: View, span: Sequence[int]) -> str:
    """Two times of one hour."""
    return f"{view.time(span[0], '%H:%M:%S')} – {view.time(span[1], '%H:%M:%S')}"


def duration(ms: int) -> str:
    """A length of time within a day: minutes and seconds, milliseconds where they matter."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    tail = f"{seconds}.{rest:03} s" if rest else f"{seconds} s" if seconds or not minutes else ""
    return " ".join(part for part in (f"{minutes} min" if minutes else "", tail) if part)
