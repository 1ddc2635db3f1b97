"""Sign-in and sign-out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.api.auth import FORM_COOKIE, SESSION_COOKIE, Authority
from collector.api.gate import client_of
from collector.web.frame import Frame, View


def add_routes(router: APIRouter, authority: Authority, frame: Frame) -> None:
    """The form, what it sends, and the way out."""

    def form(view: View, said: str | None = None, status: int = 200, username: str = "") -> Response:
        token = authority.form_token()
        page = view.render("login.html", status, token=token, said=said, username=username[:64])
        page.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=frame.https, path="/login")
        return page

    @router.get("/login")
    def login_page(request: Request, expired: str = "") -> Response:
        view = frame.open(request)
        return form(view, view.words("sign-in.expired") if expired else None)

    @router.post("/login")
    def login(
        request: Request,
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        token: Annotated[str, Form()] = "",
    ) -> Response:
        view = frame.open(request)
        if not authority.form_fits(request.cookies.get(FORM_COOKIE), token):
            return form(view, view.words("sign-in.stale"), 403, username)
        wait_s = authority.brake.wait_s(client_of(request))
        if wait_s > 0:
            refused = form(view, view.words("sign-in.wait", seconds=int(wait_s) + 1), 429, username)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        session = authority.sign_in(username, password, client_of(request))
        if session is None:
            return form(view, view.words("sign-in.failed"), 401, username)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="strict", secure=frame.https)
        response.delete_cookie(FORM_COOKIE, path="/login")
        return response

    @router.post("/logout")
    def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        view = frame.open(request)
        if not view.form_fits(csrf):
            return view.stale()
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response
