"""Agents as witnesses of the log: which checkpoint each one holds, and what it gets to check the next one.

An agent says in its status which checkpoint it holds, with our own signature on it: nobody else can make one up.
So an agent that has missed some gets the proof from where it stands, across a new origin too; and one that holds a
checkpoint our log does not lead to shows that these books went back or were changed, which opens a healing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.ingest.statuses import Status
from collector.log import line
from collector.store.checkpoints import Stored, current_origin, newest_checkpoint
from collector.store.healing import Cause, begin_healing, note_head
from collector.store.healings import current_healing
from collector.store.origins import leads_to
from collector.store.tree import consistency, inclusion
from protocols.messages import Ack, OriginProof
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint
from protocols.transparency.note import NoteError
from protocols.wire.keys import public_bytes

log = logging.getLogger(__name__)


class Witnesses:
    """What agents hold, as they say; an agent that says nothing of the log is of before and gets none of it."""

    def __init__(self, books: Books, now_ms: Callable[[], int]) -> None:
        self._books = books
        self._now_ms = now_ms
        self._public = public_bytes(books.log_key)
        self._held: dict[str, Checkpoint | None] = {}
        self._knows_origins: dict[str, bool] = {}

    def note(self, agent_id: str, status: Status) -> None:
        """What the status of a registered agent says of the log."""
        if status.checkpoint is None:
            return
        note = status.checkpoint.encode()
        try:
            held = open_checkpoint(note, self._public) if note else None
        except NoteError:
            return
        self._knows_origins[agent_id] = status.knows_origins
        if agent_id in self._held and self._held[agent_id] == held:
            return  # judged already: within one run the log only grows
        if held is not None:
            self._judge(agent_id, held, note)
        self._held[agent_id] = held

    def dress(self, agent_id: str, ack: Ack) -> Ack:
        """An acknowledgement with the newest checkpoint, where the agent does not hold it yet.

        Not while the books are being healed, and not before the checkpoint is kept beside them.
        """
        if agent_id not in self._held:
            return ack
        held = self._held[agent_id]
        try:
            with self._books.database.reading() as connection:
                newest = newest_checkpoint(connection)
                if newest is None or newest.head == held or current_healing(connection) is not None:
                    return ack
                dressed = self._dressed(connection, agent_id, ack, newest)
            self._books.anchor.hold(newest)
        except SQLAlchemyError as error:  # what is committed must be acknowledged all the same
            log.error(line("books-away", error=error))
            return ack
        except OSError as error:
            log.error(line("checkpoint-not-kept", path=self._books.anchor.path, error=error))
            return ack
        return dressed

    def _dressed(self, connection: Connection, agent_id: str, ack: Ack, newest: Stored) -> Ack:
        held = self._held[agent_id]
        proof: tuple[bytes, ...] = ()
        origin: OriginProof | None = None
        if held is not None and held.size < newest.head.size:
            proof = consistency(connection, held.size, newest.head.size)
        if held is not None and held.origin != newest.head.origin and self._knows_origins[agent_id]:
            now = current_origin(connection)
            if now.record is not None and now.position is not None:
                origin = OriginProof(now.record, now.position, inclusion(connection, now.position, newest.head.size))
        base = 0 if held is None else held.size
        return replace(
            ack, checkpoint=newest.note, consistency=proof, log_key=self._public, base=base, origin=origin
        )

    def _judge(self, agent_id: str, held: Checkpoint, note: bytes) -> None:
        """Open a healing where our own signature says more than our log."""
        with self._books.database.reading() as connection:
            if leads_to(connection, held):
                return
        with self._books.database.writing() as connection:
            at_ms = self._now_ms()
            healing = begin_healing(connection, Cause.CHECKPOINT, at_ms, head_known=False)
            note_head(connection, healing, agent_id, held, note, at_ms)
        hint = "these books went back or were changed, and are being healed: see docs/central-team.md"
        log.error(
            line("log-alarm", agent=agent_id[:12], origin=held.origin, size=held.size, root=held.root.hex(), hint=hint)
        )
