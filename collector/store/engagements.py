"""Verification engagements: who verifies what, by which criteria, until when; the newest revision holds, all stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, insert, select

from collector.store.audit import record
from collector.store.log import append_leaf
from collector.store.schema import engagements
from protocols.errors import EmitraceError
from protocols.wire.cbor import encode

LEAF = "engagement"
LONGEST = {"name": 128, "body": 200, "criteria": 4000}
MOST_NAMES = 100
"""Facilities, and accounts, of one engagement."""


class EngagementError(EmitraceError):
    """An engagement that is not taken; ``reason`` is name, body, criteria, sites, period, expiry, accounts or taken."""

    def __init__(self, reason: str, seen: str, hint: str) -> None:
        super().__init__("engagement", seen, hint)
        self.reason = reason
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Terms:
    """What an engagement is of.

    Attributes
    ----------
    body : str
        The verification body.
    criteria : str
        What is verified against, level of assurance and materiality included.
    sites, accounts : tuple of str
        Facilities as ORGANISATION/FACILITY, and the verifiers' accounts, in order.
    from_ms, to_ms, expires_ms : int
        The reporting period [from, to), and until when the accounts see it. [UTC ms]
    """

    name: str
    body: str
    criteria: str
    sites: tuple[str, ...]
    from_ms: int
    to_ms: int
    expires_ms: int
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Engagement:
    """One revision; ``position`` is that of its leaf, ``at_ms`` UTC ms."""

    number: int
    revision: int
    terms: Terms
    by: str
    at_ms: int
    position: int

    def is_open(self, at_ms: int) -> bool:
        """Whether its accounts may still sign in."""
        return at_ms < self.terms.expires_ms


def revise(connection: Connection, number: int | None, terms: Terms, by: str, at_ms: int) -> Engagement:
    """Keep a revision of an engagement, or a new one where ``number`` is None, with its leaf and audit entry.

    Raises
    ------
    EngagementError
        The terms say too little or contradict themselves, or an account is in another open engagement.
    EmitraceError
        There is no such engagement.
    """
    terms = _judged(terms)
    before = None if number is None else the_engagement(connection, number)
    _keep_apart(connection, number, terms, at_ms)
    own = before.number if before else int(connection.scalar(select(func.max(engagements.c.engagement))) or 0) + 1
    revision = before.revision + 1 if before else 1
    document = encode([
        own, revision, terms.name, terms.body, terms.criteria, list(terms.sites), terms.from_ms, terms.to_ms,
        terms.expires_ms, list(terms.accounts), by, at_ms,
    ])  # fmt: skip
    position = append_leaf(connection, LEAF, f"{own}/{revision}", sha256(document).digest(), at_ms)
    connection.execute(
        insert(engagements).values(
            engagement=own, revision=revision, name=terms.name, body=terms.body, criteria=terms.criteria,
            sites=json.dumps(terms.sites), from_ms=terms.from_ms, to_ms=terms.to_ms, expires_ms=terms.expires_ms,
            accounts=json.dumps(terms.accounts), by=by, at_ms=at_ms, position=position, document=document,
        )
    )  # fmt: skip
    detail = f"{terms.name}: {' '.join(terms.sites)}, {terms.from_ms} {terms.to_ms}, {' '.join(terms.accounts)}"
    record(connection, "engagement-revised" if before else "engagement-made", f"engagement/{own}", at_ms, detail=detail)
    return Engagement(own, revision, terms, by, at_ms, position)


def all_engagements(connection: Connection) -> list[Engagement]:
    """The newest revision of each, newest engagement first."""
    newest = select(func.max(engagements.c.id)).group_by(engagements.c.engagement)
    query = select(engagements).where(engagements.c.id.in_(newest)).order_by(engagements.c.engagement.desc())
    return [_engagement(row) for row in connection.execute(query)]


def the_engagement(connection: Connection, number: int) -> Engagement:
    """The newest revision of one; EmitraceError where there is none."""
    found = revisions_of(connection, number)
    if not found:
        raise EmitraceError(f"engagement {number}", "is not here", "The page /engagements lists them.")
    return found[-1]


def revisions_of(connection: Connection, number: int) -> list[Engagement]:
    """Every revision of one, in order."""
    query = select(engagements).where(engagements.c.engagement == number).order_by(engagements.c.revision)
    return [_engagement(row) for row in connection.execute(query)]


def _judged(terms: Terms) -> Terms:
    """The terms in order, or EngagementError."""
    for field, longest in LONGEST.items():
        text = getattr(terms, field).strip()
        if not text or len(text) > longest or not text.replace("\n", "").replace("\r", "").isprintable():
            raise EngagementError(field, repr(text[:64]), f"Write 1 to {longest} signs.")
    for field in ("sites", "accounts"):
        if not 0 < len(set(getattr(terms, field))) <= MOST_NAMES:
            raise EngagementError(field, f"{len(getattr(terms, field))} {field}", f"Name 1 to {MOST_NAMES}.")
    if not 0 <= terms.from_ms < terms.to_ms:
        raise EngagementError("period", f"{terms.from_ms} to {terms.to_ms}", "Give an end after the start.")
    return Terms(
        terms.name.strip(), terms.body.strip(), terms.criteria.strip(), _ordered(terms.sites), terms.from_ms,
        terms.to_ms, terms.expires_ms, _ordered(terms.accounts),
    )  # fmt: skip


def _keep_apart(connection: Connection, number: int | None, terms: Terms, at_ms: int) -> None:
    """An account is in one open engagement at a time, so that there is no doubt what it may see."""
    for other in all_engagements(connection):
        both = set(terms.accounts) & set(other.terms.accounts)
        if both and other.number != number and other.is_open(at_ms) and terms.expires_ms > at_ms:
            hint = f"Make another account, or take it out of engagement {other.number}."
            raise EngagementError("taken", ", ".join(sorted(both)), hint)


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _engagement(row: Any) -> Engagement:
    terms = Terms(
        row.name, row.body, row.criteria, tuple(json.loads(row.sites)), row.from_ms, row.to_ms, row.expires_ms,
        tuple(json.loads(row.accounts)),
    )  # fmt: skip
    return Engagement(row.engagement, row.revision, terms, row.by, row.at_ms, row.position)
