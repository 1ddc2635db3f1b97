"""``emitrace-collector token ...``: tokens for programs that read the books."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from collector.accounts.commands import BY, open_register
from collector.accounts.roles import GRANTABLE
from collector.accounts.tokens import DEFAULT_DAYS, LONGEST_DAYS, Token
from collector.clock import now_ms
from collector.command_line import CONFIG, AsJson, ConfigPath
from collector.web.shown import instant
from protocols.errors import EmitraceError

token_app = typer.Typer(help="API tokens: what programs may read, and until when.", no_args_is_help=True)

SCOPES = ", ".join(one.value for one in GRANTABLE)


@token_app.command(name="add")
def add(
    name: Annotated[str, typer.Argument(help="What uses it.")],
    user: Annotated[str, typer.Option("--user", help="Account in whose name it reads.")],
    scope: Annotated[list[str], typer.Option("--scope", help=f"What it is good for: {SCOPES}; may be repeated.")],
    days: Annotated[int, typer.Option("--days", help=f"Days until it ends, at most {LONGEST_DAYS}.")] = DEFAULT_DAYS,
    into: Annotated[Path | None, typer.Option("--into", help="New file for the token, instead of printing it.")] = None,
    config: ConfigPath = CONFIG,
) -> None:
    """Make a token and print it, this once."""
    with open_register(config) as register:
        if into is not None and into.exists():
            raise EmitraceError("--into", f"{into} exists", "Name a file that does not exist.")
        secret, token = register.make_token(user, name, scope, days, by=BY)
        typer.echo(f"token {token.number} of {token.user} is good until {_time(token.expires_ms)} UTC", err=True)
        if into is None:
            typer.echo(secret)
            return
        with os.fdopen(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{secret}\n")


@token_app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List every token with its last use; never the token itself."""
    with open_register(config) as register:
        found, at_ms = register.tokens(), now_ms()
        if as_json:
            typer.echo(json.dumps([_plain(one, at_ms) for one in found], ensure_ascii=False))
            return
        for one in found:
            state = "good" if one.good(at_ms) else "revoked" if one.revoked_ms is not None else "expired"
            used = "never" if one.used_ms is None else f"{_time(one.used_ms)} from {one.used_from}"
            typer.echo(
                f"{one.number:5} {state:7} {one.user:16} {' '.join(one.scope):22} until {_time(one.expires_ms)}"
                f"  last used (UTC) {used}  {one.name}"
            )


@token_app.command(name="revoke")
def revoke(
    number: Annotated[int, typer.Argument(help="Its number, as `token list` prints it.")], config: ConfigPath = CONFIG
) -> None:
    """Make a token good for nothing, from this moment on."""
    with open_register(config) as register:
        token = register.revoke_token(number, by=BY)
        if token is None:
            raise EmitraceError(f"token {number}", "there is none that is not revoked", "See `token list`.")
        typer.echo(f"token {number} of {token.user} ({token.name}) is revoked")


def _time(at_ms: int) -> str:
    return instant(at_ms, ZoneInfo("UTC"))


def _plain(token: Token, at_ms: int) -> dict[str, Any]:
    return {
        "number": token.number, "user": token.user, "name": token.name, "scope": [one.value for one in token.scope],
        "created_ms": token.created_ms, "expires_ms": token.expires_ms, "used_ms": token.used_ms,
        "used_from": token.used_from, "revoked_ms": token.revoked_ms, "good": token.good(at_ms),
    }  # fmt: skip
