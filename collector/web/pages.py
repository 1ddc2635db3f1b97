"""The pages' routes: sign-in, overview, and the two forms that build and seal an inventory."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from collector.api.auth import FORM_COOKIE, SESSION_COOKIE, Authority, Session
from collector.api.gate import client_of
from collector.books import Books
from collector.clock import now_ms
from collector.inventory.profile import load_profile
from collector.store.inventories import build_inventory, seal_inventory
from collector.store.plans import site_zone
from collector.web import overview
from collector.web.chart import draw_bars
from collector.web.language import LANGUAGE_COOKIE, LANGUAGES, Words, choose
from collector.web.shown import instant, mass_unit, percent
from protocols.errors import EmitraceError

YEAR_S = 365 * 86_400
LOCAL_HOUR = "%Y-%m-%dT%H:%M"


class Pages:
    """Renders the templates in the language of a request."""

    def __init__(self, https: bool) -> None:
        self._https = https
        self._templates = Environment(
            loader=PackageLoader("collector.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals.update(percent=percent, unit_of=mass_unit, gas=_gas, count=_count)

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page; a language asked for in the address is remembered."""
        asked = request.query_params.get("lang")
        words = self.words(request)
        other = next(language for language in LANGUAGES if language != words.language)
        path = request.url.path if request.method == "GET" else "/"
        session: Session | None = getattr(request.state, "session", None)
        page = self._templates.get_template(template).render(w=words, other=other, path=path, session=session, **values)
        response = HTMLResponse(page, status)
        response.headers["Vary"] = "Accept-Language, Cookie"
        if asked in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, asked, max_age=YEAR_S, httponly=True, samesite="strict", secure=self._https
            )
        return response

    def words(self, request: Request) -> Words:
        """The words of the request's language."""
        return Words(
            choose(
                request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE),
                request.headers.get("Accept-Language"),
            )
        )  # fmt: skip


def page_router(books: Books, authority: Authority, pages: Pages) -> APIRouter:
    """Every page."""
    router = APIRouter(include_in_schema=False)
    _add_sign_in(router, authority, pages, https=books.config.settings.web.https)
    _add_overview(router, books, pages)
    return router


def _add_sign_in(router: APIRouter, authority: Authority, pages: Pages, *, https: bool) -> None:
    def form(request: Request, said: str | None = None, status: int = 200) -> Response:
        token = authority.form_token()
        page = pages.render(request, "login.html", status, token=token, said=said)
        page.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=https, path="/login")
        return page

    @router.get("/login")
    def login_page(request: Request) -> Response:
        return form(request)

    @router.post("/login")
    def login(
        request: Request,
        username: Annotated[str, Form(max_length=64)],
        password: Annotated[str, Form(max_length=1024)],
        token: Annotated[str, Form(max_length=256)] = "",
    ) -> Response:
        words = pages.words(request)
        if not authority.form_fits(request.cookies.get(FORM_COOKIE), token):
            return form(request, words("sign-in.stale"), 403)
        wait_s = authority.brake.wait_s(client_of(request))
        if wait_s > 0:
            refused = form(request, words("sign-in.wait", seconds=int(wait_s) + 1), 429)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        session = authority.sign_in(username, password, client_of(request))
        if session is None:
            return form(request, words("sign-in.failed"), 401)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="strict", secure=https)
        response.delete_cookie(FORM_COOKIE, path="/login")
        return response

    @router.post("/logout")
    def logout(request: Request, csrf: Annotated[str, Form(max_length=256)] = "") -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response


def _add_overview(router: APIRouter, books: Books, pages: Pages) -> None:
    @router.get("/")
    def overview_page(request: Request, built: int | None = None, sealed: int | None = None) -> Response:
        words = pages.words(request)
        done = None
        if built is not None:
            done = words("done.built", version=built)
        elif sealed is not None:
            done = words("done.sealed", version=sealed)
        gathered = overview.gather(books, now_ms())
        return pages.render(request, "overview.html", o=gathered, done=done, **_details(books, gathered, words))

    @router.post("/inventory/build")
    def build(
        request: Request,
        from_: Annotated[str, Form(max_length=32)],
        to: Annotated[str, Form(max_length=32)],
        gwp: Annotated[str, Form(max_length=16)],
        csrf: Annotated[str, Form(max_length=256)] = "",
    ) -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        try:
            with books.database.reading() as connection:
                zone = site_zone(connection, books.plans)
            stored = build_inventory(
                books.database, books.plans, books.origin, _local_ms(from_, zone), _local_ms(to, zone), gwp, now_ms(),
                books.config.settings.inventory.profile,
            )  # fmt: skip
        except EmitraceError as error:
            return pages.render(request, "error.html", 422, said=str(error))
        return RedirectResponse(f"/?built={stored.version}", status_code=303)

    @router.post("/inventory/{version}/seal")
    def seal(request: Request, version: int, csrf: Annotated[str, Form(max_length=256)] = "") -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        try:
            with books.database.writing() as connection:
                seal_inventory(connection, version, now_ms())
        except EmitraceError as error:
            return pages.render(request, "error.html", 422, said=str(error))
        return RedirectResponse(f"/?sealed={version}", status_code=303)

    @router.get("/static/style.css")
    def style() -> Response:
        text = (resources.files("collector.web") / "static" / "style.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


def _details(books: Books, o: overview.Overview, words: Words) -> Mapping[str, Any]:
    """What the template needs besides the gathered content."""
    profile, _ = load_profile(books.config.settings.inventory.profile)
    month_from, month_to = overview.month_of(o.now_ms, o.zone)
    month = o.month
    calibrated = "–"
    if month is not None:
        shares = dict(month.status_co2e_mg)
        calibrated = percent(shares.get("in-interval", 0), sum(shares.values()))

    def time(at_ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        return instant(at_ms, o.zone, form)

    return {
        "time": time, "calibrated": calibrated, "chart": draw_bars(o.bars, words, o.zone),
        "largest": month.total.co2e_mg if month else 0,
        "largest_hour": max((abs(hour.row.mass_mg) for hour in o.recent), default=0),
        "build_from": time(month_from, LOCAL_HOUR), "build_to": time(month_to, LOCAL_HOUR),
        "gwp_sets": profile.gwp.allowed, "gwp_default": profile.gwp.default,
    }  # fmt: skip


def _local_ms(text: str, zone: ZoneInfo) -> int:
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise EmitraceError("period", repr(text), "Write a time as 2026-01-31T08:00.") from error
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone)
    seconds = (local - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return int(seconds) * 1000


def _fits(request: Request, token: str) -> bool:
    session: Session | None = request.state.session
    return session is not None and bool(session.csrf) and hmac.compare_digest(session.csrf, token)


def _stale(request: Request, pages: Pages) -> Response:
    return pages.render(request, "error.html", 403, said=pages.words(request)("sign-in.stale"))


def _gas(name: str) -> Markup:
    """A formula with its digits low: CO2 becomes CO<sub>2</sub>."""
    signs = (Markup("<sub>{}</sub>").format(sign) if sign.isdigit() else escape(sign) for sign in name)
    return Markup("<span>{}</span>").format(Markup("").join(signs))


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
