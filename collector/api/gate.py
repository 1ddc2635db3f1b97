"""The gate in front of every path: nothing runs that names no permission, and nobody passes who has it not.

A route says what it asks for with ``@needs(Permission.READ)`` under its path. The gate looks the route up before the
application sees the request; it answers strangers, foreign origins, forms without their token and oversized bodies
itself. It is plain ASGI: what streams out streams through it, and a stream ends when its session does.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.accounts.authority import Authority, Client, Refusal
from collector.accounts.reach import EVERYTHING, Limit, Reach
from collector.accounts.roles import Permission
from collector.accounts.sessions import Session
from collector.api.passage import LARGEST_BODY, Answer, Body, TooLargeError
from collector.store.audit import Actor, Who, acting

SAFE_METHODS = frozenset({"GET", "HEAD"})
RECHECK_S = 15.0
"""A stream whose session has ended goes on no longer than this. [s]"""

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
Say = Callable[[Request, int, str], Response]
"""A page that says why something was not done: request, status, and foreign, large, missing, forbidden, outside or
stale."""
TOO_LARGE = "Send at most {} bytes."


def needs(
    permission: Permission, limit: Limit = Limit.REFUSED, *, largest: int = LARGEST_BODY
) -> Callable[[Endpoint], Endpoint]:
    """Declare what a route asks for: ``@router.get(path)`` above, ``@needs(Permission.READ)`` below it.

    ``limit`` is what it does about a session that sees only a part of the books; such a session is refused where the
    route says nothing of it. ``largest`` is the body it takes from who has the permission. [bytes]
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["permission"] = permission
        endpoint.__dict__["limit"] = limit
        endpoint.__dict__["largest"] = largest
        return endpoint

    return declare


def permission_of(route: BaseRoute) -> Permission | None:
    """What a route asks for; None where it declares nothing."""
    declared = getattr(getattr(route, "endpoint", None), "permission", None)
    return declared if isinstance(declared, Permission) else None


def limit_of(route: BaseRoute) -> Limit:
    """What a route does about a session that sees only a part of the books."""
    declared = getattr(getattr(route, "endpoint", None), "limit", None)
    return declared if isinstance(declared, Limit) else Limit.REFUSED


def largest_of(route: BaseRoute | None) -> int:
    """The largest body that a route takes. [bytes]"""
    declared = getattr(getattr(route, "endpoint", None), "largest", None)
    return declared if isinstance(declared, int) else LARGEST_BODY


def reach_of(request: Request) -> Reach:
    """The part of the books that who asks may see."""
    session: Session | None = request.state.session
    return EVERYTHING if session is None else session.reach


def session_cookie(https: bool) -> str:
    """Name of the session's cookie; the prefix makes browsers refuse it from any other host or without TLS."""
    return "__Host-emitrace_session" if https else "emitrace_session"


class Gate:
    """Middleware: finds route and session, and passes on what is permitted.

    Parameters
    ----------
    app : ASGIApp
        The application behind the gate.
    authority : Authority
        Decides whose session a request carries.
    routes : sequence of BaseRoute
        Every route of the application; what is not among them is not reached.
    say : Say
        Renders a refusal as a page, for people.
    https : bool
        Whether a proxy ends TLS in front.
    recheck_s : float
        How often the session of a running answer is looked at again. [s]
    """

    def __init__(
        self, app: ASGIApp, authority: Authority, routes: Sequence[BaseRoute], say: Say, *, https: bool,
        recheck_s: float = RECHECK_S,
    ) -> None:  # fmt: skip
        self._app = app
        self._authority = authority
        self.routes = tuple(routes)
        self._say = say
        self._https = https
        self._recheck_s = recheck_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = Answer(send, scope["path"], https=self._https)
        body = Body(receive)
        request = Request(scope, body.receive)
        request.state.session = None
        try:
            refusal = await self._judge(request, body)
        except TooLargeError as error:
            refusal = self._refuse(request, 413, "large", error.detail, TOO_LARGE.format(body.largest))
        if refusal is not None:
            await refusal(scope, body.receive, answer.send)
            return
        session: Session | None = request.state.session
        with acting(_actor(session, request)):
            if session is None:
                await self._app(scope, body.receive, answer.send)
                return
            await self._app(scope, self._while_signed_in(request, body.receive), answer.send)
        await answer.finish()
        await run_in_threadpool(self._authority.note_seen, session, client_of(request))

    async def _judge(self, request: Request, body: Body) -> Response | None:
        """The answer that refuses a request, or None with its session in ``request.state``."""
        unsafe = request.method not in SAFE_METHODS
        if unsafe and (origin := _foreign(request)) is not None:
            hint = "Use this collector's own pages."
            return self._refuse(request, 403, "foreign", f"request from another site ({origin})", hint)
        match, route = self._match(request.scope)
        largest = largest_of(route) if match is Match.FULL else LARGEST_BODY
        if unsafe and (length := _too_long(request, largest)) is not None:
            return self._refuse(request, 413, "large", f"a body of {length} bytes", TOO_LARGE.format(largest))
        permission = permission_of(route) if match is Match.FULL and route is not None else None
        if permission is Permission.PUBLIC:
            return None
        session = await run_in_threadpool(self._session, request)
        if not isinstance(session, Session):
            return _stranger(request, session)
        request.state.session = session
        if match is not Match.FULL:
            status, error = (405, "no such method here") if match is Match.PARTIAL else (404, "there is no such path")
            hint = "See /api/v1/openapi.json."
            return self._refuse(request, status, "missing", f"{request.url.path}: {error}", hint)
        if permission is None:
            return problem(403, f"{request.url.path} declares no permission", "Tell the developers of Emitrace.")
        if not session.may(permission):
            return self._forbidden(request, session, permission)
        if session.reach.is_limited and (route is None or limit_of(route) is Limit.REFUSED):
            return self._outside(request)
        body.largest = largest
        if unsafe and session.csrf and not await _has_token(request, body, session.csrf):
            hint = "Send X-CSRF-Token, or use HTTP Basic."
            return self._refuse(request, 403, "stale", "anti-forgery token missing or wrong", hint)
        return None

    def _refuse(self, request: Request, status: int, why: str, error: str, hint: str) -> Response:
        """The same refusal for programs and for people."""
        return problem(status, error, hint) if is_program(request) else self._say(request, status, why)

    def _match(self, scope: Scope) -> tuple[Match, BaseRoute | None]:
        """The first route that fits, else the first that fits but for its method."""
        partial: BaseRoute | None = None
        for route in self.routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                scope["route"] = route  # for the log, which names the route of a refused request too
                return match, route
            if match is Match.PARTIAL and partial is None:
                partial = route
        return (Match.NONE, None) if partial is None else (Match.PARTIAL, partial)

    def _session(self, request: Request) -> Session | Refusal | None:
        header, client = request.headers.get("Authorization"), client_of(request)
        if (token := self._authority.bearer(header, client)) is not None:
            return token  # before a cookie: whoever sends a token means to be held to it
        session = self._authority.session(request.cookies.get(session_cookie(self._https)))
        return session or self._authority.basic(header, client)

    def _forbidden(self, request: Request, session: Session, permission: Permission) -> Response:
        if session.must_change:
            if not is_program(request):
                return RedirectResponse("/account", status_code=303)
            return problem(403, "the password is good for one time only", "Sign in on the page and choose your own.")
        if session.scope is not None and permission not in session.scope:
            hint = "Make a token with that scope on the page /tokens, where your role has it."
            return problem(403, f"the token has no permission {permission.value}", hint)
        hint = "Ask an administrator; docs/central-team.md lists what each role may do."
        error = f"the role {session.role} has no permission {permission.value}"
        return self._refuse(request, 403, "forbidden", error, hint)

    def _outside(self, request: Request) -> Response:
        """A page of everything is not for whom sees a part; the way home leads into the engagement."""
        if request.url.path == "/" and not is_program(request):
            return RedirectResponse("/engagement", status_code=303)
        error = "this is not kept apart by facility and period, so that no engagement covers it"
        return self._refuse(request, 403, "outside", error, "docs/verifier.md lists what a verifier's account may ask.")

    def _while_signed_in(self, request: Request, receive: Receive) -> Receive:
        """Receive for the application; where the session ends meanwhile it hears that the client has gone."""

        async def listen() -> Message:
            while True:
                try:
                    async with asyncio.timeout(self._recheck_s):
                        return await receive()
                except TimeoutError:
                    session = await run_in_threadpool(self._session, request)
                    if not isinstance(session, Session):
                        return {"type": "http.disconnect"}
                    await run_in_threadpool(self._authority.note_seen, session, client_of(request))

        return listen


def problem(status: int, error: str, hint: str) -> JSONResponse:
    """An error as JSON: what is wrong, and what to do."""
    return JSONResponse({"error": error, "hint": hint}, status_code=status)


def client_of(request: Request) -> Client:
    """Where a request comes from."""
    return Client(request.client.host if request.client else "unknown", request.headers.get("User-Agent", ""))


def retry_after(response: Response, wait_s: float) -> Response:
    """The response with how long to wait, in whole seconds."""
    response.headers["Retry-After"] = str(int(wait_s) + 1)
    return response


def is_program(request: Request) -> bool:
    """Whether JSON is the answer, and not a page."""
    return request.url.path.startswith(("/api/", "/metrics")) or "Authorization" in request.headers


async def _has_token(request: Request, body: Body, csrf: str) -> bool:
    """Whether the request carries the session's token: as a header, or as the field ``csrf`` of a page's form."""
    header = request.headers.get("X-CSRF-Token")
    if header is not None or is_program(request):
        return hmac.compare_digest((header or "").encode(), csrf.encode())
    body.rewind(await request.body())
    try:
        async with request.form() as form:
            token = form.get("csrf")
    except (HTTPException, MultiPartException):
        return False
    return isinstance(token, str) and hmac.compare_digest(token.encode(), csrf.encode())


def _stranger(request: Request, refused: Refusal | None) -> Response:
    """Programs get JSON; people get the sign-in page, in the language their address names."""
    if not is_program(request):
        if request.method not in SAFE_METHODS:
            return RedirectResponse("/login?expired=1", status_code=303)
        asked = {name: value for name in ("lang",) if (value := request.query_params.get(name))}
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked |= {"next": wanted} if request.url.path != "/" else {}
        return RedirectResponse(f"/login{'?' if asked else ''}{urlencode(asked)}", status_code=303)
    hint = "Sign in at /login, or send an API token, or HTTP Basic with an account's name and password."
    if refused is None:
        return problem(401, "not signed in", hint)
    if refused.wait_s <= 0 and request.headers.get("Authorization", "").lower().startswith("bearer "):
        hint = (
            "It is unknown, expired or revoked, its account is disabled or its engagement over: "
            "make another on the page /tokens."
        )
        return problem(401, "the token is not good", hint)
    if refused.over:
        return problem(401, "the engagement of this account is over", "Ask the central team.")
    if refused.wait_s <= 0:
        return problem(401, "name and password do not fit", hint)
    answer = problem(429, "too many wrong passwords or tokens", f"Try again in {int(refused.wait_s) + 1} s.")
    return retry_after(answer, refused.wait_s)


def _foreign(request: Request) -> str | None:
    """The other site a form or script comes from; programs that send no such header are judged by their password."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    own = request.headers.get("Host", "")
    if site not in ("same-origin", "none") or (origin is not None and origin.partition("://")[2] != own):
        return origin or site
    return None


def _actor(session: Session | None, request: Request) -> Actor:
    """Who a request is of, for the audit trail."""
    address = client_of(request).address
    if session is None:
        return Actor(Who.STRANGER, "unknown", address)
    if session.token is not None:
        return Actor(Who.TOKEN, f"{session.user}, {session.token}", address)
    return Actor(Who.ACCOUNT, session.user, address)


def _too_long(request: Request, largest: int) -> str | None:
    """The length of a body that says itself that it is too large; what does not say is counted as it comes."""
    length = request.headers.get("Content-Length", "0")
    return None if length.isdecimal() and len(length) < 10 and int(length) <= largest else length[:20]
