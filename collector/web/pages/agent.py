"""One agent: state, queue, streams, identity and history; the forms that revoke and retire it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector import enrolling
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.store.endings import Ending
from collector.web.agents import gather_agent
from collector.web.frame import Frame, View
from protocols.errors import EmitraceError

DONE = frozenset(one.value for one in Ending)
_ID = re.compile(r"[0-9a-f]{64}")


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its forms."""

    def page_of(view: View, agent: str, status: int = 200, said: str | None = None) -> Response:
        found = gather_agent(books, agent, view.now_ms) if _ID.fullmatch(agent) else None
        if found is None:
            return view.error(404, view.words("agents.unknown"))
        done = view.request.query_params.get("done", "")
        return view.render(
            "agent.html", status, a=found, said=said, done=view.words(f"agents.done.{done}") if done in DONE else None
        )

    def end(request: Request, agent: str, ending: Ending, reason: str, checked: str) -> Response:
        view = frame.open(request)
        if checked != "yes":
            return page_of(view, agent, 422, view.words("agents.unchecked"))
        try:
            _, done = enrolling.end_agent(books, agent, ending, reason, request.state.session.user)
        except EmitraceError as error:
            return page_of(view, agent, 422, view.words("refused", seen=error))
        if done.problem:
            return page_of(view, agent, 200, view.words("agents.accounts", seen=done.problem))
        return RedirectResponse(f"/agents/{agent}?done={ending.value}", status_code=303)

    @router.get("/agents/{agent}")
    @needs(Permission.READ)
    def agent_page(request: Request, agent: str) -> Response:
        return page_of(frame.open(request), agent)

    @router.post("/agents/{agent}/revoke")
    @needs(Permission.AGENTS)
    def revoke(
        request: Request, agent: str, reason: Annotated[str, Form()] = "", checked: Annotated[str, Form()] = ""
    ) -> Response:
        return end(request, agent, Ending.REVOKED, reason, checked)

    @router.post("/agents/{agent}/retire")
    @needs(Permission.AGENTS)
    def retire(
        request: Request, agent: str, reason: Annotated[str, Form()] = "", checked: Annotated[str, Form()] = ""
    ) -> Response:
        return end(request, agent, Ending.RETIRED, reason, checked)
