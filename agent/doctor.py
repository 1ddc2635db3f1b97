"""Is this agent well? From its clock to its serial adapters each is looked at, none touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.calibration_look import calibration_looks
from agent.clock import KernelClock, SystemTime
from agent.config import Config, fingerprint_problem
from agent.endpoint import RtuBus
from agent.health import read_status
from agent.lock import is_held
from agent.look import Look, Said
from agent.notice import held_notice
from agent.trust import COLLECTOR_KEY, Trust
from protocols.errors import EmitraceError
from protocols.messages import Notice
from protocols.records import ClockState
from protocols.wire.keys import fingerprint, load_key, public_bytes

BROKER_S = 3.0
LEAST_FREE = 512 * 2**20
"""Free bytes below which the disk of the state folder is a worry."""
OLD_BACKLOG_MS = 24 * 3_600_000
OLD_CHECKPOINT_MS = 24 * 3_600_000
"""The log grows with every batch, and is signed every hour while it does."""
SOON_FULL_S = 7 * 86_400
MOST_LATENCY_MS = 1
"""An FTDI adapter holds bytes back so long; its default of 16 ms makes every request slower by that."""
_PHASES = {
    "starting": "正在启动", "waiting": "等待中", "running": "运行中", "stopping": "正在停止", "stopped": "已停止",
}  # fmt: skip
_ADAPTERS = Path("/sys/bus/usb-serial/devices")

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
        *log_looks(status, KernelClock().read().utc_ms),
        *calibration_looks(_notice(config, status), KernelClock().read().utc_ms),
        *_adapters(config),
    ]


def clock_look(now: SystemTime) -> Look:
    """Whether the clock can be trusted."""
    if now.state is ClockState.SYNCED:
        within = f"{now.uncertainty_ms} ms"
        return Look("clock", True, Said(f"已同步，误差 {within}", f"synchronised, to {within}"))
    seen = Said("从未设置", "never set")
    if now.state is not ClockState.UNSET:
        seen = Said("已设置，但未与时间服务器同步", "set, but nothing keeps it right")
    todo = "connect a time server (timedatectl), or set it and fit a clock battery"
    return Look("clock", False, seen, Said("连接时间服务器（timedatectl），或校时并加装时钟电池", todo))


def backlog_looks(status: dict[str, Any], now_ms: int) -> Iterator[Look]:
    """How long batches have waited for the collector, and how long there is room for more."""
    oldest_ms, full_in_s = status.get("oldest_waiting_ms"), status.get("full_in_s")
    if not isinstance(oldest_ms, int):
        yield Look("backlog", True, Said("没有等待发送的数据", "nothing waits"))
        return
    age_ms = max(now_ms - oldest_ms, 0)
    items, age = status.get("backlog_items", 0), _span(age_ms // 1000)
    old = age_ms >= OLD_BACKLOG_MS
    seen = Said(f"{items} 项等待发送，最早的已等 {age}", f"{items} items wait, the oldest for {age}")
    yield Look("backlog", not old, seen, Said("恢复消息服务器连接", "get the broker back") if old else None)
    if isinstance(full_in_s, int):
        room, soon = _span(full_in_s), full_in_s <= SOON_FULL_S
        seen = Said(f"还可存储 {room}", f"room for another {room}")
        todo = Said("增大 [outbox] max_bytes", "raise [outbox] max_bytes")
        yield Look("backlog", not soon, seen, todo if soon else None)


def log_looks(status: dict[str, Any], now_ms: int) -> Iterator[Look]:
    """Whether the collector's evidence log is still the one this agent knows; nothing where none was seen yet.

    A collector that has something to hide could send checkpoints without a proof that fits: one that is not renewed
    for long is a finding too.
    """
    held, alarm = status.get("log_checkpoint"), status.get("log_alarm")
    if alarm:
        todo = "keep the outbox, run emitrace-agent log, and tell somebody outside the central team"
        yield Look(
            "log", False, Said(f"采集中心的证据日志有异常：{alarm}", f"the collector's evidence log: {alarm}"),
            Said("保留 outbox，运行 emitrace-agent log，并告知中心团队以外的人", todo),
        )  # fmt: skip
    elif held and isinstance(held, str):
        origin, size = held.split("\n")[:2]
        age_ms = now_ms - int(status.get("log_checked_ms", 0))
        old = age_ms > OLD_CHECKPOINT_MS
        age = _span(max(age_ms, 0) // 1000)
        seen = Said(f"{origin}，{age}前核对至 {size} 条", f"{origin}, checked up to {size} leaves {age} ago")
        ask = Said(
            "若此后一直在线，请询问中心团队为何没有新的检查点",
            "if it was online since, ask the central team why no newer checkpoint follows",
        )
        yield Look("log", not old, seen, ask if old else None)
        lost = status.get("log_unproven")
        if type(lost) is int and lost:
            zh = f"采集中心恢复备份后改用新的日志名称；此前核对过的 {lost} 条已无法证明，见 emitrace-agent log"
            en = f"restored under a new origin; {lost} leaves checked before cannot be proven: see emitrace-agent log"
            yield Look("log", True, Said(zh, en))


def _agent(status: dict[str, Any], *, running: bool) -> Look:
    if not running:
        start = "systemctl start emitrace-agent"
        return Look("agent", False, Said("未运行", "does not run"), Said(start, start))
    phase, note = str(status.get("phase", "starting")), status.get("note", "")
    fine = phase == "running" and not note
    told = f"{phase}: {note}" if note else phase
    told_zh = f"{_PHASES.get(phase, phase)}：{note}" if note else _PHASES.get(phase, phase)
    return Look("agent", fine, Said(told_zh, told), None if fine else Said("查看 status", "see status"))


def _disk(folder: Path) -> Look:
    place = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(place, os.W_OK):
        todo = Said("以代理自己的用户运行（sudo -u emitrace）", "run this as the agent's own user (sudo -u emitrace)")
        return Look("disk", False, Said(f"{place} 不可写", f"{place} may not be written"), todo)
    free = shutil.disk_usage(place).free
    fine, shown = free >= LEAST_FREE, f"{free / 2**30:.1f} GiB"
    seen = Said(f"{folder} 所在磁盘剩余 {shown}", f"{shown} free on the disk of {folder}")
    return Look("disk", fine, seen, None if fine else Said("清理磁盘", "free the disk"))


def _keys(config: Config) -> Iterator[Look]:
    own = None
    try:
        own = fingerprint(public_bytes(load_key(config.key_file)))
    except EmitraceError as error:
        told = f"{error.subject}: {error.seen}"
        todo = Said("运行 emitrace-agent key", "run 'emitrace-agent key'")
        yield Look("key", False, Said(told, told), todo)
    else:
        mode = stat.S_IMODE(config.key_file.stat().st_mode)
        mend, told = f"chmod 600 {config.key_file}", f"{own[:16]}, {mode:04o}"
        open_to_others = bool(mode & 0o077)
        yield Look("key", not open_to_others, Said(told, told), Said(mend, mend) if open_to_others else None)
    problem = fingerprint_problem(config, own)
    if problem is not None:
        seen = Said("agent.toml 中的指纹不是采集中心的", problem.seen)
        yield Look("collector", False, seen, Said("填写 emitrace-collector key 显示的指纹", problem.hint))


async def _broker(config: Config) -> Look:
    broker = config.settings.broker
    place = f"{broker.host}:{broker.port}"
    try:
        async with asyncio.timeout(BROKER_S):
            _, writer = await asyncio.open_connection(broker.host, broker.port)
    except OSError as error:
        told = f"{place}: {error.strerror or str(error) or f'no answer within {BROKER_S:g} s'}"
        todo = "check address, network and firewall; batches wait meanwhile"
        return Look("broker", False, Said(told, told), Said("检查地址、网络和防火墙；数据会在本机等待", todo))
    writer.close()
    return Look("broker", True, Said(f"{place} 可以连接", f"{place} takes connections"))


def _notice(config: Config, status: dict[str, Any]) -> Notice | None:
    try:
        stream_id = bytes.fromhex(str(status.get("stream", "")))
    except ValueError:
        return None
    trust = Trust(config.settings.collector.fingerprint, config.state_dir / COLLECTOR_KEY)
    return held_notice(config.state_dir, trust, stream_id)


def _adapters(config: Config) -> Iterator[Look]:
    for name, table in config.settings.buses.items():
        if not isinstance(table, RtuBus):
            continue
        port = Path(table.port)
        timer = _ADAPTERS / port.resolve().name / "latency_timer"
        if not port.exists():
            seen = Said(f"{name}：{port} 不存在", f"bus {name}: {port} is not there")
            yield Look("adapter", False, seen, Said("插上适配器", "plug the adapter in"))
        elif timer.exists():
            held_ms = int(timer.read_text(encoding="ascii"))
            fine, todo = held_ms <= MOST_LATENCY_MS, f"echo {MOST_LATENCY_MS} | sudo tee {timer}"
            seen = Said(f"{name}：延迟定时器 {held_ms} ms", f"bus {name}: latency timer {held_ms} ms")
            yield Look("adapter", fine, seen, None if fine else Said(todo, todo))
        else:
            yield Look("adapter", True, Said(f"{name}：{port} 存在", f"bus {name}: {port} is there"))


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h {rest % 3600 // 60} min"
