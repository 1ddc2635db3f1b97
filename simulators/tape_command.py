"""``emitrace-simulate tape``: the plant on a register tape, with its truth beside it."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from protocols.errors import EmitraceError
from protocols.plan.document import make_document
from protocols.tape import Header
from simulators.scenario import ScenarioError
from simulators.tape import HOUR_MS, Recording, write_tape, write_truth
from simulators.timeline import milliseconds

USAGE, ENVIRONMENT = 2, 3
DAY_HOURS = 24
PACKAGED = ("demo-history", "demo")
_EVERY_S = 1.0


def tape(
    out: Annotated[Path, typer.Option(help="The tape to write; FILE.truth.json is written beside it.")],
    start: Annotated[str, typer.Option(help="ISO 8601 instant with UTC offset on a whole hour: plant and tape begin.")],
    days: Annotated[float, typer.Option(help="How long; a whole number of hours, 0.25 is six.")] = 7.0,
    seed: Annotated[int, typer.Option(help="Decides bias, noise, what is truly in the fuel, delays and timeouts.")] = 1,
    plan: Annotated[
        str, typer.Option(help="Monitoring plan: demo-history (analyzers 5 s, meters 30 s), demo, or a file.")
    ] = "demo-history",
    scenario: Annotated[str, typer.Option(help="Name of a packaged scenario or path of a file.")] = "demo",
    timeouts: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that nobody answers.")] = 0.0,
    batch_h: Annotated[int, typer.Option(min=1, max=24, help="Hours that a replay puts into one batch.")] = 1,
    jobs: Annotated[int, typer.Option(min=0, max=64, help="Processes that compute; 0 takes one per core.")] = 0,
) -> None:
    """Write what an agent would have read of the plant on a register tape, without the wait, and what was true."""
    begun = time.monotonic()
    try:
        header = _header(plan, start, days, scenario, seed, timeouts, batch_h)
        recording = Recording(scenario, seed, _start(start), timeouts, header)
        spans, shown = header.spans, 0.0

        def progress(done: int) -> None:
            nonlocal shown
            if sys.stderr.isatty() and (time.monotonic() - shown > _EVERY_S or done == spans):
                shown = time.monotonic()
                sys.stderr.write(f"\r{done} of {spans} spans{chr(10) if done == spans else ''}")
                sys.stderr.flush()

        readings = write_tape(recording, out, jobs or os.cpu_count() or 1, progress)
        beside = write_truth(recording, out)
    except (EmitraceError, ScenarioError, ValueError) as error:
        _fail(USAGE, str(error))
    except OSError as error:
        _fail(ENVIRONMENT, f"{out}: {error.strerror}. Check the folder and the free space")
    took_s = time.monotonic() - begun
    typer.echo(
        f"{out}: {spans * batch_h} h, {readings} readings, {out.stat().st_size} bytes in {took_s:.1f} s "
        f"({readings / took_s:.0f} readings/s)\n{beside}: the truth"
    )


def _header(
    plan: str, start: str, days: float, scenario: str, seed: int, timeouts: float, batch_h: int
) -> Header:
    start_ms = milliseconds(_start(start))
    hours = round(days * DAY_HOURS)
    if hours < 1 or abs(hours - days * DAY_HOURS) > 1e-6:
        _fail(USAGE, f"--days {days:g}: not a whole number of hours. Take for example 7, or 0.25 for six hours")
    if hours % batch_h:
        _fail(USAGE, f"--batch-h {batch_h}: {hours} hours are no whole number of batches. Choose one that divides them")
    if start_ms % HOUR_MS:
        _fail(USAGE, f"--start {start}: not on a whole hour (UTC). Begin on one")
    made = {
        "by": "emitrace-simulate", "scenario": scenario, "seed": str(seed), "start": start, "timeouts": repr(timeouts),
    }
    return Header(_document(plan), start_ms, batch_h * HOUR_MS, hours // batch_h, made)


def _document(plan: str) -> bytes:
    if plan in PACKAGED:
        with resources.as_file(resources.files("simulators") / "scenarios" / f"{plan}-plan.toml") as path:
            return make_document(path)
    return make_document(Path(plan))


def _start(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _fail(USAGE, f"--start {text!r}: not an ISO 8601 instant. Write for example 2026-01-01T00:00:00+08:00")
    if at.tzinfo is None:
        _fail(USAGE, f"--start {text!r}: no UTC offset. Add one, for example +08:00 or Z")
    return at


def _fail(code: int, text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)
