"""The administrator's account: a name and an argon2 hash."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from collector.store.schema import users
from protocols.errors import EmitraceError


@dataclass(frozen=True, slots=True)
class User:
    """An account; a new ``changed_ms`` ends every session made before."""

    name: str
    password_hash: str
    changed_ms: int


def find_user(connection: Connection, name: str) -> User | None:
    """The account of that name."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else User(row.name, row.password_hash, row.changed_ms)


def set_password(connection: Connection, name: str, password_hash: str, at_ms: int) -> None:
    """Make the administrator or change the password; there is one account."""
    other = connection.scalar(select(users.c.name).where(users.c.name != name))
    if other is not None:
        raise EmitraceError(
            f"user {name!r}", f"the administrator is {other!r}", "There is one account: set the password of that name."
        )
    connection.execute(delete(users).where(users.c.name == name))
    connection.execute(insert(users).values(name=name, password_hash=password_hash, changed_ms=at_ms))
