"""Enrolment in the books: tokens that are good once, requests that came in with them, and what a person decided.

A token is bound to the first key that asks with it: the same key may ask again (its machine was switched off before the
answer came), another one may not. Nothing of an agent is believed before a person has compared the digits.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from collector.store.agents import Agent, add_agent, find_agent
from collector.store.audit import Outcome, record
from collector.store.endings import endings
from collector.store.schema import enrolment_tokens, enrolments
from protocols.enrolment import NONCE_BYTES, Request, State, comparison, make_secret, token_digest
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint

MINUTE_MS = 60_000
DEFAULT_MINUTES = 60
LONGEST_MINUTES = 7 * 24 * 60
LONGEST_NAME = 64
MOST_OPEN = 100
"""Tokens that are good, and requests that wait, at the same time."""


class TokenRefusedError(EmitraceError):
    """A token that is not taken; ``reason`` is unknown, expired, withdrawn, used, facility or ended."""

    def __init__(self, reason: str, seen: str, hint: str) -> None:
        super().__init__("enrolment token", seen, hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """A token as lists show it; ``withdrawn_ms`` where somebody took it back. Times in UTC ms."""

    id: int
    name: str
    facility: str
    replaces: str | None
    made_by: str
    created_ms: int
    expires_ms: int
    withdrawn_ms: int | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A request with the token it came with."""

    token: EnrolmentToken
    agent_id: str
    public_key: bytes
    account: str
    nonce: bytes
    software: str
    address: str
    asked_ms: int
    decision: str | None
    decided_by: str | None
    decided_ms: int | None

    @property
    def state(self) -> State:
        """How far it has come."""
        return State.PENDING if self.decision is None else State(self.decision)

    def digits(self, collector_key: bytes) -> str:
        """What both sides show."""
        return comparison(self.public_key, collector_key, self.nonce)


def make_token(
    connection: Connection, name: str, facility: str, minutes: int, by: str, at_ms: int, replaces: Agent | None = None
) -> tuple[str, EnrolmentToken]:
    """Make a token: the secret, which is kept nowhere, and the token as lists show it.

    Raises
    ------
    EmitraceError
        A name, facility or time that is not taken, or too many tokens that are good.
    """
    name, facility = name.strip(), facility.strip()
    for word, what in ((name, "name"), (facility, "facility")):
        if not word or len(word) > LONGEST_NAME or not word.isprintable():
            raise EmitraceError(f"enrolment token, {what}", repr(word[:80]), f"Give 1 to {LONGEST_NAME} signs.")
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise EmitraceError("enrolment token", f"{minutes} minutes", f"Take 1 to {LONGEST_MINUTES}.")
    if len(open_tokens(connection, at_ms)) >= MOST_OPEN:
        raise EmitraceError("enrolment token", f"{MOST_OPEN} are good already", "Withdraw what is not used.")
    secret = make_secret()
    row = connection.execute(
        insert(enrolment_tokens).returning(*_TOKEN).values(
            digest=token_digest(secret), name=name, facility=facility,
            replaces=None if replaces is None else replaces.agent_id, made_by=by[:64], created_ms=at_ms,
            expires_ms=at_ms + minutes * MINUTE_MS,
        )
    ).mappings().one()  # fmt: skip
    token = EnrolmentToken(**row)
    record(connection, "agent-token-made", str(token.id), at_ms, detail=f"{name}, {facility}, {minutes} min")
    return secret, token


def withdraw_token(connection: Connection, number: int, at_ms: int) -> bool:
    """Take a token back that no agent has used; False where there is none."""
    used = select(enrolments.c.token)
    changed = connection.execute(
        update(enrolment_tokens)
        .where(enrolment_tokens.c.id == number, enrolment_tokens.c.withdrawn_ms.is_(None),
               enrolment_tokens.c.id.not_in(used))
        .values(withdrawn_ms=at_ms)
    ).rowcount  # fmt: skip
    if changed:
        record(connection, "agent-token-withdrawn", str(number), at_ms)
    return bool(changed)


def open_tokens(connection: Connection, at_ms: int) -> list[EnrolmentToken]:
    """Tokens that are good and unused, newest first."""
    query = (
        select(*_TOKEN)
        .where(enrolment_tokens.c.withdrawn_ms.is_(None), enrolment_tokens.c.expires_ms > at_ms,
               enrolment_tokens.c.id.not_in(select(enrolments.c.token)))
        .order_by(enrolment_tokens.c.id.desc())
    )  # fmt: skip
    return [EnrolmentToken(**row) for row in connection.execute(query).mappings()]


def take_request(connection: Connection, request: Request, address: str, at_ms: int) -> Enrolment:
    """What became of a request; a first one takes its token and waits for a person.

    Raises
    ------
    TokenRefusedError
        The token is not good for it.
    """
    query = select(*_TOKEN).where(enrolment_tokens.c.digest == token_digest(request.secret))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise TokenRefusedError("unknown", "is none of this collector's", "Ask for another one.")
    token, agent_id = EnrolmentToken(**row), fingerprint(request.public_key)
    known = _read(connection, enrolments.c.token == token.id)
    if known:
        if known[0].agent_id == agent_id:
            return known[0]
        seen = f"was used by another key, {known[0].agent_id[:12]}"
        hint = "If that was not you, tell the central team at once; ask for another token."
        raise TokenRefusedError("used", seen, hint)
    if token.withdrawn_ms is not None:
        raise TokenRefusedError("withdrawn", "was withdrawn", "Ask for another one.")
    if at_ms >= token.expires_ms:
        minutes = (at_ms - token.expires_ms) // MINUTE_MS
        raise TokenRefusedError("expired", f"expired {minutes} minutes ago", "Ask for another one.")
    if request.facility != token.facility:
        seen = f"is for facility {token.facility}, the plan of this agent is of {request.facility}"
        raise TokenRefusedError("facility", seen, "Ask for a token of the right facility, or take the right plan.")
    if agent_id in endings(connection):
        hint = "Make a new key: emitrace-agent enroll --new-key."
        raise TokenRefusedError("ended", f"comes with key {agent_id[:12]}, whose service has ended", hint)
    connection.execute(
        insert(enrolments).values(
            token=token.id, agent_id=agent_id, public_key=request.public_key, account=request.account,
            nonce=secrets.token_bytes(NONCE_BYTES), software=request.software, address=address[:64], asked_ms=at_ms,
        )
    )  # fmt: skip
    record(connection, "agent-asked", agent_id, at_ms, detail=f"token {token.id}, {token.name}")
    return _read(connection, enrolments.c.token == token.id)[0]


def note_refused(connection: Connection, request: Request, reason: str, at_ms: int) -> None:
    """Write into the audit trail that a token of ours was not taken; what we never made is nobody's entry."""
    query = select(enrolment_tokens.c.id).where(enrolment_tokens.c.digest == token_digest(request.secret))
    number = connection.scalar(query)
    if number is not None:
        detail = f"{reason}, key {fingerprint(request.public_key)[:12]}"
        record(connection, "agent-token-refused", str(number), at_ms, detail=detail, outcome=Outcome.REFUSED)


def decide(connection: Connection, number: int, decision: State, by: str, at_ms: int) -> Enrolment:
    """Confirm or refuse the request that came with a token; a confirmed agent is registered and believed from now on.

    Raises
    ------
    EmitraceError
        There is no such request, or somebody has decided already.
    """
    found = _read(connection, enrolments.c.token == number)
    if not found:
        raise EmitraceError(f"enrolment {number}", "there is none", "See the page of agents.")
    one = found[0]
    if one.decision is not None:
        raise EmitraceError(f"enrolment {number}", f"was {one.decision} by {one.decided_by}", "Nothing is changed.")
    connection.execute(
        update(enrolments)
        .where(enrolments.c.token == number)
        .values(decision=decision.value, decided_by=by[:64], decided_ms=at_ms)
    )
    record(connection, f"agent-{decision.value}", one.agent_id, at_ms, detail=f"{one.token.name}, token {number}")
    if decision is State.CONFIRMED:
        replaces = None if one.token.replaces is None else find_agent(connection, one.token.replaces)
        add_agent(connection, one.public_key, one.token.name, at_ms, replaces)
    return _read(connection, enrolments.c.token == number)[0]


def waiting_enrolments(connection: Connection) -> list[Enrolment]:
    """Requests about which nobody has decided, oldest first."""
    return _read(connection, enrolments.c.decision.is_(None))


def enrolments_of(connection: Connection, agent_id: str) -> list[Enrolment]:
    """Every request of an agent."""
    return _read(connection, enrolments.c.agent_id == agent_id)


def broker_accounts(connection: Connection) -> dict[str, str]:
    """Hash of the broker password of every agent that was confirmed and whose service has not ended, by agent id."""
    ended = endings(connection)
    found = _read(connection, enrolments.c.decision == State.CONFIRMED.value)
    return {one.agent_id: one.account for one in found if one.agent_id not in ended}


def count_waiting(connection: Connection) -> int:
    """How many requests wait for a person."""
    query = select(func.count()).select_from(enrolments).where(enrolments.c.decision.is_(None))
    return int(connection.scalar(query) or 0)


_TOKEN = tuple(column for column in enrolment_tokens.c if column.name != "digest")
_ASKED = tuple(column for column in enrolments.c if column.name != "token")


def _read(connection: Connection, which: Any) -> list[Enrolment]:
    query = (
        select(*_TOKEN, *_ASKED)
        .join_from(enrolments, enrolment_tokens, enrolments.c.token == enrolment_tokens.c.id)
        .where(which)
        .order_by(enrolments.c.asked_ms, enrolments.c.token)
    )
    tokens, asked = [column.name for column in _TOKEN], [column.name for column in _ASKED]
    return [
        Enrolment(EnrolmentToken(**{name: row[name] for name in tokens}), **{name: row[name] for name in asked})
        for row in connection.execute(query).mappings()
    ]
