"""What only one service at a time may have: its state folder, by a lock the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocols.errors import EmitraceError

FILE = "serve.lock"


class LockedError(EmitraceError):
    """Another service works on this state folder."""


class PortError(EmitraceError):
    """The address of the pages cannot be had."""


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; LockedError where another process has it."""
    with (folder / FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"state folder {folder}", "emitrace-collector serve is running on it", "Stop it first."
            ) from error
        yield


def is_held(folder: Path) -> bool:
    """Whether a service runs on the folder now."""
    try:
        with (folder / FILE).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
