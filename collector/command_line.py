"""What the commands share: common options, exit codes, and errors as one sentence."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer
from sqlalchemy.exc import SQLAlchemyError

from collector.hours.cells import cell_of
from collector.lock import LockedError, PortError
from collector.log import clean
from collector.store.audit import Actor, Who, acting
from collector.web.period import FIRST_MS, LAST_MS, read_instant
from protocols.errors import EmitraceError

FINDINGS, USAGE, ENVIRONMENT = 1, 2, 3
DAY_MS = 86_400_000

ConfigPath = Annotated[Path, typer.Option("--config", help="The collector's configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CONFIG = Path("collector.toml")


@contextmanager
def told() -> Iterator[None]:
    """Errors as one sentence on stderr, secrets taken out, and the right exit code; the audit trail knows who asked."""
    try:
        with acting(Actor(Who.COMMAND, system_user())):
            yield
    except (PortError, LockedError) as error:
        _fail(error, ENVIRONMENT)
    except EmitraceError as error:
        _fail(error, USAGE)
    except (OSError, SQLAlchemyError) as error:
        _fail(error, ENVIRONMENT)


def system_user() -> str:
    """The system's user who runs this program; by its number where it has no name."""
    try:
        import pwd
    except ImportError:
        return getpass.getuser()  # Windows
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def instant_of(option: str, text: str, zone: ZoneInfo, *, whole: bool = False) -> int:
    """The instant of an option, within the calendar; ``whole`` where hours begin and end. [UTC ms]"""
    try:
        at_ms = read_instant(text, zone)
    except ValueError as error:
        raise EmitraceError(option, repr(text), "Write a time as 2026-01-31 or 2026-01-31T08:00.") from error
    if not FIRST_MS - DAY_MS < at_ms < LAST_MS + DAY_MS:
        raise EmitraceError(option, repr(text), "Write a year from 1970 to 9998.")
    if whole and cell_of(at_ms, zone)[0] != at_ms:
        raise EmitraceError(option, repr(text), "Take a full hour (UTC), or midnight at the facility.")
    return min(max(at_ms, FIRST_MS), LAST_MS)


def _fail(error: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"{clean(str(error))}\n")
    raise typer.Exit(code) from None
