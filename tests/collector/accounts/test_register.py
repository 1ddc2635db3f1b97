from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from collector.accounts import passwords
from collector.accounts.authority import Authority, Client, Refusal
from collector.accounts.passwords import PasswordError
from collector.accounts.reach import NOTHING
from collector.accounts.register import Register
from collector.accounts.roles import Permission, Role, may
from collector.accounts.sessions import MOST_OF_A_USER, Lifetime, Session, open_session
from collector.accounts.users import AccountError, find_user, read_name
from collector.books import Books
from collector.clock import now_ms
from tests.collector.running import PASSWORD

pytestmark = pytest.mark.usefixtures("quick_hashes")
LIFETIME = Lifetime(whole_ms=3_600_000, idle_ms=900_000)
HERE = Client("10.0.0.7", "a browser")


@pytest.fixture
def register(books: Books) -> Register:
    """A register with one administrator and one manager."""
    made = Register(books.database)
    made.add("admin", Role.ADMIN, PASSWORD, by="test")
    made.add("wang", Role.MANAGER, PASSWORD, by="test")
    return made


@pytest.fixture
def authority(books: Books, register: Register) -> Authority:
    """Decides over the register's accounts."""
    return Authority(books.database, LIFETIME, lambda: 0.0)


def signed_in(authority: Authority, name: str, password: str = PASSWORD) -> str:
    """The token of a new session."""
    token = authority.sign_in(name, password, HERE)
    assert isinstance(token, str)
    return token


def seen(authority: Authority, token: str) -> Session:
    """The session of a token that has not ended."""
    session = authority.session(token)
    assert session is not None
    return session


@pytest.mark.parametrize("name", ["", "  ", "a b", "a:b", "<b>", "x" * 65, "t\tab", "a\u202eb"])
def test_a_name_fits_every_keyboard(name: str) -> None:
    """No spaces, colons, controls or signs of markup; the error says what is allowed."""
    with pytest.raises(AccountError, match="letters, digits") as refused:
        read_name(name)

    assert "name" == refused.value.reason


def test_capitals_and_wide_letters_do_not_count() -> None:
    """A phone's capital first letter and full-width typing mean the same account."""
    assert ["wang", "wang", "王伟", "w.li@site-1"] == [
        read_name(n) for n in ("Wang", "ｗａｎｇ ", "王伟", "W.Li@site-1")
    ]


@pytest.mark.parametrize(
    "take_away",
    [
        lambda register: register.remove("admin", by="test"),
        lambda register: register.set_enabled("admin", False, by="test"),
        lambda register: register.set_role("admin", Role.VERIFIER, by="test"),
    ],
)
def test_the_last_administrator_stays(register: Register, take_away: Callable[[Register], None]) -> None:
    """Not removed, disabled or given another role while any other administrator is disabled; with a second one yes."""
    register.add("second", Role.ADMIN, PASSWORD, by="test")
    register.set_enabled("second", False, by="test")
    before = register.everybody()
    with pytest.raises(AccountError, match="last administrator") as refused:
        take_away(register)
    assert ("last-admin", before) == (refused.value.reason, register.everybody())

    register.set_enabled("second", True, by="test")
    take_away(register)
    admins = [user.name for user, _ in register.everybody() if user.enabled and user.role is Role.ADMIN]
    assert ["second"] == admins


@pytest.mark.parametrize(
    "change",
    [
        lambda register: register.set_password("wang", "another password", by="test"),
        lambda register: register.reset_password("wang", by="test"),
        lambda register: register.set_role("wang", Role.VERIFIER, by="test"),
        lambda register: register.set_enabled("wang", False, by="test"),
        lambda register: register.remove("wang", by="test"),
        lambda register: register.sign_out("wang", by="test"),
    ],
)
def test_a_change_ends_every_session_of_the_account(
    register: Register, authority: Authority, change: Callable[[Register], object]
) -> None:
    """At once, at every browser, and nobody else's."""
    tokens = [signed_in(authority, "wang"), signed_in(authority, "Wang"), signed_in(authority, "admin")]
    assert [True] * 3 == [authority.session(token) is not None for token in tokens]
    change(register)

    assert [False, False, True] == [authority.session(token) is not None for token in tokens]


def test_a_script_is_remembered_no_longer_than_its_account_stands(register: Register, authority: Authority) -> None:
    """What HTTP Basic remembers of a password is worth nothing after any change, and follows the role."""
    header = "Basic d2FuZzphLWxvbmctZW5vdWdoLXBhc3N3b3Jk"
    first = authority.basic(header, HERE)
    register.set_role("wang", Role.VERIFIER, by="test")
    second = authority.basic(header, HERE)
    register.set_enabled("wang", False, by="test")
    third = authority.basic(header, HERE)
    register.set_enabled("wang", True, by="test")
    register.set_password("wang", "another password", by="test")

    assert Session("wang", Role.MANAGER, False) == first
    assert Session("wang", Role.VERIFIER, False, reach=NOTHING) == second
    assert [Refusal(), Refusal(), None] == [third, authority.basic(header, HERE), authority.basic("Bearer x", HERE)]


def test_a_one_time_password_opens_nothing_but_ones_own_account(register: Register, authority: Authority) -> None:
    """Until another is chosen; the one-time password itself is not taken as that."""
    user, password = register.invite("zhao", Role.ADMIN, by="admin")
    session = seen(authority, signed_in(authority, "zhao", password))
    with pytest.raises(PasswordError, match="current one"):
        authority.change_password(session, password, password, HERE)
    token = authority.change_password(session, password, "three old boilers", HERE)

    assert (True, [Permission.PUBLIC, Permission.OWN]) == (user.must_change, [p for p in Permission if session.may(p)])
    assert isinstance(token, str)
    assert all(seen(authority, token).may(one) for one in Permission if may(Role.ADMIN, one))
    assert Refusal() == authority.sign_in("zhao", password, HERE)


def test_a_changed_password_leaves_one_new_session(authority: Authority) -> None:
    """The current password is asked for; every session ends, the browser that asked gets a new token."""
    mine, other = signed_in(authority, "wang"), signed_in(authority, "wang")
    session = seen(authority, mine)
    wrong = authority.change_password(session, "not the password", "three old boilers", HERE)
    kept = [authority.session(token) is not None for token in (mine, other)]
    new = authority.change_password(session, PASSWORD, "three old boilers", HERE)

    assert (Refusal(), [True, True]) == (wrong, kept)
    assert isinstance(new, str)
    assert [False, False, True] == [authority.session(token) is not None for token in (mine, other, new)]
    assert session.csrf != seen(authority, new).csrf


def test_sessions_of_a_user_are_bounded(books: Books, authority: Authority) -> None:
    """Signing in again and again ends the oldest, and fills no table."""
    at_ms = now_ms()
    with books.database.writing() as connection:
        tokens = [
            open_session(connection, "wang", "10.0.0.7", "x" * 999, LIFETIME, at_ms + n)
            for n in range(MOST_OF_A_USER + 3)
        ]
    alive = [authority.session(token) is not None for token in tokens]

    assert [False] * 3 + [True] * MOST_OF_A_USER == alive
    assert MOST_OF_A_USER == len(authority.own_sessions(seen(authority, tokens[-1])))


def test_a_session_ends_by_age_and_by_idleness(books: Books, register: Register) -> None:
    """An hour after signing in, used or not; a quarter of an hour after its last use, which is noted now and then."""
    at_ms = 1_000_000_000_000
    authority = Authority(books.database, LIFETIME, lambda: 0.0, now=lambda: at_ms)
    used, idle = signed_in(authority, "wang"), signed_in(authority, "wang")
    alive = []
    for _ in range(13):
        at_ms += 300_001
        session = authority.session(used)
        if session is not None:
            authority.note_seen(session, Client("192.0.2.1"))
        alive.append((session is not None, authority.session(idle) is not None))

    assert [(True, True)] * 2 + [(True, False)] * 9 + [(False, False)] * 2 == alive


def test_old_parameters_are_renewed_at_sign_in(
    books: Books, register: Register, authority: Authority, monkeypatch: pytest.MonkeyPatch,
    quick_hashes: PasswordHasher,
) -> None:  # fmt: skip
    """A hash of weaker parameters is made anew from the password that fits it; the session stays."""
    monkeypatch.setattr(passwords, "_HASHER", quick_hashes)
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with books.database.writing() as connection:
        connection.exec_driver_sql("UPDATE users SET password_hash = ? WHERE name = 'wang'", (weak,))
    token = signed_in(authority, "wang")
    with books.database.reading() as connection:
        user = find_user(connection, "wang")

    assert user is not None
    assert user.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert seen(authority, token).user == "wang"
    assert isinstance(authority.sign_in("wang", PASSWORD, HERE), str)


def test_the_log_tells_who_did_what_without_secrets(
    register: Register, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Accepted and refused sign-ins and every change stand in the log; no password, token or mistyped name does."""
    with caplog.at_level(logging.INFO, logger="collector"):
        token = signed_in(authority, "wang")
        authority.sign_in("wang", "the wrong password", HERE)
        authority.sign_in("hunter2hunter2", "the wrong password", HERE)
        register.set_role("wang", Role.VERIFIER, by="admin")
        once = register.reset_password("wang", by="admin")
        register.remove("wang", by="admin")

    assert [
        "sign-in verdict=accepted user=wang role=manager address=10.0.0.7",
        "sign-in verdict=refused user=wang way=page address=10.0.0.7",
        "sign-in verdict=refused user=unknown way=page address=10.0.0.7",
        "account-role-set user=wang role=verifier sessions_ended=1 by=admin",
        "account-password-reset user=wang sessions_ended=0 by=admin",
        "account-removed user=wang by=admin",
    ] == caplog.messages
    assert [] == [secret for secret in (token, once, PASSWORD, "hunter2") if secret in caplog.text]
