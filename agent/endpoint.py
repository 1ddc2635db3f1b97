"""The tables ``[buses.ID]`` of agent.toml: where each bus of the plan is reached, and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from protocols.modbus.timing import LineTiming

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^([^\s/:]+|[^\s/]*:[^\s/]*:[^\s/]*)$")]
"""A name or an address, IPv6 too."""
Seconds = Annotated[float, Field(gt=0, le=60)]
_OTHERS = re.compile(r"dl.?t|645|hj|212|m-?bus|iec|bacnet|104|61850", re.IGNORECASE)
_NO_MODBUS = "meters speak Modbus here; one that speaks DL/T 645, HJ 212 or another protocol needs a gateway to Modbus"


class Table(BaseModel):
    """Base of every table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TcpBus(Table):
    """Modbus TCP; ``timeout_s`` is for connecting and for each answer."""

    kind: Literal["tcp"]
    host: Host
    port: PortNumber = 502
    timeout_s: Seconds = 1.0

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.host}:{self.port}"


class TlsBus(Table):
    """Modbus TCP through TLS (Modbus/TCP Security, port 802): ``ca`` signed the endpoint's certificate.

    ``cert`` and ``key`` are ours, where the endpoint asks for them; ``server_name`` is whose certificate it shows,
    where that is not ``host``.
    """

    kind: Literal["tls"]
    host: Host
    port: PortNumber = 802
    ca: str
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    timeout_s: Seconds = 2.0

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together; name both, or neither")
        return self

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.host}:{self.port} through TLS"

    def beside(self, folder: Path) -> TlsBus:
        """The same with every path resolved against a folder."""
        paths = {name: value for name in ("ca", "cert", "key") if (value := getattr(self, name)) is not None}
        return self.model_copy(update={name: str((folder / value).resolve()) for name, value in paths.items()})


class RtuBus(Table):
    """Modbus RTU on a serial port.

    ``port`` is best a name from /dev/serial/by-id, which stays when an adapter is plugged in elsewhere. ``late_s`` is
    how much later than ``timeout_s`` a device may still answer: so long the line must be silent after a request
    without an answer; ``timeout_s`` again unless stated. ``idle_gap_ms`` is the silence before a request where
    devices need more than the 3.5 characters of the standard. ``echo``: the line gives back what is sent.
    """

    kind: Literal["rtu"]
    port: Annotated[str, Field(pattern=r"^/.+")]
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    timeout_s: Seconds = 1.0
    late_s: Annotated[float, Field(ge=0, le=60)] | None = None
    idle_gap_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    echo: bool = False

    @property
    def line(self) -> LineTiming:
        """What characters take, without turnaround."""
        return LineTiming(0.0, self.baud, 9 + (self.parity != "none") + self.stop_bits)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.port}, {self.baud} baud, 8{self.parity[0].upper()}{self.stop_bits}"


class RtuOverTcpBus(Table):
    """RTU frames through a gateway's TCP port, which knows no Modbus itself; ``late_s`` as on a serial port."""

    kind: Literal["rtu-over-tcp"]
    host: Host
    port: PortNumber
    timeout_s: Seconds = 1.0
    late_s: Annotated[float, Field(ge=0, le=60)] | None = None
    idle_gap_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0

    @property
    def line(self) -> LineTiming:
        """The gateway keeps the times of the line."""
        return LineTiming(0.0)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.host}:{self.port}, RTU frames"


def _modbus(value: object) -> object:
    """Whoever names another protocol is told what to put between."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind != "modbus" and _OTHERS.search(kind):
        raise ValueError(f'kind "{kind}": {_NO_MODBUS}')
    return value


AnyBus: TypeAlias = TcpBus | TlsBus | RtuBus | RtuOverTcpBus
BusTable = Annotated[Annotated[AnyBus, Field(discriminator="kind")], BeforeValidator(_modbus)]
