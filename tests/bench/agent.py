"""The site side: the agent program against meters on loopback, a real mosquitto, and a stand-in that acknowledges."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion

from protocols.messages import Ack
from protocols.wire import topics
from protocols.wire.codec import read_item, seal_ack
from protocols.wire.keys import fingerprint, load_key, make_key, public_bytes
from tests.bench.field import MODEL, RIG, Size, map_text, plan_text
from tests.bench.figures import Figure
from tests.bench.profiles import profiled
from tests.services import LOOPBACK, Mosquitto, Process, find_program, free_port

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
WINDOWS = 3
"""Spans measured after the first batch, which only warms up."""
PEAK = Size(devices=400, interval_ms=100, window_s=10, batch_s=10, per_bus=8)
"""160,000 readings/s asked for: more than the program serves."""
SETTLE_S = 5.0
"""From a sealed batch to the begin of a span, so that each span holds one sealing. [s]"""


def run() -> Iterator[Figure]:
    """Cost at 1 s and the most that is served; nothing where compiler or broker is missing, which is said."""
    if left_out("agent"):
        return
    with Rig(RIG, commit_s=10).running() as rig:
        spans = rig.spans(WINDOWS, 60.0)
        rss_mb = rig.rss_mb()
    note = f"median of {len(spans)} spans of 60 s, 60 s batches"
    cpu = median(one.cpu_s / one.readings for one in spans) * 1e6
    yield Figure("agent.cpu_s_per_million_readings", cpu, "s", f"{note}; due together, no turnaround")
    yield Figure("agent.rss_mb", rss_mb, "MB", f"after {60 * WINDOWS} s, without TLS")
    written = median(one.written / one.readings for one in spans)
    yield Figure("agent.flash_bytes_per_reading", written, "B", f"{note}; commit_s = 10, the log included")
    try:
        with Rig(PEAK, commit_s=1).running() as rig:
            spans = rig.spans(WINDOWS, 20.0)
            rss_mb = rig.rss_mb()
    except AssertionError as error:  # an agent that cannot seal what it reads gives no figure, not a wrong one
        print(f"agent.peak_readings_per_s: no figure: {error}", file=sys.stderr)
        return
    peak = median(one.readings / one.wall_s for one in spans)
    busy = median(one.cpu_s / one.wall_s for one in spans)
    note = f"of 160,000 asked for (50 connections, 8 units each, 100 ms); agent {100 * busy:.0f} % CPU, {rss_mb:.0f} MB"
    yield Figure("agent.peak_readings_per_s", peak, "readings/s", note)
    with Rig(PEAK, commit_s=1, python=profiled("agent")).running() as rig:
        rig.spans(1, 10.0)


def left_out(room: str) -> bool:
    """Whether a room that polls meters cannot be run here, which is said."""
    missing = [name for name in ("gcc", "mosquitto") if find_program(name) is None]
    if not missing and Path("/proc/self/io").exists():
        return False
    print(f"{room}: left out, needs Linux and {' and '.join(missing or ['/proc'])}", file=sys.stderr)
    return True


@dataclass(frozen=True, slots=True)
class Span:
    """What a stretch of time cost."""

    wall_s: float
    cpu_s: float
    written: int
    readings: float


@dataclass
class Rig:
    """Meters, broker, stand-in and agent, in a folder of their own."""

    size: Size
    commit_s: float
    python: list[str] = field(default_factory=lambda: [sys.executable])
    agent: Process | None = None
    control: int = 0
    heard: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @contextmanager
    def running(self) -> Iterator[Rig]:
        """Everything started; everything ended afterwards."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ports = self.meters(folder, stack)
            self.control = ports.pop()
            broker = Mosquitto(str(find_program("mosquitto")), folder / "broker", free_port()).prepare().start()
            stack.callback(broker.stop)
            key = Ed25519PrivateKey.generate()
            config = _write(folder, self.size, ports, broker, fingerprint(public_bytes(key)), self.commit_s)
            self._collector(broker, key, public_bytes(load_key(folder / "agent.key")), stack)
            words = [*self.python, "-m", "agent", "run", "--config", str(config)]
            self.agent = Process("agent", words, folder / "agent.log").start()
            stack.callback(self.agent.stop)
            yield self

    def spans(self, count: int, length_s: float) -> list[Span]:
        """So many spans one after another, from a while after the second sealed batch."""
        for _ in range(2):
            if not self.heard.acquire(timeout=120):
                raise AssertionError(f"no batch came:\n{self.agent.text() if self.agent else ''}")
        time.sleep(SETTLE_S)
        return self.measured(count, length_s)

    def measured(self, count: int, length_s: float) -> list[Span]:
        """So many spans one after another, from now."""
        marks = [self._mark()]
        for _ in range(count):
            time.sleep(max(0.0, marks[-1][0] + length_s - time.monotonic()))
            marks.append(self._mark())
        return [
            Span(b[0] - a[0], b[1] - a[1], b[2] - a[2], (b[3] - a[3]) / 2)
            for a, b in itertools.pairwise(marks)
        ]

    def rss_mb(self) -> float:
        """Resident memory of the agent now. [MB]"""
        lines = self._proc("status").splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000

    def _mark(self) -> tuple[float, float, int, int]:
        ticks = self._proc("stat").rsplit(")", 1)[1].split()
        written = next(line for line in self._proc("io").splitlines() if line.startswith("write_bytes"))
        cpu_s = (int(ticks[11]) + int(ticks[12])) / CLOCK_TICKS
        return time.monotonic(), cpu_s, int(written.split()[1]), self.served()

    def served(self) -> int:
        """Registers answered since the start."""
        with socket.create_connection((LOOPBACK, self.control)) as link:
            return int(link.makefile().readline())

    def _proc(self, name: str) -> str:
        if self.agent is None or self.agent.popen is None or not self.agent.running:
            raise AssertionError(f"the agent ended:\n{self.agent.text() if self.agent else ''}")
        return Path(f"/proc/{self.agent.popen.pid}/{name}").read_text(encoding="utf-8")

    def meters(self, folder: Path, stack: ExitStack) -> list[int]:
        """Compiled and started; their ports, the control port last."""
        source, program = Path(__file__).with_name("meters.c"), folder / "meters"
        subprocess.run([shutil.which("gcc") or "gcc", "-O2", "-o", str(program), str(source)], check=True)
        buses = str(-(-self.size.devices // self.size.per_bus))
        meters = subprocess.Popen([str(program), buses], stdout=subprocess.PIPE, text=True)
        stack.callback(meters.wait)
        stack.callback(meters.kill)
        return [int(port) for port in meters.stdout.readline().split()] if meters.stdout else []

    def _collector(self, broker: Mosquitto, key: Ed25519PrivateKey, agent: bytes, stack: ExitStack) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(broker.username, broker.password)

        def take(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
            item = read_item(bytes(message.payload), agent)
            ack = seal_ack(Ack(item.stream_id, item.sequence), key)
            client.publish(topics.ack(fingerprint(agent)), ack, qos=1)
            if message.topic.endswith("/batch"):
                self.heard.release()

        def greet(_client: object, *_: Any) -> None:
            client.subscribe(topics.ALL_UP, 1)
            client.publish(topics.COLLECTOR_KEY, public_bytes(key), qos=1, retain=True)

        client.on_message, client.on_connect = take, greet
        client.connect(LOOPBACK, broker.port)
        client.loop_start()
        stack.callback(client.loop_stop)
        stack.callback(client.disconnect)


def _write(
    folder: Path, size: Size, ports: list[int], broker: Mosquitto, collector: str, commit_s: float
) -> Path:
    """The agent's folder; the path of agent.toml."""
    (folder / "maps").mkdir()
    (folder / "maps" / f"{MODEL}.toml").write_text(map_text(size), encoding="utf-8")
    (folder / "plan.toml").write_text(plan_text(size), encoding="utf-8")
    make_key(folder / "agent.key")
    buses = "".join(
        f'[buses.b{bus}]\nkind = "tcp"\nhost = "{LOOPBACK}"\nport = {port}\n' for bus, port in enumerate(ports)
    )
    config = folder / "agent.toml"
    config.write_text(
        f'[collector]\nfingerprint = "{collector}"\n[journal]\ncommit_s = {commit_s}\n'
        f'[broker]\nhost = "{LOOPBACK}"\nport = {broker.port}\nusername = "{broker.username}"\n'
        f'password_file = "{broker.password_file}"\n{buses}',
        encoding="utf-8",
    )
    return config
