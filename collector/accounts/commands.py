"""``emitrace-collector user ...``: accounts from the command line, for whoever may read the books' folder.

A password comes from a file or a prompt, never from the command line, where every process could read it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.accounts.users import User
from collector.books import open_books
from collector.command_line import CONFIG, AsJson, ConfigPath, told
from collector.config import first_line, load_config
from collector.web.shown import instant
from protocols.errors import EmitraceError

BY = "command-line"

user_app = typer.Typer(help="Accounts: who may sign in, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the account; capitals do not count.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What the account may do.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password on its first line; without it you are asked."),
]


@user_app.command(name="add")
def add(name: Name, role: RoleOption, password_file: PasswordFile = None, config: ConfigPath = CONFIG) -> None:
    """Make an account."""
    with open_register(config) as register:
        user = register.add(name, role, _password(password_file), by=BY)
        typer.echo(f"{user.name} is added as {user.role}")


@user_app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List every account; never shows anything of a password."""
    with open_register(config) as register:
        found = register.everybody()
        if as_json:
            typer.echo(json.dumps([_plain(user, count) for user, count in found], ensure_ascii=False))
            return
        for user, count in found:
            state = "enabled" if user.enabled else "disabled"
            once = ", one-time password" if user.must_change else ""
            last = "never" if user.signed_in_ms is None else instant(user.signed_in_ms, ZoneInfo("UTC"))
            typer.echo(f"{user.name:24} {user.role:10} {state:8} {count} sessions, last sign-in (UTC) {last}{once}")
        if not any(user.enabled and user.role is Role.ADMIN for user, _ in found):
            typer.echo("nobody here is an enabled administrator: emitrace-collector user add admin --role admin")


@user_app.command(name="set-password")
def set_password(name: Name, password_file: PasswordFile = None, config: ConfigPath = CONFIG) -> None:
    """Set an account's password; its sessions end."""
    with open_register(config) as register:
        register.set_password(name, _password(password_file), by=BY)
        typer.echo(f"password of {name} is set")


@user_app.command(name="set-role")
def set_role(name: Name, role: RoleOption, config: ConfigPath = CONFIG) -> None:
    """Give an account another role; its sessions end."""
    with open_register(config) as register:
        register.set_role(name, role, by=BY)
        typer.echo(f"{name} is {role} now")


@user_app.command(name="disable")
def disable(name: Name, config: ConfigPath = CONFIG) -> None:
    """Let an account sign in no longer, and end its sessions; it can be enabled again."""
    with open_register(config) as register:
        register.set_enabled(name, False, by=BY)
        typer.echo(f"{name} is disabled")


@user_app.command(name="enable")
def enable(name: Name, config: ConfigPath = CONFIG) -> None:
    """Let a disabled account sign in again."""
    with open_register(config) as register:
        register.set_enabled(name, True, by=BY)
        typer.echo(f"{name} is enabled")


@user_app.command(name="remove")
def remove(name: Name, config: ConfigPath = CONFIG) -> None:
    """Remove an account with its sessions."""
    with open_register(config) as register:
        register.remove(name, by=BY)
        typer.echo(f"{name} is removed")


@user_app.command(name="sign-out")
def sign_out(name: Name, config: ConfigPath = CONFIG) -> None:
    """End every session of an account."""
    with open_register(config) as register:
        typer.echo(f"{register.sign_out(name, by=BY)} sessions of {name} have ended")


@contextmanager
def open_register(config: Path) -> Iterator[Register]:
    """The accounts of these books; what goes wrong is said in one sentence."""
    with told(), open_books(load_config(config)) as books:
        yield Register(books.database)


def _password(file: Path | None) -> str:
    if file is not None:
        return first_line(file, "--password-file")
    if not sys.stdin.isatty():
        raise EmitraceError("password", "there is no terminal to ask on", "Give --password-file FILE.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="The same once more"))


def _plain(user: User, count: int) -> dict[str, Any]:
    return {
        "name": user.name, "role": user.role.value, "enabled": user.enabled, "must_change": user.must_change,
        "created_ms": user.created_ms, "changed_ms": user.changed_ms, "signed_in_ms": user.signed_in_ms,
        "sessions": count,
    }  # fmt: skip
