"""The plant on its lines: which sockets and pseudo-terminals there are, and who stands on each."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocols.modbus.timing import LineTiming
from simulators.crowd import crowd
from simulators.faults.catalogue import applies
from simulators.faults.fault import Fault, LineKind
from simulators.instruments import Device, build_devices
from simulators.modbus.line import Line
from simulators.modbus.tcp import TcpServer
from simulators.plant import Plant
from simulators.scenario import ScenarioError

if TYPE_CHECKING:
    from simulators.modbus.serial import SerialServer


@dataclass(frozen=True, slots=True)
class Lines:
    """What lines are wanted.

    Attributes
    ----------
    host : str
    port : int
        Of Modbus TCP; 0 takes a free one. With many devices the lines after the first take the ports after it.
    rtu_over_tcp : int or None
        Port of a line of RTU over TCP.
    rtu : Path or None
        Where the link to a pseudo-terminal is put.
    baud : int
        Of the pseudo-terminal. [bit/s]
    turnaround_ms : float
        Of every device on every line. [ms]
    devices : int
        How many instruments; 0 means those of the scenario.
    tls : SSLContext or None
        For Modbus TCP.
    """

    host: str
    port: int
    rtu_over_tcp: int | None = None
    rtu: Path | None = None
    baud: int = 9600
    turnaround_ms: float = 0.0
    devices: int = 0
    tls: ssl.SSLContext | None = None


class Serving:
    """The plant's instruments on every line that is wanted, until it is stopped."""

    def __init__(self, plant: Plant, lines: Lines) -> None:
        self.groups = crowd(plant, lines.devices) if lines.devices else [build_devices(plant)]
        self._plant, self._lines = plant, lines
        self._servers: list[TcpServer | SerialServer] = []
        _check_units(plant.scenario.faults, self.groups)

    @property
    def lines(self) -> list[Line]:
        """Every line, in the order of ``start``."""
        return [server.line for server in self._servers]

    def idle_faults(self) -> list[str]:
        """Faults that none of the open lines can show."""
        kinds = {line.kind for line in self.lines}
        return [f.kind for f in self._plant.scenario.faults if not any(applies(f, kind) for kind in kinds)]

    async def start(self) -> list[dict[str, Any]]:
        """Open every line; kind and place of each.

        Raises
        ------
        OSError
            An address can't be bound, or the link to the pseudo-terminal can't be made.
        """
        wanted, network = self._lines, LineTiming(self._lines.turnaround_ms)
        opened: list[dict[str, Any]] = []
        for number, group in enumerate(self.groups):
            server = TcpServer(self._line(group, LineKind.TCP), network, wanted.tls)
            self._servers.append(server)
            port = await server.start(wanted.host, wanted.port + number if wanted.port else 0)
            opened.append({"kind": "tls" if wanted.tls else "tcp", "port": port, "units": len(group)})
        first = self.groups[0]
        if wanted.rtu_over_tcp is not None:
            server = TcpServer(self._line(first, LineKind.RTU_OVER_TCP), network)
            self._servers.append(server)
            port = await server.start(wanted.host, wanted.rtu_over_tcp)
            opened.append({"kind": "rtu-over-tcp", "port": port, "units": len(first)})
        if wanted.rtu is not None:
            try:
                from simulators.modbus.serial import SerialServer
            except ModuleNotFoundError as error:
                raise OSError("this system has no pseudo-terminals. Use --rtu-over-tcp instead of --rtu") from error
            timing = LineTiming(wanted.turnaround_ms, wanted.baud)
            serial = SerialServer(self._line(first, LineKind.RTU), timing)
            self._servers.append(serial)
            path = serial.start(wanted.rtu)
            opened.append({"kind": "rtu", "path": str(path), "baud": wanted.baud, "units": len(first)})
        return opened

    async def stop(self) -> None:
        """Close every line."""
        for server in self._servers:
            if isinstance(server, TcpServer):
                await server.stop()
            else:
                server.stop()

    def report(self) -> list[str]:
        """What was asked on every line, unit by unit; where there are many lines, line by line."""
        said = [f"requests answered: {sum(line.requests.total() for line in self.lines)}"]
        for server in self._servers:
            line = server.line
            if len(self.groups) > 1:
                said.append(f"{server.place}: {line.requests.total()} requests, {line.registers.total()} registers")
                continue
            for unit in sorted({unit for unit, _ in line.requests}):
                asked = sum(n for (who, _), n in line.requests.items() if who == unit)
                who = f"unit {unit}" if unit else "unit ids of nobody"
                said.append(f"{server.place}, {who}: {asked} requests, {line.registers[unit]} registers")
            if not isinstance(server, TcpServer) and line.requests:
                said.append(f"{server.place}: {server.short_gaps} requests less than 3.5 characters after an answer")
        return said

    def _line(self, devices: Sequence[Device], kind: LineKind) -> Line:
        plant = self._plant
        return Line(devices, kind=kind, faults=plant.scenario.faults, seed=plant.seed, start_ms=plant.start_ms)


def _check_units(faults: Sequence[Fault], groups: Sequence[Sequence[Device]]) -> None:
    known = {device.instrument.unit for group in groups for device in group}
    for fault in faults:
        if fault.unit is not None and fault.unit not in known:
            there = ", ".join(map(str, sorted(known)))
            raise ScenarioError(f"fault on unit {fault.unit}: no such instrument. Units: {there}")
