"""Agents: how each one goes, who asks to be enrolled, and the forms that invite, confirm and refuse."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector import enrolling
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.store.enrolments import LONGEST_MINUTES, LONGEST_NAME, withdraw_token
from collector.web.agents import gather_agents
from collector.web.frame import Entry, Frame, View
from collector.web.qr import drawn
from protocols.enrolment import State
from protocols.errors import EmitraceError

ENTRY = Entry("agents", "/agents", section="operation")
TERMS = (15, 60, 24 * 60, LONGEST_MINUTES)
DONE = frozenset({"confirmed", "refused", "withdrawn"})
MOST = 2**62


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages and their forms."""

    def list_of(view: View, status: int = 200, said: str | None = None, name: str = "", facility: str = "") -> Response:
        return view.render(
            "agents.html", status, found=gather_agents(books, view.now_ms), said=said, done=_done(view), terms=TERMS,
            name=name[:LONGEST_NAME], facility=facility[:LONGEST_NAME],
            url=books.config.settings.enrolment.url or _own(view.request),
        )  # fmt: skip

    def settle(request: Request, number: int, decision: State) -> Response:
        view = frame.open(request)
        try:
            done = enrolling.settle(books, min(number, MOST), decision, request.state.session.user)
        except EmitraceError as error:
            return list_of(view, 409, view.words("refused", seen=error))
        if done.problem:
            return list_of(view, 200, view.words("agents.accounts", seen=done.problem))
        return RedirectResponse(f"/agents?done={decision.value}", status_code=303)

    @router.get("/agents")
    @needs(Permission.READ)
    def list_page(request: Request) -> Response:
        return list_of(frame.open(request))

    @router.post("/agents/invitations")
    @needs(Permission.AGENTS)
    def invite(
        request: Request, name: Annotated[str, Form()] = "", facility: Annotated[str, Form()] = "",
        minutes: Annotated[int, Form(ge=0, le=2**31)] = 60, replaces: Annotated[str, Form()] = "",
    ) -> Response:  # fmt: skip
        view = frame.open(request)
        try:
            made, token = enrolling.invite(
                books, name, facility, minutes, request.state.session.user, replaces=replaces, url=_own(request)
            )
        except EmitraceError as error:
            return list_of(view, 422, view.words("refused", seen=error), name, facility)
        return view.render("agent-invited.html", 201, token=token, text=made.text(), qr=drawn(made.text()))

    @router.post("/agents/invitations/{number:int}/withdraw")
    @needs(Permission.AGENTS)
    def withdraw(request: Request, number: int) -> Response:
        with books.database.writing() as connection:
            gone = withdraw_token(connection, min(number, MOST), now_ms())
        if not gone:
            view = frame.open(request)
            return list_of(view, 404, view.words("agents.token-unknown"))
        return RedirectResponse("/agents?done=withdrawn", status_code=303)

    @router.post("/agents/enrolments/{number:int}/confirm")
    @needs(Permission.AGENTS)
    def confirm(request: Request, number: int) -> Response:
        return settle(request, number, State.CONFIRMED)

    @router.post("/agents/enrolments/{number:int}/refuse")
    @needs(Permission.AGENTS)
    def refuse(request: Request, number: int) -> Response:
        return settle(request, number, State.REFUSED)


def _own(request: Request) -> str:
    """Where the browser reaches the collector."""
    return str(request.base_url).rstrip("/")


def _done(view: View) -> str | None:
    done = view.request.query_params.get("done", "")
    return view.words(f"agents.done.{done}") if done in DONE else None
