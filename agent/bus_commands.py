"""What a technician does on a line: ``scan``, ``read``, ``watch``, ``trace``, ``bus-report``.

They ask the agent that runs, which lets them take turns with its polls; where none runs they open the bus themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.config import Config, load_config
from agent.console import CONFIG, FINDINGS, AsJson, ConfigPath, say, shown_utc, told
from agent.desk.alone import at_desk, open_desk
from agent.desk.asks import DeskError, ReadAsk, ReportAsk, TraceAsk, ValuesAsk
from agent.desk.guess import ORDERS, interpretations, text_in
from agent.desk.report import report_lines
from agent.desk.scan import Found, scan
from agent.desk.visit import Desk, ask_one
from agent.endpoint import RtuBus
from agent.lock import hold_lock, is_held
from agent.site import load_site
from protocols.modbus import sunspec

OnBus = Annotated[str, typer.Option("--bus", help="Id of the bus in the plan; the only one unless there are several.")]
OnUnit = Annotated[int, typer.Option("--unit", min=0, max=255, help="Unit id of the device.")]
_WATCH_S = 1.0


def scan_(
    config: ConfigPath = CONFIG,
    bus: OnBus = "",
    units: Annotated[str, typer.Option(help="Unit ids to ask, such as 1-32 or 1,5,17.")] = "1-32",
    bauds: Annotated[str, typer.Option(help="Serial line, agent stopped: also these baud rates, such as 9600.")] = "",
    parities: Annotated[str, typer.Option(help="Serial line, agent stopped: these parities as well.")] = "",
    timeout_s: Annotated[float, typer.Option(min=0, help="Agent stopped: wait so long; 0 is agent.toml's.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="Write a map here for each SunSpec model that was found.")] = None,
) -> None:
    """Find the devices on a bus: who they say they are, and which maps of the library may fit; exit 1 where none is."""
    with told():
        loaded = load_config(config)
        name = _bus_of(loaded, bus)
        count = asyncio.run(_scan(loaded, name, _numbers(units), bauds, parities, timeout_s, out))
    if not count:
        raise typer.Exit(FINDINGS)


def read(
    address: Annotated[int, typer.Argument(min=0, max=65_535, help="First register, counted from 0.")],
    config: ConfigPath = CONFIG,
    bus: OnBus = "",
    unit: OnUnit = 1,
    function: Annotated[int, typer.Option(min=1, max=4, help="3 holding registers, 4 input registers, 1/2 bits.")] = 3,
    count: Annotated[int, typer.Option(min=1, max=125, help="How many registers.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Read registers once, and show them as every type, width, byte and word order; exit 1 without an answer."""
    with told():
        loaded = load_config(config)
        ask = ReadAsk(bus=_bus_of(loaded, bus), unit=unit, function=function, address=address, count=count)
        answer = asyncio.run(_one(loaded, ask.bus, ask))
    if as_json:
        say(json.dumps(answer))
    else:
        for line in _read_lines(ask, answer):
            say(line)
    if not answer["good"]:
        raise typer.Exit(FINDINGS)


def watch(
    config: ConfigPath = CONFIG,
    points: Annotated[str, typer.Option(help="Only points whose id begins so.")] = "",
    times: Annotated[int, typer.Option(min=0, help="Look so many times; 0 until Ctrl-C.")] = 0,
) -> None:
    """Show the newest values of the running agent, every second."""
    with told(), suppress(KeyboardInterrupt):
        asyncio.run(_watch(load_config(config), points, times))


def trace(
    config: ConfigPath = CONFIG,
    bus: OnBus = "",
    for_s: Annotated[float, typer.Option(min=0.1, max=3600, help="For so many seconds.")] = 60.0,
) -> None:
    """Print every frame on a bus of the running agent in hexadecimal."""
    with told(), suppress(KeyboardInterrupt):
        loaded = load_config(config)
        asyncio.run(_trace(loaded, TraceAsk(bus=_bus_of(loaded, bus), for_s=for_s)))


def bus_report(config: ConfigPath = CONFIG, as_json: AsJson = False) -> None:
    """Say how each unit answered since the agent's run began, to print and sign; exit 1 where something is wrong."""
    with told():
        loaded = load_config(config)
        report = asyncio.run(_ask_running(loaded, ReportAsk()))
        site = load_site(loaded)
    places = {name: table.place for name, table in site.lines.items()}
    lines, sound = report_lines(report, site.reading.bound.plan, places)
    if as_json:
        say(json.dumps(report))
    else:
        for line in lines:
            say(line)
    if not sound:
        raise typer.Exit(FINDINGS)


COMMANDS: dict[str, Callable[..., None]] = {
    "scan": scan_, "read": read, "watch": watch, "trace": trace, "bus-report": bus_report,
}  # fmt: skip


async def _scan(
    config: Config, bus: str, units: list[int], bauds: str, parities: str, timeout_s: float, out: Path | None
) -> int:
    count, connected = 0, False
    async for line, desk in _lines_of(config, bus, bauds, parities, timeout_s):
        say(f"bus {bus} at {line}")
        if problem := await _problem(desk, bus):
            say(f"  not connected: {problem}")
            continue
        connected = True
        async for found in scan(desk, bus, units):
            count += 1
            for text in _found_lines(found):
                say(text)
            if out is not None and found.sunspec is not None:
                _write_maps(found.sunspec, found.unit, out)
    if connected and not count:
        say("no unit answered. Check power, wiring (A and B swapped?), unit ids, baud rate and parity")
    return count


async def _problem(desk: Desk, bus: str) -> str:
    """Why there is no connection to a bus; empty where there is one."""
    told = (await ask_one(desk, ReportAsk()))["buses"][bus]
    return "" if told["connected"] else str(told["problem"])


async def _lines_of(
    config: Config, bus: str, bauds: str, parities: str, timeout_s: float
) -> AsyncIterator[tuple[str, Desk]]:
    """The line as it is configured; of a serial one, with the agent stopped, also at other rates."""
    site = load_site(config)
    table = site.lines[bus]
    if not (bauds or parities or timeout_s):
        async with at_desk(config, bus) as desk:
            yield table.place, desk
        return
    if is_held(config.state_dir):
        hint = "stop it, or leave --bauds, --parities and --timeout-s out"
        raise DeskError("agent", "holds the line with the settings of agent.toml", hint)
    tables = [table]
    if isinstance(table, RtuBus):
        rates = _numbers(bauds) if bauds else [table.baud]
        kinds = [one.strip() for one in parities.split(",")] if parities else [table.parity]
        tables = [
            RtuBus.model_validate({**table.model_dump(), "baud": rate, "parity": parity})
            for rate in rates for parity in kinds
        ]  # fmt: skip
    elif bauds or parities:
        hint = "set baud rate and parity in its gateway"
        raise DeskError(f"bus {bus}", f"is no serial line of this machine: {table.place}", hint)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    with hold_lock(config.state_dir):
        for one in tables:
            chosen = one.model_copy(update={"timeout_s": timeout_s}) if timeout_s else one
            async with open_desk(config, site, {bus: chosen}) as desk:
                yield chosen.place, desk


def _found_lines(found: Found) -> Iterator[str]:
    yield f"unit {found.unit}"
    for said in found.said:
        yield f"  {said}"
    if found.first:
        yield f"  {found.first}"
    if found.sunspec is not None:
        device = found.sunspec
        yield f"  SunSpec at {device.base}: {device.maker} {device.model}, serial {device.serial or 'not told'}"
        for model in device.models:
            packaged = sunspec.packaged_map(model)
            yield f"  model {model.number} at {model.address}{f': map {packaged}' if packaged else ''}"
    for name in found.maps:
        yield f"  may be {name}"
    if not found.maps:
        yield "  no map of the library fits: 'emitrace-agent read' shows registers, docs/register-maps.md the way on"


def _write_maps(device: sunspec.Device, unit: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for model in device.models:
        if sunspec.packaged_map(model):
            name = f"{sunspec.packaged_map(model)}-unit-{unit}"
            (out / f"{name}.toml").write_text(sunspec.moved_map(model, name), encoding="utf-8")
            say(f"  wrote {out / name}.toml")


def _read_lines(ask: ReadAsk, answer: dict[str, Any]) -> Iterator[str]:
    where = f"unit {ask.unit}, function {ask.function}, registers {ask.address}-{ask.address + ask.count - 1}"
    if not answer["good"]:
        yield f"{where}: {answer['fate']}"
        return
    data = bytes.fromhex(answer["registers"])
    if ask.function < 3:
        bits = "".join(str(data[bit // 8] >> bit % 8 & 1) for bit in range(ask.count))
        yield f"{where}: bits {bits}, the first one first"
        return
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    yield f"{where}: {data.hex(' ', 2).upper()}  |{text_in(words)}|"
    yield f"{'register':<10}{'type':<9}" + "".join(f"{order:>22}" for order in ORDERS)
    for name, first, numbers in interpretations(words):
        if any(numbers):
            yield f"{ask.address + first:<10}{name:<9}" + "".join(f"{number or '-':>22}" for number in numbers)
    yield "ABCD: high word and byte first; CDAB: low word first; BADC: low byte first; DCBA: both"


async def _one(config: Config, bus: str, ask: ReadAsk) -> dict[str, Any]:
    async with at_desk(config, bus) as desk:
        if problem := await _problem(desk, bus):
            raise DeskError(f"bus {bus}", f"is not connected: {problem}")
        return await ask_one(desk, ask)


async def _ask_running(config: Config, ask: ReportAsk) -> dict[str, Any]:
    async with _running(config) as desk:
        return await ask_one(desk, ask)


@asynccontextmanager
async def _running(config: Config) -> AsyncIterator[Desk]:
    if not is_held(config.state_dir):
        raise DeskError(f"state folder {config.state_dir}", "no agent runs in it", "start it: this shows what it polls")
    async with at_desk(config) as desk:
        yield desk


async def _watch(config: Config, prefix: str, times: int) -> None:
    async with _running(config) as desk:
        looked = 0
        while True:
            shown = await ask_one(desk, ValuesAsk())
            say(f"-- {shown_utc(shown['at_ms'])}")
            for row in shown["values"]:
                if row["point"].startswith(prefix):
                    value = row["fate"] if row["value"] is None else f"{row['value']} {row['unit']}"
                    say(f"{row['point']:<40} {value:<28} {shown_utc(row['at_ms'])}")
            looked += 1
            if looked == times:
                return
            await asyncio.sleep(_WATCH_S)


async def _trace(config: Config, ask: TraceAsk) -> None:
    async with _running(config) as desk, aclosing(desk.answer(ask)) as frames:
        async for frame in frames:
            if frame.get("left_out"):
                say(f"... {frame['left_out']} frames left out")
            at = datetime.fromtimestamp(frame["at_ms"] / 1000).astimezone()
            arrow = "->" if frame["way"] == "sent" else "<-"
            say(f"{at:%H:%M:%S}.{frame['at_ms'] % 1000:03d} {arrow} {frame['bytes']}")


def _bus_of(config: Config, named: str) -> str:
    buses = list(config.settings.buses)
    if named in buses:
        return named
    if not named and len(buses) == 1:
        return buses[0]
    seen = f"agent.toml has no bus '{named}'" if named else "agent.toml has several buses"
    raise DeskError("--bus", seen, f"name one of: {', '.join(buses)}")


def _numbers(text: str) -> list[int]:
    """The numbers of a list with ranges."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        raise DeskError("list of numbers", f"'{text}'", "write it as 1-32 or 1,5,17") from None
    return found
