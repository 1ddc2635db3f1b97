"""What the commands have in common: their options, how errors are told, and how they print."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.desk.asks import DeskError
from agent.lock import LockedError
from agent.outbox import OutboxError
from agent.parts import StateRefusedError
from protocols.errors import EmitraceError

FINDINGS, USAGE, ENVIRONMENT = 1, 2, 3
CONFIG = Path("agent.toml")
ConfigPath = Annotated[Path, typer.Option("--config", help="The agent's configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_WHO_MAY = "check the path, the disk, and that the command runs as the agent's own user (sudo -u emitrace)"
_OF_THE_PLACE = (LockedError, OutboxError, StateRefusedError, DeskError)


@contextmanager
def told() -> Iterator[None]:
    """Errors of ours become their text and an exit code."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours, other = group.split(EmitraceError)
        if ours is None or other is not None:
            raise
        fail(ours.exceptions[0])
    except EmitraceError as error:
        fail(error)
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"emitrace-agent: {error.filename}: {error.strerror}. {_WHO_MAY}.\n")
        raise typer.Exit(ENVIRONMENT) from None


def fail(error: BaseException) -> None:
    """Tell an error and end the program: 3 where the place is in the way, 2 where what was given is."""
    sys.stderr.write(f"emitrace-agent: {error}\n")
    raise typer.Exit(ENVIRONMENT if isinstance(error, _OF_THE_PLACE) else USAGE)


def shown_utc(ms: int) -> str:
    """An instant to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
