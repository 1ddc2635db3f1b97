"""Bundles over HTTP: written once to disk, then sent with a digest and in ranges, so that a cut fetch goes on."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from pydantic import Field

from collector.accounts.reach import Limit, OutsideError, Reach
from collector.accounts.roles import Permission
from collector.api.gate import needs, problem, reach_of, retry_after
from collector.api.routes import FromMs, GwpSet, ToMs, check_order
from collector.books import Books
from collector.exporting import Wanted, scope_of
from collector.hours.cells import HOUR_MS
from collector.spool import BusyError, Spool, Spooled

RETRY_S = 5

Names = Annotated[
    list[Annotated[str, Field(max_length=64)]], Query(default_factory=list, max_length=64, description="Only these")
]
WholeLog = Annotated[bool, Query(description="Show every leaf of the log in a partial bundle")]
Number = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="As Content-Location of the first answer says")]


def bundle_router(books: Books) -> APIRouter:
    """The routes of bundles under /api/v1."""
    router = APIRouter(prefix="/api/v1", tags=["evidence"])
    spool = Spool(books)

    @router.get("/bundle", response_class=FileResponse)
    @needs(Permission.EVIDENCE, Limit.APPLIED)
    def bundle(
        request: Request, from_ms: FromMs, to_ms: ToMs, agent: Names, source: Names, gas: Names,
        gwp_set: GwpSet = None, whole_log: WholeLog = False,
    ) -> Response:  # fmt: skip
        """An evidence bundle for emitrace-verify, of everything in a period or of agents, sources and gases in it.

        Its inventory weighs by the profile's GWP set, or by the one named. ``Content-Location`` is where the same
        bytes stay for a while, in ranges; 503 with ``Retry-After`` while another bundle is being written.
        """
        check_order(from_ms, to_ms)
        reach = reach_of(request)
        wanted = Wanted(from_ms, to_ms, scope_of(agent, source, gas), gwp_set, whole_log)
        if reach.is_limited:
            wanted = _within(wanted, reach)
        try:
            return _sent(spool, spool.ask(wanted, _account(request)))
        except BusyError as error:
            return retry_after(problem(503, f"{error.subject}: {error.seen}", error.hint), RETRY_S - 1)

    @router.get("/bundles/{number}", response_class=FileResponse)
    @needs(Permission.EVIDENCE, Limit.APPLIED)
    def again(request: Request, number: Number) -> Response:
        """A bundle asked for before, whole or from a byte on (``Range`` with ``If-Range``)."""
        found = spool.find(number, _account(request))
        if found is None:
            raise HTTPException(404, "no bundle of this account is kept under this number; ask for it again")
        return _sent(spool, found)

    return router


def _account(request: Request) -> str:
    """Whose request this is: a bundle is only handed to who asked for it, a verifier within the same engagement."""
    user, reach = str(request.state.session.user), reach_of(request)
    if not reach.is_limited:
        return user
    return f"{user} {reach.engagement} {reach.from_ms} {reach.to_ms} {' '.join(sorted(reach.agents))}"


def _within(wanted: Wanted, reach: Reach) -> Wanted:
    """The same of the engagement's agents alone; OutsideError where more is asked for by name or time."""
    reach.need_period(wanted.from_ms - wanted.from_ms % HOUR_MS, -(-wanted.to_ms // HOUR_MS) * HOUR_MS)
    for agent in wanted.scope.agents:
        reach.need_agent(agent)
    if not reach.agents:
        raise OutsideError("bundle", "no agent has served the engagement's facilities alone", "Ask the central team.")
    agents = wanted.scope.agents or tuple(sorted(reach.agents))
    return replace(wanted, scope=replace(wanted.scope, agents=agents))


def _sent(spool: Spool, found: Spooled) -> FileResponse:
    digest = b64encode(bytes.fromhex(found.sha256)).decode("ascii")
    headers = {
        "ETag": f'"{found.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "Content-Location": f"/api/v1/bundles/{found.number}",
    }
    return FileResponse(spool.path(found), media_type="application/zip", filename=found.name, headers=headers)
