"""Findings and their answers for programs; they are written on the pages, by people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs, reach_of
from collector.books import Books
from collector.inventory.document import plain
from collector.store.findings import all_findings, answers_to


def findings_router(books: Books) -> APIRouter:
    """The route of findings under /api/v1."""
    router = APIRouter(prefix="/api/v1", tags=["verification"])

    @router.get("/findings")
    @needs(Permission.READ, Limit.APPLIED)
    def findings(request: Request) -> dict[str, Any]:
        """The newest revision of each finding, newest first, with the answers; a verifier's of its engagement."""
        reach = reach_of(request)
        with books.database.reading() as connection:
            found = [one for one in all_findings(connection) if reach.is_for(one.engagement)]
            answers = answers_to(connection, [one.number for one in found])
        return {"findings": [{"finding": plain(one), "answers": plain(answers.get(one.number, []))} for one in found]}

    return router
