from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from collector.accounts.authority import Authority, Client, Refusal
from collector.accounts.engaged import reach_of
from collector.accounts.reach import EVERYTHING, NOTHING
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.accounts.sessions import Lifetime
from collector.accounts.tokens import find_token
from collector.books import Books
from collector.clock import now_ms
from collector.ingest.worker import commit_group
from collector.store.audit import Filter, entries
from collector.store.engagements import EngagementError, all_engagements, revise, revisions_of
from collector.store.findings import (
    FindingError,
    Said,
    add_answer,
    add_finding,
    all_findings,
    answers_to,
    checked_reference,
    revise_finding,
)
from collector.store.leaves import read_leaf
from collector.store.schema import answers, engagements, findings
from tests.collector.accounts.engaged import FROM_MS, INSIDE, OUTSIDE, TO_MS, Engaged, fill, terms
from tests.collector.edge import START_MS
from tests.collector.running import PASSWORD

pytestmark = pytest.mark.usefixtures("quick_hashes")
LATER_MS = START_MS + 1000


@pytest.fixture
def engaged(books: Books) -> Engaged:
    """Two facilities, an engagement that covers one, and an account per role."""
    return fill(books, ())


def hidden(page: str) -> str:
    """The anti-forgery token of a page's forms."""
    return re.findall(r'name="csrf" value="([^"]*)"', page)[0]


@pytest.mark.backends
def test_every_revision_stays_and_is_in_the_log(books: Books) -> None:
    """A change is a further revision; leaves and audit entries stand for each, and digests are of what is kept."""
    with books.database.writing() as connection:
        first = revise(connection, None, terms(), "manager", START_MS)
        second = revise(connection, first.number, terms(to_ms=TO_MS - 1000), "admin", LATER_MS)
    with books.database.reading() as connection:
        assert [first, second] == revisions_of(connection, first.number)
        assert [second] == all_engagements(connection)
        kept = connection.execute(select(engagements).order_by(engagements.c.id)).all()
        leaves = [read_leaf(connection, row.position) for row in kept]
        trail = entries(connection, Filter(object=f"engagement/{first.number}"), 10)

    assert [("engagement", "1/1"), ("engagement", "1/2")] == [(leaf.kind, leaf.object_id) for leaf in leaves if leaf]
    assert [sha256(row.document).digest() for row in kept] == [leaf.digest for leaf in leaves if leaf]
    assert ["engagement-revised", "engagement-made"] == [entry.action for entry in trail]


@pytest.mark.backends
@pytest.mark.parametrize("table", [engagements, findings, answers], ids=lambda table: table.name)
def test_the_database_itself_lets_nobody_change_them(books: Books, table: Table) -> None:
    """Neither an update, a deletion nor a second row in the same place goes through."""
    with books.database.writing() as connection:
        number = revise(connection, None, terms(), "manager", START_MS).number
        finding = add_finding(connection, number, "verifier", Said("misstatement", "too little"), START_MS)
        add_answer(connection, finding.number, "manager", "we look", START_MS)
    with books.database.reading() as connection:
        row = dict(connection.execute(select(table)).mappings().one())
    for change in (update(table).values(at_ms=0), delete(table), insert(table).values(row)):
        with pytest.raises(DBAPIError), books.database.writing() as connection:
            connection.execute(change)
    with books.database.reading() as connection:
        assert [row] == [dict(one) for one in connection.execute(select(table)).mappings()]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("name", {"name": " "}), ("name", {"name": "x" * 129}), ("body", {"body": "a\x00b"}),
        ("criteria", {"criteria": ""}), ("sites", {"sites": ()}), ("accounts", {"accounts": ()}),
        ("sites", {"sites": tuple(f"org/{n}" for n in range(101))}), ("period", {"from_ms": TO_MS, "to_ms": FROM_MS}),
        ("taken", {"name": "another"}),
    ],
)  # fmt: skip
def test_terms_that_say_too_little_are_refused(books: Books, reason: str, changes: dict[str, Any]) -> None:
    """With what is wrong of them; an account is in one open engagement at a time."""
    with books.database.writing() as connection:
        revise(connection, None, terms(), "manager", START_MS)
    with pytest.raises(EngagementError) as refused, books.database.writing() as connection:
        revise(connection, None, terms(**changes), "manager", START_MS)

    assert reason == refused.value.reason


def test_what_an_account_sees_follows_its_engagement(engaged: Engaged) -> None:
    """One facility in its period; nothing without one; nobody comes in when it is over; other roles see everything."""
    with engaged.books.database.writing() as connection:
        found = reach_of(connection, "verifier", Role.VERIFIER, START_MS)
        assert found is not None
        assert (frozenset({INSIDE}), frozenset({engaged.here.agent_id})) == (found.sites, found.agents)
        assert (FROM_MS, TO_MS) == (found.from_ms, found.to_ms)
        assert reach_of(connection, "stranger", Role.VERIFIER, START_MS) is NOTHING
        assert reach_of(connection, "manager", Role.MANAGER, START_MS) is EVERYTHING
        revise(connection, engaged.engagement, engaged.terms(expires_ms=LATER_MS), "manager", START_MS)
        assert reach_of(connection, "verifier", Role.VERIFIER, LATER_MS - 1) is not None
        assert reach_of(connection, "verifier", Role.VERIFIER, LATER_MS) is None


def test_an_agent_that_served_another_facility_too_is_not_shown(engaged: Engaged) -> None:
    """Its hours and batches are of both, so it is in no engagement that covers only one of them."""
    moved = engaged.there
    moved.plan_text = moved.plan_text.replace('id = "other"', 'id = "site"')
    moved.add_plan()
    commit_group(engaged.books, [moved.message(len(moved.items) - 1)], LATER_MS)
    with engaged.books.database.reading() as connection:
        narrow = reach_of(connection, "verifier", Role.VERIFIER, START_MS)
        wide = reach_of(connection, "wide", Role.VERIFIER, START_MS)

    assert narrow is not None
    assert wide is not None
    assert (False, True) == (narrow.has_agent(moved.agent_id), wide.has_agent(moved.agent_id))
    page = engaged.ask("verifier", f"/emissions?from=2025-10-11&to=2025-10-12&site={INSIDE}&format=csv&table=rows")
    assert moved.agent_id[:12] not in page.text


def test_when_it_is_over_nobody_comes_in_by_it(engaged: Engaged) -> None:
    """Password, script, session and token all end, and the page says why; nobody learns that without the password."""
    books, now = engaged.books, [START_MS]
    authority = Authority(books.database, Lifetime(10**9, 10**9), lambda: 0.0, lambda: now[0])
    secret, _ = Register(books.database).make_token("verifier", "fetch", ["read"], 30, by="verifier")
    client = Client("127.0.0.1")
    basic = "Basic dmVyaWZpZXI6YS1sb25nLWVub3VnaC1wYXNzd29yZA=="
    token = authority.sign_in("verifier", PASSWORD, client)
    assert isinstance(token, str)
    assert authority.session(token) is not None
    with books.database.writing() as connection:
        revise(connection, engaged.engagement, engaged.terms(expires_ms=LATER_MS), "manager", START_MS)
    now[0] = LATER_MS

    assert authority.session(token) is None
    assert Refusal(over=True) == authority.sign_in("verifier", PASSWORD, client)
    assert Refusal() == authority.sign_in("verifier", "wrong-password-entirely", client)
    assert Refusal(over=True) == authority.basic(basic, client)
    with books.database.reading() as connection:
        assert find_token(connection, secret, LATER_MS) is None
        refused = [one.detail for one in entries(connection, Filter(action="sign-in"), 10) if one.who == "verifier"]
    assert "page, engagement over" in refused
    said = engaged.ask("verifier", "/api/v1/agents")
    assert (401, True) == (said.status_code, "engagement of this account is over" in said.text)


def test_a_token_sees_what_its_account_sees(engaged: Engaged) -> None:
    """And the engagement as it is at that moment, not as it was when the token was made."""
    secret, _ = Register(engaged.books.database).make_token("verifier", "fetch", ["read"], 30, by="verifier")
    with engaged.books.database.writing() as connection:
        found = find_token(connection, secret, now_ms())
        assert found is not None
        assert (frozenset({INSIDE}), TO_MS) == (found.reach.sites, found.reach.to_ms)
        revise(connection, engaged.engagement, engaged.terms(sites=(OUTSIDE,)), "manager", START_MS)
        found = find_token(connection, secret, now_ms())
    assert found is not None
    assert frozenset({OUTSIDE}) == found.reach.sites


@pytest.mark.backends
def test_a_finding_is_its_authors_alone(books: Books) -> None:
    """The author revises and closes it, nobody else; every revision and answer stays and has its leaf."""
    with books.database.writing() as connection:
        made = add_finding(connection, 1, "verifier", Said("misstatement", "too little", "/explain?a=1"), START_MS)
        for other in ("manager", "admin", "wide"):
            with pytest.raises(FindingError, match="verifier's"):
                revise_finding(connection, made.number, other, Said("observation", "no"), START_MS)
        add_answer(connection, made.number, "manager", "the meter was changed", START_MS)
        closed = revise_finding(
            connection, made.number, "verifier", Said("misstatement", "cleared", "", "closed"), LATER_MS
        )
    with books.database.reading() as connection:
        found = all_findings(connection)
        said = answers_to(connection, [made.number])[made.number]
        leaves = [read_leaf(connection, at) for at in (made.position, said[0].position, closed.position)]

    assert [closed] == found
    assert ["finding", "answer", "finding"] == [leaf.kind for leaf in leaves if leaf]
    assert ["1/1", "1/1", "1/2"] == [leaf.object_id for leaf in leaves if leaf]


@pytest.mark.parametrize(
    "reference",
    ["https://evil.example/", "//evil.example", "/logout", "/explainer", "/explain\n", "/explain\\x", "javascript:1",
     "/explain?" + "x" * 1000],
)  # fmt: skip
def test_a_finding_links_to_our_own_figures_alone(reference: str) -> None:
    """A path to nowhere or to another site is refused."""
    with pytest.raises(FindingError):
        checked_reference(reference + "x" if reference.endswith("\n") else reference)


def test_the_pages_make_an_engagement_and_carry_a_finding_to_its_answer(engaged: Engaged) -> None:
    """A manager makes it, the verifier finds, the manager answers, and neither does the other's work."""
    day = {"first": "2025-10-11", "last": "2025-10-11", "expires": "2099-12-31"}
    given = {"name": "New", "body": "Body", "criteria": "ISO 14064-1", "sites": INSIDE, "accounts": "stranger", **day}
    made = engaged.ask("manager", "/engagements", "POST", **given)
    number = int(made.headers["Location"].partition("?")[0].rpartition("/")[2])
    with engaged.books.database.reading() as connection:
        kept = revisions_of(connection, number)[-1]
    assert (303, FROM_MS, TO_MS) == (made.status_code, kept.terms.from_ms, kept.terms.to_ms)
    wrong = engaged.ask("manager", "/engagements", "POST", **(given | {"accounts": "manager"}))
    late = engaged.ask("manager", f"/engagements/{number}", "POST", **(given | {"last": "2025-10-01"}))
    assert [422, 422] == [wrong.status_code, late.status_code]

    own = f"/explain?agent={engaged.here.agent_id}&source=grid&gas=CO2&from=2025-10-11"
    explained = engaged.ask("stranger", own)
    assert "/findings/new?reference=" in explained.text
    sent = engaged.ask("stranger", "/findings", "POST", severity="nonconformity", text="<b>no seal</b>", reference=own)
    place = sent.headers["Location"].partition("?")[0]
    page = engaged.ask("stranger", place).text
    assert "&lt;b&gt;no seal" in page
    answer = {"text": "sealed again"}
    assert 403 == engaged.ask("stranger", f"{place}/answer", "POST", **answer).status_code
    assert 303 == engaged.ask("manager", f"{place}/answer", "POST", **answer).status_code
    change = {"severity": "observation", "text": "changed", "state": "closed"}
    assert [403, 403, 404, 303] == [
        engaged.ask(name, place, "POST", **change).status_code for name in ("manager", "admin", "verifier", "stranger")
    ]
    assert "sealed again" in engaged.ask("stranger", place).text
    assert [] == [one for one in engaged.ask("verifier", "/api/v1/findings").json()["findings"]
                  if one["finding"]["engagement"] == number]  # fmt: skip
