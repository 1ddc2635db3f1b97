"""Agents as witnesses of the log: which checkpoint each one holds, and what it gets to check the next one.

An agent says in its status which checkpoint it holds, with our own signature on it: nobody else can make one up.
So an agent that has missed some gets the proof from where it stands, and one that holds a checkpoint our log does not
lead to shows that these books went back or were changed.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.ingest.statuses import Status
from collector.log import line
from collector.store.checkpoints import newest_checkpoint
from collector.store.log import tree_size
from collector.store.tree import consistency, root_at
from protocols.messages import Ack
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint
from protocols.transparency.note import NoteError
from protocols.wire.keys import public_bytes

log = logging.getLogger(__name__)


class Witnesses:
    """What agents hold, as they say; an agent that says nothing of the log is of before and gets none of it."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._public = public_bytes(books.log_key)
        self._held: dict[str, Checkpoint | None] = {}
        self._told: set[tuple[str, str, int]] = set()

    def note(self, agent_id: str, status: Status) -> None:
        """What the status of a registered agent says of the log."""
        if status.checkpoint is None:
            return
        try:
            held = open_checkpoint(status.checkpoint.encode(), self._public) if status.checkpoint else None
        except NoteError:
            return
        if agent_id in self._held and self._held[agent_id] == held:
            return  # judged already: within one run the log only grows
        leads = held is None or self._leads_here(held)
        self._held[agent_id] = held
        if held is not None and not leads and (agent_id, held.origin, held.size) not in self._told:
            self._told.add((agent_id, held.origin, held.size))
            hint = "these books went back or were changed: restore the newest copy, and see docs/central-team.md"
            log.error(
                line("log-alarm", agent=agent_id[:12], origin=held.origin, size=held.size, root=held.root.hex(),
                     hint=hint)
            )  # fmt: skip

    def dress(self, agent_id: str, ack: Ack) -> Ack:
        """An acknowledgement with the newest checkpoint, where the agent does not hold it yet."""
        if agent_id not in self._held:
            return ack
        held = self._held[agent_id]
        base = 0 if held is None else held.size
        proof: tuple[bytes, ...] = ()
        try:
            with self._books.database.reading() as connection:
                newest = newest_checkpoint(connection)
                if newest is None or newest.head == held:
                    return ack
                if held is not None and held.origin == newest.head.origin and base < newest.head.size:
                    proof = consistency(connection, base, newest.head.size)
        except SQLAlchemyError as error:  # what is committed must be acknowledged all the same
            log.error(line("books-away", error=error))
            return ack
        return replace(ack, checkpoint=newest.note, consistency=proof, log_key=self._public, base=base)

    def _leads_here(self, held: Checkpoint) -> bool:
        with self._books.database.reading() as connection:
            return held.size <= tree_size(connection) and root_at(connection, held.size) == held.root
