"""The commands of ``emitrace-agent``, one function each.

Exit codes: 0 fine, 1 findings, 2 usage or configuration, 3 environment.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import bus_commands, field_commands, map_commands, site_commands
from agent.broker import Broker, broker_of
from agent.bus.opening import tls_context
from agent.clock import KernelClock
from agent.config import Config, fingerprint_problem, load_config
from agent.console import CONFIG, AsJson, ConfigPath, say, shown_utc, told
from agent.endpoint import TlsBus
from agent.enroll_command import enroll
from agent.health import read_status
from agent.identity import load_identity
from agent.init_command import init
from agent.lock import is_held
from agent.log import start_logging
from agent.log_command import show_log
from agent.outbox import OutboxError
from agent.replace_command import replace_agent
from agent.replay_command import replay_tape
from agent.rotate_command import rotate_key
from agent.service import OUTBOX, serve
from agent.site import Site, load_site
from protocols.errors import EmitraceError
from protocols.modbus.maps import parse_map
from protocols.modbus.planner import UNSTATED, describe, explain_loads, overloads, stated_timing
from protocols.modbus.timing import LineTiming
from protocols.plan.document import decode_document
from protocols.wire.keys import fingerprint, load_key, make_key, public_bytes

app = typer.Typer(
    help="Poll meters and analyzers, compute emissions, and hand signed batches to the collector.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)
app.add_typer(map_commands.app, name="map")
app.command()(init)
app.command()(enroll)
app.command(name="rotate-key")(rotate_key)
app.command(name="replace-agent")(replace_agent)
app.command(name="log")(show_log)
for _name, _command in {**bus_commands.COMMANDS, **site_commands.COMMANDS, **field_commands.COMMANDS}.items():
    app.command(name=_name)(_command)
Verbose = Annotated[bool, typer.Option("--verbose", help="Log every publish.")]
T = TypeVar("T")


@app.command()
def run(config: ConfigPath = CONFIG, verbose: Verbose = False) -> None:
    """Run until SIGTERM or SIGINT; the end is sealed and published as far as two seconds allow."""
    with told():
        loaded = load_config(config)
        start_logging(loaded.settings.log.format, verbose=verbose)
        asyncio.run(_serve(loaded))


@app.command(name="check-config")
def check_config(config: ConfigPath = CONFIG) -> None:
    """Check agent.toml, the plan, its register maps, the key, password and TLS files; touch nothing else."""
    with told():
        loaded = load_config(config)
        site, _, broker = _checked(loaded)
        reading = site.reading
        where = f"pushed by the collector, before {loaded.plan}" if site.pushed else loaded.plan
        say(f"plan        {where} version {reading.bound.plan.version}")
        say(f"digest      {reading.bound.digest.hex()}")
        say(f"points      {len(reading.bound.points)} in {len(reading.requests)} requests")
        for bus, endpoint in zip(reading.bound.plan.buses, site.endpoints, strict=True):
            say(f"bus         {bus.id} at {endpoint.place}, timeout {endpoint.timeout_s:g} s")
        for model, text in sorted(decode_document(site.document)[1].items()):
            say(f"map         {model}: {parse_map(text, model).status}")
        tls = "TLS" if broker.tls_ca is not None else "no TLS"
        say(f"broker      {broker.host}:{broker.port} as {broker.username or 'nobody'}, {tls}")
        say(f"agent       {load_identity(loaded.key_file).agent_id}")
        say(f"collector   {loaded.settings.collector.fingerprint}")
        say(f"state       {loaded.state_dir}")
        for problem in overloads(reading.requests, reading.bound):
            say(f"warning     {problem}")


@app.command()
def key(config: ConfigPath = CONFIG) -> None:
    """Make the agent's key if there is none; print its public part and fingerprint."""
    with told():
        path = load_config(config).key_file
        if not path.exists():
            make_key(path)
        own = load_identity(path)
        say(f"public key  {own.public.hex()}")
        say(f"fingerprint {fingerprint(own.public)}")
        if own.former:
            say(f"agent       {own.agent_id}, by its first key; {len(own.former)} signed before this one")


@app.command()
def plan(
    config: ConfigPath = CONFIG,
    explain: Annotated[bool, typer.Option("--explain", help="Add times, and the load of each scan class.")] = False,
    turnaround_ms: Annotated[
        float | None, typer.Option(min=0, help="What a meter takes to begin its answer; else as the plan says. [ms]")
    ] = None,
    baud: Annotated[
        int | None, typer.Option(min=0, help="Of the serial line, 0 on a network; else as the plan says.")
    ] = None,
) -> None:
    """Print the read plan: every request with its points."""
    with told():
        reading = load_site(load_config(config)).reading
        stated = stated_timing(reading.bound)

        def timing_of(bus: int, unit: int) -> LineTiming:
            timing = stated(bus, unit) or UNSTATED
            return LineTiming(
                timing.turnaround_ms if turnaround_ms is None else turnaround_ms,
                timing.baud if baud is None else baud,
                timing.bits,
            )

        for request in reading.requests:
            say(describe(request, reading.bound))
            if explain:
                took_ms = timing_of(request.bus, request.unit).poll_ms(request.count)
                say(f"  {request.count} registers, {took_ms:.1f} ms")
        if explain:
            for line in explain_loads(reading.requests, reading.bound, timing_of):
                say(line)


@app.command()
def status(config: ConfigPath = CONFIG, as_json: AsJson = False) -> None:
    """Say how the agent goes, without disturbing it; exit 1 where it does not run."""
    with told():
        loaded = load_config(config)
        running = is_held(loaded.state_dir)
        known: dict[str, Any] = {"running": running, **read_status(loaded.state_dir)}
        if (loaded.state_dir / OUTBOX).exists():
            known.update(_waiting(loaded))
    _show(known, as_json=as_json)
    raise typer.Exit(0 if running else 1)


@app.command()
def outbox(
    config: ConfigPath = CONFIG,
    as_json: AsJson = False,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many items, newest first.")] = 20,
    set_aside: Annotated[bool, typer.Option("--set-aside", help="List raw results no batch could hold.")] = False,
) -> None:
    """List the newest items of the outbox: sequence, kind, span, size, and when they were acknowledged."""
    if set_aside:
        _list_set_aside(config, last, as_json=as_json)
        return
    with told():
        rows = _query(
            load_config(config),
            "select sequence, kind, from_ms, to_ms, length(data) as bytes, acked_ms, hex(digest) as digest"
            " from items order by sequence desc limit ?",
            last,
        )
    if as_json:
        say(json.dumps(rows))
        return
    for row in rows:
        acked = "waiting" if row["acked_ms"] is None else f"acknowledged {shown_utc(row['acked_ms'])}"
        span = f"{shown_utc(row['from_ms'])} {shown_utc(row['to_ms'])}"
        say(f"{row['sequence']:>8} {row['kind']:<9} {span} {row['bytes']:>8} {acked}")


def _list_set_aside(config: Path, last: int, *, as_json: bool) -> None:
    """What was set aside, newest first; exit 1 where there is any."""
    with told():
        rows = _query(
            load_config(config),
            "select sequence, from_ms, to_ms, results, reason from set_aside order by id desc limit ?",
            last,
        )
    if as_json:
        say(json.dumps(rows))
    for row in () if as_json else rows:
        span = f"{shown_utc(row['from_ms'])} {shown_utc(row['to_ms'])}"
        say(f"{row['sequence']:>8} {span} {row['results']:>8} {row['reason']}")
    if rows:
        if not as_json:
            say("These raw results are kept here and in no batch. Report the reason; do not delete the outbox.")
        raise typer.Exit(1)


@app.command()
def replay(
    tape: Annotated[Path, typer.Argument(help="A register tape, as emitrace-simulate tape writes it.")],
    config: ConfigPath = CONFIG,
    out: Annotated[Path | None, typer.Option(help="Write item files into this folder, not into the outbox.")] = None,
) -> None:
    """Run a register tape through decoding, fold and sealing in batches of an hour; goes on where it stopped."""
    with told():
        code = replay_tape(tape, load_config(config), out)
    raise typer.Exit(code)


def _checked(config: Config) -> tuple[Site, Ed25519PrivateKey, Broker]:
    """The site, key and broker of a configuration; every file that is not right is told before the program ends."""
    problems: list[EmitraceError] = []

    def attempt(load: Callable[[], T]) -> T | None:
        try:
            return load()
        except EmitraceError as error:
            problems.append(error)
            return None

    site = attempt(lambda: load_site(config))
    for table in map(config.bus, config.settings.buses):  # those too that only a plan to come may name
        if isinstance(table, TlsBus):
            attempt(partial(tls_context, table))
    key = attempt(lambda: load_key(config.key_file))
    broker = attempt(lambda: broker_of(config))
    own = None if key is None else fingerprint(public_bytes(key))
    problem = fingerprint_problem(config, own)
    if problem is not None:
        problems.append(problem)
    if site is None or key is None or broker is None or problems:
        for earlier in problems[:-1]:
            sys.stderr.write(f"emitrace-agent: {earlier}\n")
        raise problems[-1]
    return site, key, broker


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    await serve(config, KernelClock(), stop)


def _waiting(config: Config) -> dict[str, Any]:
    """The backlog as the outbox itself has it."""
    return _query(
        config,
        "select count(*) as backlog_items, coalesce(sum(length(data)), 0) as backlog_bytes,"
        " (select max(sequence) from items) as sequence,"
        " (select coalesce(sum(results), 0) from set_aside) as set_aside from items where acked_ms is null",
    )[0]


def _query(config: Config, sql: str, *values: object) -> list[dict[str, Any]]:
    """Rows of the outbox, read beside a running agent."""
    path = config.state_dir / OUTBOX
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OutboxError(f"outbox {path}", str(error), "has the agent run here?") from error


def _show(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(shown))
        return
    for name, value in shown.items():
        if value is None:
            continue
        if isinstance(value, dict):
            for key, fates in value.items():
                say(f"{name:<14} {key}: {', '.join(f'{fate} {count}' for fate, count in fates.items())}")
            continue
        if name == "log_checkpoint":
            value = " ".join(str(value).split("\n")[:2])  # noqa: PLW2901 - the whole note: emitrace-agent log
        text = shown_utc(value) if name.endswith("_ms") and name != "offset_ms" and value else value
        say(f"{name:<14} {text}")
