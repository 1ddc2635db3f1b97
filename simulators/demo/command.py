"""The command ``emitrace-simulate demo``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Broker(Enum):
    """Which broker the demo starts."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


def demo(
    for_: Annotated[
        int | None,
        typer.Option("--for", min=15, help="Stop by itself after so many seconds and settle; default: until Ctrl-C."),
    ] = None,
    broker: Annotated[Broker, typer.Option(help="auto takes mosquitto where it is installed.")] = Broker.AUTO,
    history: Annotated[
        bool, typer.Option("--history", help="Show a long time until now, made in bulk, in place of a running plant.")
    ] = False,
    days: Annotated[int | None, typer.Option(min=1, max=3660, help="Of --history: how long; default 365.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Empty or new folder to work in and leave behind.")] = None,
) -> None:
    """Run the whole chain on loopback; with --for also set measured against true and verify a bundle.

    With --history: write, replay and ingest a year in about two minutes, settle it against the truth and serve it.
    """
    from simulators.demo.course import run_demo

    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        typer.echo(f"--keep {keep}: not an empty folder. Name a new one", err=True)
        raise typer.Exit(2)
    if days is not None and not history:
        typer.echo("--days goes with --history. Add it, or leave --days out", err=True)
        raise typer.Exit(2)
    raise typer.Exit(run_demo(for_, broker.value, keep, (days or 365) if history else None))
