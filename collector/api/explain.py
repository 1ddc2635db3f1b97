"""Explain: from any figure of the ledger down to register words and signatures, as one document."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs, reach_of
from collector.api.routes import FAR_MS, AgentId, FromMs, ToMs, check_order
from collector.api.trails import trail
from collector.books import Books
from collector.store.knowledge import known_now
from collector.store.trail import read_trail

Name = Annotated[str, Query(min_length=1, max_length=64)]
AtMs = Annotated[int | None, Query(ge=0, lt=FAR_MS, description="Which way down; without it the first known hour")]


def explain_router(books: Books) -> APIRouter:
    """The route of trails under /api/v1."""
    router = APIRouter(prefix="/api/v1", tags=["evidence"])

    @router.get("/explain")
    @needs(Permission.READ, Limit.APPLIED)
    def explain(
        request: Request, agent: AgentId, source: Name, gas: Name, from_ms: FromMs, to_ms: ToMs, at_ms: AtMs = None
    ) -> dict[str, Any]:
        """The trail of a figure: its parts down to the hour at ``at_ms``, a window, its readings and signed batches."""
        check_order(from_ms, to_ms)
        reach = reach_of(request)
        reach.need(agent, from_ms, to_ms)
        if at_ms is not None:
            reach.need_period(at_ms, at_ms + 1)
        with books.database.reading() as connection:
            found = read_trail(connection, books.plans, agent, source, gas, (from_ms, to_ms), at_ms)
            return trail(found, known_now(connection))

    return router
