"""Bundles kept on disk for a while, so that whoever fetches one can go on after a cut connection.

A bundle is written once and never changes: its number, its digest and its bytes belong together until it expires. It
is handed only to the account that asked for it. What is kept is in the files alone, so a restart loses nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from collector.books import Books
from collector.clock import now_ms
from collector.exporting import Wanted, note_export, write_wanted
from collector.store.log import tree_size
from protocols.errors import EmitraceError

SAME_MS = 60_000
"""Asked for again within this time, or while nothing new came, the same bundle is given. [ms]"""
MOST_OF_AN_ACCOUNT = 4
"""One more removes the account's oldest."""
_CHUNK = 1 << 20


class BusyError(EmitraceError):
    """Another bundle is being written; ask again a little later."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A bundle on disk: who asked for what, when, at which size of the log; SHA-256 in hexadecimal."""

    number: str
    owner: str
    wanted: str
    made_ms: int
    tree_size: int
    name: str
    size: int
    sha256: str


class _Limited(io.FileIO):
    """A new file that refuses to pass a size."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, "x+b")
        self._most = most

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self._most:
            seen = f"would take more than the {self._most} bytes left of [bundles] most_gb"
            raise EmitraceError("bundle", seen, "Ask for a shorter period or less at once, or raise most_gb.")
        return super().write(data) or 0


class Spool:
    """The bundles of a collector; safe for several threads.

    Parameters
    ----------
    books : Books
        Where bundles come from; ``[bundles]`` of its configuration says where and how long they are kept.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        table = books.config.settings.bundles
        self._folder = books.config.state_dir / "bundles"
        self._keep_ms = table.keep_hours * 3_600_000
        self._most_bytes = int(table.most_gb * 1_000_000_000)
        self._one_at_a_time = threading.Lock()

    def ask(self, wanted: Wanted, owner: str) -> Spooled:
        """The bundle asked for: a fresh one that is here already, or a new one.

        Raises
        ------
        BusyError
            Another one is being written.
        EmitraceError
            It cannot be made, or would not fit.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            raise BusyError("bundle", "another one is being written", "Ask again in a few seconds.")
        try:
            self.sweep()
            known = repr(wanted)
            with self._books.database.reading() as connection:
                size = tree_size(connection)
            for one in self._all():
                fresh = one.tree_size == size or now_ms() - one.made_ms < SAME_MS
                if fresh and (one.owner, one.wanted) == (owner, known):
                    return one
            for one in [one for one in self._all() if one.owner == owner][: 1 - MOST_OF_AN_ACCOUNT]:
                self._remove(one.number)
            note_export(self._books, wanted, "/api/v1/bundle")
            with self._books.database.reading() as connection:
                size = tree_size(connection)
            return self._write(wanted, owner, size)
        finally:
            self._one_at_a_time.release()

    def find(self, number: str, owner: str) -> Spooled | None:
        """A bundle that this account asked for and that has not expired."""
        found = self._read(self._folder / f"{number}.json")
        good = found is not None and found.owner == owner and now_ms() - found.made_ms < self._keep_ms
        return found if good else None

    def path(self, spooled: Spooled) -> Path:
        """Where its bytes are."""
        return self._folder / f"{spooled.number}.zip"

    def sweep(self) -> None:
        """Remove what has expired, and what a crash left unfinished."""
        alive = {one.number for one in self._all() if now_ms() - one.made_ms < self._keep_ms}
        for path in self._folder.glob("*"):
            if path.stem not in alive:
                _unlink(path)

    def _write(self, wanted: Wanted, owner: str, size: int) -> Spooled:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        number = secrets.token_hex(16)
        path = self._folder / f"{number}.zip"
        left = self._most_bytes - sum(one.size for one in self._all())
        try:
            with _Limited(path, left) as raw, io.BufferedRandom(raw, _CHUNK) as file:
                start, end = write_wanted(self._books, wanted, file)
            digest = _sha256(path)
            spooled = Spooled(
                number, owner, repr(wanted), now_ms(), size, f"emitrace-{start}-{end}.zip", path.stat().st_size, digest
            )
            note = path.with_suffix(".json")
            note.with_suffix(".new").write_text(json.dumps(asdict(spooled)), encoding="utf-8")
            note.with_suffix(".new").replace(note)
        except OSError as error:
            _unlink(path)
            raise EmitraceError(f"bundle {path}", str(error), "Make room on the disk of state_dir.") from error
        except BaseException:
            _unlink(path)
            raise
        return spooled

    def _all(self) -> list[Spooled]:
        """Every bundle whose note is whole, oldest first."""
        found: Iterator[Spooled | None] = (self._read(path) for path in self._folder.glob("*.json"))
        return sorted((one for one in found if one is not None), key=lambda one: (one.made_ms, one.number))

    def _read(self, note: Path) -> Spooled | None:
        try:
            found = Spooled(**json.loads(note.read_text(encoding="utf-8")))
            return found if self.path(found).stat().st_size == found.size else None
        except (OSError, ValueError, TypeError):
            return None

    def _remove(self, number: str) -> None:
        for ending in (".json", ".zip"):
            _unlink(self._folder / f"{number}{ending}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _unlink(path: Path) -> None:
    with suppress(OSError):  # somebody may be reading it on a system that then refuses; the next sweep takes it
        path.unlink(missing_ok=True)
