"""agent.toml: where the plan, the key, the buses and the broker are. The plan itself is another file.

Paths are relative to the file. Secrets are named as files, never written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.bounds import MAX_BYTES, Bounds
from agent.endpoint import AnyBus, BusTable, Host, PortNumber, Table, TlsBus
from agent.outflow import BACKLOG_PER_S
from protocols.errors import InputError
from protocols.plan.model import Identifier
from protocols.toml import read_toml, validate


class KeyTable(Table):
    """The agent's own signing key."""

    file: str = "agent.key"


class CollectorTable(Table):
    """The collector whose acknowledgements count: SHA-256 of its raw public key, as it prints it."""

    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BrokerTable(Table):
    """The MQTT broker; TLS where ``tls_ca`` names the file of its CA."""

    host: Host
    port: PortNumber = 1883
    username: str | None = None
    password_file: str | None = None
    tls_ca: str | None = None

    @model_validator(mode="after")
    def _password_of_somebody(self) -> Self:
        if self.password_file is not None and not self.username:
            raise ValueError("a password_file without username; add the user name, or leave both out")
        return self


class JournalTable(Table):
    """How often readings are made safe: 1 s on an SSD, 10 s on an SD card."""

    commit_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0


class OutboxTable(Table):
    """What all files of the outbox may take together, at least what a few of the largest messages need [bytes], and
    how many items of a backlog go out in a second.
    """

    max_bytes: Annotated[int, Field(ge=64 * 2**20, le=2**40)] = MAX_BYTES
    backlog_per_s: Annotated[float, Field(ge=0.1, le=1000)] = BACKLOG_PER_S


class RetentionTable(Table):
    """How long items stay after the collector has acknowledged them."""

    acknowledged_days: Annotated[int, Field(ge=0, le=3650)] = 30


class ClockTable(Table):
    """How long to wait at start for a disciplined clock before going on with the clock there is."""

    sync_wait_s: Annotated[float, Field(ge=0, le=3600)] = 0.0


class LogTable(Table):
    """How the agent logs: lines for people, or one JSON object each for programs."""

    format: Literal["text", "json"] = "text"


class Settings(Table):
    """The whole file."""

    plan: str = "plan.toml"
    state_dir: str = "state"
    key: KeyTable = KeyTable()
    collector: CollectorTable
    broker: BrokerTable
    buses: Annotated[dict[Identifier, BusTable], Field(min_length=1)]
    journal: JournalTable = JournalTable()
    outbox: OutboxTable = OutboxTable()
    retention: RetentionTable = RetentionTable()
    clock: ClockTable = ClockTable()
    log: LogTable = LogTable()


@dataclass(frozen=True, slots=True)
class Config:
    """The settings with every path resolved against the file that names them."""

    file: Path
    settings: Settings

    @property
    def plan(self) -> Path:
        """The monitoring plan."""
        return self._resolve(self.settings.plan)

    @property
    def state_dir(self) -> Path:
        """Where outbox, status and lock live."""
        return self._resolve(self.settings.state_dir)

    @property
    def bounds(self) -> Bounds:
        """The cap of the outbox, shared out."""
        return Bounds(self.settings.outbox.max_bytes)

    @property
    def key_file(self) -> Path:
        """The agent's private key."""
        return self._resolve(self.settings.key.file)

    def bus(self, name: str) -> AnyBus:
        """Where a bus is reached, with every path resolved."""
        table = self.settings.buses[name]
        return table.beside(self.file.parent) if isinstance(table, TlsBus) else table

    @property
    def password_file(self) -> Path | None:
        """File with the broker password on its first line."""
        name = self.settings.broker.password_file
        return None if name is None else self._resolve(name)

    @property
    def tls_ca(self) -> Path | None:
        """CA that signed the broker's certificate."""
        name = self.settings.broker.tls_ca
        return None if name is None else self._resolve(name)

    def _resolve(self, name: str) -> Path:
        return (self.file.parent / name).resolve()


def load_config(path: Path) -> Config:
    """Read agent.toml; InputErrors naming every problem with its line."""
    return Config(path.resolve(), validate(read_toml(path), Settings))


def fingerprint_problem(config: Config, own: str | None) -> InputError | None:
    """Why nobody can ever acknowledge to the fingerprint in agent.toml; None where somebody may.

    ``own`` is the fingerprint of the agent's key, where it is known.
    """
    stated = config.settings.collector.fingerprint
    if stated == "0" * 64:
        seen = "still the zeros of the example"
    elif stated == own:
        seen = "the fingerprint of this agent's own key"
    else:
        return None
    hint = "enter the collector's, as 'emitrace-collector key' prints it"
    return read_toml(config.file).error(("collector", "fingerprint"), seen, hint)
