"""The emissions explorer: a period by hour, day, month or year, by source and gas, with its uncertainty."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.reach import Limit, OutsideError
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.hours.calendar import By, span_of
from collector.inventory.profile import load_profile
from collector.store.series import read_extent
from collector.web.emissions.charts import charts_of
from collector.web.emissions.gather import Explored, Wanted, explore, finer
from collector.web.emissions.groups import Split, groups_of, largest, period_text
from collector.web.emissions.tables import rows_table, steps_table
from collector.web.export import exported, provenance_of
from collector.web.frame import Entry, Frame, View
from collector.web.period import Period, PeriodError, around, fitting, read_period
from collector.web.shown import mass_unit
from collector.web.table import Provenance
from protocols.errors import EmitraceError

ENTRY = Entry("emissions", "/emissions", limited=True)


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page, which with ``format`` is a file."""

    @router.get("/emissions")
    @needs(Permission.READ, Limit.APPLIED)
    def emissions_page(request: Request) -> Response:
        view, at_ms, query = frame.open(request), now_ms(), request.query_params
        words, said = view.words, list[str]()
        profile, _ = load_profile(books.config.settings.inventory.profile)
        with books.database.reading() as connection:
            extent = read_extent(connection, view.site.id if view.site else None)
        reach = view.reach
        if reach.is_limited and view.site is None:
            raise OutsideError("emissions", "no facility of the engagement is known yet", "Ask the central team.")
        period = usual = view.usual(By.MONTH, view.site_zone, min(at_ms, extent[1] - 1 if extent else at_ms))
        try:
            period = read_period(query, words, view.site_zone, at_ms, usual)
        except PeriodError as error:
            said.append(str(error))
        reach.need_period(period.from_ms, period.to_ms)
        gwp = query.get("gwp") or profile.gwp.default
        if gwp not in profile.gwp.allowed:
            said.append(words("gwp.unknown", seen=gwp[:16], known=", ".join(profile.gwp.allowed)))
            gwp = profile.gwp.default
        wanted = Wanted(view.site, query.get("agent") or None, query.get("source") or None, query.get("gas") or None)
        try:
            found = explore(books, period, wanted, gwp, at_ms)
            detail = None if query.get("format") else finer(books, found, wanted, at_ms)
        except EmitraceError as error:
            return view.error(422, words("refused", seen=error))
        if found.facts and not found.lines:
            said.append(words("emissions.unknown", source=wanted.source or "\u2013", gas=wanted.gas or "\u2013"))
        groups = groups_of(found, Split.of(query.get("split")), view)
        tables = (steps_table(found, groups, view), rows_table(found, view))
        if query.get("format") and not said:
            basis = provenance_of(view, found.knowledge, _asked(found, wanted, view))
            name = f"emissions-{period.text(period.from_ms)[:10]}"
            return exported(query["format"], tables, query.get("table"), basis, name, view)
        return view.render(
            "emissions.html", 422 if said else 200, said=said, e=found, period=period, wanted=wanted,
            charts=charts_of(found, groups, detail, view), steps=tables[0], rows=tables[1],
            split=Split.of(query.get("split")).value, gwp_sets=profile.gwp.allowed, unit=mass_unit(found.co2e_mg),
            due_ms=found.due_ms * len(found.lines), period_text=period_text(period, view),
            presets=_presets(period, view, at_ms), before=_before(found, view), behind=_behind(found, at_ms, view),
            whole=_whole(found, view), gases=sorted({gas for fact in found.facts for gas in fact.gases}),
            times=tuple(by.value for by in By), splits=tuple(one.value for one in Split), few=largest(found),
        )  # fmt: skip


def _presets(period: Period, view: View, at_ms: int) -> list[tuple[str, str, bool]]:
    """Periods that are often wanted: (word, address, whether it is this one)."""
    zone = view.site_zone
    month = around(at_ms, By.MONTH, zone)
    wanted = {
        "today": around(at_ms, By.DAY, zone), "yesterday": around(at_ms, By.DAY, zone).shifted(-1), "month": month,
        "last-month": month.shifted(-1), "year": around(at_ms, By.YEAR, zone),
        "last-year": around(at_ms, By.YEAR, zone).shifted(-1),
    }  # fmt: skip
    span = (period.from_ms, period.to_ms)
    inside = {name: one for name, one in wanted.items() if view.reach.covers(one.from_ms, one.to_ms)}
    return [(name, view.address(**one.query), (one.from_ms, one.to_ms) == span) for name, one in inside.items()]


def _before(found: Explored, view: View) -> str | None:
    """The period before this one, unless the ledger has nothing of it or of any earlier time."""
    if found.extent is None or found.period.from_ms <= found.extent[0]:
        return None
    return view.offered(found.period.shifted(-1))


def _behind(found: Explored, at_ms: int, view: View) -> str | None:
    """The period behind this one, unless it has not begun."""
    return None if found.period.to_ms > at_ms else view.offered(found.period.shifted(1))


def _whole(found: Explored, view: View) -> str | None:
    """All the time of which the ledger has anything, in whole days."""
    if found.extent is None:
        return None
    zone = found.period.zone
    start, end = span_of(found.extent[0], By.DAY, zone)[0], span_of(found.extent[1] - 1, By.DAY, zone)[1]
    return view.offered(Period(start, end, fitting((start, end)), zone))


def _asked(found: Explored, wanted: Wanted, view: View) -> Provenance:
    """What the page was asked for, for a file that leaves it."""
    words = view.words
    site = view.named(view.site) if view.site else words("site.all")
    return (
        (words("export.what"), words("nav.emissions")), (words("site"), site),
        (words("col.period"), period_text(found.period, view)),
        (words("col.source"), wanted.source or words("emissions.all")),
        (words("col.gas"), wanted.gas or words("emissions.all")), (words("export.gwp"), found.gwp),
    )  # fmt: skip
