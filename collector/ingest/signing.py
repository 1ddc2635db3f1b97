"""When the evidence log is signed: at once where it never was, then so often as it grows."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from collector.books import Books
from collector.log import line
from collector.store.checkpoints import GROWN, Stored, make_checkpoint, newest_checkpoint
from collector.store.healings import HealingError, current_healing
from collector.store.log import tree_size

LOOK_S = 5.0

log = logging.getLogger(__name__)


class LogSigner:
    """Looks now and then whether a checkpoint is due; ``clock`` is monotonic [s], ``now_ms`` the wall's. [UTC ms]"""

    def __init__(self, books: Books, clock: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self._books = books
        self._clock = clock
        self._now_ms = now_ms
        self._looked_s = float("-inf")
        self.newest: Stored | None = None

    def look(self) -> None:
        """Sign the log where that is due; books that are away are looked at again later."""
        now_s = self._clock()
        every_s = self._books.config.settings.transparency.checkpoint_s
        if now_s - self._looked_s < min(LOOK_S, every_s / 2):
            return
        self._looked_s = now_s
        try:
            self.newest = self._signed(1000 * every_s)
            self._books.anchor.hold(self.newest)
        except SQLAlchemyError as error:
            log.error(line("books-away", error=error))
        except HealingError:
            self.newest = None  # opened by another program just now
        except OSError as error:  # no acknowledgement carries it meanwhile
            log.error(line("checkpoint-not-kept", path=self._books.anchor.path, error=error))

    def _signed(self, every_ms: int) -> Stored | None:
        books, at_ms = self._books, self._now_ms()
        with books.database.reading() as connection:
            newest, size = newest_checkpoint(connection), tree_size(connection)
            if current_healing(connection) is not None:
                return None  # and what is kept beside the books stays as it is
        if size == (0 if newest is None else newest.head.size):
            return newest
        if newest is not None and 0 <= at_ms - newest.at_ms < every_ms:
            return newest
        with books.database.writing() as connection:
            newest = make_checkpoint(connection, books.log_key, at_ms, GROWN)
        log.info(line("checkpoint", size=newest.head.size, root=newest.head.root.hex()))
        return newest
