"""What the commands share: common options, exit codes, and errors as one sentence."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from collector.lock import LockedError, PortError
from collector.log import clean
from collector.store.audit import Actor, Who, acting
from protocols.errors import EmitraceError

FINDINGS, USAGE, ENVIRONMENT = 1, 2, 3

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


def _fail(error: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"{clean(str(error))}\n")
    raise typer.Exit(code) from None
