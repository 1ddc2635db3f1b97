"""A verifier's account sees its engagement's facilities and period on every route of the application, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.routing import APIRoute
from sqlalchemy import select

from calibration.certificates import parse_certificates
from calibration.evidence import Document, Kind
from calibration.instruments import Instrument
from collector.accounts import passwords
from collector.accounts.reach import EVERYTHING, NOTHING, Limit, OutsideError, Reach
from collector.accounts.roles import Permission
from collector.api.gate import limit_of, permission_of
from collector.app import gated
from collector.books import Books, open_books
from collector.config import Config, Settings
from collector.store.calibration import add_record
from collector.store.evidence_files import add_file
from collector.store.schema import items
from protocols.plan.model import Regime
from tests.calibration.happenings import happened
from tests.collector.accounts.engaged import EARLY_MS, FROM_MS, INSIDE_MS, TO_MS, Engaged, fill

CERTIFICATES = """
schema = 1
[[certificates]]
id = "c-1"
instrument = "INSTRUMENT"
serial = "E1"
kind = "verification-certificate"
number = "N 1"
laboratory = "lab"
performed_on = 2025-01-01
valid_until = 2026-12-31
result = "pass"
"""
NEEDLESS = {
    "/account", "/account/password", "/account/sessions/{number:int}/end", "/account/sign-out-everywhere", "/logout",
    "/tokens", "/tokens/{number:int}/revoke", "/api/v1/openapi.json", "/api/v1/log", "/api/v1/log/checkpoint",
    "/api/v1/log/checkpoints", "/api/v1/log/proof", "/api/v1/log/consistency", "/{path:path}",
    "/log", "/log/leaf/{position:int}", "/api/v1/log/leaves/{position}/proof", "/api/v1/log/checkpoints/{number}",
    "/api/v1/log/checkpoints/{number}/timestamp",
}  # fmt: skip
"""Routes that show nothing of any facility."""
DAY = "from=2025-10-11&to=2025-10-12"
BEFORE = "from=2025-10-09&to=2025-10-10"
CASES: dict[str, tuple[list[str], list[str]]] = {
    "/api/v1/agents": ([""], []),
    "/api/v1/windows": (["?agent={here}"], ["?agent={there}", "?agent={here}&from_ms={early}&to_ms={first}"]),
    "/api/v1/hours": ([""], ["?from_ms={early}&to_ms={first}"]),
    "/api/v1/cross-checks": (["?from_ms={first}&to_ms={last}"], ["?from_ms={early}&to_ms={last}"]),
    "/api/v1/calibration/shares": (["?from_ms={first}&to_ms={last}"], ["?from_ms={early}&to_ms={last}"]),
    "/api/v1/slots": (["?agent={here}"], ["?agent={there}"]),
    "/api/v1/items": (["?agent={here}"], ["?agent={there}"]),
    "/api/v1/items/{item}/bytes": (["{own_item}"], ["{early_item}", "{foreign_item}", "99999"]),
    "/api/v1/events": (["?agent={here}"], ["?agent={there}", "?agent={here}&from_ms={early}&to_ms={first}"]),
    "/api/v1/certificates": ([""], []),
    "/api/v1/inventories": ([""], []),
    "/api/v1/inventories/{version}": (["wide:1"], ["1", "2", "wide:2"]),
    "/api/v1/bundle": (
        ["?from_ms={first}&to_ms={last}", "?from_ms={first}&to_ms={last}&agent={here}"],
        ["?from_ms={first}&to_ms={last}&agent={there}", "?from_ms={early}&to_ms={last}"],
    ),
    "/api/v1/bundles/{number}": (["{bundle}"], ["wide:{bundle}", "0" * 32]),
    "/api/v1/explain": (
        ["?agent={here}&source=grid&gas=CO2&from_ms={first}&to_ms={last}"],
        [
            "?agent={there}&source=grid&gas=CO2&from_ms={first}&to_ms={last}",
            "?agent={here}&source=grid&gas=CO2&from_ms={early}&to_ms={last}",
            "?agent={here}&source=grid&gas=CO2&from_ms={first}&to_ms={last}&at_ms={early}",
        ],
    ),
    "/api/v1/findings": ([""], []),
    "/engagement": ([""], []),
    "/findings": ([""], []),
    "/findings/new": (["?reference=/explain"], []),
    "/findings/{number:int}": (["{finding}"], ["{foreign_finding}"]),
    "/emissions": (
        ["", f"?{DAY}", f"?{DAY}&format=csv&table=rows", "?site=org/other"],
        [f"?{BEFORE}", "?from=2025", f"?{BEFORE}&format=csv&table=rows"],
    ),
    "/emissions/hour": (
        ["?agent={here}&source=grid&gas=CO2&at={start}"],
        ["?agent={there}&source=grid&gas=CO2&at={start}", "?agent={here}&source=grid&gas=CO2&at={early}"],
    ),
    "/explain": (
        ["?agent={here}&source=grid&gas=CO2", f"?agent={{here}}&source=grid&gas=CO2&{DAY}"],
        [
            f"?agent={{there}}&source=grid&gas=CO2&{DAY}", "?agent={here}&source=grid&gas=CO2&from=2025",
            f"?agent={{here}}&source=grid&gas=CO2&{BEFORE}",
        ],
    ),
    "/explain/window": (
        ["?agent={here}&source=grid&gas=CO2&from={window}"],
        ["?agent={there}&source=grid&gas=CO2&from={start}", "?agent={here}&source=grid&gas=CO2&from={early}"],
    ),
    "/inventory/{version:int}": (["wide:1"], ["1", "2", "wide:2"]),
    "/inventory/{version:int}/explain": (["wide:1"], ["1", "2", "wide:2"]),
    "/calibration": (["", "?all=1", "?all=1&format=csv", "?all=1&known=2025-10-12"], []),
    "/calibration/due.ics": ([""], []),
    "/calibration/instruments/{instrument}": (["em-1"], ["spare", "of-another-site"]),
    "/calibration/instruments/{instrument}/label": (["em-1"], ["spare"]),
    "/calibration/files/{sha256}": (["{file}"], ["{foreign_file}", "0" * 64]),
    "/completeness": (["", f"?{DAY}", f"?{DAY}&format=csv"], [f"?{BEFORE}", f"?{BEFORE}&format=csv"]),
}  # fmt: skip
"""Route that asks -> what of it a verifier gets, and what is refused; ``wide:`` is asked by who sees both facilities.

What stands in a case replaces the route's own placeholder or is added to it.
"""


@pytest.fixture(scope="module")
def engaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engaged]:
    """The books, for every test here; none changes them."""
    real = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=2048, parallelism=1)
    try:
        with open_books(Config(tmp_path_factory.mktemp("engaged") / "collector.toml", Settings())) as books:
            known, foreign = (
                parse_certificates(CERTIFICATES.replace("INSTRUMENT", name).replace("c-1", f"c-{name}"), "c.toml")[0]
                for name in ("em-1", "of-another-site")
            )
            found = fill(books, (known, foreign))
            keep_files(books)
            yield found
    finally:
        passwords._HASHER = real


def keep_files(books: Books) -> None:
    """A scan of a meter of every facility, and one of a spare meter that is of none."""
    with books.database.writing() as connection:
        for name, serial in (("em-1", "A-1"), ("spare", "A-9")):
            scan = add_file(connection, name.encode(), f"{name}.pdf", "application/pdf", INSIDE_MS, "manager")
            document = Document(Kind.VERIFICATION, name, sha256=scan)
            if name == "spare":
                spare = Instrument(name, serial, Regime.USER_DEFINED)
                add_record(connection, books.plans, spare, INSIDE_MS, "manager")
            test = happened(f"v-{name}", "2025-10-01", instrument=name, serial=serial, document=document)
            add_record(connection, books.plans, test, INSIDE_MS, "manager")


@pytest.fixture(scope="module")
def names(engaged: Engaged) -> dict[str, object]:
    """What stands for what in the cases."""
    with engaged.books.database.reading() as connection:
        found = connection.execute(select(items.c.id, items.c.agent_id, items.c.from_ms)).all()
    own = {(row.agent_id, row.from_ms): row.id for row in found}
    here, there = engaged.here.agent_id, engaged.there.agent_id
    bundle = engaged.ask("verifier", f"/api/v1/bundle?from_ms={FROM_MS}&to_ms={TO_MS}")
    return {
        "here": here, "there": there, "first": FROM_MS, "last": TO_MS, "early": EARLY_MS,
        "start": INSIDE_MS, "window": INSIDE_MS + 10_000,
        "own_item": own[here, INSIDE_MS], "early_item": own[here, EARLY_MS],
        "foreign_item": own[there, INSIDE_MS], "finding": engaged.finding, "foreign_finding": engaged.finding + 1,
        "file": sha256(b"em-1").hexdigest(), "foreign_file": sha256(b"spare").hexdigest(),
        "bundle": bundle.headers["Content-Location"].rpartition("/")[2],
    }  # fmt: skip


def routes(engaged: Engaged) -> list[APIRoute]:
    """Every route that asks for a permission."""
    found = [route for route in gated(engaged.books).routes if isinstance(route, APIRoute)]
    return [route for route in found if permission_of(route) is not Permission.PUBLIC]


def test_every_route_is_limited_harmless_or_refused(engaged: Engaged) -> None:
    """No route is left out: what is not in the lists of this file is refused to who sees a part."""
    found = routes(engaged)

    applied = {route.path for route in found if limit_of(route) is Limit.APPLIED and "GET" in (route.methods or ())}
    assert applied == set(CASES)
    assert {route.path for route in found if limit_of(route) is Limit.NEEDLESS} == NEEDLESS


def test_what_is_not_kept_apart_is_refused(engaged: Engaged) -> None:
    """Every other route answers 403 to a verifier's account and its token, whatever is asked."""
    wrong, count = [], 0
    for route in routes(engaged):
        if limit_of(route) is not Limit.REFUSED:
            continue
        for method in route.methods or ():
            count += 1
            answer = engaged.ask("verifier", re.sub(r"\{\w+(:\w+)?\}", "1", route.path), method)
            if answer.status_code != 403:
                wrong.append(f"{method} {route.path}: {answer.status_code}")

    assert [] == wrong
    assert count > 20


@pytest.mark.parametrize("route", CASES)
def test_a_route_shows_the_engagement_and_no_more(engaged: Engaged, names: dict[str, object], route: str) -> None:
    """Inside it answers, with nothing of the other facility or of other days; outside it refuses."""
    inside, outside = CASES[route]
    for case in inside:
        answer = asked(engaged, names, route, case)
        assert 200 == answer.status_code, f"{case}: {answer.text[:400]}"
        if not case.startswith("wide:"):
            assert_inside(engaged, answer, f"{route} {case}")
    for case in outside:
        answer = asked(engaged, names, route, case)
        assert answer.status_code in (403, 404), f"{case}: {answer.status_code}"
        assert_inside(engaged, answer, f"{route} {case}", times=False)


@pytest.mark.parametrize("route", CASES)
def test_an_account_without_engagement_sees_nothing(engaged: Engaged, names: dict[str, object], route: str) -> None:
    """Lists are empty or refused, figures are refused; no agent, facility or figure is named."""
    for case in CASES[route][0]:
        answer = asked(engaged, names, route, case.removeprefix("wide:"), "stranger")
        shown = answer.text.replace(case.format(**names), "")
        assert answer.status_code in (200, 403, 404, 409), f"{case}: {answer.status_code}"
        for word in (engaged.here.agent_id[:12], engaged.there.agent_id[:12], "org/site", "too little"):
            if answer.status_code == 200:
                assert word not in shown, f"{route} {case} names {word}"


def test_links_of_its_pages_lead_somewhere(engaged: Engaged, names: dict[str, object]) -> None:
    """What a verifier's pages link to is not refused to the verifier."""
    wrong: list[str] = []
    pages = [
        (route, case) for route, (inside, _) in CASES.items() for case in inside
        if not route.startswith("/api/") and "format=" not in case
    ]  # fmt: skip
    seen: set[str] = set()
    for route, case in pages:
        if case.startswith("wide:"):
            continue
        page = asked(engaged, names, route, case).text
        for link in set(re.findall(r'href="(/[^"#]*)', page)) - seen - {"/"}:  # home leads a browser to /engagement
            seen.add(link)
            status = engaged.ask("verifier", link.replace("&amp;", "&")).status_code
            if status not in (200, 303) and "/log/proof" not in link:  # a proof waits for the next checkpoint
                wrong.append(f"{route} {case} -> {link}")

    assert [] == wrong
    assert len(seen) > 30


def test_outside_is_said_with_what_is_covered() -> None:
    """A program reads which facilities and which time its engagement covers."""
    reach = Reach(7, frozenset({"org/site"}), frozenset({"a"}), 10, 20)

    with pytest.raises(OutsideError) as refused:
        reach.need("a", 5, 15)
    assert "engagement 7" in refused.value.seen
    assert "org/site" in refused.value.hint
    assert (10, 15) == reach.clip(5, 15)
    with pytest.raises(OutsideError):
        reach.clip(20, 30)
    for one in (NOTHING, reach):
        with pytest.raises(OutsideError):
            one.need_agent("b")
        assert not one.covers(20, 30)
    assert (EVERYTHING.clip(5, 15), EVERYTHING.covers(0, 2**60), EVERYTHING.has_agent("b")) == ((5, 15), True, True)


def asked(engaged: Engaged, names: dict[str, object], route: str, case: str, name: str = "verifier") -> Any:
    """The answer to a case."""
    if case.startswith("wide:"):
        name, case = "wide", case.removeprefix("wide:")
    filled = case.format(**names)
    path = route + filled if filled.startswith("?") or not filled else re.sub(r"\{\w+(:\w+)?\}", filled, route)
    return engaged.ask(name, path)


def assert_inside(engaged: Engaged, answer: Any, what: str, *, times: bool = True) -> None:
    """Nothing of the other facility, and no time of another day, is in an answer."""
    kind = answer.headers.get("content-type", "")
    if "zip" in kind or "octet" in kind:
        assert engaged.there.public not in answer.content, what
        return
    said = answer.text.replace(str(answer.request.url), "")
    if answer.status_code == 200:
        for word in (engaged.there.agent_id[:12], "别处", "of-another-site", "of org/other", "2025-10-09"):
            assert word not in said, f"{what} shows {word}"
    if times and "json" in kind:
        for name, at_ms in re.findall(r'"(from_ms|to_ms|due_ms)": ?(\d{12,})', answer.text):
            assert FROM_MS <= int(at_ms) <= TO_MS, f"{what} shows {name} {at_ms}"
