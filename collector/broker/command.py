"""``emitrace-collector broker-config``: the files of a hardened mosquitto, and a password file per new account."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from collector.books import open_books
from collector.broker.configuration import (
    Place,
    accounts_text,
    acl_text,
    configuration_text,
    hash_password,
    make_password,
    read_accounts,
)
from collector.clock import now_ms
from collector.command_line import CONFIG, ConfigPath, told
from collector.config import load_config
from collector.store.agents import all_agents
from collector.store.audit import record
from collector.store.endings import endings
from collector.store.enrolments import broker_accounts
from protocols.errors import EmitraceError

PRIVATE, FOLDER = 0o600, 0o700
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def broker_config(
    out: Annotated[Path, typer.Option("--out", help="Folder of the files; accounts that are there are kept.")],
    certificate: Annotated[Path, typer.Option("--certificate", help="The broker's certificate with its chain, PEM.")],
    key: Annotated[Path, typer.Option("--key", help="Key of the certificate, PEM.")],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the broker listens.")] = 8883,
    user: Annotated[str, typer.Option("--user", help="The system's user who runs mosquitto.")] = "mosquitto",
    store: Annotated[Path, typer.Option("--store", help="Where the broker keeps its sessions.")] = Path(
        "/var/lib/mosquitto"
    ),
    renew: Annotated[list[str], typer.Option("--renew", help="Give this account a new password; repeatable.")] = [],  # noqa: B006
    config: ConfigPath = CONFIG,
) -> None:
    """Write a hardened configuration for mosquitto: TLS, an account per registered agent, each its own topics only.

    New passwords are files in `credentials`, to be taken to the agents and removed; none is ever printed.
    """
    with told():
        for option, path in (("--certificate", certificate), ("--key", key)):
            if not path.is_file():
                raise EmitraceError(option, f"{path} is not a file", "Name a PEM file.")
        if not _USER.fullmatch(user):
            raise EmitraceError("--user", repr(user), "Name a user of the system.")
        loaded, out = load_config(config), out.resolve()
        for path in (out, certificate.resolve(), key.resolve(), store.resolve()):
            if not str(path).isprintable():
                raise EmitraceError("path", repr(str(path)), "Take one without control characters.")
        own = loaded.settings.broker.username or "collector"
        accounts = out / "accounts"
        with open_books(loaded) as books, books.database.writing() as connection:
            ended = endings(connection)
            wanted = [own, *(one.agent_id for one in all_agents(connection) if one.agent_id not in ended)]
            unknown = sorted(set(renew) - set(wanted))
            if unknown:
                raise EmitraceError("--renew", unknown[0], f"Name {own} or the full id of a registered agent.")
            there = read_accounts(accounts.read_text(encoding="utf-8"), str(accounts)) if accounts.exists() else {}
            enrolled = broker_accounts(connection)  # they made their passwords themselves, and told us the hash
            fresh = {name: make_password() for name in wanted if name in renew or name not in there | enrolled}
            gone = sorted(there.keys() - set(wanted))
            kept = enrolled | {name: hashed for name, hashed in there.items() if name in wanted}
            hashes = kept | {name: hash_password(password) for name, password in fresh.items()}
            place = Place(port, certificate.resolve(), key.resolve(), user, store.resolve())
            _write(out, "mosquitto.conf", configuration_text(place, out), user)
            _write(out, "acl", acl_text(own), user)
            for name, password in fresh.items():
                _write(out / "credentials", f"{name}.password", f"{password}\n")
            _write(out, "accounts", accounts_text(hashes), user)
            detail = f"{len(kept)} accounts kept, {len(fresh)} new, {len(gone)} removed"
            record(connection, "broker-configured", str(out), now_ms(), detail=detail)
        typer.echo(f"{out}: {detail}")
        for name in fresh:
            typer.echo(f"  password of {name}: {out / 'credentials' / f'{name}.password'}")
        for name in gone:
            typer.echo(f"  {name} has no account any longer")
        typer.echo(f"check and reload: mosquitto -c {out / 'mosquitto.conf'}; a running one takes accounts on SIGHUP")


def _write(folder: Path, name: str, text: str, user: str | None = None) -> None:
    """A file for its owner alone, whole or not at all; given to the broker's user where we are root."""
    folder.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if user is not None and hasattr(os, "geteuid") and os.geteuid() == 0:
        try:
            shutil.chown(draft, user)
            shutil.chown(folder, user)
        except LookupError as error:
            raise EmitraceError("--user", f"{user}: {error}", "Install mosquitto first, or name its user.") from error
    draft.replace(folder / name)
