"""API tokens: one's own, and for administrators everybody's; a new one is shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.reach import Limit
from collector.accounts.register import Register
from collector.accounts.roles import GRANTABLE, Permission
from collector.accounts.tokens import DEFAULT_DAYS, LONGEST_DAYS, LONGEST_NAME, MOST_OF_A_USER, TokenError
from collector.api.gate import needs
from collector.web.frame import Entry, Frame, View

ENTRY = Entry("tokens", "/tokens", Permission.TOKENS, section="operation", limited=True)
TERMS = (7, DEFAULT_DAYS, 90, LONGEST_DAYS)


def add_routes(router: APIRouter, register: Register, frame: Frame) -> None:
    """The list, the form, and what the forms do."""

    def page_of(
        view: View, status: int = 200, said: str | None = None, name: str = "", scope: tuple[str, ...] = (),
        days: int = DEFAULT_DAYS,
    ) -> Response:  # fmt: skip
        session = view.session
        assert session is not None  # noqa: S101 - the gate lets nobody else here
        done = view.request.query_params.get("done", "")
        return view.render(
            "tokens.html", status, said=said, done=view.words("tokens.done.revoked") if done == "revoked" else None,
            found=register.tokens(None if session.may(Permission.ACCOUNTS) else session.user), terms=TERMS,
            scopes=[one for one in GRANTABLE if session.may(one)], name=name[:LONGEST_NAME], chosen=scope, days=days,
        )  # fmt: skip

    @router.get("/tokens")
    @needs(Permission.TOKENS, Limit.NEEDLESS)
    def tokens_page(request: Request) -> Response:
        return page_of(frame.open(request))

    @router.post("/tokens")
    @needs(Permission.TOKENS, Limit.NEEDLESS)
    def make(
        request: Request,
        name: Annotated[str, Form()] = "",
        scope: Annotated[list[str], Form(default_factory=list)] = ...,  # type: ignore[assignment]
        days: Annotated[int, Form(ge=0, le=10_000)] = DEFAULT_DAYS,
    ) -> Response:
        view, user = frame.open(request), request.state.session.user
        try:
            secret, token = register.make_token(user, name, scope, days, by=user)
        except TokenError as error:
            said = view.words(f"tokens.refused.{error.reason}", longest=LONGEST_DAYS, most=MOST_OF_A_USER)
            return page_of(view, 422, said, name, tuple(scope), days)
        return view.render("token-made.html", 201, token=token, secret=secret)

    @router.post("/tokens/{number:int}/revoke")
    @needs(Permission.TOKENS, Limit.NEEDLESS)
    def revoke(request: Request, number: int) -> Response:
        session = request.state.session
        of = None if session.may(Permission.ACCOUNTS) else session.user
        if number >= 2**63 or register.revoke_token(number, by=session.user, user=of) is None:
            view = frame.open(request)
            return page_of(view, 404, view.words("tokens.unknown"))
        return RedirectResponse("/tokens?done=revoked", status_code=303)
