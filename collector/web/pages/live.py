"""The live pages: every site at a glance, and one site for whoever stands beside its meters; and its events."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from collector.accounts.roles import Permission
from collector.accounts.sessions import Session
from collector.api.gate import needs, problem
from collector.books import Books
from collector.clock import now_ms
from collector.hours.lives import Lives
from collector.live.events import EventStream
from collector.live.hub import Hub, TooManyError
from collector.store.trust import trust_known
from collector.web.frame import Entry, Frame, View
from collector.web.live import SCRIPT_WORDS, AgentCard, agent_cards, ago
from collector.web.shown import instant

ENTRY = Entry("live", "/live")
RETRY_S = 30


def add_routes(router: APIRouter, books: Books, frame: Frame, hub: Hub) -> None:
    """The pages and the stream of events."""

    def cards(view: View, site: str, at_ms: int) -> tuple[AgentCard, ...]:
        agents = hub.agents(site)
        named = {one.id for agent in agents for one in agent.plan.plan.instruments}
        with books.database.reading() as connection:
            lives = Lives(trust_known(connection, named))
        return agent_cards(agents, lives, view.words, at_ms)

    @router.get("/live")
    @needs(Permission.READ)
    def sites_page(request: Request) -> Response:
        view, at_ms = frame.open(request), now_ms()
        found = [(site, cards(view, site.id, at_ms)) for site in view.sites]
        return view.render("live.html", found=found, at_ms=at_ms, ago=_ago(view))

    @router.get("/live/{org}/{facility}")
    @needs(Permission.READ)
    def site_page(request: Request, org: str, facility: str) -> Response:
        view, at_ms, wanted = frame.open(request), now_ms(), f"{org}/{facility}"
        site = next((one for one in view.sites if one.id == wanted), None)
        if site is None:
            return view.error(404, view.words("live.site.unknown", seen=wanted[:129]))
        zone = ZoneInfo("UTC") if view.clock == "utc" else site.zone

        def time(ms: int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
            return instant(ms, zone, form)

        return view.render(
            "live_site.html", site=site, agents=cards(view, site.id, at_ms), at_ms=at_ms, ago=_ago(view), time=time,
            script_words=json.dumps(view.words.all_of(*SCRIPT_WORDS), ensure_ascii=False),
        )  # fmt: skip

    @router.get("/live/{org}/{facility}/events")
    @needs(Permission.READ)
    async def site_events(request: Request, org: str, facility: str) -> Response:
        wanted = f"{org}/{facility}"
        if not await run_in_threadpool(_is_known, frame, request, wanted):
            return problem(404, f"there is no site {wanted[:129]}", "GET /live lists the sites.")
        session: Session = request.state.session
        inside = ExitStack()
        try:
            looker = inside.enter_context(hub.look(wanted, session.user))
        except TooManyError as error:
            whose = "your account" if error.of_user else "this collector"
            refused = problem(429, f"too many live streams of {whose} are open", "Close some, or try again later.")
            refused.headers["Retry-After"] = str(RETRY_S)
            return refused
        return EventStream(hub, looker, inside)


def _is_known(frame: Frame, request: Request, site: str) -> bool:
    return any(one.id == site for one in frame.open(request).sites)


def _ago(view: View) -> Any:
    return lambda age_ms: ago(view.words, age_ms)
