"""Enrolment from the agent's side: the key and the broker password are made here, the rest comes signed.

Each file appears whole or not at all and is used again where it is there, so that a machine that was switched off in
between only has to run the command again.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import Config, Settings
from agent.identity import former_file, read_former
from agent.lock import is_held
from agent.log import keep_secret
from protocols.enrolment import (
    LARGEST_ANSWER,
    NONCE_BYTES,
    Answer,
    Invitation,
    Request,
    account_hash,
    read_answer,
    seal_request,
)
from protocols.errors import EmitraceError
from protocols.toml import read_toml, validate
from protocols.wire.keys import fingerprint, load_key, make_key, public_bytes

PATIENCE_S = 30.0
OUTBOX = "outbox.sqlite"
PASSWORD, AUTHORITY = "broker-password", "broker-ca.pem"
PRIVATE, PUBLIC = 0o600, 0o644
_TABLE = re.compile(r"^\s*\[(collector|broker)\]\s*(#.*)?$")
_HEAD = re.compile(r"^\s*\[")


class EnrolmentError(EmitraceError):
    """The agent was not enrolled."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What this machine is: its key, its id, and the password of its account at the broker."""

    key: Ed25519PrivateKey
    agent_id: str
    password: str

    @property
    def account(self) -> str:
        """The hash of the password; always the same for the same key and password."""
        return account_hash(self.password, hashlib.sha256(self.agent_id.encode()).digest()[:12])


def identity(config: Config) -> Identity:
    """The key and the password, made now where they are missing."""
    path = config.key_file
    key = load_key(path) if path.exists() else make_key(path)
    if read_former(path):
        hint = "it is enrolled already; to begin as another agent: emitrace-agent enroll --new-key"
        raise EnrolmentError("agent", "has changed its key since it was enrolled", hint)
    place = config.file.parent / PASSWORD
    if not place.exists():
        write_whole(place, f"{secrets.token_urlsafe(32)}\n", PRIVATE)
    password = place.read_text(encoding="ascii").strip()
    keep_secret(password)
    return Identity(key, fingerprint(public_bytes(key)), password)


def put_aside(config: Config) -> list[Path]:
    """Move key, password and state of an agent that has run out of the way; where they are now.

    The state goes last: without one nothing is moved, so that asking again after a power cut does not lose the new key.
    """
    if not (config.state_dir / OUTBOX).exists():
        return []
    if is_held(config.state_dir):
        raise EnrolmentError(str(config.state_dir), "is in use", "stop the agent first: systemctl stop emitrace-agent")
    old = fingerprint(public_bytes(load_key(config.key_file)))[:12] if config.key_file.exists() else "old"
    paths = (config.key_file, former_file(config.key_file), config.file.parent / PASSWORD, config.state_dir)
    return [path.rename(path.with_name(f"{path.name}.of-{old}")) for path in paths if path.exists()]


def ask(invitation: Invitation, who: Identity, facility: str, software: str) -> Answer:
    """Ask the collector; its answer, which its key signed. EnrolmentError with what it said otherwise."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    public = public_bytes(who.key)
    sealed = seal_request(Request(public, invitation.secret, facility, who.account, software, nonce), who.key)
    body = json.dumps({"request": base64.b64encode(sealed).decode("ascii")})
    status, said = _post(invitation, body)
    try:
        told = json.loads(said)
        if status == http.client.OK:
            return read_answer(base64.b64decode(told["answer"], validate=True), invitation.collector, nonce)
        seen, hint = str(told["error"])[:400], str(told["hint"])[:400]
    except (ValueError, KeyError, TypeError) as error:
        seen = f"answered with status {status}, and not as a collector does"
        raise EnrolmentError(invitation.url, seen, "check the address with the central team") from error
    raise EnrolmentError(invitation.url, f"refuses: {seen}", hint)


def keep_settings(config: Config, invitation: Invitation, who: Identity, answer: Answer) -> None:
    """Write what the collector said into agent.toml, and the broker's CA beside it; the rest of the file stays."""
    folder = config.file.parent
    if answer.authority:
        write_whole(folder / AUTHORITY, answer.authority, PUBLIC)
    lines = [
        "[collector]", f'fingerprint = "{invitation.collector.hex()}"', "",
        "[broker]", f"host = {json.dumps(answer.broker)}", f"port = {answer.port}", f'username = "{who.agent_id}"',
        f'password_file = "{PASSWORD}"', *([f'tls_ca = "{AUTHORITY}"'] if answer.authority else []), "",
    ]  # fmt: skip
    text = _with_tables(config.file.read_text(encoding="utf-8"), "\n".join(lines))
    draft = config.file.with_name(f".{config.file.name}.enrolled")
    write_whole(draft, text, config.file.stat().st_mode & 0o777)
    try:
        validate(read_toml(draft), Settings)
        draft.replace(config.file)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, text: str, mode: int) -> None:
    """A file that appears whole or not at all, and is on the disk when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _with_tables(text: str, tables: str) -> str:
    """A TOML text with [collector] and [broker] replaced, where the first of them stood; at the top where none did."""
    kept: list[str] = []
    place: int | None = None
    inside = False
    for one in text.splitlines():
        if _TABLE.match(one):
            inside, place = True, len(kept) if place is None else place
        elif _HEAD.match(one):
            inside = False
        if not inside:
            kept.append(one)
    if place is None:
        heads = [number for number, one in enumerate(kept) if _HEAD.match(one)]
        place = heads[0] if heads else len(kept)
    return "\n".join([*kept[:place], *tables.splitlines(), "", *kept[place:]]) + "\n"


def _post(invitation: Invitation, body: str) -> tuple[int, bytes]:
    """Status and body of the answer; nothing is sent before the certificate is the one of the invitation."""
    place = urlsplit(invitation.url)
    host = place.hostname or ""
    connection = (
        http.client.HTTPConnection(host, place.port, timeout=PATIENCE_S)
        if place.scheme == "http"
        else http.client.HTTPSConnection(host, place.port, timeout=PATIENCE_S, context=_context(invitation))
    )
    try:
        connection.connect()
        if place.scheme == "https" and invitation.certificate:
            shown = connection.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
            if hashlib.sha256(shown or b"").digest() != invitation.certificate:
                hint = "somebody else may answer there: tell the central team, and ask for a new invitation"
                raise EnrolmentError(invitation.url, "shows another certificate than the invitation names", hint)
        connection.request(
            "POST", f"{place.path}/api/v1/enrolments", body=body.encode("ascii"),
            headers={"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        return response.status, response.read(2 * LARGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        seen = f"cannot be reached: {error}"
        raise EnrolmentError(invitation.url, seen, "check the address, the network and the firewall") from error
    finally:
        connection.close()


def _context(invitation: Invitation) -> ssl.SSLContext:
    """The system's authorities judge the certificate, unless the invitation itself names it."""
    context = ssl.create_default_context()
    if invitation.certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
