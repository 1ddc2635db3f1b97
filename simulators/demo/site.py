"""The demo's folder: plan, configurations, keys and certificates of one throw-away site."""

from __future__ import annotations

import re
import secrets
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from simulators.demo.broker import LOOPBACK, Login, free_port, write_secret
from simulators.demo.programs import DemoError, ask

ADMINISTRATOR = "admin"
PLAN = "demo-plan.toml"
WINDOW_S = 5
BATCH_S = 10
OVERDUE = "stack-flow"
WITHOUT = "em-3"


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything of the demo lies, and the credentials made for it."""

    folder: Path
    broker_port: int
    web_port: int
    agent_login: Login
    collector_login: Login
    admin_password: str

    @property
    def agent_config(self) -> Path:
        """agent.toml."""
        return self.folder / "agent.toml"

    @property
    def collector_config(self) -> Path:
        """collector.toml."""
        return self.folder / "collector.toml"

    @property
    def plan(self) -> Path:
        """The monitoring plan the agent reads."""
        return self.folder / "plan.toml"

    @property
    def address(self) -> str:
        """The dashboard's address."""
        return f"http://{LOOPBACK}:{self.web_port}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A signing key's public side, in hex."""

    public: str
    fingerprint: str


def lay_out(folder: Path, separate_logins: bool) -> Site:
    """Make the folder's credentials; the embedded broker knows one user only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def login(username: str) -> Login:
        password = secrets.token_urlsafe(18)
        return Login(username, password, write_secret(folder / f"{username}.password", password))

    agent = login("demo-agent")
    return Site(
        folder=folder,
        broker_port=free_port(),
        web_port=free_port(),
        agent_login=agent,
        collector_login=login("demo-collector") if separate_logins else agent,
        admin_password=secrets.token_urlsafe(9),
    )


def write_collector(site: Site) -> Identity:
    """Write collector.toml, make the collector's key and the administrator's account."""
    site.collector_config.write_text(
        f"""# collector of the demo
state_dir = "collector"

[broker]
host = "{LOOPBACK}"
port = {site.broker_port}
username = "{site.collector_login.username}"
password_file = "{site.collector_login.password_file.name}"

[web]
host = "{LOOPBACK}"
port = {site.web_port}
""",
        encoding="utf-8",
    )
    identity = identity_in(ask("emitrace-collector", "key", "--config", site.collector_config))
    password = write_secret(site.folder / "admin.password", site.admin_password)
    ask("emitrace-collector", "user", "add", ADMINISTRATOR, "--role", "admin", "--password-file", password,
        "--config", site.collector_config)  # fmt: skip
    return identity


def packaged_plan(name: str) -> str:
    """The text of a monitoring plan that comes with the simulators."""
    return (resources.files("simulators") / "scenarios" / name).read_text(encoding="utf-8")


def write_agent(site: Site, collector: Identity, modbus_port: int, plan: str | None = None) -> Identity:
    """Write plan (the demo's, hastened) and agent.toml, make the agent's key and register it with the collector."""
    site.plan.write_text(hastened(packaged_plan(PLAN)) if plan is None else plan, encoding="utf-8")
    buses = "\n".join(
        f'[buses.{bus["id"]}]\nkind = "tcp"\nhost = "{LOOPBACK}"\nport = {modbus_port}\ntimeout_s = 1.0\n'
        for bus in plan_tables(site.plan)["buses"]
    )
    site.agent_config.write_text(
        f"""# agent of the demo
plan = "{site.plan.name}"
state_dir = "agent"

[key]
file = "agent.key"

[collector]
fingerprint = "{collector.fingerprint}"

[broker]
host = "{LOOPBACK}"
port = {site.broker_port}
username = "{site.agent_login.username}"
password_file = "{site.agent_login.password_file.name}"

[journal]
commit_s = 1.0

{buses}""",
        encoding="utf-8",
    )
    identity = identity_in(ask("emitrace-agent", "key", "--config", site.agent_config))
    ask("emitrace-collector", "agents", "add", identity.public, "--name", "demo boiler house",
        "--config", site.collector_config)  # fmt: skip
    return identity


def identity_in(said: str) -> Identity:
    """Read the public key and the fingerprint that a `key` command prints."""
    found = {}
    for word in ("public", "fingerprint"):
        match = re.search(rf"(?i){word}[^\n]*?\b([0-9a-f]{{64}})\b", said)
        if match is None:
            raise DemoError(f"found no {word} of 64 hex digits in what `key` printed:\n{said}")
        found[word] = match[1]
    return Identity(**found)


def hastened(plan: str, batch_s: int = BATCH_S) -> str:
    """The plan with short windows and batches, so that a minute shows many of them."""
    plan, windows = re.subn(r"(?m)^window_s = \d+$", f"window_s = {WINDOW_S}", plan)
    plan, batches = re.subn(r"(?m)^batch_s = \d+$", f"batch_s = {batch_s}", plan)
    if (windows, batches) != (1, 1):
        raise DemoError(f"{PLAN} states window_s {windows} times and batch_s {batches} times, expected once each")
    return plan


def plan_tables(plan: Path) -> dict[str, Any]:
    """The monitoring plan as plain tables."""
    return tomllib.loads(plan.read_text(encoding="utf-8"))


def certificates(instruments: list[dict[str, Any]], today: date) -> dict[str, str]:
    """Certificates that show each status: TOML text by id, for all instruments but the one that has none."""
    return dict(
        certificate(instrument, today - timedelta(days=800 if instrument["id"] == OVERDUE else 100))
        for instrument in instruments
        if instrument["id"] != WITHOUT
    )


def certificate(instrument: dict[str, Any], performed: date) -> tuple[str, str]:
    """Id and record of a certificate of the demo's (fictitious) laboratory, valid for a year."""
    name = f"demo-{instrument['id']}-{performed.year}"
    return name, f"""[[certificates]]
id = "{name}"
instrument = "{instrument["id"]}"
serial = "{instrument["serial"]}"
kind = "verification-certificate"
number = "DEMO-{performed:%Y%m%d}-{instrument["id"]}"
laboratory = "Demo laboratory (fictitious)"
performed_on = {performed.isoformat()}
valid_until = {(performed + timedelta(days=365)).isoformat()}
result = "pass"
note = "made for the demo; no such document exists"
"""
