"""The chain under test: each program a process that can be killed and started again, on loopback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulators.demo import site as demo_site
from simulators.demo.broker import Login
from simulators.demo.chain import SCENARIO, SEED
from simulators.demo.programs import MODULES
from simulators.demo.site import Identity, Site
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario
from tests.services import Mosquitto, Process, accepts, free_port, wait_until

BATCH_S = demo_site.WINDOW_S
"""A batch per window: much of a test is waiting for the next ones. [s]"""


def command(program: str, *arguments: str | Path) -> list[str]:
    """The command line of one of our programs under this interpreter."""
    return [sys.executable, "-m", MODULES[program], *map(str, arguments)]


def ask(program: str, *arguments: str | Path, accepted: Sequence[int] = (0,), timeout_s: float = 120) -> str:
    """What one of our programs prints; AssertionError where its exit code is another than accepted."""
    done = subprocess.run(command(program, *arguments), capture_output=True, text=True, check=False, timeout=timeout_s)

    assert done.returncode in accepted, f"{program}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Rig:
    """Plant, agent and collector around a real mosquitto, with the demo's plan."""

    folder: Path
    broker: Mosquitto
    site: Site = field(init=False)
    agent: Identity = field(init=False)
    collector: Identity = field(init=False)
    plant: Plant = field(init=False)
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        login = Login(self.broker.username, self.broker.password, self.folder / "broker.password")
        login.password_file.write_text(login.password, encoding="utf-8")
        self.site = Site(self.folder, self.broker.port, free_port(), login, login, "an administrator's password")
        started = datetime.now(UTC).replace(microsecond=0)
        self.plant = build_plant(load_scenario(SCENARIO), SEED, started)
        modbus_port = free_port()
        self.collector = demo_site.write_collector(self.site)
        plan = demo_site.hastened(demo_site.packaged_plan(demo_site.PLAN), BATCH_S)
        self.agent = demo_site.write_agent(self.site, self.collector, modbus_port, plan)
        config = {"agent": self.site.agent_config, "collector": self.site.collector_config}
        commands = {
            "plant": command("emitrace-simulate", "plant", "--scenario", SCENARIO, "--port", str(modbus_port),
                             "--start", started.isoformat(), "--seed", str(SEED)),
            "collector": command("emitrace-collector", "serve", "--config", config["collector"]),
            "agent": command("emitrace-agent", "run", "--config", config["agent"]),
        }  # fmt: skip
        self.processes = {name: Process(name, line, self.folder / f"{name}.log") for name, line in commands.items()}
        self._ports = {"plant": modbus_port, "collector": self.site.web_port}

    def start(self, name: str) -> None:
        """Start a program, the broker included; return when it can be used."""
        if name == "broker":
            self.broker.start()
            return
        process = self.processes[name].start()
        if name in self._ports:
            port = self._ports[name]
            wait_until(lambda: accepts(port) or not process.running, 30, f"{name} to listen")
            assert process.running, f"{name} ended:\n{process.text()}"

    def kill(self, name: str) -> None:
        """End a program at once, as kill -9 does."""
        if name == "broker":
            self.broker.kill()
        else:
            assert self.processes[name].running, f"{name} had ended by itself:\n{self.processes[name].text()}"
            self.processes[name].kill()

    def outage(self, name: str, for_s: float) -> None:
        """Kill one program, leave it dead for a while, start it, and wait until the chain moves on."""
        self.kill(name)
        sealed = len(self.outbox())
        time.sleep(for_s)  # the outage itself: its length is what is tested
        if name in {"collector", "broker"}:  # the agent goes on sealing for nobody
            wait_until(lambda: len(self.outbox()) > sealed, 60, f"sealing while the {name} is away", every_s=0.5)
        self.start(name)
        self.wait_for_items(2)

    def finish(self) -> None:
        """Stop the agent cleanly and wait until the collector has everything."""
        agent = self.processes["agent"]
        assert agent.stop() == 0, agent.text()
        last = self.outbox()[-1]["sequence"]
        wait_until(lambda: self.committed() >= last, 60, f"item {last} at the collector", every_s=0.2)

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for process in self.processes.values():
            process.kill()

    def logs(self) -> str:
        """The end of every log."""
        return "\n".join(f"--- {name}\n{process.text(1500)}" for name, process in self.processes.items())

    def outbox(self) -> list[dict[str, Any]]:
        """The agent's items, oldest first, as `emitrace-agent outbox` lists them; empty before the first run."""
        if not (self.folder / "agent" / "outbox.sqlite").exists():
            return []
        said = ask("emitrace-agent", "outbox", "--json", "--last", "10000", "--config", self.site.agent_config)
        items: list[dict[str, Any]] = json.loads(said)
        return sorted(items, key=lambda item: item["sequence"])

    def books(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the collector's books, read beside it."""
        connection = sqlite3.connect(f"file:{self.folder}/collector/books.sqlite?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def committed(self) -> int:
        """Sequence up to which the collector has everything; -1 before the first item."""
        found = self.books("select max(contiguous) from streams")
        return -1 if found[0][0] is None else int(found[0][0])

    def wait_for_items(self, more: int, timeout_s: float = 90) -> None:
        """Return when the collector has committed so many items more than now."""
        wanted = self.committed() + more
        try:
            wait_until(lambda: self.committed() >= wanted, timeout_s, f"item {wanted} at the collector", every_s=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {self.committed()}\n{self.logs()}") from None

