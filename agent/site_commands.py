"""What a technician examines and writes down: ``doctor``, ``swap``, ``stop-reason``, ``commission``.

Events go into the signed stream: through the running agent, else into its journal, which is sealed at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.clock import KernelClock
from agent.config import Config, load_config
from agent.console import CONFIG, FINDINGS, AsJson, ConfigPath, say, shown_utc, told
from agent.desk.alone import at_desk
from agent.desk.asks import NoteAsk, ValuesAsk
from agent.desk.commissioning import Check
from agent.desk.compare import compare, compare_clock, compare_phases
from agent.desk.forms import commissioning_note, stop_note, swap_note
from agent.desk.visit import ask_one
from agent.doctor import examine
from agent.site import load_site

By = Annotated[str, typer.Option(help="Who did it.")]


def doctor(config: ConfigPath = CONFIG, as_json: AsJson = False) -> None:
    """Look at clock, disk, keys, broker, backlog and adapters; exit 1 where something wants mending."""
    with told():
        looks = asyncio.run(examine(load_config(config)))
    if as_json:
        say(json.dumps([asdict(look) for look in looks], ensure_ascii=False))
    else:
        for look in looks:
            todo = f". Do: {look.todo.en}" if look.todo else ""
            say(f"{'ok ' if look.well else 'BAD'} {look.name:<10} {look.seen.en}{todo}")
    if not all(look.well for look in looks):
        raise typer.Exit(FINDINGS)


def swap(
    instrument: Annotated[str, typer.Argument(help="Id of the instrument in the plan.")],
    old_serial: Annotated[str, typer.Option(help="Serial number of the meter that goes.")],
    new_serial: Annotated[str, typer.Option(help="Serial number of the meter that comes.")],
    closing_index: Annotated[str, typer.Option(help="Last index on the old meter's display.")],
    opening_index: Annotated[str, typer.Option(help="First index on the new meter's display.")],
    unit: Annotated[str, typer.Option(help="Unit of both indexes, such as kWh.")],
    load: Annotated[str, typer.Option(help="on: energy flowed unmeasured meanwhile; off: none did.")],
    by: By,
    config: ConfigPath = CONFIG,
    seal_removed: Annotated[str, typer.Option(help="Number of the seal that was broken.")] = "",
    seal_applied: Annotated[str, typer.Option(help="Number of the new seal.")] = "",
    photo: Annotated[list[Path] | None, typer.Option(help="A photograph; its SHA-256 is stated. Repeatable.")] = None,
) -> None:
    """State that a meter was replaced: after the old one is off the bus, before the new one is on it."""
    with told():
        photos = [hashlib.sha256(one.read_bytes()).hexdigest() for one in photo or ()]
        note = swap_note(
            instrument, old_serial=old_serial, new_serial=new_serial, closing_index=closing_index,
            opening_index=opening_index, unit=unit, load=load, by=by, seal_removed=seal_removed,
            seal_applied=seal_applied, photos=photos,
        )  # fmt: skip
        _take(load_config(config), note)


def stop_reason(
    source: Annotated[str, typer.Argument(help="Id of the source in the plan.")],
    reason: Annotated[str, typer.Option(help="Why it stands still.")],
    by: By,
    config: ConfigPath = CONFIG,
    running: Annotated[bool, typer.Option("--running", help="It runs again.")] = False,
) -> None:
    """State why a source stands still, or with --running that it runs again."""
    with told():
        _take(load_config(config), stop_note(source, reason, by, "running" if running else "stopped"))


def commission(
    instrument: Annotated[str, typer.Argument(help="Id of the instrument in the plan.")],
    by: By,
    config: ConfigPath = CONFIG,
    point: Annotated[str, typer.Option(help="Id of the point that --display or --clamp is held against.")] = "",
    display: Annotated[str, typer.Option(help="Primary value on the display, in the register's unit.")] = "",
    clamp: Annotated[str, typer.Option(help="Primary value of a clamp meter, in the register's unit.")] = "",
    meter_phases: Annotated[str, typer.Option(help="Three phases as the meter shows them, such as 10,11,9.")] = "",
    clamp_phases: Annotated[str, typer.Option(help="The same of a clamp meter, in the same order.")] = "",
    meter_clock: Annotated[str, typer.Option(help="The meter's own clock, such as '2026-03-31 14:05:00'.")] = "",
) -> None:
    """Hold registers against display and clamp meter, and state what came of it; exit 1 where something is wrong."""
    with told():
        loaded = load_config(config)
        checks = asyncio.run(_compare(loaded, instrument, point, display, clamp))
        if meter_phases or clamp_phases:
            checks.append(compare_phases(meter_phases, clamp_phases))
        if meter_clock:
            zone = load_site(loaded).reading.bound.plan.facility.time_zone
            checks.append(compare_clock(meter_clock, zone, KernelClock().read().utc_ms))
        note = commissioning_note(instrument, checks, by)
        for check in checks:
            say(f"{check.name:<8} {check.verdict}: {check.seen}")
        _take(loaded, note)
    if not all(check.well for check in checks):
        raise typer.Exit(FINDINGS)


COMMANDS: dict[str, Callable[..., None]] = {
    "doctor": doctor, "swap": swap, "stop-reason": stop_reason, "commission": commission,
}  # fmt: skip


def _take(config: Config, note: NoteAsk) -> None:
    taken = asyncio.run(_noted(config, note))
    say(f"{taken['kind']} of {taken['subject']} taken into the stream at {shown_utc(taken['at_ms'])}")


async def _noted(config: Config, note: NoteAsk) -> dict[str, Any]:
    async with at_desk(config) as desk:
        return await ask_one(desk, note)


async def _compare(config: Config, instrument: str, point: str, display: str, clamp: str) -> list[Check]:
    """The newest value of a point, with the transformer ratios of its instrument, against what was read beside it."""
    if not (display or clamp):
        return []
    async with at_desk(config) as desk:
        values = (await ask_one(desk, ValuesAsk()))["values"]
    bound = load_site(config).reading.bound
    return compare(bound, values, instrument, point, display, clamp)
