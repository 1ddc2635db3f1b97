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
    agent,
    agents,
    alerts,
    audit,
    calibration,
    calibration_entry,
    completeness,
    emissions,
    engagement,
    engagements,
    explain,
    findings,
    hour,
    inventory,
    live,
    log,
    nowhere,
    overview,
    quarantine,
    sign_in,
    tokens,
    version,
)

ENTRIES = (
    engagement.ENTRY, overview.ENTRY, live.ENTRY, emissions.ENTRY, findings.ENTRY, inventory.ENTRY,
    completeness.ENTRY, calibration.ENTRY, quarantine.ENTRY, log.ENTRY, audit.ENTRY, engagements.ENTRY,
    alerts.ENTRY, agents.ENTRY, accounts.ENTRY, tokens.ENTRY,
)  # fmt: skip
"""The navigation, in its order; a verifier has another than the central team."""


def page_router(books: Books, authority: Authority, frame: Frame, hub: Hub) -> APIRouter:
    """Every page."""
    router = APIRouter(include_in_schema=False)
    frame.assets.add_routes(router)
    sign_in.add_routes(router, authority, frame)
    register = Register(books.database)
    account.add_routes(router, authority, register, frame)
    accounts.add_routes(router, register, frame)
    agents.add_routes(router, books, frame)
    agent.add_routes(router, books, frame)
    alerts.add_routes(router, books, frame)
    audit.add_routes(router, books, frame)
    tokens.add_routes(router, register, frame)
    engagement.add_routes(router, books, frame)
    engagements.add_routes(router, books, register, frame)
    findings.add_routes(router, books, frame)
    overview.add_routes(router, books, frame)
    live.add_routes(router, books, frame, hub)
    emissions.add_routes(router, books, frame)
    inventory.add_routes(router, books, frame)
    version.add_routes(router, books, frame)
    hour.add_routes(router, books, frame)
    explain.add_routes(router, books, frame)
    completeness.add_routes(router, books, frame)
    calibration.add_routes(router, books, frame)
    calibration_entry.add_routes(router, books, frame)
    quarantine.add_routes(router, books, frame)
    log.add_routes(router, books, frame)
    nowhere.add_routes(router, frame)
    return router
