"""The audit trail: who did what, on what, when, from where, and whether it was done; each entry a leaf of the log.

Who acts is a matter of the whole request or command, not of each function: the gate and the command line say it once
(``acting``), and whatever changes the books writes its entry (``record``) in the transaction of the change.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from collector.store.log import append_leaf
from collector.store.schema import audit
from protocols.wire.cbor import encode

LEAF = "audit"
LONGEST_DETAIL = 2000


class Who(StrEnum):
    """What somebody is to the collector when they act."""

    ACCOUNT = "account"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    COMMAND = "command"
    """Whoever may run the collector's commands on its machine; the name is that of the system's user."""
    SERVICE = "service"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from which address; a token's name is its account's and its number."""

    kind: Who
    name: str
    address: str = ""


SERVICE = Actor(Who.SERVICE, "emitrace-collector")
_acting: ContextVar[Actor] = ContextVar("acting", default=SERVICE)


class Outcome(StrEnum):
    """Whether it was done."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``position`` is that of its leaf, ``at_ms`` UTC ms."""

    position: int
    at_ms: int
    kind: Who
    who: str
    address: str
    action: str
    object: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: of whom, which actions, on what (a part of its name), in [from, to). [UTC ms]"""

    who: str = ""
    action: str = ""
    object: str = ""
    from_ms: int | None = None
    to_ms: int | None = None

    def condition(self) -> ColumnElement[bool]:
        """The same for the database."""
        found = audit.c.position >= 0
        for column, wanted in ((audit.c.who, self.who), (audit.c.action, self.action)):
            found = found & (column == wanted) if wanted else found
        if self.object:
            found &= audit.c.object.contains(self.object, autoescape=True)
        if self.from_ms is not None:
            found &= audit.c.at_ms >= self.from_ms
        return found if self.to_ms is None else found & (audit.c.at_ms < self.to_ms)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Whatever is recorded within, and in threads asked from within, was done by this actor."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def record(
    connection: Connection, action: str, of: str, at_ms: int, *, detail: str = "", outcome: Outcome = Outcome.DONE,
    by: Actor | None = None,
) -> None:  # fmt: skip
    """Write an entry and its leaf, inside the write transaction of what it tells of.

    ``action`` is one of the words that the page translates (``audit.action.WORD``); no secret belongs in ``of`` or
    ``detail``.
    """
    actor = by or _acting.get()
    key = secrets.token_hex(16)
    row = {
        "id": key, "at_ms": at_ms, "kind": actor.kind.value, "who": actor.name[:128], "address": actor.address[:64],
        "action": action, "object": of[:1000], "outcome": outcome.value, "detail": detail[:LONGEST_DETAIL],
    }  # fmt: skip
    document = encode(list(row.values()))
    position = append_leaf(connection, LEAF, key, hashlib.sha256(document).digest(), at_ms)
    connection.execute(insert(audit).values(position=position, document=document, **row))


def entries(connection: Connection, wanted: Filter, most: int, before: int | None = None) -> list[Entry]:
    """Entries that fit, newest first; ``before`` goes on behind the last position shown."""
    found = wanted.condition() if before is None else wanted.condition() & (audit.c.position < before)
    query = select(audit).where(found).order_by(audit.c.position.desc()).limit(most)
    return [_entry(row) for row in connection.execute(query)]


def count_entries(connection: Connection, wanted: Filter) -> int:
    """How many entries fit."""
    return int(connection.scalar(select(func.count()).select_from(audit).where(wanted.condition())) or 0)


def _entry(row: Any) -> Entry:
    return Entry(
        row.position, row.at_ms, Who(row.kind), row.who, row.address, row.action, row.object, Outcome(row.outcome),
        row.detail,
    )  # fmt: skip
