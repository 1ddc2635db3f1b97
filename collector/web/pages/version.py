"""One inventory version: matrix with its way down, what it rests on, and the two steps that seal it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.api.within import need_within
from collector.books import Books
from collector.clock import now_ms
from collector.sealing import seal as seal_version
from collector.store.healings import HealingError
from collector.store.inventories import read_inventory
from collector.store.knowledge import KnownAt
from collector.store.pinned import read_basis
from collector.store.tree import root_at
from collector.web.drill import open_drill
from collector.web.export import exported, provenance_of
from collector.web.frame import Frame, View
from collector.web.inventory_tables import basis_of, inventory_tables
from protocols.errors import EmitraceError
from protocols.ghg.gwp import gwp_set

MOST_VERSIONS = 2**31


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its form."""

    def root_of(size: int) -> bytes:
        """The log's root at that size."""
        with books.database.reading() as connection:
            return root_at(connection, size)

    def page_of(view: View, version: int, said: str | None = None, *, sealing: bool = False) -> Response:
        words, query = view.words, view.request.query_params
        if version >= MOST_VERSIONS:
            return view.error(404, words("missing.version", version=version))
        with books.database.reading() as connection:
            try:
                stored = read_inventory(connection, version)
            except EmitraceError:
                return view.error(404, words("missing.version", version=version))
            need_within(stored.inventory, version, view.reach)
            drill = open_drill(connection, stored.inventory, view.site_zone, f"/inventory/{version}", query)
            basis = read_basis(connection, books.plans, stored.inventory.pinned)
        if "format" in query:
            tables = inventory_tables(stored.inventory, drill.matrix, view)
            pinned = stored.inventory.pinned
            basis_lines = provenance_of(
                view, KnownAt(pinned.origin, pinned.tree_size), basis_of(stored.inventory, version, stored.digest, view)
            )
            return exported(query["format"], tables, query.get("table"), basis_lines, f"inventory-{version}", view)
        asked = query.get("done")
        done = {"built": stored.sealed_ms is None, "sealed": stored.sealed_ms is not None}.get(asked or "", False)
        weights = gwp_set(stored.inventory.pinned.gwp_set)
        used = sorted({row.gwp_record for row in (*stored.inventory.rows, *stored.inventory.cross_checks)})
        return view.render(
            "version.html", 422 if said else 200, v=stored, d=drill, basis=basis, said=said, weights=weights,
            root=root_of(stored.inventory.pinned.tree_size),
            potentials=[weights.potential(record) for record in used],
            sealing=stored.sealed_ms is None and (sealing or query.get("seal") == "1"),
            done=words(f"done.{asked}", version=version) if done else None,
        )  # fmt: skip

    @router.get("/inventory/{version:int}")
    @needs(Permission.READ, Limit.APPLIED)
    def version_page(request: Request, version: int) -> Response:
        return page_of(frame.open(request), version)

    @router.post("/inventory/{version:int}/seal")
    @needs(Permission.SEAL)
    def seal(request: Request, version: int, checked: Annotated[str, Form()] = "") -> Response:
        view = frame.open(request)
        if version >= MOST_VERSIONS:
            return page_of(view, version)
        if checked != "yes":
            return page_of(view, version, view.words("seal.unchecked"), sealing=True)
        try:
            seal_version(books, version, now_ms())
        except HealingError:
            raise
        except EmitraceError:
            return page_of(view, version, view.words("seal.again", version=version))
        return RedirectResponse(f"/inventory/{version}?done=sealed", status_code=303)
