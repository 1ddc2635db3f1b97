"""Is this agent well? Clock, disk, broker, keys, backlog, serial adapters: each looked at, none touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent.clock import KernelClock, SystemTime
from agent.config import Config, fingerprint_problem
from agent.endpoint import RtuBus
from agent.health import read_status
from agent.lock import is_held
from protocols.errors import EmitraceError
from protocols.records import ClockState
from protocols.wire.keys import fingerprint, load_key, public_bytes

BROKER_S = 3.0
LEAST_FREE = 512 * 2**20
"""Free bytes below which the disk of the state folder is a worry."""
OLD_BACKLOG_MS = 24 * 3_600_000
SOON_FULL_S = 7 * 86_400
MOST_LATENCY_MS = 1
"""An FTDI adapter holds bytes back so long; its default of 16 ms makes every request slower by that."""
_ADAPTERS = Path("/sys/bus/usb-serial/devices")

Name = Literal["agent", "clock", "disk", "key", "collector", "broker", "backlog", "adapter"]


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked at, whether it is well, what was seen, and what to do."""

    name: Name
    well: bool
    seen: str
    todo: str = ""


async def examine(config: Config) -> list[Look]:
    """Everything, in the order of what to mend first."""
    status = read_status(config.state_dir)
    running = is_held(config.state_dir)
    return [
        _agent(status, running=running),
        clock_look(KernelClock().read()),
        _disk(config.state_dir),
        *_keys(config),
        await _broker(config),
        *backlog_looks(status, KernelClock().read().utc_ms),
        *_adapters(config),
    ]


def clock_look(now: SystemTime) -> Look:
    """Whether the clock can be trusted."""
    if now.state is ClockState.SYNCED:
        return Look("clock", True, f"synchronised, to {now.uncertainty_ms} ms")
    seen = "never set" if now.state is ClockState.UNSET else "set, but nothing keeps it right"
    return Look("clock", False, seen, "connect a time server (timedatectl), or set it and fit a clock battery")


def backlog_looks(status: dict[str, Any], now_ms: int) -> Iterator[Look]:
    """How long batches have waited for the collector, and how long there is room for more."""
    oldest_ms, full_in_s = status.get("oldest_waiting_ms"), status.get("full_in_s")
    if not isinstance(oldest_ms, int):
        yield Look("backlog", True, "nothing waits")
        return
    age_ms = max(now_ms - oldest_ms, 0)
    seen = f"{status.get('backlog_items', 0)} items wait, the oldest for {_span(age_ms // 1000)}"
    yield Look("backlog", age_ms < OLD_BACKLOG_MS, seen, "" if age_ms < OLD_BACKLOG_MS else "get the broker back")
    if isinstance(full_in_s, int):
        fine = full_in_s > SOON_FULL_S
        yield Look("backlog", fine, f"room for another {_span(full_in_s)}", "" if fine else "raise [outbox] max_bytes")


def _agent(status: dict[str, Any], *, running: bool) -> Look:
    if not running:
        return Look("agent", False, "does not run", "systemctl start emitrace-agent")
    phase, note = status.get("phase", "starting"), status.get("note", "")
    fine = phase == "running" and not note
    return Look("agent", fine, f"{phase}: {note}" if note else str(phase), "" if fine else "see status")


def _disk(folder: Path) -> Look:
    place = next(one for one in (folder, *folder.parents) if one.exists())
    usage = shutil.disk_usage(place)
    free = f"{usage.free / 2**30:.1f} GiB free on the disk of {folder}"
    if not os.access(place, os.W_OK):
        return Look("disk", False, f"{place} may not be written", "run this as the agent's own user (sudo -u emitrace)")
    fine = usage.free >= LEAST_FREE
    return Look("disk", fine, free, "" if fine else "free the disk")


def _keys(config: Config) -> Iterator[Look]:
    own = None
    try:
        own = fingerprint(public_bytes(load_key(config.key_file)))
    except EmitraceError as error:
        yield Look("key", False, f"{error.subject}: {error.seen}", error.hint)
    else:
        mode = stat.S_IMODE(config.key_file.stat().st_mode)
        fine = not mode & 0o077
        yield Look("key", fine, f"{own[:16]}, mode {mode:04o}", "" if fine else f"chmod 600 {config.key_file}")
    problem = fingerprint_problem(config, own)
    if problem is not None:
        yield Look("collector", False, problem.seen, problem.hint)


async def _broker(config: Config) -> Look:
    broker = config.settings.broker
    place = f"{broker.host}:{broker.port}"
    try:
        async with asyncio.timeout(BROKER_S):
            _, writer = await asyncio.open_connection(broker.host, broker.port)
    except OSError as error:
        seen = f"{place}: {error.strerror or str(error) or f'no answer within {BROKER_S:g} s'}"
        return Look("broker", False, seen, "check address, network and firewall; batches wait meanwhile")
    writer.close()
    return Look("broker", True, f"{place} takes connections")


def _adapters(config: Config) -> Iterator[Look]:
    for name, table in config.settings.buses.items():
        if not isinstance(table, RtuBus):
            continue
        port = Path(table.port)
        if not port.exists():
            yield Look("adapter", False, f"bus {name}: {port} is not there", "plug the adapter in")
            continue
        timer = _ADAPTERS / port.resolve().name / "latency_timer"
        if timer.exists():
            held_ms = int(timer.read_text(encoding="ascii"))
            fine = held_ms <= MOST_LATENCY_MS
            todo = "" if fine else f"echo {MOST_LATENCY_MS} | sudo tee {timer}"
            yield Look("adapter", fine, f"bus {name}: latency timer {held_ms} ms", todo)
        else:
            yield Look("adapter", True, f"bus {name}: {port} is there")


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h {rest % 3600 // 60} min"
