"""One's own account: its password, and the browsers it is signed in at."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.authority import Authority, Refusal
from collector.accounts.passwords import SHORTEST, PasswordError
from collector.accounts.reach import Limit
from collector.accounts.register import Register
from collector.accounts.roles import MATRIX, Permission
from collector.api.gate import client_of, needs, retry_after
from collector.web.frame import Frame, View
from collector.web.language import Words
from collector.web.pages.sign_in import set_session

BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"), ("Opera", r"\bOPR/"), ("WeChat", r"\bMicroMessenger/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"), ("Chrome", r"(?:Chrome|CriOS)/"), ("Safari", r"\bSafari/"),
)  # fmt: skip
SYSTEMS = (
    ("Android", r"\bAndroid\b"), ("iPhone", r"\biPhone\b"), ("iPad", r"\biPad\b"), ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b"), ("Linux", r"\bLinux\b"),
)  # fmt: skip


def add_routes(router: APIRouter, authority: Authority, register: Register, frame: Frame) -> None:
    """The page and its three forms."""

    def page_of(view: View, status: int = 200, said: str | None = None) -> Response:
        session = view.session
        assert session is not None  # noqa: S101 - the gate lets nobody else here
        asked = view.request.query_params.get("done", "")
        return view.render(
            "account.html", status, said=said, own=authority.own_sessions(session), browser=browser_name,
            done=view.words(f"account.done.{asked}") if asked in {"password", "ended"} else None,
            permissions=[permission for permission in MATRIX if session.may(permission)], shortest=SHORTEST,
        )  # fmt: skip

    @router.get("/account")
    @needs(Permission.OWN, Limit.NEEDLESS)
    def account_page(request: Request) -> Response:
        return page_of(frame.open(request))

    @router.post("/account/password")
    @needs(Permission.OWN, Limit.NEEDLESS)
    def change_password(
        request: Request,
        current: Annotated[str, Form()] = "",
        new: Annotated[str, Form()] = "",
        again: Annotated[str, Form()] = "",
    ) -> Response:
        view = frame.open(request)
        if new != again:
            return page_of(view, 422, view.words("password.again"))
        try:
            found = authority.change_password(request.state.session, current, new, client_of(request))
        except PasswordError as error:
            return page_of(view, 422, password_refused(view.words, error))
        if isinstance(found, Refusal):
            if found.wait_s > 0:
                said = view.words("sign-in.wait", seconds=int(found.wait_s) + 1)
                return retry_after(page_of(view, 429, said), found.wait_s)
            return page_of(view, 422, view.words("password.wrong"))
        return set_session(RedirectResponse("/account?done=password", status_code=303), found, frame.https)

    @router.post("/account/sessions/{number:int}/end")
    @needs(Permission.OWN, Limit.NEEDLESS)
    def end_one(request: Request, number: int) -> Response:
        if number < 2**63:
            authority.sign_out(request.state.session, number)
        return RedirectResponse("/account?done=ended", status_code=303)

    @router.post("/account/sign-out-everywhere")
    @needs(Permission.OWN, Limit.NEEDLESS)
    def end_all(request: Request) -> Response:
        user = request.state.session.user
        register.sign_out(user, by=user)
        return RedirectResponse("/login", status_code=303)


def password_refused(words: Words, error: PasswordError) -> str:
    """Why a password is not taken, in the page's language."""
    return words(f"password.{error.reason}", shortest=SHORTEST)


def browser_name(agent: str) -> str:
    """What a browser calls itself, in two words where it is a known one."""
    found = [
        next((name for name, sign in known if re.search(sign, agent)), None) for known in (BROWSERS, SYSTEMS)
    ]  # fmt: skip
    return " · ".join(name for name in found if name) or agent[:40]
