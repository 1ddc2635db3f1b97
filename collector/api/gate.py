"""The gate in front of every path: denied unless signed in, but for the few paths a stranger needs."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response

from collector.api.auth import SESSION_COOKIE, Authority, Session, script_key

OPEN_PATHS = frozenset({"/login", "/api/v1/health"})
OPEN_FOLDER = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send "Origin: null" with our own forms
    "Cross-Origin-Resource-Policy": "same-origin",
}
LARGEST_BODY = 64 * 1024

Next = Callable[[Request], Awaitable[Response]]


class Gate:
    """Middleware: finds the session, refuses strangers, foreign origins and oversized bodies."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def __call__(self, request: Request, call_next: Next) -> Response:
        """Pass a request on, or answer it."""
        response = await self._judge(request, call_next)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.url.path.startswith(OPEN_FOLDER):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def _judge(self, request: Request, call_next: Next) -> Response:
        path = request.url.path
        if request.method not in SAFE_METHODS:
            refusal = _foreign(request) or _too_large(request)
            if refusal is not None:
                return refusal
        request.state.session = None
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return await call_next(request)
        session = await run_in_threadpool(self._session, request)
        if session is None:
            return _stranger(request, self._authority.brake.wait_s(script_key(client_of(request))))
        request.state.session = session
        if request.method not in SAFE_METHODS and path.startswith("/api/") and session.csrf:
            token = request.headers.get("X-CSRF-Token", "")
            if not hmac.compare_digest(token, session.csrf):
                return problem(403, "anti-forgery token missing or wrong", "Send X-CSRF-Token, or use HTTP Basic.")
        return await call_next(request)

    def _session(self, request: Request) -> Session | None:
        session = self._authority.session(request.cookies.get(SESSION_COOKIE))
        return session or self._authority.basic(request.headers.get("Authorization"), client_of(request))


def problem(status: int, error: str, hint: str) -> JSONResponse:
    """An error as JSON: what is wrong, and what to do."""
    return JSONResponse({"error": error, "hint": hint}, status_code=status)


def client_of(request: Request) -> str:
    """What the brake on guessing counts by."""
    return request.client.host if request.client else "unknown"


def _stranger(request: Request, wait_s: float) -> Response:
    """Programs get JSON; people get the sign-in page, in the language their address names."""
    if not request.url.path.startswith("/api/"):
        expired = "?expired=1" if request.method not in SAFE_METHODS else ""
        language = request.query_params.get("lang", "")
        asked = f"?lang={language}" if language.replace("-", "").isalnum() and language.isascii() else ""
        return RedirectResponse(f"/login{expired or asked}", status_code=303)
    hint = "Sign in at /login, or send HTTP Basic with the administrator's name and password."
    if "Authorization" not in request.headers:
        return problem(401, "not signed in", hint)
    if wait_s <= 0:
        return problem(401, "name and password do not fit", hint)
    refused = problem(429, "too many wrong passwords from this address", f"Try again in {int(wait_s) + 1} s.")
    refused.headers["Retry-After"] = str(int(wait_s) + 1)
    return refused


def _foreign(request: Request) -> Response | None:
    """Refuse a form or script of another site; programs that send no such header are judged by their password."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    own = request.headers.get("Host", "")
    if site not in ("same-origin", "none") or (origin is not None and origin.partition("://")[2] != own):
        return problem(403, f"request from another site ({origin or site})", "Use this collector's own pages.")
    return None


def _too_large(request: Request) -> Response | None:
    length = request.headers.get("Content-Length")
    if length is None and request.headers.get("Transfer-Encoding") is None:
        return None
    if length is None or not length.isdigit() or int(length) > LARGEST_BODY:
        return problem(413, f"a body of {length or 'unknown'} bytes", f"Send at most {LARGEST_BODY} with its length.")
    return None
