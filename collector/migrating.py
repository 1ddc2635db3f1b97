"""Older books brought forward: nothing else works on them meanwhile, and a verified copy is made first."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from collector.backup import Progress, check_books, copy_books
from collector.books import books_url
from collector.config import Config
from collector.lock import LockedError, hold_lock
from collector.store.database import Database
from collector.store.migrations import NEWEST, SchemaError, check_known, stated_version
from collector.store.postgresql import holding_lead
from collector.store.soundness import reading_books


@dataclass(frozen=True, slots=True)
class Migrated:
    """Schema version before and now; the copy made of the books as they were, on SQLite."""

    before: int
    now: int
    copy: Path | None


def migrate_books(config: Config, progress: Progress, *, backed_up: bool) -> Migrated:
    """Bring the books forward in one transaction; what fails leaves them as they were.

    SchemaError where there are none, where they are newer than this program, or where they are on a server and
    ``backed_up`` does not say that a dump was made.
    """
    url = books_url(config)
    is_file = url.get_backend_name() == "sqlite"
    with ExitStack() as stack:
        if is_file:
            stack.enter_context(hold_lock(config.state_dir))
        elif not stack.enter_context(holding_lead(url)):
            raise LockedError(f"books {url.render_as_string(hide_password=True)}", "a collector is active on them",
                              "Stop it first, and those that stand by.")  # fmt: skip
        seen = _version(url)
        check_known(seen)
        if seen == NEWEST:
            return Migrated(seen, NEWEST, None)
        copy = None
        if is_file:
            copy = _copy(Path(url.database or "").resolve(), seen, progress)
        elif not backed_up:
            raise SchemaError(
                f"books {url.render_as_string(hide_password=True)}", f"schema version {seen}, to become {NEWEST}",
                "Make a dump first (pg_dump --format=custom --file=books.dump DATABASE), then say --backed-up.",
            )  # fmt: skip
        Database(url, migrate=True).close()
    return Migrated(seen, NEWEST, copy)


def _version(url: URL) -> int:
    is_missing = url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()
    if not is_missing:
        with reading_books(url) as connection:
            seen = stated_version(connection)
        if seen is not None:
            return seen
    raise SchemaError(
        f"books {url.render_as_string(hide_password=True)}", "there are none", "serve makes new ones at its start."
    )


def _copy(file: Path, seen: int, progress: Progress) -> Path:
    """A verified copy beside the books; an earlier one of that name is from an attempt before and is replaced."""
    copy = file.with_name(f"{file.stem}-schema-{seen}.sqlite")
    wanted, free = file.stat().st_size, shutil.disk_usage(file.parent).free
    if free < 2 * wanted:
        raise SchemaError(
            f"books {file}", f"{free >> 20} MiB free, about {2 * wanted >> 20} MiB needed",
            "A copy is made beside them first: make room.",
        )  # fmt: skip
    copy_books(file, copy, progress)
    check_books(copy, may_be_older=True)
    return copy
