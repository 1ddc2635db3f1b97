from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from collector.accounts.authority import Authority, Client, Refusal
from collector.accounts.register import Register
from collector.accounts.roles import GRANTABLE, Permission, Role
from collector.accounts.sessions import Lifetime, Session
from collector.accounts.tokens import DAY_MS, LONGEST_DAYS, MOST_OF_A_USER, TokenError
from collector.books import Books, open_books
from collector.clock import now_ms
from collector.config import load_config
from collector.store.schema import tokens
from tests.collector.running import PASSWORD, Collector, hidden

pytestmark = pytest.mark.usefixtures("quick_hashes")
HERE = Client("192.0.2.7", "curl")


@pytest.fixture
def register(books: Books) -> Register:
    """Accounts: an administrator and a manager."""
    register = Register(books.database)
    for role in (Role.ADMIN, Role.MANAGER, Role.TECHNICIAN):
        register.add(role.value, role, PASSWORD, by="test")
    return register


def at(books: Books, later_ms: int = 0) -> Authority:
    """The authority, at a time after now."""
    return Authority(books.database, Lifetime(1, 1), lambda: 0.0, lambda: now_ms() + later_ms)


def test_a_token_may_what_was_granted_until_its_day(books: Books, register: Register) -> None:
    """It passes with its scope, is over on its day to the millisecond, and its digest alone is kept."""
    secret, token = register.make_token("manager", "audit", ["evidence"], 2, by="test")
    found = at(books).bearer(f"Bearer {secret}", HERE)
    last, over = token.expires_ms - now_ms() - 5_000, token.expires_ms - now_ms() + 5_000

    assert isinstance(found, Session)
    assert [Permission.EVIDENCE] == [one for one in Permission if found.may(one) and one is not Permission.PUBLIC]
    assert isinstance(at(books, last).bearer(f"bearer  {secret} ", HERE), Session)
    assert Refusal() == at(books, over).bearer(f"Bearer {secret}", HERE)
    assert 2 * DAY_MS == token.expires_ms - token.created_ms
    with books.database.reading() as connection:
        kept = repr(connection.execute(select(tokens)).all())
    assert secret not in kept
    assert secret.partition("_")[2] not in kept


def test_a_token_never_may_more_than_its_account(books: Books, register: Register) -> None:
    """A changed role narrows it, a disabled account stops it, a one-time password too; a removed one takes it along."""
    secret, _ = register.make_token("manager", "audit", ["read", "evidence"], 2, by="test")

    def passes() -> list[Permission]:
        found = at(books).bearer(f"Bearer {secret}", HERE)
        return [one for one in GRANTABLE if found.may(one)] if isinstance(found, Session) else []

    seen = [passes()]
    register.set_role("manager", Role.TECHNICIAN, by="test")
    seen.append(passes())
    register.set_enabled("manager", False, by="test")
    seen.append(passes())
    register.set_enabled("manager", True, by="test")
    register.reset_password("manager", by="test")
    seen.append(passes())
    register.remove("manager", by="test")

    assert [[Permission.READ, Permission.EVIDENCE], [Permission.READ], [], []] == seen
    assert [] == register.tokens()


def test_a_revoked_token_is_good_for_nothing(books: Books, register: Register) -> None:
    """Revoked by its owner or anybody who may; not by another account; once."""
    secret, token = register.make_token("manager", "audit", ["read"], 2, by="test")
    foreign = register.revoke_token(token.number, by="technician", user="technician")
    still = at(books).bearer(f"Bearer {secret}", HERE)
    first = register.revoke_token(token.number, by="manager", user="manager")

    assert foreign is None
    assert isinstance(still, Session)
    assert first is not None
    assert first.revoked_ms is not None
    assert Refusal() == at(books).bearer(f"Bearer {secret}", HERE)
    assert register.revoke_token(token.number, by="admin") is None


def test_the_last_use_is_noted(books: Books, register: Register) -> None:
    """Time and address, written now and then."""
    secret, _ = register.make_token("manager", "audit", ["read"], 2, by="test")
    authority = at(books)
    found = authority.bearer(f"Bearer {secret}", HERE)
    assert isinstance(found, Session)
    authority.note_seen(found, HERE)
    (once,) = register.tokens("manager")
    again = authority.bearer(f"Bearer {secret}", HERE)
    assert isinstance(again, Session)
    authority.note_seen(again, Client("192.0.2.8"))

    assert "192.0.2.7" == once.used_from
    assert once.used_ms is not None
    assert abs(once.used_ms - now_ms()) < 60_000
    assert [once] == register.tokens()


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ("name", (" ", ["read"], 1)), ("name", ("a\nb", ["read"], 1)), ("scope", ("a", [], 1)),
        ("scope", ("a", ["seal"], 1)), ("scope", ("a", ["read", "evidence"], 1)), ("scope", ("a", ["nothing"], 1)),
        ("days", ("a", ["read"], 0)), ("days", ("a", ["read"], LONGEST_DAYS + 1)),
    ],
)  # fmt: skip
def test_a_token_that_is_not_made(register: Register, reason: str, asked: tuple[str, list[str], int]) -> None:
    """No name, no scope, one that changes something or that the account has not, or no end: refused with the reason."""
    with pytest.raises(TokenError) as refused:
        register.make_token("technician", *asked, by="test")

    assert reason == refused.value.reason
    assert [] == register.tokens()


def test_an_account_has_no_end_of_tokens(register: Register) -> None:
    """So many that are good, no more."""
    for _ in range(MOST_OF_A_USER):
        register.make_token("manager", "a", ["read"], 1, by="test")
    with pytest.raises(TokenError, match="50 tokens"):
        register.make_token("manager", "a", ["read"], 1, by="test")


def test_tokens_at_a_running_collector(running: Collector, tmp_path: Path) -> None:
    """By command into a file; over HTTP it reads within its scope and changes nothing; revoked, it ends there."""
    file = tmp_path / "audit.token"
    running.run("token", "add", "audit", "--user", "manager", "--scope", "read", "--into", str(file))
    secret = file.read_text().strip()
    with httpx.Client(base_url=running.address, headers={"Authorization": f"Bearer {secret}"}) as client:
        read = client.get("/api/v1/log")
        refused = [client.get(path) for path in ("/api/v1/bundle?from_ms=0&to_ms=1", "/account", "/tokens")]
        refused += [client.post(path) for path in ("/api/v1/inventories/1/seal", "/tokens")]
        running.run("token", "revoke", "1")
        gone = client.get("/api/v1/log")

    assert 0o600 == file.stat().st_mode & 0o777
    assert (200, 401) == (read.status_code, gone.status_code)
    assert [403] * 5 == [answer.status_code for answer in refused]
    assert all("the token has no permission" in answer.json()["error"] for answer in refused)
    assert "the token is not good" == gone.json()["error"]
    assert running.process is not None
    assert secret not in running.process.text()


def test_tokens_on_the_page(running: Collector) -> None:
    """Made by a manager, shown once; an administrator sees and revokes it, the manager sees no others."""
    with running.browser("manager") as manager, running.browser("admin") as admin:
        csrf = hidden(manager.get("/tokens").text)["csrf"]
        bad = manager.post("/tokens", data={"csrf": csrf, "name": "x", "days": "1"})
        wanted = {"csrf": csrf, "name": "Grafana", "scope": ["read", "evidence"], "days": "7"}
        made = manager.post("/tokens", data=wanted)
        secret = made.text.partition('class="secret">')[2].partition("<")[0]
        listed = [client.get("/tokens").text for client in (manager, admin)]
        works = httpx.get(f"{running.address}/api/v1/log", headers={"Authorization": f"Bearer {secret}"})
        own = {"csrf": hidden(admin.get("/tokens").text)["csrf"]}
        revoked = admin.post("/tokens/1/revoke", data=own)
        twice = admin.post("/tokens/1/revoke", data=own)
        with open_books(load_config(running.folder / "collector.toml")) as books:
            Register(books.database).make_token("admin", "secret-plan", ["read"], 1, by="test")
        foreign = manager.post("/tokens/2/revoke", data={"csrf": csrf})
        mine = manager.get("/tokens").text

    assert (422, 201, 200) == (bad.status_code, made.status_code, works.status_code)
    assert secret.startswith("emitrace_")
    assert all("Grafana" in page and secret not in page for page in listed)
    assert (303, 404, 404) == (revoked.status_code, twice.status_code, foreign.status_code)
    assert "secret-plan" not in mine
