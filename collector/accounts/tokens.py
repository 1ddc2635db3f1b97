"""API tokens: a program reads in the name of an account, within a scope, until a day; SHA-256 of each in the database.

A token never may more than its account may at that moment, and nothing that changes anything (``GRANTABLE``).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from collector.accounts.engaged import reach_of
from collector.accounts.roles import GRANTABLE, Permission, Role, may
from collector.accounts.sessions import Session
from collector.accounts.users import the_user
from collector.store.schema import tokens, users
from protocols.errors import EmitraceError

PREFIX = "emitrace_"
"""So that who finds a token somewhere, or searches for lost ones, knows what it is."""
DAY_MS = 86_400_000
LONGEST_DAYS = 366
DEFAULT_DAYS = 30
LONGEST_NAME = 64
MOST_OF_A_USER = 50
"""Tokens of an account that are good at the same time."""


class TokenError(EmitraceError):
    """A token that is not made; ``reason`` is name, scope, days or many, ``seen`` what was asked for."""

    def __init__(self, reason: str, seen: str, hint: str) -> None:
        super().__init__("token", seen, hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Token:
    """A token as lists show it; times in UTC ms, ``used_from`` an address."""

    number: int
    user: str
    name: str
    scope: tuple[Permission, ...]
    created_ms: int
    expires_ms: int
    used_ms: int | None
    used_from: str | None
    revoked_ms: int | None

    def good(self, at_ms: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_ms is None and at_ms < self.expires_ms


def add_token(
    connection: Connection, user: str, name: str, scope: Iterable[str], days: int, at_ms: int
) -> tuple[str, Token]:
    """Make a token: what the program must send, which is kept nowhere, and the token as lists show it.

    TokenError where name, scope or days are not taken; AccountError where there is no such account.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise TokenError("name", repr(name[:LONGEST_NAME]), f"Say in 1 to {LONGEST_NAME} signs what uses it.")
    role, asked = the_user(connection, user).role, set(scope)
    granted = tuple(one for one in GRANTABLE if one.value in asked)
    if not granted or len(granted) < len(asked) or not all(may(role, one) for one in granted):
        known = ", ".join(one.value for one in GRANTABLE if may(role, one))
        raise TokenError("scope", f"scope {', '.join(sorted(asked)) or 'empty'}", f"Take one or more of {known}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenError("days", f"{days} days", f"Take 1 to {LONGEST_DAYS}.")
    of_user = (tokens.c.user == user) & tokens.c.revoked_ms.is_(None) & (tokens.c.expires_ms > at_ms)
    if (connection.scalar(select(func.count()).where(of_user)) or 0) >= MOST_OF_A_USER:
        raise TokenError("many", f"{user} has {MOST_OF_A_USER} tokens that are good", "Revoke what is not used.")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = connection.execute(
        insert(tokens).values(
            digest=_digest(secret), user=user, name=name, scope=" ".join(one.value for one in granted),
            created_ms=at_ms, expires_ms=at_ms + days * DAY_MS,
        ).returning(tokens)
    ).one()  # fmt: skip
    return secret, _token(made)


def find_token(connection: Connection, secret: str, at_ms: int) -> Session | None:
    """The session of a token with its account's role of this moment; None where either is not good."""
    query = (
        select(tokens, users.c.role, users.c.must_change)
        .join(users, users.c.name == tokens.c.user)
        .where(tokens.c.digest == _digest(secret), users.c.enabled)
    )
    row = connection.execute(query).first()
    if row is None or not (token := _token(row)).good(at_ms):
        return None
    reach = reach_of(connection, token.user, Role(row.role), at_ms)
    if reach is None:
        return None
    return Session(
        token.user, Role(row.role), row.must_change, seen_ms=token.used_ms or 0, token=token.number,
        scope=frozenset(token.scope), reach=reach,
    )  # fmt: skip


def note_used(connection: Connection, number: int, address: str, at_ms: int) -> None:
    """Note that a token was used."""
    connection.execute(update(tokens).where(tokens.c.id == number).values(used_ms=at_ms, used_from=address[:64]))


def revoke_token(connection: Connection, number: int, at_ms: int, user: str | None = None) -> Token | None:
    """Make a token good for nothing, and return it; None where there is none, or none of this account, that is good."""
    found = (tokens.c.id == number) & tokens.c.revoked_ms.is_(None)
    if user is not None:
        found &= tokens.c.user == user
    row = connection.execute(update(tokens).where(found).values(revoked_ms=at_ms).returning(tokens)).first()
    return None if row is None else _token(row)


def all_tokens(connection: Connection, user: str | None = None) -> list[Token]:
    """Tokens of an account, or everybody's, newest first."""
    query = select(tokens).order_by(tokens.c.id.desc())
    return [_token(row) for row in connection.execute(query if user is None else query.where(tokens.c.user == user))]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _token(row: Any) -> Token:
    scope = tuple(Permission(word) for word in row.scope.split())
    return Token(
        row.id, row.user, row.name, scope, row.created_ms, row.expires_ms, row.used_ms, row.used_from, row.revoked_ms
    )  # fmt: skip
