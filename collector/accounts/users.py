"""The table of accounts: one row per user, names alike on every keyboard, never without an administrator."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from collector.accounts.roles import Role
from collector.store.schema import users
from protocols.errors import EmitraceError

LONGEST_NAME = 64


class AccountError(EmitraceError):
    """A change to an account that is refused; ``reason`` is name, taken, unknown or last-admin."""

    def __init__(self, reason: str, name: str, seen: str, hint: str) -> None:
        super().__init__(f"user {name!r}", seen, hint)
        self.reason = reason
        self.name = name


@dataclass(frozen=True, slots=True)
class User:
    """An account; ``must_change`` where its password was given for one time. Times in UTC ms."""

    name: str
    role: Role
    enabled: bool
    must_change: bool
    created_ms: int
    changed_ms: int
    signed_in_ms: int | None
    password_hash: str = field(repr=False)


def read_name(text: str) -> str:
    """A name as it is kept: phones begin with a capital, so case does not count; AccountError where it is none."""
    name = unicodedata.normalize("NFKC", text).strip().lower()
    if not name or len(name) > LONGEST_NAME or not all(sign.isalnum() or sign in "._-@+" for sign in name):
        hint = f"Take 1 to {LONGEST_NAME} letters, digits and . _ - @ + without spaces."
        raise AccountError("name", text[:LONGEST_NAME], "is no name for an account", hint)
    return name


def find_user(connection: Connection, name: str) -> User | None:
    """The account of that name, as ``read_name`` gives it."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else _user(row)


def the_user(connection: Connection, name: str) -> User:
    """The account of that name; AccountError where there is none."""
    user = find_user(connection, name)
    if user is None:
        known = ", ".join(connection.scalars(select(users.c.name).order_by(users.c.name).limit(20)))
        hint = f"Known: {known}." if known else "Add it first."
        raise AccountError("unknown", name, "there is no such account", hint)
    return user


def all_users(connection: Connection) -> list[User]:
    """Every account by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]


def add_user(connection: Connection, name: str, role: Role, password_hash: str, must_change: bool, at_ms: int) -> None:
    """Make an account; AccountError where the name is taken."""
    if find_user(connection, name) is not None:
        raise AccountError("taken", name, "there is such an account already", "Take another name, or change that one.")
    connection.execute(
        insert(users).values(
            name=name, role=role.value, enabled=True, password_hash=password_hash, must_change=must_change,
            created_ms=at_ms, changed_ms=at_ms,
        )
    )  # fmt: skip


def change_user(connection: Connection, name: str, at_ms: int, **columns: Any) -> None:
    """Change an account; AccountError where no enabled administrator would be left."""
    user = the_user(connection, name)
    if columns.get("role", user.role) != Role.ADMIN or not columns.get("enabled", user.enabled):
        _keep_an_admin(connection, user)
    connection.execute(update(users).where(users.c.name == name).values(changed_ms=at_ms, **columns))


def remove_user(connection: Connection, name: str) -> None:
    """Remove an account with its sessions; AccountError where no enabled administrator would be left."""
    _keep_an_admin(connection, the_user(connection, name))
    connection.execute(delete(users).where(users.c.name == name))


def note_sign_in(connection: Connection, name: str, at_ms: int) -> None:
    """Note when an account was signed in last."""
    connection.execute(update(users).where(users.c.name == name).values(signed_in_ms=at_ms))


def replace_hash(connection: Connection, name: str, old: str, new: str) -> None:
    """Keep the same password under today's parameters, unless it was changed meanwhile."""
    same = (users.c.name == name) & (users.c.password_hash == old)
    connection.execute(update(users).where(same).values(password_hash=new))


def _keep_an_admin(connection: Connection, user: User) -> None:
    others = users.c.enabled & (users.c.role == Role.ADMIN.value) & (users.c.name != user.name)
    if user.role is Role.ADMIN and user.enabled and connection.scalar(select(users.c.name).where(others)) is None:
        hint = "Make another account an enabled administrator first."
        raise AccountError("last-admin", user.name, "is the last administrator who can sign in", hint)


def _user(row: Any) -> User:
    return User(
        row.name, Role(row.role), row.enabled, row.must_change, row.created_ms, row.changed_ms, row.signed_in_ms,
        row.password_hash,
    )  # fmt: skip
