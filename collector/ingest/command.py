"""``emitrace-collector ingest``: progress and figures around taking a folder in."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import typer

from collector.books import Books
from collector.ingest.folder import ingest_folder
from collector.store.placing import Outcome


def take_folder(books: Books, folder: Path) -> int:
    """Take a folder's items in and say how it went; how many were refused."""
    begun = time.monotonic()

    def progress(done: int, files: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {files} items{chr(10) if done == files else ''}")
            sys.stderr.flush()

    taken = ingest_folder(books, folder, progress)
    took_s = time.monotonic() - begun
    told = ", ".join(f"{count} {outcome.value}" for outcome, count in taken.outcomes.items())
    typer.echo(f"{taken.files} items in {took_s:.1f} s: {told}")
    refused = taken.outcomes[Outcome.REFUSED]
    if refused:
        typer.echo("emitrace-collector quarantine says why", err=True)
    return refused
