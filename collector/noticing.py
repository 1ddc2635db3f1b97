"""Looked at whenever books are opened: whether they went back behind what was signed."""

from __future__ import annotations

import logging

from collector.anchor import Anchor
from collector.clock import now_ms
from collector.log import line
from collector.store.database import Database
from collector.store.healing import ANCHOR, Cause, begin_healing, note_head
from collector.store.origins import leads_to

log = logging.getLogger(__name__)


def notice(database: Database, anchor: Anchor, public: bytes) -> None:
    """Open a healing where a backup was put back, or where the log does not lead to the anchor's checkpoint.

    The file is read before the books: a checkpoint is written down there only once it is committed here.
    """
    was_restored = anchor.restored.exists()
    held = anchor.read(public)
    with database.reading() as connection:
        behind = held is not None and not leads_to(connection, held[0])
    if not (was_restored or behind):
        return
    head_known = anchor.tells_last(public, database)
    at_ms = now_ms()
    with database.writing() as connection:
        cause = Cause.RESTORED if was_restored else Cause.ANCHOR
        healing = begin_healing(connection, cause, at_ms, head_known=head_known)
        if held is not None and behind:
            note_head(connection, healing, ANCHOR, *held, at_ms)
    anchor.restored.unlink(missing_ok=True)
    if healing.opened_ms == at_ms:
        log.error(line("healing-began", cause=cause.value, size=healing.kept))
