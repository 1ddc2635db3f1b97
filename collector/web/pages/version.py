"""One inventory version: its figures, what they rest on, and the form that seals it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.store.inventories import read_inventory, seal_inventory
from collector.web.frame import Frame, View
from protocols.errors import EmitraceError

MOST_VERSIONS = 2**31


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page and its form."""

    def page_of(view: View, version: int, said: str | None = None) -> Response:
        words = view.words
        if version >= MOST_VERSIONS:
            return view.error(404, words("missing.version", version=version))
        with books.database.reading() as connection:
            try:
                stored = read_inventory(connection, version)
            except EmitraceError:
                return view.error(404, words("missing.version", version=version))
        asked = view.request.query_params.get("done")
        done = {"built": stored.sealed_ms is None, "sealed": stored.sealed_ms is not None}.get(asked or "", False)
        return view.render(
            "inventory.html", 422 if said else 200, v=stored, said=said,
            done=words(f"done.{asked}", version=version) if done else None,
        )  # fmt: skip

    @router.get("/inventory/{version:int}")
    @needs(Permission.READ)
    def version_page(request: Request, version: int) -> Response:
        return page_of(frame.open(request), version)

    @router.post("/inventory/{version:int}/seal")
    @needs(Permission.SEAL)
    def seal(request: Request, version: int) -> Response:
        view = frame.open(request)
        if version >= MOST_VERSIONS:
            return page_of(view, version)
        try:
            with books.database.writing() as connection:
                seal_inventory(connection, version, now_ms())
        except EmitraceError:
            return page_of(view, version, view.words("seal.again", version=version))
        return RedirectResponse(f"/inventory/{version}?done=sealed", status_code=303)
