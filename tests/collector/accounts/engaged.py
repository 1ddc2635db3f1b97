"""Books of two facilities on two days, an engagement that covers one facility on one day, and who asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import anyio
import httpx
from starlette.types import ASGIApp

from calibration.certificates import Certificate
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.app import create_app
from collector.books import Books
from collector.hours.cells import HOUR_MS, day_start, local_time
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from collector.store.certificates import add_certificate
from collector.store.engagements import Terms, revise
from collector.store.findings import Said, add_finding
from collector.store.inventories import build_inventory
from collector.store.refresh import refresh_hours
from tests.collector.edge import START_MS, Edge
from tests.collector.running import PASSWORD
from tests.plans import PLAN

DAY_MS = 24 * HOUR_MS
ZONE = ZoneInfo("Asia/Shanghai")
INSIDE, OUTSIDE = "org/site", "org/other"
EARLY_MS, INSIDE_MS = START_MS, START_MS + 2 * DAY_MS
"""When the batches begin: two days before the engagement's period, and in it."""
FROM_MS = day_start(local_time(INSIDE_MS, ZONE).date(), ZONE)
TO_MS = FROM_MS + DAY_MS
OTHER_PLAN = PLAN.replace('id = "site"', 'id = "other"').replace("厂区", "别处")


@dataclass
class Engaged:
    """The books; ``here`` is the agent of the engagement's facility, ``there`` that of the other one."""

    books: Books
    here: Edge
    there: Edge
    engagement: int
    finding: int

    @cached_property
    def app(self) -> ASGIApp:
        """The application, made once."""
        return create_app(self.books)

    def ask(self, who: str, path: str, method: str = "GET", **form: object) -> httpx.Response:
        """What the application answers a program of this account."""

        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://collector", auth=(who, PASSWORD), timeout=30
            ) as client:
                return await client.request(method, path, data=form or None)

        return anyio.run(asking)

    def terms(self, **changes: object) -> Terms:
        """The terms of the engagement, some changed."""
        return terms(**changes)


def terms(**changes: object) -> Terms:
    """One facility on one day, open for a long time."""
    values = {
        "name": "Verification 2025", "body": "Body Ltd", "criteria": "ISO 14064-1, reasonable assurance, 5 %",
        "sites": (INSIDE,), "from_ms": FROM_MS, "to_ms": TO_MS, "expires_ms": 2**42, "accounts": ("verifier",),
    }  # fmt: skip
    return Terms(**(values | changes))  # type: ignore[arg-type]


def fill(books: Books, certificates: Iterable[Certificate]) -> Engaged:
    """Two agents with a batch on each of two days, two inventory versions, and an account per role."""
    register = Register(books.database)
    for role in Role:
        register.add(role.value, role, PASSWORD, by="test")
    for name in ("wide", "stranger"):
        register.add(name, Role.VERIFIER, PASSWORD, by="test")
    here = Edge(at_ms=EARLY_MS)
    there = Edge(seed=bytes(range(1, 33)), stream_id=b"\x08" * 16, at_ms=EARLY_MS, plan_text=OTHER_PLAN)
    for edge in (here, there):
        edge.add_plan()
        edge.add_batch()
        edge.at_ms, edge.state = INSIDE_MS, None
        edge.add_batch()
        with books.database.writing() as connection:
            add_agent(connection, edge.public, f"agent of {edge.plan.plan.facility.id}", START_MS)
        commit_group(books, [edge.message(number) for number in range(3)], INSIDE_MS + 1)
    with books.database.writing() as connection:
        for certificate in certificates:
            add_certificate(connection, books.plans, certificate, INSIDE_MS)
        made = revise(connection, None, terms(), "manager", INSIDE_MS)
        wide = terms(name="Both", sites=(INSIDE, OUTSIDE), accounts=("wide",))
        revise(connection, None, wide, "manager", INSIDE_MS)
        finding = add_finding(connection, made.number, "verifier", Said("misstatement", "too little"), INSIDE_MS)
        add_finding(connection, made.number + 1, "wide", Said("observation", "of org/other"), INSIDE_MS)
    refresh_hours(books.database, books.plans, books.hour_rule)
    for span in ((FROM_MS, TO_MS), (EARLY_MS, TO_MS)):
        build_inventory(books.database, books.plans, *span, "AR6", INSIDE_MS)
    return Engaged(books, here, there, made.number, finding.number)
