"""The broker's password file, kept while the collector runs: an account comes with its agent, and goes with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from collector.broker.configuration import accounts_text, read_accounts
from protocols.errors import EmitraceError


def change_accounts(path: Path, changes: Mapping[str, str | None]) -> None:
    """Set accounts (name -> hash) or (None) take them away; owner and mode stay, and the file is whole at any moment.

    mosquitto reads it again on SIGHUP.
    """
    try:
        found = path.stat()
        there = read_accounts(path.read_text(encoding="utf-8"), str(path))
        after = {name: hashed for name, hashed in {**there, **changes}.items() if hashed is not None}
        if after == there:
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        mode = stat.S_IMODE(found.st_mode)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            if hasattr(os, "geteuid") and os.geteuid() in (0, found.st_uid):
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.write(accounts_text(after))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        hint = "Let the collector's user write it and its folder, or run emitrace-collector broker-config by hand."
        raise EmitraceError(f"[enrolment] accounts {path}", str(error.strerror or error), hint) from error
