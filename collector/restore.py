"""A backup put back: into an empty state folder, checked from its digests to the root of its log before it is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from collector.anchor import FILE as ANCHOR
from collector.anchor import RESTORED
from collector.backup import BOOKS, CONFIG, KEY, BackupError, Manifest, check_books, read_manifest
from collector.config import LOG_KEY
from collector.disk import sync_folder
from collector.evidence.container import open_container
from collector.lock import FILE as LOCK
from collector.lock import hold_lock
from collector.store.soundness import fault_of_schema
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, load_key, public_bytes

WORK = ".restoring"
CONFIG_RESTORED = f"{CONFIG}.restored"
PASSED_OVER = {LOCK, WORK, "lost+found"}


def restore_backup(archive: Path, state_dir: Path) -> tuple[Manifest, bool]:
    """Put an archive's books (and key, where it holds one) into a state folder.

    The folder must be empty, but for the keys the archive's books belong to and the newest signed checkpoint, which
    says what was signed since. Every session of that time has ended, and the books are healed when they are opened.

    Returns
    -------
    tuple of (Manifest, bool)
        What was restored; whether the key is in the folder now.
    """
    manifest = read_manifest(archive)
    unknown = fault_of_schema(manifest.books.schema, may_be_older=True)
    if unknown:
        raise BackupError(f"backup {archive}", unknown, "Restore it with the program that made it.")
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with hold_lock(state_dir):
        has_key = _check_empty(state_dir, manifest)
        work = state_dir / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            _unpack(archive, work)
            found = check_books(work / BOOKS, may_be_older=True)
            if found != manifest.books:
                raise BackupError(f"backup {archive}", "its books are not those of its manifest", "Take another copy.")
            _end_sessions(work / BOOKS)
            if (work / KEY).exists():
                _check_key(work / KEY, manifest)
                has_key = True
            (state_dir / RESTORED).touch(mode=0o600)  # the books learn of it when they are opened, and are healed
            for name in (KEY, LOG_KEY, CONFIG, BOOKS):  # the books last: a folder without them is not a restored one
                if (work / name).exists():
                    (work / name).replace(state_dir / (CONFIG_RESTORED if name == CONFIG else name))
            sync_folder(state_dir)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return manifest, has_key


def _check_empty(state_dir: Path, manifest: Manifest) -> bool:
    """Whether the right key is there already; BackupError where anything else is."""
    held = {path.name for path in state_dir.iterdir()} - PASSED_OVER
    if KEY in held and held <= {KEY, LOG_KEY, ANCHOR}:
        _check_key(state_dir / KEY, manifest)
        return True
    if held:
        raise BackupError(
            f"state folder {state_dir}", f"holds {', '.join(sorted(held)[:5])}",
            "Nothing is overwritten: name an empty folder, or move this one away first.",
        )  # fmt: skip
    return False


def _check_key(path: Path, manifest: Manifest) -> None:
    try:
        seen = fingerprint(public_bytes(load_key(path)))
    except EmitraceError as error:
        raise BackupError(f"key {path}", str(error), "Take the key that belongs to these books.") from error
    if seen != manifest.collector:
        raise BackupError(
            f"key {path}", f"fingerprint {seen}, these books belong to {manifest.collector}",
            "Take the key that belongs to these books.",
        )  # fmt: skip


def _end_sessions(path: Path) -> None:
    """Nobody is signed in to restored books: a session ended since the backup must not come back to life."""
    books = sqlite3.connect(path)
    try:
        books.execute("DELETE FROM sessions")
        books.commit()
    finally:
        books.close()


def _unpack(archive: Path, work: Path) -> None:
    with archive.open("rb") as source:
        container = open_container(source)
        for name in (BOOKS, CONFIG, KEY, LOG_KEY):
            if name not in container.members:
                continue
            with os.fdopen(os.open(work / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                for chunk in container.chunks(name):
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
