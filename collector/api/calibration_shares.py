"""What a period's emissions rest on: CO2 equivalent per category and calibration status."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from calibration.status import State
from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs, reach_of
from collector.api.routes import FromMs, GwpSet, ToMs, check_order
from collector.books import Books
from collector.inventory.document import plain
from collector.inventory.profile import load_profile
from collector.inventory.scope import WHOLE, Scope
from collector.inventory.statuses import CategoryStatuses, by_category
from collector.store.inventories import compose_inventory
from collector.store.knowledge import known_now
from collector.store.refresh import dirty_cells


def shares_router(books: Books) -> APIRouter:
    """The route of calibration shares under /api/v1."""
    router = APIRouter(prefix="/api/v1", tags=["calibration"])

    @router.get("/calibration/shares")
    @needs(Permission.READ, Limit.APPLIED)
    def shares(
        request: Request, from_ms: FromMs, to_ms: ToMs,
        category: Annotated[int | None, Query(ge=1, le=6, description="ISO 14064-1 category; all without it")] = None,
        state: Annotated[State | None, Query(description="Calibration status; all without it")] = None,
        gwp_set: GwpSet = None,
    ) -> dict[str, Any]:  # fmt: skip
        """How much of each category rests on each status, as the hours stand now.

        ``share`` is of the category's total, null where that is zero; ``dirty`` hours wait to be made anew.
        """
        check_order(from_ms, to_ms)
        reach = reach_of(request)
        reach.need_period(from_ms, to_ms)
        name = books.config.settings.inventory.profile
        weights = gwp_set or load_profile(name)[0].gwp.default
        scope = Scope(agents=tuple(sorted(reach.agents))) if reach.is_limited else WHOLE
        found: tuple[CategoryStatuses, ...] = ()
        with books.database.reading() as connection:
            known = known_now(connection)
            waiting = dirty_cells(connection, reach.agents if reach.is_limited else None)
            if scope.agents or not reach.is_limited:
                rows = compose_inventory(connection, books.plans, from_ms, to_ms, weights, name, scope).rows
                found = by_category(rows)
        return {
            "from_ms": from_ms, "to_ms": to_ms, "gwp_set": weights, "dirty": waiting,
            "as_known_at": {"origin": known.origin, "tree_size": known.tree_size},
            "categories": [_shape(one, state) for one in found if category in (None, one.category)],
        }  # fmt: skip

    return router


def _shape(one: CategoryStatuses, state: State | None) -> dict[str, Any]:
    amounts = dict(one.status_co2e_mg)
    wanted = list(amounts) if state is None else [state.value]
    return {
        "category": one.category, "co2e_mg": plain(one.co2e_mg),
        "states": [
            {"state": name, "co2e_mg": plain(amounts.get(name, 0)),
             "share": amounts.get(name, 0) / one.co2e_mg if one.co2e_mg else None}
            for name in wanted
        ],
    }  # fmt: skip
