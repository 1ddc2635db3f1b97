"""The pages' routes: sign-in, overview, an inventory version, and the two forms that build and seal one."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from collector.api.auth import FORM_COOKIE, SESSION_COOKIE, Authority, Session
from collector.api.gate import client_of
from collector.books import Books
from collector.clock import now_ms
from collector.inventory.profile import load_profile
from collector.store.inventories import build_inventory, read_inventory, seal_inventory
from collector.store.plans import site_zone
from collector.web import overview
from collector.web.chart import draw_bars
from collector.web.language import LANGUAGE_COOKIE, LANGUAGES, Words, choose
from collector.web.period import Asked, PeriodError
from collector.web.shown import instant, mass_unit, percent
from protocols.errors import EmitraceError

YEAR_S = 365 * 86_400
LOCAL_HOUR = "%Y-%m-%dT%H:%M"
MOST_VERSIONS = 2**31


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
        path = request.url.path if request.method == "GET" and status == 200 else "/"
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
    _add_versions(router, books, pages)
    _add_nowhere(router, pages)
    return router


def _add_sign_in(router: APIRouter, authority: Authority, pages: Pages, *, https: bool) -> None:
    def form(request: Request, said: str | None = None, status: int = 200, username: str = "") -> Response:
        token = authority.form_token()
        page = pages.render(request, "login.html", status, token=token, said=said, username=username[:64])
        page.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=https, path="/login")
        return page

    @router.get("/login")
    def login_page(request: Request, expired: str = "") -> Response:
        return form(request, pages.words(request)("sign-in.expired") if expired else None)

    @router.post("/login")
    def login(
        request: Request,
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        token: Annotated[str, Form()] = "",
    ) -> Response:
        words = pages.words(request)
        if not authority.form_fits(request.cookies.get(FORM_COOKIE), token):
            return form(request, words("sign-in.stale"), 403, username)
        wait_s = authority.brake.wait_s(client_of(request))
        if wait_s > 0:
            refused = form(request, words("sign-in.wait", seconds=int(wait_s) + 1), 429, username)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        session = authority.sign_in(username, password, client_of(request))
        if session is None:
            return form(request, words("sign-in.failed"), 401, username)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="strict", secure=https)
        response.delete_cookie(FORM_COOKIE, path="/login")
        return response

    @router.post("/logout")
    def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response


def _add_overview(router: APIRouter, books: Books, pages: Pages) -> None:
    def overview_of(request: Request, status: int = 200, said: str | None = None, **form: str) -> Response:
        gathered = overview.gather(books, now_ms())
        values = {**_details(books, gathered, pages.words(request)), **form}
        return pages.render(request, "overview.html", status, o=gathered, said=said, **values)

    @router.get("/")
    def overview_page(request: Request) -> Response:
        return overview_of(request)

    @router.post("/inventory/build")
    def build(
        request: Request,
        from_: Annotated[str, Form()] = "",
        to: Annotated[str, Form()] = "",
        gwp: Annotated[str, Form()] = "",
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        words, at_ms = pages.words(request), now_ms()
        profile, _ = load_profile(books.config.settings.inventory.profile)
        try:
            if gwp not in profile.gwp.allowed:
                raise PeriodError(words("gwp.unknown", seen=gwp[:16], known=", ".join(profile.gwp.allowed)))
            with books.database.reading() as connection:
                zone = site_zone(connection, books.plans)
            period = Asked(from_, to).period(words, zone, at_ms)
            stored = build_inventory(books.database, books.plans, books.origin, *period, gwp, at_ms, profile.id)
        except (PeriodError, EmitraceError) as error:
            said = str(error) if isinstance(error, PeriodError) else words("refused", seen=error)
            return overview_of(request, 422, said, build_from=from_, build_to=to, gwp_default=gwp)
        return RedirectResponse(f"/inventory/{stored.version}?done=built", status_code=303)

    @router.get("/static/style.css")
    def style() -> Response:
        text = (resources.files("collector.web") / "static" / "style.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers={"Cache-Control": "public, max-age=300"})


def _add_versions(router: APIRouter, books: Books, pages: Pages) -> None:
    def page_of(request: Request, version: int, said: str | None = None) -> Response:
        words = pages.words(request)
        if version >= MOST_VERSIONS:
            return pages.render(request, "error.html", 404, said=words("missing.version", version=version))
        with books.database.reading() as connection:
            try:
                stored = read_inventory(connection, version)
            except EmitraceError:
                return pages.render(request, "error.html", 404, said=words("missing.version", version=version))
            zone = site_zone(connection, books.plans)

        def time(at_ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
            return instant(at_ms, zone, form)

        asked = request.query_params.get("done")
        done = {"built": stored.sealed_ms is None, "sealed": stored.sealed_ms is not None}.get(asked or "", False)
        return pages.render(
            request, "inventory.html", 422 if said else 200, v=stored, time=time, zone=zone, said=said,
            done=words(f"done.{asked}", version=version) if done else None,
        )  # fmt: skip

    @router.get("/inventory/{version:int}")
    def version_page(request: Request, version: int) -> Response:
        return page_of(request, version)

    @router.post("/inventory/{version:int}/seal")
    def seal(request: Request, version: int, csrf: Annotated[str, Form()] = "") -> Response:
        if not _fits(request, csrf):
            return _stale(request, pages)
        if version >= MOST_VERSIONS:
            return page_of(request, version)
        try:
            with books.database.writing() as connection:
                seal_inventory(connection, version, now_ms())
        except EmitraceError:
            return page_of(request, version, pages.words(request)("seal.again", version=version))
        return RedirectResponse(f"/inventory/{version}?done=sealed", status_code=303)


def _add_nowhere(router: APIRouter, pages: Pages) -> None:
    """Last of all: what leads nowhere says so in the page's language; what only a form may ask for leads home."""

    @router.get("/{path:path}")
    def nowhere(request: Request, path: str) -> Response:
        if path.startswith("api/"):
            raise HTTPException(404, "there is no such path")
        if path in ("logout", "inventory/build") or (path.startswith("inventory/") and path.endswith("/seal")):
            return RedirectResponse("/", status_code=303)
        said = pages.words(request)("missing.page", path=f"/{path[:60]}")
        return pages.render(request, "error.html", 404, said=said)


def _details(books: Books, o: overview.Overview, words: Words) -> Mapping[str, Any]:
    """What the template needs besides the gathered content."""
    profile, _ = load_profile(books.config.settings.inventory.profile)
    month_from, month_to = overview.month_of(o.now_ms, o.zone)
    month = o.month
    calibrated = "–"
    if month is not None:
        shares = dict(month.inventory.status_co2e_mg)
        calibrated = percent(shares.get("in-interval", 0), sum(shares.values()))

    def time(at_ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
        return instant(at_ms, o.zone, form)

    def name(agent: str, source: str) -> str:
        return o.names.get((agent, source), (source, source))[words.language != LANGUAGES[0]]

    def fate(reason: str) -> str:
        code = reason.removeprefix("exception-")
        return words.of("fate", reason) if code == reason else words("fate.exception", code=code)

    return {
        "time": time, "name": name, "fate": fate, "calibrated": calibrated,
        "chart": draw_bars(o.bars, words, o.zone),
        "largest_hour": max((abs(hour.row.mass_mg) for hour in o.recent), default=0),
        "build_from": time(month_from, LOCAL_HOUR), "build_to": time(month_to, LOCAL_HOUR),
        "gwp_sets": profile.gwp.allowed, "gwp_default": profile.gwp.default,
    }  # fmt: skip


def _fits(request: Request, token: str) -> bool:
    session: Session | None = request.state.session
    return session is not None and bool(session.csrf) and hmac.compare_digest(session.csrf, token)


def _stale(request: Request, pages: Pages) -> Response:
    return pages.render(request, "error.html", 403, said=pages.words(request)("form.stale"))


def _gas(name: str) -> Markup:
    """A formula with its digits low: CO2 becomes CO<sub>2</sub>."""
    signs = (Markup("<sub>{}</sub>").format(sign) if sign.isdigit() else escape(sign) for sign in name)
    return Markup("<span>{}</span>").format(Markup("").join(signs))


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")
