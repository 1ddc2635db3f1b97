"""The newest signed checkpoint in a file beside the books: a database put back from before does not reach it.

Written whole and flushed to the disk after every checkpoint, and before any acknowledgement that carries it. Whoever
puts back the whole state folder puts this file back as well; then agents and other holders of checkpoints notice.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from collector.disk import sync_folder
from collector.store.checkpoints import Stored
from collector.store.database import Database
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from protocols.transparency.note import NoteError

FILE = "log.checkpoint"
RESTORED = "log.restored"
"""Left by ``restore`` until the restored books know of it."""
LONGEST = 16 * 1024


class Anchor:
    """That file; one per program, whose threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.restored = folder / RESTORED
        self._lock = threading.Lock()
        self._newest = 0

    def hold(self, stored: Stored | None) -> None:
        """Keep a checkpoint whose transaction is committed, unless a newer one is kept; OSError where it cannot be."""
        if stored is None or stored.id <= self._newest:
            return
        with self._lock:
            if stored.id <= self._newest:
                return
            if not self._is_longer(stored.head):
                _write(self.path, stored.note)
            self._newest = stored.id

    def read(self, public: bytes) -> tuple[Checkpoint, bytes] | None:
        """The checkpoint and its note; None where there is none that this key signed."""
        try:
            note = self.path.read_bytes()[: LONGEST + 1]
            return open_checkpoint(note, public), note
        except (OSError, NoteError):
            return None

    def tells_last(self, public: bytes, database: Database) -> bool:
        """Whether it says what was signed last: there is one, and not on a server, where each machine has its own."""
        return not database.is_postgresql and self.read(public) is not None

    def _is_longer(self, head: Checkpoint) -> bool:
        """Whether another program has kept this one or a longer one of the same origin."""
        try:
            kept = read_checkpoint(self.path.read_bytes()[: LONGEST + 1])
        except (OSError, NoteError):
            return False
        return kept.origin == head.origin and kept.size >= head.size


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
