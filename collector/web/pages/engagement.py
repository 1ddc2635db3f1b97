"""A verifier's own engagement: criteria, what may be seen and until when, and the ways into the figures."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.api.within import is_within
from collector.books import Books
from collector.store.engagements import Engagement, the_engagement
from collector.store.findings import State, all_findings
from collector.store.inventories import all_versions
from collector.store.plans import Site
from collector.web.frame import Entry, Frame, View
from collector.web.period import Period, fitting

ENTRY = Entry("engagement", "/engagement", Permission.FINDINGS, limited=True)


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The page."""

    @router.get("/engagement")
    @needs(Permission.FINDINGS, Limit.APPLIED)
    def engagement_page(request: Request) -> Response:
        view = frame.open(request)
        reach = view.reach
        if reach.engagement is None:
            return view.render("engagement.html", e=None)
        with books.database.reading() as connection:
            found = the_engagement(connection, reach.engagement)
            findings = all_findings(connection, found.number)
            versions = [one for one in all_versions(connection) if is_within(one.inventory, reach)]
        whole = {"from_ms": str(found.terms.from_ms), "to_ms": str(found.terms.to_ms)}
        return view.render(
            "engagement.html", e=found, versions=versions, findings=findings,
            open_findings=sum(one.state is State.OPEN for one in findings),
            facilities=[(site, _emissions(site, found, view)) for site in view.sites],
            waiting=sorted(set(found.terms.sites) - {site.id for site in view.sites}),
            bundle="/api/v1/bundle?" + urlencode(whole),
        )  # fmt: skip


def _emissions(site: Site, engagement: Engagement, view: View) -> str:
    """The explorer over the part of the period that has begun."""
    terms = engagement.terms
    to_ms = max(min(terms.to_ms, view.now_ms - view.now_ms % 3_600_000), terms.from_ms + 3_600_000)
    period = Period(terms.from_ms, to_ms, fitting((terms.from_ms, to_ms)), site.zone)
    return "/emissions?" + urlencode({"site": site.id, **period.query})
