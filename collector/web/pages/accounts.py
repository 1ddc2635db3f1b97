"""Other people's accounts, for administrators: the list, a new one, and a page for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.register import Register
from collector.accounts.roles import MATRIX, Permission, Role, may
from collector.accounts.users import AccountError
from collector.api.gate import needs
from collector.web.frame import Entry, Frame, View

ENTRY = Entry("accounts", "/accounts", Permission.ACCOUNTS, section="operation")
DONE = frozenset({"role", "disabled", "enabled", "signed-out", "removed"})


def add_routes(router: APIRouter, register: Register, frame: Frame) -> None:
    """The pages and their forms."""
    _add_list(router, register, frame)
    _add_one(router, register, frame)


def _add_list(router: APIRouter, register: Register, frame: Frame) -> None:
    def page_of(view: View, status: int = 200, said: str | None = None, name: str = "", role: str = "") -> Response:
        return view.render(
            "accounts.html", status, users=register.everybody(), roles=tuple(Role), said=said, done=_done(view),
            name=name[:64], role=role, matrix=MATRIX, may=may,
        )  # fmt: skip

    @router.get("/accounts")
    @needs(Permission.ACCOUNTS)
    def accounts_page(request: Request) -> Response:
        return page_of(frame.open(request))

    @router.post("/accounts")
    @needs(Permission.ACCOUNTS)
    def add(request: Request, name: Annotated[str, Form()] = "", role: Annotated[str, Form()] = "") -> Response:
        view = frame.open(request)
        if role not in tuple(Role):
            return page_of(view, 422, view.words("account.role-missing"), name)
        try:
            user, password = register.invite(name, Role(role), by=request.state.session.user)
        except AccountError as error:
            return page_of(view, 422, _refused(view, error), name, role)
        return view.render("account-password.html", 201, name=user.name, password=password)


def _add_one(router: APIRouter, register: Register, frame: Frame) -> None:
    def page_of(view: View, name: str, said: str | None = None) -> Response:
        found = next(((user, count) for user, count in register.everybody() if user.name == name), None)
        if found is None:
            return view.error(404, view.words("account.unknown", name=name[:64]))
        user, count = found
        return view.render(
            "account-one.html", 422 if said else 200, u=user, sessions=count, roles=tuple(Role), said=said,
            done=_done(view), own=view.session is not None and view.session.user == user.name,
        )  # fmt: skip

    def changed(
        request: Request, name: str, done: str, change: Callable[[str], object], to: str | None = None
    ) -> Response:
        try:
            change(request.state.session.user)
        except AccountError as error:
            view = frame.open(request)
            return page_of(view, name, _refused(view, error))
        return RedirectResponse(f"{to or f'/accounts/{name}'}?done={done}", status_code=303)

    @router.get("/accounts/{name}")
    @needs(Permission.ACCOUNTS)
    def account_of(request: Request, name: str) -> Response:
        return page_of(frame.open(request), name)

    @router.post("/accounts/{name}/role")
    @needs(Permission.ACCOUNTS)
    def set_role(request: Request, name: str, role: Annotated[str, Form()] = "") -> Response:
        if role not in tuple(Role):
            view = frame.open(request)
            return page_of(view, name, view.words("account.role-missing"))
        return changed(request, name, "role", lambda by: register.set_role(name, Role(role), by=by))

    @router.post("/accounts/{name}/disable")
    @needs(Permission.ACCOUNTS)
    def disable(request: Request, name: str) -> Response:
        return changed(request, name, "disabled", lambda by: register.set_enabled(name, False, by=by))

    @router.post("/accounts/{name}/enable")
    @needs(Permission.ACCOUNTS)
    def enable(request: Request, name: str) -> Response:
        return changed(request, name, "enabled", lambda by: register.set_enabled(name, True, by=by))

    @router.post("/accounts/{name}/sign-out")
    @needs(Permission.ACCOUNTS)
    def sign_out(request: Request, name: str) -> Response:
        return changed(request, name, "signed-out", lambda by: register.sign_out(name, by=by))

    @router.post("/accounts/{name}/remove")
    @needs(Permission.ACCOUNTS)
    def remove(request: Request, name: str) -> Response:
        return changed(request, name, "removed", lambda by: register.remove(name, by=by), "/accounts")

    @router.post("/accounts/{name}/password")
    @needs(Permission.ACCOUNTS)
    def reset_password(request: Request, name: str) -> Response:
        view = frame.open(request)
        try:
            password = register.reset_password(name, by=request.state.session.user)
        except AccountError as error:
            return page_of(view, name, _refused(view, error))
        return view.render("account-password.html", name=name, password=password)


def _done(view: View) -> str | None:
    asked = view.request.query_params.get("done", "")
    return view.words(f"accounts.done.{asked}") if asked in DONE else None


def _refused(view: View, error: AccountError) -> str:
    return view.words(f"account.{error.reason}", name=error.name)
