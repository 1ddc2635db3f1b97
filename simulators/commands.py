"""The commands of ``emitrace-simulate``; each is one function with an exit code (0 fine, 2 usage, 3 environment)."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from simulators.demo.command import demo
from simulators.faults.catalogue import describe, parse_fault
from simulators.instruments import build_devices
from simulators.ledger import truth as true_amounts
from simulators.plant import Plant, build_plant
from simulators.scenario import ScenarioError, load_scenario, scenario_names
from simulators.tape_command import tape
from simulators.timeline import milliseconds

USAGE, ENVIRONMENT = 2, 3

app = typer.Typer(
    name="emitrace-simulate",
    help="A plant with known true emissions, served over Modbus, and what goes with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ScenarioOption = Annotated[str, typer.Option(help="Name of a packaged scenario or path of a file.")]
StartOption = Annotated[
    str | None, typer.Option(help="ISO 8601 instant with UTC offset the plant counts from; default: the scenario's.")
]
SeedOption = Annotated[int, typer.Option(help="Decides bias, noise and what is truly in the fuel.")]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(help="NAME KEY=VALUE ..., for example 'late-answer unit=1 from=+5 to=+20'; may be given many times."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def fail(code: int, text: str) -> NoReturn:
    """Say why, and end."""
    typer.echo(text, err=True)
    raise typer.Exit(code)


def instant(text: str, option: str) -> datetime:
    """An aware instant from ISO 8601 text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(USAGE, f"{option} {text!r}: not an ISO 8601 instant. Write for example 2026-01-01T00:00:00+08:00")
    if at.tzinfo is None:
        fail(USAGE, f"{option} {text!r}: no UTC offset. Add one, for example +08:00 or Z")
    return at


def open_plant(scenario: str, seed: int, start: str | None, faults: Sequence[str] = ()) -> Plant:
    """The plant of the options; ends the program where they are wrong."""
    at = instant(start, "--start") if start is not None else None
    try:
        read = load_scenario(scenario)
        now = datetime.now(UTC)
        given = tuple(parse_fault(text, now) for text in faults)
        return build_plant(read.model_copy(update={"faults": (*read.faults, *given)}), seed, at)
    except (ScenarioError, ValueError) as error:
        fail(USAGE, str(error))


def print_faults(as_json: bool) -> None:
    """Every fault, one line in Chinese and one in English."""
    if as_json:
        typer.echo(json.dumps(describe(), ensure_ascii=False, indent=2, default=str))
        return
    for row in describe():
        keys = " ".join(f"{key}={'...' if value is None else value}" for key, value in row["keys"].items())
        typer.echo(f"{row['fault']}  {keys}".rstrip())
        typer.echo(f"    {row['zh']}\n    {row['en']} ({', '.join(row['lines'])})")


def list_faults(wanted: bool) -> None:
    """What ``--list-faults`` does: print, and end."""
    if wanted:
        print_faults(False)
        raise typer.Exit


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS of the options; ends the program where the files can't be used."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        fail(USAGE, "--tls-certificate and --tls-key: give both or none")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        fail(USAGE, f"--tls-certificate {certificate}, --tls-key {key}: {error.strerror or error}. Give PEM files")
    return context


async def until_told(serve: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
    """Serve until SIGTERM or SIGINT, then close."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the loop instead
            loop.add_signal_handler(number, told.set)
    await serve()
    try:
        await told.wait()
    finally:
        await close()


@app.command()
def plant(
    scenario: ScenarioOption = "demo",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of Modbus TCP; 0 takes a free one.", min=0, max=65535)] = 5020,
    start: StartOption = None,
    seed: SeedOption = 1,
    rtu: Annotated[
        Path | None, typer.Option(help="Serve a pseudo-terminal too; a link with this name leads to it.")
    ] = None,
    baud: Annotated[int, typer.Option(help="Baud rate of the pseudo-terminal.")] = 9600,
    rtu_over_tcp: Annotated[
        int | None, typer.Option(help="Serve RTU over TCP at this port too; 0 takes a free one.", min=0, max=65535)
    ] = None,
    turnaround_ms: Annotated[float, typer.Option(help="What every answer takes, in milliseconds.", min=0)] = 0.0,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file; Modbus TCP is then spoken in TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    devices: Annotated[
        int, typer.Option(help="So many instruments, 100 on a port; 0: those of the scenario.", min=0, max=10_000)
    ] = 0,
    fault: FaultOption = None,
    list_faults: Annotated[  # noqa: ARG001 - its callback prints and ends
        bool, typer.Option("--list-faults", help="List the faults and end.", callback=list_faults, is_eager=True)
    ] = False,
) -> None:
    """Serve the plant's instruments over Modbus; prints one JSON line when ready, ends on SIGTERM or Ctrl-C."""
    from simulators.modbus.rtu import precise_loop
    from simulators.serving import Lines, Serving

    built = open_plant(scenario, seed, start, fault or ())
    tls = tls_context(tls_certificate, tls_key)
    try:
        serving = Serving(built, Lines(host, port, rtu_over_tcp, rtu, baud, turnaround_ms, devices, tls))
    except ScenarioError as error:
        fail(USAGE, str(error))

    if built.start_ms > time.time_ns() // 1_000_000:
        typer.echo("plant: its start lies in the future; until then its counters stand still", err=True)

    async def serve() -> None:
        lines = await serving.start()
        for name in serving.idle_faults():
            typer.echo(
                f"plant: no line here can show {name}; see 'emitrace-simulate faults' for those that can", err=True
            )
        units = {d.instrument.id: d.instrument.unit for group in serving.groups for d in group}
        faults = [f.model_dump(mode="json", by_alias=True, exclude_defaults=True) for f in built.scenario.faults]
        ready = {"host": host, "port": lines[0]["port"], "scenario": scenario, "seed": seed}
        typer.echo(json.dumps({**ready, "start_ms": built.start_ms, "lines": lines, "faults": faults, "units": units}))
        sys.stdout.flush()

    try:
        with asyncio.Runner(loop_factory=precise_loop if rtu is not None else None) as runner:
            runner.run(until_told(serve, serving.stop))
    except (OSError, ValueError) as error:
        fail(ENVIRONMENT, f"plant: {error}")
    typer.echo("\n".join(serving.report()), err=True)


@app.command()
def faults(as_json: JsonOption = False) -> None:
    """List the faults: name, own keys with their defaults, what each does, on which lines."""
    print_faults(as_json)


@app.command()
def truth(
    from_: Annotated[str, typer.Option("--from", help="ISO 8601 instant with UTC offset.")],
    to: Annotated[str, typer.Option("--to", help="ISO 8601 instant with UTC offset, not included.")],
    scenario: ScenarioOption = "demo",
    start: StartOption = None,
    seed: SeedOption = 1,
    fault: FaultOption = None,
) -> None:
    """What was truly consumed and emitted in [from, to), as integers in JSON (mg, mWh, mL)."""
    built = open_plant(scenario, seed, start, fault or ())
    from_ms, to_ms = (milliseconds(instant(text, option)) for text, option in ((from_, "--from"), (to, "--to")))
    try:
        amounts = true_amounts(built, from_ms, to_ms)
    except ValueError as error:
        fail(USAGE, str(error))
    typer.echo(json.dumps(amounts.as_json(built), indent=2))


@app.command()
def broker(
    username: Annotated[str, typer.Option(help="The one user that may sign in.")],
    password_file: Annotated[Path, typer.Option(help="File whose first line is the password.")],
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = 1883,
) -> None:
    """Run the embedded MQTT 3.1.1 broker; prints one JSON line when ready, ends on SIGTERM or Ctrl-C."""
    from amqtt.errors import AMQTTError, BrokerError

    from simulators.broker import EmbeddedBroker

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    try:
        password = next(iter(password_file.read_text(encoding="utf-8").splitlines()), "").strip()
    except OSError as error:
        fail(USAGE, f"--password-file {password_file}: {error.strerror}. Write the password into it")
    if not password or ":" in username or not username:
        fail(USAGE, f"--password-file {password_file} or --username {username!r}: empty, or a colon in the name")
    embedded = EmbeddedBroker(host, port, username, password)

    async def serve() -> None:
        typer.echo(json.dumps({"host": host, "port": await embedded.start(), "mqtt": "3.1.1"}))
        sys.stdout.flush()

    try:
        asyncio.run(until_told(serve, embedded.stop))
    except (AMQTTError, BrokerError, OSError) as error:
        fail(ENVIRONMENT, f"broker at {host}:{port}: {error.__cause__ or error}. Free the port or choose another")


@app.command("list")
def list_(scenario: ScenarioOption = "demo", as_json: JsonOption = False) -> None:
    """List the scenarios, and one scenario's instruments with their registers and addresses."""
    devices = build_devices(open_plant(scenario, 1, None))
    rows = [
        {
            "instrument": d.instrument.id, "unit": d.instrument.unit, "map": d.map.model, "status": d.map.status,
            "register": c.register.name, "function": c.register.function, "address": c.register.address,
            "type": c.register.type, "word_order": c.register.word_order, "byte_order": c.register.byte_order,
            "scale": str(c.register.scale), "scale_by": c.register.scale_by, "unit_of_value": c.register.unit,
        }
        for d in devices
        for c in d.channels
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"scenarios": scenario_names(), "scenario": scenario, "registers": rows}, indent=2))
        return
    typer.echo(f"scenarios: {', '.join(scenario_names())}\n")
    columns = [c for c in rows[0] if c not in {"status", "byte_order"}]
    table = [tuple(columns), *(tuple(str(row[c]) for c in columns) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        typer.echo("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())


app.command("demo")(demo)
app.command("tape")(tape)
