"""Sign-in and sign-out."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.authority import Authority, Refusal
from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import client_of, needs, retry_after, session_cookie
from collector.web.frame import Frame, View

FORM_AGE_S = 3600


def form_cookie(https: bool) -> str:
    """Name of the cookie that ties the sign-in form to the browser it was sent to."""
    return "__Host-emitrace_form" if https else "emitrace_form"


def set_session(response: Response, token: str, https: bool) -> Response:
    """The response with the session's cookie; it ends with the browser, or before when the session does."""
    response.set_cookie(session_cookie(https), token, httponly=True, samesite="strict", secure=https)
    return response


def add_routes(router: APIRouter, authority: Authority, frame: Frame) -> None:
    """The form, what it sends, and the way out."""
    https = frame.https

    def form(view: View, said: str | None = None, status: int = 200, username: str = "", wanted: str = "") -> Response:
        token = secrets.token_urlsafe(16)
        page = view.render("login.html", status, token=token, said=said, username=username[:64], wanted=_local(wanted))
        page.set_cookie(form_cookie(https), token, FORM_AGE_S, httponly=True, samesite="strict", secure=https)
        return page

    @router.get("/login")
    @needs(Permission.PUBLIC)
    def login_page(request: Request, expired: str = "", wanted: Annotated[str, Query(alias="next")] = "") -> Response:
        view = frame.open(request)
        return form(view, view.words("sign-in.expired") if expired else None, wanted=wanted)

    @router.post("/login")
    @needs(Permission.PUBLIC)
    def login(
        request: Request,
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        token: Annotated[str, Form()] = "",
        wanted: Annotated[str, Form(alias="next")] = "",
    ) -> Response:
        view = frame.open(request)
        words = view.words
        given = request.cookies.get(form_cookie(https), "")
        if not token or not hmac.compare_digest(given.encode(), token.encode()):
            return form(view, words("sign-in.stale"), 403, username, wanted)
        former = request.cookies.get(session_cookie(https))
        found = authority.sign_in(username, password, client_of(request), former)
        if isinstance(found, Refusal):
            if found.wait_s > 0:
                said = words("sign-in.wait", seconds=int(found.wait_s) + 1)
                return retry_after(form(view, said, 429, username, wanted), found.wait_s)
            return form(view, words("sign-in.over" if found.over else "sign-in.failed"), 401, username, wanted)
        response = RedirectResponse(_local(wanted) or "/", status_code=303)
        response.delete_cookie(form_cookie(https), secure=https, httponly=True, samesite="strict")
        return set_session(response, found, https)

    @router.post("/logout")
    @needs(Permission.OWN, Limit.NEEDLESS)
    def logout(request: Request) -> Response:
        authority.sign_out(request.state.session, request.state.session.number)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(session_cookie(https), secure=https, httponly=True, samesite="strict")
        return response


def _local(wanted: str) -> str:
    """The page somebody was on the way to, where it is one of ours; else empty."""
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login", "/logout"))
    return wanted if ours and wanted.isprintable() else ""
