"""Sessions: a random token at the browser, its SHA-256 in the database, so that any session can be ended from here."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from collector.accounts.engaged import reach_of
from collector.accounts.reach import EVERYTHING, Reach
from collector.accounts.roles import Permission, Role, may
from collector.store.schema import sessions, users

MOST_OF_A_USER = 20
"""Signing in once more ends the session that was not used for the longest time."""
SEEN_EVERY_MS = 300_000
"""Last use is written no more often than this; idle time is right to within it. [ms]"""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts: from signing in, and without being used. [ms]"""

    whole_ms: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, as every page and template gets it.

    ``csrf`` is what forms must carry; it is empty, and ``number`` None, for a script that sends its password or token
    each time. ``token`` is the number of that token and ``scope`` what it is good for at most; None: all the role may.
    ``reach`` is the part of the books it sees.
    """

    user: str
    role: Role
    must_change: bool
    csrf: str = ""
    number: int | None = None
    seen_ms: int = 0
    token: int | None = None
    scope: frozenset[Permission] | None = None
    reach: Reach = EVERYTHING

    def may(self, permission: Permission) -> bool:
        """Whether this session may; with a one-time password nothing but its own account."""
        own = permission in (Permission.PUBLIC, Permission.OWN)
        granted = self.scope is None or permission is Permission.PUBLIC or permission in self.scope
        return granted and may(self.role, permission) and (own or not self.must_change)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as its owner sees it in the list."""

    number: int
    created_ms: int
    seen_ms: int
    expires_ms: int
    address: str
    browser: str


def open_session(connection: Connection, user: str, address: str, browser: str, lifetime: Lifetime, at_ms: int) -> str:
    """Make a session; the token for the cookie, 256 random bits that are kept nowhere."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(sessions).where(_over(lifetime, at_ms)))
    mine = select(sessions.c.id).where(sessions.c.user == user)
    latest_first = mine.order_by(sessions.c.seen_ms.desc(), sessions.c.id.desc())
    surplus = connection.scalars(latest_first.offset(MOST_OF_A_USER - 1)).all()
    connection.execute(delete(sessions).where(sessions.c.id.in_(surplus)))
    connection.execute(
        insert(sessions).values(
            token_digest=_digest(token), user=user, created_ms=at_ms, seen_ms=at_ms,
            expires_ms=at_ms + lifetime.whole_ms, address=address[:64], browser=browser[:200],
        )
    )  # fmt: skip
    return token


def find_session(connection: Connection, token: str, lifetime: Lifetime, at_ms: int) -> Session | None:
    """The session of a token with its user's role of this moment; None where either has ended."""
    query = (
        select(sessions, users.c.role, users.c.must_change)
        .join(users, users.c.name == sessions.c.user)
        .where(sessions.c.token_digest == _digest(token), users.c.enabled, ~_over(lifetime, at_ms))
    )
    row = connection.execute(query).first()
    if row is None or (reach := reach_of(connection, row.user, Role(row.role), at_ms)) is None:
        return None
    csrf = hashlib.sha256(b"form:" + token.encode()).hexdigest()
    return Session(row.user, Role(row.role), row.must_change, csrf, row.id, row.seen_ms, reach=reach)


def note_seen(connection: Connection, number: int, at_ms: int) -> None:
    """Note that a session was used."""
    connection.execute(update(sessions).where(sessions.c.id == number).values(seen_ms=at_ms))


def end_session(connection: Connection, user: str, number: int) -> bool:
    """End one session of a user; whether there was one."""
    return connection.execute(delete(sessions).where(sessions.c.id == number, sessions.c.user == user)).rowcount > 0


def end_sessions(connection: Connection, user: str) -> int:
    """End every session of a user; how many there were."""
    return connection.execute(delete(sessions).where(sessions.c.user == user)).rowcount


def sessions_of(connection: Connection, user: str, lifetime: Lifetime, at_ms: int) -> list[SessionView]:
    """The sessions of a user that have not ended, last used first."""
    query = select(sessions).where(sessions.c.user == user, ~_over(lifetime, at_ms)).order_by(sessions.c.seen_ms.desc())
    return [
        SessionView(row.id, row.created_ms, row.seen_ms, row.expires_ms, row.address, row.browser)
        for row in connection.execute(query)
    ]


def count_sessions(connection: Connection, at_ms: int) -> dict[str, int]:
    """Sessions per user that are within their whole lifetime."""
    query = select(sessions.c.user, func.count()).where(sessions.c.expires_ms > at_ms).group_by(sessions.c.user)
    return {row[0]: row[1] for row in connection.execute(query)}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _over(lifetime: Lifetime, at_ms: int) -> ColumnElement[bool]:
    return or_(sessions.c.expires_ms <= at_ms, sessions.c.seen_ms <= at_ms - lifetime.idle_ms)
