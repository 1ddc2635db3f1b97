"""A Modbus TCP endpoint that can misbehave, and a complete agent folder beside it."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import KernelClock
from agent.config import Config, load_config
from agent.site import open_reading
from agent.watched import Watched
from protocols.messages import PlanPush
from protocols.wire.keys import fingerprint, make_key, public_bytes
from tests.plans import small_document
from tests.services import LOOPBACK


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came off the wire."""

    tid: int
    unit: int
    function: int
    address: int
    count: int

    def frame(self, pdu: bytes, *, tid: int | None = None, unit: int | None = None) -> bytes:
        """An answer frame; transaction id and unit are the request's unless told otherwise."""
        own = self.unit if unit is None else unit
        return struct.pack(">HHHB", self.tid if tid is None else tid, 0, len(pdu) + 1, own) + pdu

    def registers(self, values: list[int], **other: int) -> bytes:
        """A proper answer with registers."""
        pdu = struct.pack(f">BB{len(values)}H", self.function, 2 * len(values), *values)
        return self.frame(pdu, tid=other.get("tid"), unit=other.get("unit"))

    def exception(self, code: int) -> bytes:
        """An exception answer."""
        return self.frame(bytes((self.function | 0x80, code)))


Behave = Callable[["Endpoint", Asked, asyncio.StreamWriter], Awaitable[None]]


async def behave_well(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with the registers there are, and with who it is; another function is refused."""
    if asked.function in {3, 4}:
        writer.write(asked.registers(endpoint.values(asked.address, asked.count)))
    elif asked.function == 43:
        objects = b"".join(bytes((number, len(text))) + text for number, text in enumerate((b"Rig", b"R1", b"2.0")))
        writer.write(asked.frame(bytes((43, 14, 1, 1, 0, 0, 3)) + objects))
    else:
        writer.write(asked.exception(1))


@dataclass
class Endpoint:
    """A server on loopback; ``behave`` decides what happens to each request."""

    behave: Behave = behave_well
    table: dict[int, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def values(self, address: int, count: int) -> list[int]:
        """Registers from the table, 0 where it holds none."""
        return [self.table.get(address + k, 0) for k in range(count)]

    def put_float(self, address: int, value: float) -> None:
        """A float32 in two registers."""
        self.table[address], self.table[address + 1] = struct.unpack(">HH", struct.pack(">f", value))

    async def start(self) -> Endpoint:
        """Listen, on the same port as before where there was one."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                tid, _, length = struct.unpack(">HHH", await reader.readexactly(6))
                data = await reader.readexactly(length)
                address, count = struct.unpack(">HH", data[2:]) if length == 6 else (0, 0)
                asked = Asked(tid, data[0], data[1], address, count)
                self.asked.append(asked)
                await self.behave(self, asked, writer)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


PLAN = """
schema = 1
version = "rig-1"

[organisation]
id = "org"
name = { zh = "组织", en = "Organisation" }

[facility]
id = "site"
name = { zh = "厂区", en = "Site" }
time_zone = "Asia/Shanghai"

[windows]
window_s = 1
batch_s = 1

[[scan_classes]]
id = "meters"
interval_ms = 200

[[buses]]
id = "line-a"

[[instruments]]
id = "em-1"
name = { zh = "电能表", en = "Electricity meter" }
serial = "E1"
map = "eastron-sdm630"
bus = "line-a"
unit = 1
regime = "mandatory-periodic"
registers = "primary"
accuracy = { class = "1", percent_of_reading = 1.0 }

[[points]]
id = "em-1.energy"
instrument = "em-1"
register = "energy_import"
scan_class = "meters"
max_rate = 1000000
max_rate_unit = "kWh/h"

[[points]]
id = "em-1.power"
instrument = "em-1"
register = "power_total"
scan_class = "meters"

[[sources]]
id = "grid"
name = { zh = "外购电力", en = "Purchased electricity" }
kind = "purchased-electricity"
category = 2
method = "electricity"
gases = ["CO2"]
inputs = { add = ["em-1.energy"] }
factors = { CO2 = ["grid-factor"] }

[[factors]]
id = "grid-factor"
name = { zh = "电网因子", en = "Grid factor" }
value = 0.5306
unit = "kgCO2/kWh"
uncertainty_percent = 5
source = "made up for tests"
valid_from = 2020-01-01
confidence = "unverified"
"""

ENERGY, POWER = 72, 52
"""Addresses of the two points in the meter."""


def write_agent(
    folder: Path, bus_port: int, broker_port: int, collector: str = "0" * 64, *, plan: str = PLAN, extra: str = ""
) -> Config:
    """An agent's folder: plan, key and agent.toml; the broker is entered without a name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    (folder / "agent.toml").write_text(
        f"""
        [collector]
        fingerprint = "{collector}"
        [broker]
        host = "{LOOPBACK}"
        port = {broker_port}
        {extra}
        [buses.line-a]
        kind = "tcp"
        host = "{LOOPBACK}"
        port = {bus_port}
        timeout_s = 0.2
        [journal]
        commit_s = 0.1
        """,
        encoding="utf-8",
    )
    if not (folder / "agent.key").exists():
        make_key(folder / "agent.key")
    return load_config(folder / "agent.toml")


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector's key, for acknowledgements made by hand."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """Raw public key."""
        return public_bytes(self.key)

    @property
    def fingerprint(self) -> str:
        """What agent.toml names."""
        return fingerprint(self.public)


async def no_push(push: PlanPush) -> None:
    """Where no plan is pushed."""
    raise AssertionError(push)


def unwatched() -> Watched:
    """What pages want of an agent that nobody watches."""
    return Watched(open_reading(small_document()), KernelClock(), lambda _until_ms: None)
