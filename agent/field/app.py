"""The pages: doctor, live values, bus report, swap, stop reason, commission."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.clock import KernelClock
from agent.config import Config
from agent.desk.asks import Ask, DeskError, NoteAsk, ReportAsk, ValuesAsk
from agent.desk.commissioning import Check
from agent.desk.compare import compare, compare_clock, compare_phases
from agent.desk.forms import commissioning_note, stop_note, swap_note
from agent.desk.report import judge
from agent.desk.visit import ask_one, visit
from agent.doctor import examine
from agent.field.pin import Gate, Session, load_pin
from agent.field.words import Words, chosen, load_words
from agent.site import load_site

COOKIE, LANGUAGE = "emitrace-field", "emitrace-lang"
MOST_BODY = 16_384
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    b"content-security-policy": POLICY.encode(), b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer", b"cache-control": b"no-store",
}  # fmt: skip

FORMS = {"/swap": "swap.html", "/stop": "stop.html", "/commission": "commission.html"}

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Visitor:
    """A request of somebody who knew the PIN."""

    request: Request
    words: Words
    session: Session
    fields: Fields


Page = Callable[[_Visitor], Awaitable[Response]]


class _Sealed:
    """Every answer bears the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, sealed)


def create_app(config: Config) -> Starlette:
    """The page of an agent; PinError where no PIN was set."""
    return _Field(config).app()


class _Field:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._gate = Gate(*load_pin(config.state_dir))
        self._words = load_words()
        loader = PackageLoader("agent.field")
        self._pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self._style = resources.files("agent.field").joinpath("static/style.css").read_bytes()

    def app(self) -> Starlette:
        """Routes behind the gate."""
        pages = {
            "/": self._doctor, "/values": self._values, "/report": self._report, "/swap": self._swap,
            "/stop": self._stop, "/commission": self._commission,
        }  # fmt: skip
        routes = [
            Route(path, self._guarded(page), methods=["GET", "POST"] if path in FORMS else ["GET"])
            for path, page in pages.items()
        ]
        routes += [
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/leave", self._guarded(self._leave), methods=["POST"]),
            Route("/style.css", self._css),
        ]
        return Starlette(routes=routes, middleware=[Middleware(_Sealed)])

    def _guarded(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            session = self._gate.session(request.cookies.get(COOKIE, ""), time.monotonic())
            if session is None:
                return RedirectResponse("/login", 303)
            fields: Fields = {}
            if request.method == "POST":
                read = await _fields(request)
                if read is None or read.get("csrf") != session.csrf:
                    return Response(self._language(request)("stale"), 403)
                fields = read
            words = self._language(request)
            visitor = _Visitor(request, words, session, fields)
            try:
                answer = await page(visitor)
            except DeskError as error:
                if fields and request.url.path in FORMS:  # what was typed stays
                    answer = self._form(visitor, FORMS[request.url.path], 400, problem=error.said(words.language))
                else:
                    shown = {"heading": words("no-agent"), "problem": error.said(words.language)}
                    answer = self._html(request, words, session, "problem.html", 503, **shown)
            answer.set_cookie(LANGUAGE, words.language, samesite="strict")
            return answer

        return serve

    async def _login(self, request: Request) -> Response:
        words, now_s, problem = self._language(request), time.monotonic(), ""
        if request.method == "POST":
            fields = await _fields(request)
            key = self._gate.enter((fields or {}).get("pin", ""), now_s)
            if key is not None:
                answer = RedirectResponse("/", 303)
                answer.set_cookie(COOKIE, key, httponly=True, samesite="strict")
                answer.set_cookie(LANGUAGE, words.language, samesite="strict")
                return answer
            problem = words("wrong-pin")
        if closed_s := self._gate.closed_s(now_s):
            problem = f"{words('closed')}{closed_s:.0f}"
        return self._html(request, words, None, "login.html", 403 if problem else 200, problem=problem)

    async def _leave(self, visitor: _Visitor) -> Response:
        self._gate.leave(visitor.request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    async def _css(self, _request: Request) -> Response:
        return Response(self._style, media_type="text/css")

    async def _doctor(self, visitor: _Visitor) -> Response:
        return self._show(visitor, "doctor.html", looks=await examine(self._config))

    async def _values(self, visitor: _Visitor) -> Response:
        told = await self._ask(ValuesAsk())
        return self._show(visitor, "values.html", values=told["values"], at=_utc(told["at_ms"]))

    async def _report(self, visitor: _Visitor) -> Response:
        told = await self._ask(ReportAsk())
        buses = [
            (name, bus, [(unit, tally, _part(judge(tally)[0], visitor.words), judge(tally)[1])
                         for unit, tally in bus["units"].items()])
            for name, bus in told["buses"].items()
        ]  # fmt: skip
        return self._show(visitor, "report.html", buses=buses, since=_utc(told["since_ms"]), at=_utc(told["at_ms"]))

    async def _swap(self, visitor: _Visitor) -> Response:
        names = (
            "old_serial", "new_serial", "closing_index", "opening_index", "unit", "load", "by", "seal_removed",
            "seal_applied",
        )  # fmt: skip
        if visitor.fields:
            own = {name: visitor.fields.get(name, "") for name in names}
            note = swap_note(
                visitor.fields.get("subject", ""), old_serial=own["old_serial"], new_serial=own["new_serial"],
                closing_index=own["closing_index"], opening_index=own["opening_index"], unit=own["unit"],
                load=own["load"], by=own["by"], seal_removed=own["seal_removed"], seal_applied=own["seal_applied"],
            )  # fmt: skip
            return await self._take(note, "/swap")
        return self._form(visitor, FORMS["/swap"])

    async def _stop(self, visitor: _Visitor) -> Response:
        fields = visitor.fields
        if fields:
            state = "running" if fields.get("state") == "running" else "stopped"
            note = stop_note(
                fields.get("subject", ""), fields.get("reason", ""), fields.get("by", ""),
                "running" if state == "running" else "stopped",
            )  # fmt: skip
            return await self._take(note, "/stop")
        return self._form(visitor, FORMS["/stop"])

    async def _commission(self, visitor: _Visitor) -> Response:
        fields = visitor.fields
        if not fields:
            return self._form(visitor, FORMS["/commission"])
        instrument, point = self._instrument_of(fields.get("point", "")), fields.get("point", "")
        checks: list[Check] = []
        if fields.get("display") or fields.get("clamp"):
            values = (await self._ask(ValuesAsk()))["values"]
            bound = load_site(self._config).reading.bound
            checks += compare(bound, values, instrument, point, fields.get("display", ""), fields.get("clamp", ""))
        if fields.get("meter_phases") or fields.get("clamp_phases"):
            checks.append(compare_phases(fields.get("meter_phases", ""), fields.get("clamp_phases", "")))
        if fields.get("meter_clock"):
            zone = load_site(self._config).reading.bound.plan.facility.time_zone
            checks.append(compare_clock(fields["meter_clock"], zone, KernelClock().read().utc_ms))
        taken = await self._ask(commissioning_note(instrument, checks, fields.get("by", "")))
        return self._form(visitor, FORMS["/commission"], checks=checks, done=_utc(taken["at_ms"]))

    def _instrument_of(self, point: str) -> str:
        bound = load_site(self._config).reading.bound
        for one in bound.points:
            if one.id == point:
                return bound.plan.instruments[one.instrument].id
        zh = "请从列表中选择测点。"
        raise DeskError(f"point '{point}'", "the plan has no such point", "choose one of the list", zh=zh)

    async def _take(self, note: NoteAsk, path: str) -> Response:
        taken = await self._ask(note)
        return RedirectResponse(f"{path}?done={int(taken['at_ms'])}", 303)

    async def _ask(self, ask: Ask) -> dict[str, Any]:
        async with visit(self._config.state_dir) as desk:
            return await ask_one(desk, ask)

    def _form(self, visitor: _Visitor, name: str, code: int = 200, **shown: Any) -> Response:
        plan = load_site(self._config).reading.bound.plan
        done = visitor.request.query_params.get("done", "")
        shown.setdefault("done", _utc(int(done)) if done.isdecimal() and len(done) < 15 else "")
        shown = {"problem": "", "checks": (), "fields": visitor.fields, **shown}
        return self._html(visitor.request, visitor.words, visitor.session, name, code, plan=plan, **shown)

    def _show(self, visitor: _Visitor, name: str, **shown: Any) -> Response:
        return self._html(visitor.request, visitor.words, visitor.session, name, 200, **shown)

    def _html(
        self, request: Request, words: Words, session: Session | None, name: str, code: int, **shown: Any
    ) -> Response:
        page = self._pages.get_template(name)
        text = page.render(w=words, session=session, path=request.url.path, **shown)
        return HTMLResponse(text, code)

    def _language(self, request: Request) -> Words:
        asked = request.query_params.get("lang", "")
        accepted = request.headers.get("accept-language", "")
        return self._words[chosen(asked, request.cookies.get(LANGUAGE, ""), accepted)]


async def _fields(request: Request) -> Fields | None:
    """A form's fields; None where there is more than any of ours sends."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            return None
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=32))
    except ValueError:
        return None


def _part(both: str, words: Words) -> str:
    """Of a text in two languages, parted by a stroke, the one of the page."""
    zh, _, en = both.partition(" / ")
    return zh if words.language == "zh" else en


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
