"""``emitrace-agent replay``: a register tape through the real chain of the agent."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import typer

from agent.config import Config
from agent.lock import hold_lock
from agent.outbox import Outbox, OutboxError
from agent.replay import FolderShelf, OutboxShelf, Replayed, ReplayError, Shelf, replay
from agent.service import OUTBOX, software
from protocols.tape import TapeReader
from protocols.wire.keys import load_key

FINDINGS = 1
_EVERY_S = 1.0
_GOES_ON = "raise [outbox] max_bytes, free the disk, or let the agent deliver first; replay goes on where it stopped"


def replay_tape(tape: Path, config: Config, out: Path | None) -> int:
    """Replay into the outbox, or into ``out`` as files; says how it goes, and the exit code."""
    key = load_key(config.key_file)
    folder = config.state_dir if out is None else out
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tape.open("rb"))
        except OSError as error:
            raise ReplayError(str(tape), f"cannot be read: {error.strerror}", "name a register tape") from error
        reader = TapeReader(file, str(tape))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReplayError(str(folder), f"cannot be made: {error.strerror}", "name another folder") from error
        shelf: Shelf
        stack.enter_context(hold_lock(folder))
        if out is None:
            outbox = Outbox(folder / OUTBOX, config.bounds)
            stack.callback(outbox.close)
            shelf = OutboxShelf(outbox)
        else:
            shelf = FolderShelf(out, key)
        line = _Progress(reader.header.spans)
        try:
            done = replay(reader, shelf, key, software(), line.show)
        except sqlite3.OperationalError as error:
            raise OutboxError(f"outbox {folder / OUTBOX}", str(error), _GOES_ON) from error
    line.end(done, folder)
    return FINDINGS if done.refused else 0


class _Progress:
    """One line on a terminal, rewritten now and then; the figures at the end."""

    def __init__(self, spans: int) -> None:
        self._spans = spans
        self._begun = time.monotonic()
        self._shown = 0.0

    def show(self, done: int, readings: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and (now - self._shown > _EVERY_S or done == self._spans):
            self._shown = now
            end = "\n" if done == self._spans else ""
            sys.stderr.write(f"\r{done} of {self._spans} spans, {readings / (now - self._begun):.0f} readings/s{end}")
            sys.stderr.flush()

    def end(self, done: Replayed, folder: Path) -> None:
        for reason in done.refused:
            typer.echo(f"a batch without answers, because they were refused: {reason}", err=True)
        took_s = time.monotonic() - self._begun
        if not done.items:
            typer.echo(f"{folder}: the whole tape is there already")
            return
        typer.echo(
            f"{folder}: {done.items} items of {done.readings} readings in {took_s:.1f} s "
            f"({done.readings / took_s:.0f} readings/s)"
        )
