"""Healing while items come in: what agents say was acknowledged is noted, and the end is looked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.ingest.statuses import Status
from collector.log import line
from collector.store.acks import MOST_RANGES, ack_of, missing_ranges
from collector.store.checkpoints import Stored
from collector.store.healing import Cause, begin_healing, end_healing, lacking, note_report
from collector.store.healings import current_healing
from collector.store.losses import without_lost
from protocols.wire.codec import read_ack
from protocols.wire.errors import WireError
from protocols.wire.keys import public_bytes

LOOK_S = 2.0

log = logging.getLogger(__name__)


class HealingKeeper:
    """Looks now and then whether the books are whole again; ``clock`` is monotonic [s], ``now_ms`` the wall's."""

    def __init__(self, books: Books, clock: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self._books = books
        self._clock = clock
        self._now_ms = now_ms
        self._looked_s = float("-inf")
        self._told: dict[str, tuple[int, tuple[bytes, int]]] = {}
        self._receipts: dict[str, bytes] = {}

    def note(self, statuses: Mapping[str, Status]) -> None:
        """Take evidence of what was acknowledged; while the books are being healed, keep what agents say of it."""
        for agent_id, status in statuses.items():
            if status.receipt is not None and self._receipts.get(agent_id) != status.receipt:
                self._judge(agent_id, status.receipt)
                self._receipts[agent_id] = status.receipt
        stated = {agent_id: one.acknowledged for agent_id, one in statuses.items() if one.acknowledged is not None}
        if not stated:
            return
        with self._books.database.reading() as connection:
            healing = current_healing(connection)
        if healing is None:
            return
        fresh = {
            agent_id: head for agent_id, head in stated.items() if self._told.get(agent_id) != (healing.id, head)
        }
        if not fresh:
            return
        with self._books.database.writing() as connection:
            for agent_id, head in fresh.items():
                note_report(connection, healing, agent_id, head, self._now_ms())
        self._told |= {agent_id: (healing.id, head) for agent_id, head in fresh.items()}

    def look(self) -> None:
        """End the healing where nothing is missing any more; books that are away are looked at again later."""
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            with self._books.database.reading() as connection:
                healing = current_healing(connection)
                if healing is None or not lacking(connection, healing).is_nothing:
                    return
            self._end()
        except SQLAlchemyError as error:
            log.error(line("books-away", error=error))

    def _judge(self, agent_id: str, receipt: bytes) -> None:
        """Open a healing where an acknowledgement that we signed says more than is here."""
        try:
            ack = read_ack(receipt, self._books.public_key)
        except WireError:
            return  # anybody may make one up: it says nothing
        with self._books.database.reading() as connection:
            here = ack_of(connection, agent_id, ack.stream_id)
            ranges = missing_ranges(here, MOST_RANGES, ack.contiguous)
            gone = [one for one in ranges if one[0] <= ack.contiguous]
            if not without_lost(connection, agent_id, ack.stream_id, gone):
                return
        head_known = self._books.anchor.tells_last(public_bytes(self._books.log_key), self._books.database)
        with self._books.database.writing() as connection:
            begin_healing(connection, Cause.ACKNOWLEDGED, self._now_ms(), head_known=head_known)
        log.error(line("receipt-beyond", agent=agent_id[:12], acknowledged=ack.contiguous, here=here.contiguous))

    def _end(self) -> None:
        renamed: Stored | None = None
        with self._books.database.writing() as connection:
            healing = current_healing(connection)
            if healing is None or not lacking(connection, healing).is_nothing:
                return
            renamed = end_healing(connection, self._books.log_key, healing, self._now_ms())
        self._books.anchor.hold(renamed)
        origin = "" if renamed is None else renamed.head.origin
        log.warning(line("healing-ended", cause=healing.cause, new_origin=origin or "none"))
