"""Asks an authority for time stamps of checkpoints (RFC 3161); no checkpoint ever waits for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from http.client import HTTPException

from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.clock import now_ms
from collector.evidence.stamps import MOST_BYTES, REPLY_TYPE, REQUEST_TYPE, query_for, read_stamp
from collector.log import line
from collector.posting import post
from collector.store.checkpoints import Stored
from collector.store.timestamps import Timestamp, keep_timestamp, to_be_stamped
from protocols.errors import EmitraceError

EVERY_S = 10.0
RETRY_MS = (60_000, 3_600_000)
"""Wait after a first failure, doubled up to the second."""
FAILURES = (OSError, HTTPException, ValueError, EmitraceError)

log = logging.getLogger(__name__)


@dataclass
class Stamper:
    """Looks whether a checkpoint wants a stamp, and gets it."""

    books: Books
    _failures: int = 0
    _not_before_ms: int = 0

    def step(self, at_ms: int) -> None:
        """Stamp the newest checkpoint where it has none; after a failure only when some time has passed."""
        if at_ms < self._not_before_ms:
            return
        with self.books.database.reading() as connection:
            one = to_be_stamped(connection)
        if one is None:
            return
        try:
            stamp = self._asked(one)
        except FAILURES as error:
            self._failures += 1
            wait_ms = min(RETRY_MS[0] << min(self._failures - 1, 10), RETRY_MS[1])
            self._not_before_ms = at_ms + wait_ms
            log.error(line("timestamp-failed", size=one.head.size, error=error, retry_s=wait_ms // 1000))
            return
        self._failures = 0
        with self.books.database.writing() as connection:
            keep_timestamp(connection, stamp)
        log.info(line("timestamp", size=one.head.size, at_ms=stamp.at_ms))

    def _asked(self, one: Stored) -> Timestamp:
        query = query_for(one.note)
        url = self.books.config.settings.transparency.timestamp_url
        reply = post(url, query.data, {"Content-Type": REQUEST_TYPE, "Accept": REPLY_TYPE}, most=MOST_BYTES + 1)
        return Timestamp(one.id, read_stamp(reply, one.note, query.nonce), reply)


class StampWorker(threading.Thread):
    """Runs the stamper; nothing it meets ends it."""

    def __init__(self, stamper: Stamper) -> None:
        super().__init__(name="timestamps", daemon=True)
        self._stamper = stamper
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the request in hand."""
        self._stopping.set()

    def run(self) -> None:
        """The loop; without an address there is nothing to do."""
        while not self._stopping.wait(EVERY_S):
            if not self._stamper.books.config.settings.transparency.timestamp_url:
                continue
            try:
                self._stamper.step(now_ms())
            except SQLAlchemyError as error:
                log.error(line("books-away", error=error, retry_s=EVERY_S))
