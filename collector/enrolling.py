"""Enrolment as the whole collector does it: books, the broker's accounts, and what an agent is told.

The page, the API and the command all come through here.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from collector.books import Books
from collector.broker.accounts import change_accounts
from collector.clock import now_ms
from collector.config import Config
from collector.log import line
from collector.store.agents import named_agent
from collector.store.endings import Ended, Ending, end_service
from collector.store.enrolments import (
    Enrolment,
    EnrolmentToken,
    TokenRefusedError,
    decide,
    make_token,
    note_refused,
    take_request,
)
from protocols.enrolment import Answer, Invitation, Request, State, make_secret, read_invitation, seal_answer
from protocols.errors import EmitraceError
from protocols.wire.cose import key_id

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done in the books; ``problem`` says why the broker's accounts were not changed with it."""

    problem: str = ""


def invite(
    books: Books, name: str, facility: str, minutes: int, by: str, *, replaces: str = "", url: str = ""
) -> tuple[Invitation, EnrolmentToken]:
    """Make a token and the invitation that carries it; ``url`` where the configuration names none."""
    settings = books.config.settings.enrolment
    place = (settings.url or url).rstrip("/")
    if not place:
        hint = "Write there where agents reach this collector, such as https://emitrace.example.org."
        raise EmitraceError("[enrolment] url", "is not set", hint)
    certificate, collector = pinned_certificate(books.config), key_id(books.public_key)
    read_invitation(Invitation(place, make_secret(), collector, certificate).text())  # no agent takes another
    with books.database.writing() as connection:
        before = named_agent(connection, replaces) if replaces else None
        secret, token = make_token(connection, name, facility, minutes, by, now_ms(), before)
    log.info(line("agent-token-made", number=token.id, name=token.name, facility=token.facility, by=by))
    return Invitation(place, secret, collector, certificate), token


def pinned_certificate(config: Config) -> bytes:
    """SHA-256 of the TLS certificate that agents must find; empty where none is named."""
    name = config.settings.enrolment.certificate
    if name is None:
        return b""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first_certificate(config.resolve(name)))).digest()


def answer_request(books: Books, request: Request, address: str) -> bytes:
    """The signed answer to a request; TokenRefusedError where its token is not good for it."""
    at_ms = now_ms()
    try:
        with books.database.writing() as connection:
            found = take_request(connection, request, address, at_ms)
    except TokenRefusedError as error:
        with books.database.writing() as connection:
            note_refused(connection, request, error.reason, at_ms)
        log.warning(line("enrolment-refused", reason=error.reason, address=address))
        raise
    log.info(line("enrolment-asked", agent=found.agent_id[:12], token=found.token.id, state=found.state))
    return seal_answer(_answer(books, found, request.nonce), books.key)


def settle(books: Books, number: int, decision: State, by: str) -> Done:
    """Confirm or refuse a request; a confirmed agent gets its account at the broker."""
    with books.database.writing() as connection:
        one = decide(connection, number, decision, by, now_ms())
    log.info(line(f"agent-{decision.value}", agent=one.agent_id[:12], token=number, by=by))
    return _tell_broker(books, {one.agent_id: one.account} if decision is State.CONFIRMED else {})


def end_agent(books: Books, word: str, ending: Ending, reason: str, by: str) -> tuple[Ended, Done]:
    """Revoke or retire an agent, and take its account from the broker."""
    with books.database.writing() as connection:
        ended = end_service(connection, named_agent(connection, word), ending, reason, by, now_ms())
    log.info(line(ending.leaf, agent=ended.agent_id[:12], leaf=ended.position, by=by))
    return ended, _tell_broker(books, {ended.agent_id: None})


def _tell_broker(books: Books, changes: dict[str, str | None]) -> Done:
    name = books.config.settings.enrolment.accounts
    if name is None or not changes:
        return Done()
    try:
        change_accounts(books.config.resolve(name), changes)
    except EmitraceError as error:
        log.error(line("broker-accounts-not-changed", error=error))
        return Done(str(error))
    return Done()


def _answer(books: Books, one: Enrolment, asked: bytes) -> Answer:
    settings, broker = books.config.settings.enrolment, books.config.settings.broker
    authority = books.config.tls_ca if settings.broker_ca is None else books.config.resolve(settings.broker_ca)
    return Answer(
        books.public_key, asked, one.state, one.nonce, one.token.name, settings.broker_host or broker.host,
        settings.broker_port or broker.port, "" if authority is None else _text(authority, "[enrolment] broker_ca"),
    )  # fmt: skip


def _first_certificate(path: Path) -> str:
    text = _text(path, "[enrolment] certificate")
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if start < 0 or end < start:
        raise EmitraceError("[enrolment] certificate", f"{path} holds none", "Name the PEM file that HTTPS shows.")
    return text[start : end + len(ssl.PEM_FOOTER)]


def _text(path: Path, subject: str) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise EmitraceError(subject, f"{path}: {error}", "Name a readable PEM file.") from error
