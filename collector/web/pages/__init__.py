"""The pages, one module each: its place in the navigation (``ENTRY``) and its routes (``add_routes``)."""

from __future__ import annotations

from fastapi import APIRouter

from collector.accounts.authority import Authority
from collector.accounts.register import Register
from collector.books import Books
from collector.live.hub import Hub
from collector.web.frame import Frame
from collector.web.pages import (
    account,
    accounts,
    alerts,
    audit,
    completeness,
    emissions,
    explain,
    hour,
    inventory,
    live,
    nowhere,
    overview,
    quarantine,
    sign_in,
    tokens,
    version,
)

ENTRIES = (overview.ENTRY, live.ENTRY, emissions.ENTRY, inventory.ENTRY, alerts.ENTRY, accounts.ENTRY)
"""The navigation, in its order."""


def page_router(books: Books, authority: Authority, frame: Frame, hub: Hub) -> APIRouter:
    """Every page."""
    router = APIRouter(include_in_schema=False)
    frame.assets.add_routes(router)
    sign_in.add_routes(router, authority, frame)
    register = Register(books.database)
    account.add_routes(router, authority, register, frame)
    accounts.add_routes(router, register, frame)
    alerts.add_routes(router, books, frame)
    audit.add_routes(router, books, frame)
    tokens.add_routes(router, register, frame)
    overview.add_routes(router, books, frame)
    live.add_routes(router, books, frame, hub)
    emissions.add_routes(router, books, frame)
    inventory.add_routes(router, books, frame)
    version.add_routes(router, books, frame)
    hour.add_routes(router, books, frame)
    explain.add_routes(router, books, frame)
    completeness.add_routes(router, books, frame)
    quarantine.add_routes(router, books, frame)
    nowhere.add_routes(router, frame)
    return router
