"""Starts the chain in order (broker, plant, collector, agent) and ends it in the reverse order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from simulators.demo.broker import LOOPBACK, BrokerChoice, choose, start_embedded, start_mosquitto
from simulators.demo.dashboard import Dashboard
from simulators.demo.programs import Child, DemoError, ask, command_line, wait_for
from simulators.demo.site import (
    ADMINISTRATOR,
    OVERDUE,
    WITHOUT,
    Identity,
    Site,
    certificates,
    lay_out,
    plan_tables,
    write_agent,
    write_collector,
)
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario

SCENARIO = "demo"
SEED = 2026
HEAD_START_S = 540
"""The plant counts from so long before now: its boiler stops half a minute into the demo and starts again."""
Say = Callable[[str], None]


@dataclass
class Chain:
    """The running demo. Children are in the order they were started."""

    site: Site
    agent: Identity
    collector: Identity
    plant: Plant
    dashboard: Dashboard
    children: list[Child]

    def child(self, name: str) -> Child:
        """The child of that name."""
        return next(child for child in self.children if child.name == name)

    def stop(self, name: str) -> int:
        """End one child; its exit code."""
        return self.child(name).stop()

    def must_live(self) -> None:
        """DemoError if any child has ended by itself."""
        for child in self.children:
            child.must_live()


def start(folder: Path, choice: BrokerChoice, children: list[Child], say: Say) -> Chain:
    """Start everything; each child is appended to ``children`` as soon as it runs, so that a fault ends it too."""
    mosquitto = choose(choice)
    site = lay_out(folder, separate_logins=mosquitto is not None)
    collector = write_collector(site)
    plant, modbus_port = start_plant(site, children)
    say(f"plant       scenario {SCENARIO}, seed {SEED}, Modbus TCP at {LOOPBACK}:{modbus_port}")
    agent = write_agent(site, collector, modbus_port)
    add_certificates(site, say)
    start_broker(mosquitto, site, agent, children, say)
    dashboard = start_collector(site, children)
    say(f"collector   key {collector.fingerprint}")
    run_agent = command_line("emitrace-agent", "run", "--config", site.agent_config)
    children.append(Child("agent", run_agent, folder / "agent.log").start())
    say(f"agent       key {agent.fingerprint}")
    return Chain(site, agent, collector, plant, dashboard, children)


def start_broker(mosquitto: str | None, site: Site, agent: Identity, children: list[Child], say: Say) -> None:
    """Start mosquitto or the embedded broker."""
    if mosquitto is not None:
        children.append(
            start_mosquitto(mosquitto, site.folder, site.broker_port, agent.fingerprint, site.agent_login,
                            site.collector_login)
        )  # fmt: skip
    else:
        children.append(start_embedded(site.folder, site.broker_port, site.agent_login))
    kind = "mosquitto, password file and ACL" if mosquitto else "embedded broker, password file"
    say(f"broker      {kind}, at {LOOPBACK}:{site.broker_port}")


def start_plant(site: Site, children: list[Child]) -> tuple[Plant, int]:
    """Start the plant in the middle of its cycle; its ledger, and the port it announces."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=HEAD_START_S)
    command = command_line(
        "emitrace-simulate", "plant", "--scenario", SCENARIO, "--host", LOOPBACK, "--port", "0",
        "--start", began.isoformat(), "--seed", str(SEED),
    )  # fmt: skip
    child = Child("plant", command, site.folder / "plant.log", announces=True).start()
    children.append(child)
    announced = child.first_line(30)
    try:
        port = int(json.loads(announced)["port"])
    except (ValueError, KeyError, TypeError) as error:
        raise DemoError(f"plant announced no port but {announced!r}. See {child.log}") from error
    return build_plant(load_scenario(SCENARIO), SEED, began), port


def start_collector(site: Site, children: list[Child]) -> Dashboard:
    """Start the collector and wait for its API."""
    command = command_line("emitrace-collector", "serve", "--config", site.collector_config)
    child = Child("collector", command, site.folder / "collector.log").start()
    children.append(child)
    dashboard = Dashboard(site.address, ADMINISTRATOR, site.admin_password)
    wait_for(dashboard.answers, 60, "the dashboard to answer", [child])
    return dashboard


def add_certificates(site: Site, say: Say, *days: date) -> None:
    """Enter the certificates as an audit on these days (today) would find them: one overdue, one missing."""
    instruments = plan_tables(site.plan)["instruments"]
    made: dict[str, str] = {}
    for day in days or (datetime.now(UTC).date(),):
        made |= certificates(instruments, day)
    path = site.folder / "certificates.toml"
    head, *tables = ["schema = 1\n", *made.values()]
    path.write_text("\n".join([head, *tables]), encoding="utf-8")
    ask("emitrace-collector", "certificates", "add", path, "--config", site.collector_config)
    say(f"calibration {len(made)} certificates entered: {OVERDUE} overdue, {WITHOUT} without, the others in interval")


def stop(children: list[Child]) -> None:
    """End what still runs, the last started first."""
    for child in reversed(children):
        child.stop()
