"""The REST API: thin routes over the store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import or_, select

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api import shapes
from collector.api.gate import needs, reach_of
from collector.api.within import is_within, need_within
from collector.books import Books
from collector.clock import now_ms
from collector.hours.cells import days_of
from collector.inventory.crosscheck import discrepancies
from collector.inventory.document import plain
from collector.sealing import seal as seal_version
from collector.store import quarantine
from collector.store.agents import view_agents
from collector.store.certificates import all_certificates
from collector.store.comparisons import differing, verdicts
from collector.store.hours import read_hours, windows_page
from collector.store.inventories import all_versions, build_inventory, read_inventory
from collector.store.plans import agent_zone, instruments_known, sources_known
from collector.store.refresh import broken_cells, dirty_cells
from collector.store.schema import items, slots
from collector.store.stated_events import events_page
from protocols.errors import EmitraceError

FAR_MS = 253_339_228_800_000
"""The year 9998: every time up to here is a date in every zone. [UTC ms]"""
PAGE = 1000
MOST = 100_000

FromMs = Annotated[int, Query(ge=0, lt=FAR_MS, description="Start of the period [UTC ms]")]
ToMs = Annotated[int, Query(gt=0, le=FAR_MS, description="End of the period, exclusive [UTC ms]")]
Most = Annotated[int, Query(ge=1, le=MOST, description="Most rows in one answer")]
BatchLimit = Annotated[int, Query(ge=1, le=PAGE, description="Most batches to open for one answer")]
Number = Annotated[int, InPath(ge=0, lt=2**63)]
AgentId = Annotated[str, Query(pattern="^[0-9a-f]{64}$", description="Agent id")]
GwpSet = Annotated[str | None, Query(max_length=16, description="GWP set, for example AR6")]


class BuildRequest(BaseModel):
    """What to build an inventory of."""

    model_config = ConfigDict(extra="forbid")

    from_ms: Annotated[int, Field(ge=0, lt=FAR_MS)]
    to_ms: Annotated[int, Field(gt=0, le=FAR_MS)]
    gwp_set: Annotated[str, Field(max_length=16)] = "AR6"


def api_router(books: Books) -> APIRouter:
    """Every route of /api/v1."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/openapi.json", include_in_schema=False)
    @needs(Permission.READ, Limit.NEEDLESS)
    def description(request: Request) -> dict[str, Any]:
        """What the API answers, as OpenAPI."""
        found: dict[str, Any] = request.app.openapi()
        return found

    _add_ledger(router, books)
    _add_evidence(router, books)
    _add_inventories(router, books)
    return router


def _add_ledger(router: APIRouter, books: Books) -> None:
    @router.get("/health", tags=["service"])
    @needs(Permission.PUBLIC)
    def health() -> dict[str, str]:
        """Whether the service answers; says nothing else to strangers."""
        return {"status": "ok"}

    @router.get("/agents", tags=["ledger"])
    @needs(Permission.READ, Limit.APPLIED)
    def agents(request: Request) -> dict[str, Any]:
        """Registered agents, how far their streams have come, and their own unsigned status."""
        reach = reach_of(request)
        with books.database.reading() as connection:
            found = [view for view in view_agents(connection) if reach.has_agent(view.agent_id)]
        return {"agents": [shapes.agent(view) for view in found]}

    @router.get("/windows", tags=["ledger"])
    @needs(Permission.READ, Limit.APPLIED)
    def windows(
        request: Request, agent: AgentId, from_ms: FromMs = 0, to_ms: ToMs = FAR_MS, limit: Most = PAGE
    ) -> dict[str, Any]:
        """Windows as the edge stated them, by start; ``next_from_ms`` is where to go on, null at the end."""
        from_ms, to_ms = _asked(request, from_ms, to_ms, agent)
        with books.database.reading() as connection:
            found, following = windows_page(connection, agent, from_ms, to_ms, limit)
            plans = {digest: books.plans.of(connection, agent, digest) for digest in {digest for digest, _ in found}}
        rows = [shapes.window(agent, plan, one) for digest, one in found if (plan := plans[digest]) is not None]
        return {"windows": rows, "next_from_ms": following}

    @router.get("/hours", tags=["ledger"])
    @needs(Permission.READ, Limit.APPLIED)
    def hours(request: Request, from_ms: FromMs = 0, to_ms: ToMs = FAR_MS, limit: Most = PAGE) -> dict[str, Any]:
        """The hourly ledger; ``dirty`` cells wait to be made anew, those ``broken`` could not be made, and why."""
        from_ms, to_ms = _asked(request, from_ms, to_ms)
        reach = reach_of(request)
        with books.database.reading() as connection:
            rows = read_hours(connection, from_ms, to_ms, limit, agents=reach.agents if reach.is_limited else None)
            broken = [
                shapes.broken_cell(one) for one in broken_cells(connection)
                if reach.has_agent(one.agent_id) and reach.touches(one.from_ms, one.to_ms)
            ]
            waiting = dirty_cells(connection, reach.agents if reach.is_limited else None)
        return {"hours": [shapes.hour(row) for row in rows], "dirty": waiting, "broken": broken}  # fmt: skip

    @router.get("/cross-checks", tags=["ledger"])
    @needs(Permission.READ, Limit.APPLIED)
    def cross_checks(request: Request, from_ms: FromMs, to_ms: ToMs) -> dict[str, Any]:
        """Cross-checks against their primary sources, over the hours that both know in full."""
        check_order(from_ms, to_ms)
        reach = reach_of(request)
        reach.need_period(from_ms, to_ms)
        with books.database.reading() as connection:
            rows = [one.row for one in read_hours(connection, from_ms, to_ms) if reach.has_agent(one.row.agent)]
            facts = [one for one in sources_known(connection, books.plans) if reach.has_agent(one.agent)]
        found = discrepancies(rows, facts)
        return {"cross_checks": [plain(one) for one in found]}

    @router.get("/slots", tags=["ledger"])
    @needs(Permission.READ, Limit.APPLIED)
    def slot_counts(request: Request, agent: AgentId) -> dict[str, Any]:
        """Slots per point, day (of the batch's start, in the facility's zone) and fate."""
        reach = reach_of(request)
        reach.need_agent(agent)
        query = select(slots).where(slots.c.agent_id == agent).order_by(slots.c.day, slots.c.point, slots.c.fate)
        with books.database.reading() as connection:
            if reach.is_limited:
                first, last = days_of(reach.from_ms, reach.to_ms, agent_zone(connection, books.plans, agent))
                query = query.where(slots.c.day.between(first, last))
            rows = connection.execute(query).all()
        return {
            "slots": [
                {"point": row.point, "day": row.day, "fate": shapes.fate_name(row.fate), "count": row.count}
                for row in rows
            ]
        }


def _add_evidence(router: APIRouter, books: Books) -> None:
    @router.get("/items", tags=["evidence"])
    @needs(Permission.READ, Limit.APPLIED)
    def stream_items(
        request: Request, agent: AgentId, after: Annotated[int, Query(ge=0, lt=2**63)] = 0, limit: Most = PAGE
    ) -> dict[str, Any]:
        """Items of an agent in the order they came; continue with ``after`` = the last ``id``."""
        reach = reach_of(request)
        reach.need_agent(agent)
        columns = [column for column in items.c if column.name != "bytes"]
        query = select(*columns).where(items.c.agent_id == agent, items.c.id > after).order_by(items.c.id).limit(limit)
        if reach.is_limited:
            query = query.where(or_(items.c.from_ms.is_(None), items.c.from_ms < reach.to_ms),
                                or_(items.c.to_ms.is_(None), items.c.to_ms > reach.from_ms))  # fmt: skip
        with books.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {
            "items": [
                {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()} for row in rows
            ]
        }

    @router.get("/items/{item}/bytes", tags=["evidence"], response_class=Response)
    @needs(Permission.EVIDENCE, Limit.APPLIED)
    def item_bytes(request: Request, item: Number) -> Response:
        """The signed bytes exactly as they came in."""
        reach = reach_of(request)
        with books.database.reading() as connection:
            row = connection.execute(select(items).where(items.c.id == item)).first()
        if row is None or not (reach.has_agent(row.agent_id) and reach.touches(row.from_ms, row.to_ms)):
            row = None  # whether there is one outside is not said either
        return _download(None if row is None else row.bytes, f"item-{item}.cose")

    @router.get("/events", tags=["evidence"])
    @needs(Permission.READ, Limit.APPLIED)
    def stated_events(
        request: Request, agent: AgentId, from_ms: FromMs = 0, to_ms: ToMs = FAR_MS, limit: BatchLimit = PAGE
    ) -> dict[str, Any]:
        """Events of an agent's batches, by the batch's start; ``next_from_ms`` is where to go on, null at the end."""
        from_ms, to_ms = _asked(request, from_ms, to_ms, agent)
        with books.database.reading() as connection:
            found, following = events_page(connection, agent, from_ms, to_ms, limit)
        return {"events": [shapes.event(item, one) for item, one in found], "next_from_ms": following}

    @router.get("/quarantine", tags=["evidence"])
    @needs(Permission.READ)
    def refused(limit: Most = PAGE) -> dict[str, Any]:
        """What could not be believed, last seen first, with its reason."""
        with books.database.reading() as connection:
            found = quarantine.latest(connection, limit)
            return {"quarantine": plain(found), "by_reason": quarantine.count_by_reason(connection)}

    @router.get("/quarantine/{entry}/bytes", tags=["evidence"], response_class=Response)
    @needs(Permission.EVIDENCE)
    def refused_bytes(entry: Number) -> Response:
        """The refused bytes exactly as they came in."""
        with books.database.reading() as connection:
            return _download(quarantine.read_bytes(connection, entry), f"quarantine-{entry}.bin")

    @router.get("/comparisons", tags=["evidence"])
    @needs(Permission.READ)
    def comparisons() -> dict[str, Any]:
        """Batches recomputed from raw words: how many are equal, differ or wait, and every difference."""
        with books.database.reading() as connection:
            stands, found = verdicts(connection), differing(connection)
        rows = [
            {"agent": one.agent_id, "stream": one.stream_id.hex(), "sequence": one.sequence,
             "differences": one.differences.splitlines(), "compared_ms": one.compared_ms}
            for one in found
        ]  # fmt: skip
        return {
            "equal": stands.equal, "different": stands.different, "waiting": stands.waiting, "differing": rows
        }  # fmt: skip

    @router.get("/certificates", tags=["evidence"])
    @needs(Permission.READ, Limit.APPLIED)
    def certificates(request: Request) -> dict[str, Any]:
        """Every certificate entered."""
        reach = reach_of(request)
        with books.database.reading() as connection:
            found = all_certificates(connection)
            if reach.is_limited:
                own = {one.id for one in instruments_known(connection, books.plans, reach.agents)}
                found = tuple(one for one in found if one.certificate.instrument in own)
        return {"certificates": [shapes.certificate(stored) for stored in found]}


def _add_inventories(router: APIRouter, books: Books) -> None:
    @router.get("/inventories", tags=["inventory"])
    @needs(Permission.READ, Limit.APPLIED)
    def versions(request: Request) -> dict[str, Any]:
        """Every inventory version, newest first, without rows; ``co2e_mg`` is null where nothing is known."""
        with books.database.reading() as connection:
            found = [one for one in all_versions(connection) if is_within(one.inventory, reach_of(request))]
        return {
            "inventories": [
                {"version": one.version, "from_ms": one.inventory.from_ms, "to_ms": one.inventory.to_ms,
                 "gwp_set": one.inventory.pinned.gwp_set,
                 "co2e_mg": plain(one.inventory.total.co2e_mg) if one.inventory.is_known else None,
                 "covered_ms": one.inventory.covered_ms, "expected_ms": one.inventory.expected_ms,
                 "digest": one.digest.hex(), "built_ms": one.built_ms, "sealed_ms": one.sealed_ms}
                for one in found
            ]
        }  # fmt: skip

    @router.post("/inventories", status_code=201, tags=["inventory"])
    @needs(Permission.BUILD)
    def build(wanted: BuildRequest) -> dict[str, Any]:
        """Bring the hours up to date and build a new version."""
        check_order(wanted.from_ms, wanted.to_ms)
        profile = books.config.settings.inventory.profile
        return shapes.inventory(
            build_inventory(
                books.database, books.plans, wanted.from_ms, wanted.to_ms, wanted.gwp_set, now_ms(),
                profile,
            )
        )  # fmt: skip

    @router.get("/inventories/{version}", tags=["inventory"])
    @needs(Permission.READ, Limit.APPLIED)
    def one_version(request: Request, version: Number) -> dict[str, Any]:
        """One version with its rows, totals and pinned inputs."""
        with books.database.reading() as connection:
            found = read_inventory(connection, version)
        need_within(found.inventory, version, reach_of(request))
        return shapes.inventory(found)

    @router.post("/inventories/{version}/seal", tags=["inventory"])
    @needs(Permission.SEAL)
    def seal(version: Number) -> dict[str, Any]:
        """Seal a version for ever: its digest goes into the evidence log, and the database refuses changes."""
        return shapes.inventory(seal_version(books, version, now_ms()))


def check_order(from_ms: int, to_ms: int) -> None:
    """Refuse a period that ends before it begins."""
    if to_ms <= from_ms:
        raise EmitraceError("period", f"to_ms {to_ms} is not after from_ms {from_ms}", "Give an end after the start.")


def _asked(request: Request, from_ms: int, to_ms: int, agent: str | None = None) -> tuple[int, int]:
    """The part of a period, of an agent, that who asks may see; what is not to be had is refused. [UTC ms]"""
    check_order(from_ms, to_ms)
    reach = reach_of(request)
    if agent is not None:
        reach.need_agent(agent)
    return reach.clip(from_ms, to_ms)


def _download(data: bytes | None, name: str) -> Response:
    if data is None:
        raise HTTPException(404, "nothing is kept under this number")
    return Response(
        data, media_type="application/octet-stream", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
