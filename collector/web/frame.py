"""The frame of every page: language, time zone, theme, site, navigation, and what an error says."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from collector.accounts.roles import Permission
from collector.accounts.sessions import Session
from collector.api.gate import reach_of
from collector.books import Books
from collector.clock import now_ms
from collector.hours.calendar import By
from collector.inventory.statuses import by_badness, by_category
from collector.store.healings import Healing, current_healing
from collector.store.plans import Site, sites_known
from collector.web.assets import Assets
from collector.web.language import LANGUAGES, Words
from collector.web.period import Period, around
from collector.web.preferences import CLOCK, PREFERENCES, THEME, language_of, with_query
from collector.web.shown import formula, formula_text, grouped, instant, mass_unit, percent
from collector.web.table_html import lines_html

YEAR_S = 365 * 86_400
SECOND = "%Y-%m-%d %H:%M:%S"
PACKED_FROM = 1400
"""A smaller page fits one packet as it is. [bytes]"""
ONE_TIME = ("done",)
"""Parameters that say what has just happened; no link carries them on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page's place in the navigation; its words are ``nav.NAME``.

    Pages of one ``section`` share an entry of that name, which leads to the first of them that the reader may see.
    Every entry that is shown in the bar has an icon of its name in icons.html.
    """

    name: str
    href: str
    permission: Permission = Permission.READ
    limited: bool = False
    """Whether it is also for sessions that see only a part of the books."""
    section: str = ""

    def current(self, path: str) -> bool:
        """Whether a path is this page or below it."""
        return path == self.href or (self.href != "/" and path.startswith(f"{self.href}/"))


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of the bar: a page, or a section with its pages."""

    name: str
    pages: tuple[Entry, ...]

    @property
    def href(self) -> str:
        """Where it leads."""
        return self.pages[0].href

    def current(self, path: str) -> str:
        """As aria-current: page, true where it is one of the section's, empty elsewhere."""
        if not any(page.current(path) for page in self.pages):
            return ""
        return "true" if len(self.pages) > 1 else "page"


class Frame:
    """Renders the pages of these books."""

    def __init__(self, books: Books, entries: Sequence[Entry]) -> None:
        self.books = books
        self.entries = tuple(entries)
        self.assets = Assets()
        self.https = books.config.settings.web.https
        self._templates = Environment(
            loader=PackageLoader("collector.web"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.globals.update(
            percent=percent, unit_of=mass_unit, gas=formula, gas_text=formula_text, count=grouped,
            by_badness=by_badness, statuses_of=by_category, asset=self.assets.url,
            lines_html=lines_html, Permission=Permission,
        )

    def open(self, request: Request) -> View:
        """The page that a request asks for, before it has any content."""
        with self.books.database.reading() as connection:
            sites = sites_known(connection, self.books.plans)
            healing = current_healing(connection)
        reach = reach_of(request)
        if reach.is_limited:
            sites = tuple(replace(one, agents=one.agents & reach.agents) for one in sites if reach.has_site(one.id))
        return View(self, request, sites, healing)

    def refuse(self, request: Request, status: int, why: str) -> HTMLResponse:
        """What the gate says to people."""
        view = self.open(request)
        role = view.words(f"role.{view.session.role}") if view.session else ""
        return view.error(status, view.words(f"gate.{why}", role=role))

    def template(self, name: str, values: dict[str, Any]) -> str:
        """A template filled in."""
        return self._templates.get_template(name).render(values)


class View:
    """One page on its way to one reader.

    Attributes
    ----------
    words : Words
        In the reader's language.
    sites, site : tuple of Site, Site or None
        All that are known, and the one the address names; with only one known it is that one. None: all of them.
    site_zone, zone : ZoneInfo
        The facility's, in which accounting days end; and the one in which times are shown.
    session : Session or None
        Who is signed in.
    reach : Reach
        The part of the books they may see.
    healing : Healing or None
        Where the books are behind what was signed; every page says so.
    now_ms : int
        When the page was asked for. [UTC ms]
    """

    def __init__(self, frame: Frame, request: Request, sites: tuple[Site, ...], healing: Healing | None) -> None:
        query, cookies = request.query_params, request.cookies
        self.frame = frame
        self.request = request
        self.words = Words(language_of(query, cookies, request.headers.get("Accept-Language")))
        self.theme = THEME.of(query, cookies)
        self.clock = CLOCK.of(query, cookies)
        self.now_ms = now_ms()
        self.sites = sites
        self.site_unknown = bool(query.get("site")) and query["site"] not in {site.id for site in sites}
        self.reach = reach_of(request)
        self.site = next((site for site in sites if site.id == query.get("site") or len(sites) == 1), None)
        if self.reach.is_limited and sites and self.site is None:
            self.site = sites[0]  # all of them together is for whom sees everything
        self.site_zone = (self.site or sites[0]).zone if sites else ZoneInfo("UTC")
        self.zone = ZoneInfo("UTC") if self.clock == "utc" else self.site_zone
        self.healing = healing
        self.session: Session | None = getattr(request.state, "session", None)

    @property
    def entries(self) -> list[Shown]:
        """The navigation, as far as the session may see it; a section stands where its first page does."""
        session = self.session
        if session is None:
            return []
        found: dict[str, list[Entry]] = {}
        for entry in self.frame.entries:
            if session.may(entry.permission) and (entry.limited or not session.reach.is_limited):
                found.setdefault(entry.section or entry.name, []).append(entry)
        return [Shown(name, tuple(pages)) for name, pages in found.items()]

    @property
    def section(self) -> Shown | None:
        """The section that the page is in, where it has more than one page for this reader."""
        path = self.request.url.path
        return next((one for one in self.entries if len(one.pages) > 1 and one.current(path)), None)

    @property
    def zone_text(self) -> str:
        """The zone of the times shown."""
        return _zone_text(self.zone)

    @property
    def site_zone_text(self) -> str:
        """The zone in which the accounts' days, months and years end."""
        return _zone_text(self.site_zone)

    def named(self, thing: Any) -> str:
        """The name of something that has ``name_zh`` and ``name_en``, in the page's language."""
        name: str = thing.name_zh if self.words.language == LANGUAGES[0] else thing.name_en
        return name

    def time(self, at_ms: int | None, form: str = SECOND) -> str:
        """A time as this page shows it."""
        return instant(at_ms, self.zone, form)

    def local(self, at_ms: int, form: str) -> str:
        """A time of the accounts: in the facility's zone, in which their days, months and years end."""
        return instant(at_ms, self.site_zone, form)

    def address(self, **changes: str | None) -> str:
        """The page's address with some parameters changed (None: taken away); an answered form's is home."""
        if self.request.method != "GET":
            return with_query("/", "", changes)
        gone = (*ONE_TIME, *(one.name for one in PREFERENCES))
        return with_query(self.request.url.path, self.request.url.query, changes, gone)

    def usual(self, by: By, zone: ZoneInfo, at_ms: int | None = None) -> Period:
        """The day, month or year a page shows unasked: that of now, or the newest that the reader may see of it."""
        at_ms = self.now_ms if at_ms is None else at_ms
        if not self.reach.is_limited:
            return around(at_ms, by, zone)
        period = around(max(self.reach.from_ms, min(at_ms, self.reach.to_ms - 1)), by, zone)
        from_ms, to_ms = self.reach.clip(period.from_ms, period.to_ms)
        return replace(period, from_ms=from_ms, to_ms=to_ms)

    def offered(self, period: Period) -> str | None:
        """The address of another period of the page, unless it is not the reader's to see."""
        return self.address(**period.query) if self.reach.covers(period.from_ms, period.to_ms) else None

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page; a preference named in the address is remembered."""
        path = self.request.url.path
        shown = {
            "view": self, "w": self.words, "time": self.time, "named": self.named, "session": self.session,
            "zone": self.zone_text, "entries": self.entries, "path": path,
            "other": next(language for language in LANGUAGES if language != self.words.language),
        }  # fmt: skip
        page = self.frame.template(template, shown | values).encode()
        headers = {"Vary": "Accept-Encoding, Accept-Language, Cookie"}
        if "gzip" in self.request.headers.get("Accept-Encoding", "") and len(page) >= PACKED_FROM:
            # No other site can make a browser ask for a page with its cookie (SameSite=Strict), so sizes tell nothing.
            page, headers["Content-Encoding"] = gzip.compress(page, compresslevel=5), "gzip"
        response = HTMLResponse(page, status, headers)
        for one in PREFERENCES:
            asked = self.request.query_params.get(one.name)
            if asked in one.choices:
                response.set_cookie(
                    one.cookie, asked, max_age=YEAR_S, httponly=True, samesite="strict", secure=self.frame.https
                )
        return response

    def error(self, status: int, said: str) -> HTMLResponse:
        """A page that says what is wrong and what to do."""
        return self.render("error.html", status, said=said)


def _zone_text(zone: ZoneInfo) -> str:
    """A zone with its offset now where it has one."""
    offset = instant(now_ms(), zone, "%z")
    return "UTC" if zone.key == "UTC" else f"{zone.key} (UTC{offset[:3]}:{offset[3:]})"
