"""The register of accounts: every change to one, with what follows from it, in one transaction and one log line.

A changed password, role or state ends every session of the account; who asked for it (``by``) stands in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from collector.accounts.passwords import check_password, hash_password, make_password
from collector.accounts.roles import Role
from collector.accounts.sessions import count_sessions, end_sessions
from collector.accounts.tokens import Token, add_token, all_tokens, revoke_token
from collector.accounts.users import User, add_user, all_users, change_user, read_name, remove_user, the_user
from collector.clock import now_ms
from collector.log import line
from collector.store.audit import record
from collector.store.database import Database

log = logging.getLogger(__name__)


class Register:
    """The accounts in a database, for the commands and the pages alike.

    Every method that takes a name raises AccountError where it cannot be done, PasswordError where a password is not
    taken.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, password: str, *, by: str) -> User:
        """Make an enabled account with this password."""
        return self._add(read_name(name), role, password, must_change=False, by=by)

    def invite(self, name: str, role: Role, *, by: str) -> tuple[User, str]:
        """Make an account with a one-time password to hand over."""
        password = make_password()
        return self._add(read_name(name), role, password, must_change=True, by=by), password

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Give an account this password."""
        name = read_name(name)
        check_password(name, password)
        self._change(name, "password-set", by, password_hash=hash_password(password), must_change=False)

    def reset_password(self, name: str, *, by: str) -> str:
        """Give an account a one-time password to hand over, and return it."""
        password = make_password()
        self._change(
            read_name(name), "password-reset", by, password_hash=hash_password(password), must_change=True
        )  # fmt: skip
        return password

    def set_role(self, name: str, role: Role, *, by: str) -> None:
        """Give an account another role."""
        self._change(read_name(name), "role-set", by, role=role.value)

    def set_enabled(self, name: str, enabled: bool, *, by: str) -> None:
        """Let an account sign in, or no longer."""
        self._change(read_name(name), "enabled" if enabled else "disabled", by, enabled=enabled)

    def remove(self, name: str, *, by: str) -> None:
        """Remove an account."""
        name = read_name(name)
        with self._database.writing() as connection:
            remove_user(connection, name)
            record(connection, "account-removed", name, now_ms())
        log.info(line("account-removed", user=name, by=by))

    def sign_out(self, name: str, *, by: str) -> int:
        """End every session of an account; how many there were."""
        name = read_name(name)
        with self._database.writing() as connection:
            the_user(connection, name)
            ended = end_sessions(connection, name)
            record(connection, "account-signed-out-everywhere", name, now_ms())
        log.info(line("account-signed-out-everywhere", user=name, sessions=ended, by=by))
        return ended

    def everybody(self) -> list[tuple[User, int]]:
        """Every account by name, with its number of sessions."""
        with self._database.reading() as connection:
            open_now = count_sessions(connection, now_ms())
            return [(user, open_now.get(user.name, 0)) for user in all_users(connection)]

    def make_token(self, user: str, name: str, scope: Iterable[str], days: int, *, by: str) -> tuple[str, Token]:
        """Make an API token; what the program must send is shown once and kept nowhere. TokenError, AccountError."""
        with self._database.writing() as connection:
            secret, token = add_token(connection, read_name(user), name, scope, days, now_ms())
            granted = ",".join(token.scope)
            of = f"{token.user}, {token.number}"
            record(connection, "token-made", of, now_ms(), detail=f"{token.name}: {granted}, {days} d")
        log.info(line("token-made", number=token.number, user=token.user, scope=granted, days=days, by=by))
        return secret, token

    def revoke_token(self, number: int, *, by: str, user: str | None = None) -> Token | None:
        """Make a token (of this account) good for nothing; None where there was none to revoke."""
        with self._database.writing() as connection:
            token = revoke_token(connection, number, now_ms(), user)
            if token is not None:
                record(connection, "token-revoked", f"{token.user}, {number}", now_ms(), detail=token.name)
        if token is not None:
            log.info(line("token-revoked", number=number, user=token.user, by=by))
        return token

    def tokens(self, user: str | None = None) -> list[Token]:
        """Tokens of an account, or everybody's, newest first."""
        with self._database.reading() as connection:
            return all_tokens(connection, user)

    def _add(self, name: str, role: Role, password: str, *, must_change: bool, by: str) -> User:
        check_password(name, password)
        hashed = hash_password(password)
        with self._database.writing() as connection:
            add_user(connection, name, role, hashed, must_change, now_ms())
            user = the_user(connection, name)
            record(connection, "account-added", name, now_ms(), detail=role.value)
        log.info(line("account-added", user=name, role=role, by=by))
        return user

    def _change(self, name: str, event: str, by: str, **columns: Any) -> None:
        with self._database.writing() as connection:
            change_user(connection, name, now_ms(), **columns)
            ended = end_sessions(connection, name)
            record(connection, f"account-{event}", name, now_ms(), detail=str(columns.get("role", "")))
        role = {"role": columns["role"]} if "role" in columns else {}
        log.info(line(f"account-{event}", user=name, **role, sessions_ended=ended, by=by))
