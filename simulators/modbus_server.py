"""The plant's instruments behind one Modbus TCP port, like meters behind a gateway.

An address that belongs to nothing answers exception 2, a unit id that nobody has exception 0x0B (gateway: target
did not respond), more registers than the instrument allows exception 3, anything but reading registers
exception 1. One request at a time per connection: pymodbus's server answers a pipelined second request with the
wrong transaction id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.encode import EncodeError
from simulators.instruments import Device

HIGHEST_ADDRESS = 65_535
READS = (3, 4)
ANY_UNIT = 0
"""pymodbus sends requests for unit ids it doesn't know to the device of id 0."""

log = logging.getLogger(__name__)
Action = Callable[[int, int, int, int, list[int], list[int] | list[bool] | None], Awaitable[ExcCodes | None]]


def utc_ms() -> int:
    """The wall clock. [ms]"""
    return time.time_ns() // 1_000_000


class PlantServer:
    """Serves devices until it is stopped.

    ``requests`` counts what was asked for, by (unit id, function); unit ids of nobody count as 0.
    """

    def __init__(self, devices: Sequence[Device], clock: Callable[[], int] = utc_ms) -> None:
        self.devices = tuple(devices)
        self.clock = clock
        self.requests: Counter[tuple[int, int]] = Counter()
        self._server: ModbusTcpServer | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the bound port (useful where ``port`` is 0).

        Raises
        ------
        OSError
            The address can't be bound.
        """
        nobody = self._sim_device(ANY_UNIT, HIGHEST_ADDRESS, self._nobody)
        devices = [self._sim_device(d.instrument.unit, _highest(d), self._answer(d)) for d in self.devices]
        server = ModbusTcpServer([nobody, *devices], address=(host, port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise OSError(f"Modbus server: can't listen at {host}:{port}. Free the port or choose another") from error
        if not isinstance(server.transport, asyncio.Server):
            raise OSError(f"Modbus server: no listening socket at {host}:{port}")
        self._server = server
        return int(server.transport.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None

    @staticmethod
    def _sim_device(unit: int, highest: int, action: Action) -> SimDevice:
        block = SimData(0, count=highest + 1, values=0, datatype=DataType.REGISTERS)
        return SimDevice(unit, [block], action=action)  # type: ignore[arg-type]

    async def _nobody(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        new: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        del start, address, count, current, new
        self.requests[ANY_UNIT, function] += 1
        return ExcCodes.GATEWAY_NO_RESPONSE

    def _answer(self, device: Device) -> Action:
        limit = device.map.quirks.max_registers
        unit = device.instrument.unit

        async def action(
            function: int,
            start: int,
            address: int,
            count: int,
            current: list[int],
            new: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            self.requests[unit, function] += 1
            if function not in READS or new is not None:
                return ExcCodes.ILLEGAL_FUNCTION
            if count > limit:
                return ExcCodes.ILLEGAL_VALUE
            try:
                words = device.read(function, address, count, self.clock())
            except EncodeError as error:
                log.warning("instrument=%s unit=%d %s", device.instrument.id, unit, error)
                return ExcCodes.DEVICE_FAILURE
            if words is None:
                return ExcCodes.ILLEGAL_ADDRESS
            current[address - start : address - start + count] = words
            return None

        return action


def _highest(device: Device) -> int:
    return max(place for c in device.channels for place in c.places)
