"""One Modbus TCP endpoint: one request at a time, reads only, and no answer believed that was not asked for.

The connection is kept by a supervisor of our own (pymodbus does not retry a failed first connect): for ever,
at a bounded rate. pymodbus returns exception answers, raises on silence, and raises before the first await
where there is no connection; it lets an answer with transaction id 0 pass and does not compare the register
count. All of that ends here as a register block or a fate code.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from agent.waiting import is_cancelled
from protocols.records import Fate

RECONNECT_FIRST_S = 0.1
RECONNECT_MOST_S = 10.0
READS = frozenset({3, 4})
"""The function codes that may leave this program."""

_HEADER = 8  # MBAP header and function code


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one request.

    Attributes
    ----------
    fate : int
        Fate code: GOOD, or why there is no value.
    at_ms : int
        Monotonic time of the last byte of the answer; of giving up where there is none. [ms]
    registers : bytes
        Two bytes each, high byte first; empty unless GOOD.
    """

    fate: int
    at_ms: int
    registers: bytes = b""


class Bus:
    """An endpoint and its connection.

    Parameters
    ----------
    host, port : str, int
    timeout_s : float
        For connecting and for each answer. [s]
    mono_ms : callable
        The clock that stamps answers. [ms]
    """

    def __init__(self, host: str, port: int, timeout_s: float, mono_ms: Callable[[], int]) -> None:
        self.timeout_s = timeout_s
        self._mono_ms = mono_ms
        self._client = AsyncModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=0, reconnect_delay=0,
            trace_packet=self._on_packet, trace_pdu=self._on_pdu, trace_connect=self._on_connect,
        )
        self._lost = asyncio.Event()
        self._losses = 0
        self._stamp_ms: int | None = None
        self._heard = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client.connected

    async def open(self) -> bool:
        """Try to connect once, then keep trying in the background; True where the first try succeeded."""
        connected: bool = await self._client.connect()
        self._keeper = asyncio.create_task(self._keep(), name="bus-connection")
        return connected

    async def close(self) -> None:
        """Give the connection up for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        self._client.close()

    async def read(self, unit: int, function: int, address: int, count: int) -> Answer:
        """Read registers; never raises for what the bus does."""
        if function not in READS:
            raise ValueError(f"function {function}: only {sorted(READS)} may leave")
        losses = self._losses
        self._stamp_ms, self._heard = None, False
        try:
            ask = self._client.read_holding_registers if function == 3 else self._client.read_input_registers
            response = await ask(address, count=count, device_id=unit)
        except ModbusException:
            return Answer(self._silence(losses), self._mono_ms())
        except OSError:
            return Answer(Fate.DISCONNECTED, self._mono_ms())
        at_ms = self._stamp()
        if response.dev_id != unit or response.transaction_id != self._client.ctx.request_transaction_id:
            return Answer(Fate.BAD_ANSWER, at_ms)
        if response.isError():
            if response.function_code != function | 0x80:
                return Answer(Fate.BAD_ANSWER, at_ms)
            return Answer(Fate.EXCEPTION | response.exception_code << 8, at_ms)
        if response.function_code != function or len(response.registers) != count:
            return Answer(Fate.BAD_ANSWER, at_ms)
        return Answer(Fate.GOOD, at_ms, struct.pack(f">{count}H", *response.registers))

    def _stamp(self) -> int:
        return self._mono_ms() if self._stamp_ms is None else self._stamp_ms

    def _silence(self, losses: int) -> Fate:
        """Why no answer came; a connection that holds half an answer is dropped, so that its rest cannot mislead."""
        if self._losses != losses or not self._client.connected:
            return Fate.BAD_ANSWER if self._heard else Fate.DISCONNECTED
        if self._heard:
            self._drop()
            return Fate.BAD_ANSWER
        return Fate.TIMEOUT

    def _drop(self) -> None:
        self._client.close()
        self._on_connect(connected=False)

    async def _keep(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while not is_cancelled():
            if self._client.connected:
                delay_s = RECONNECT_FIRST_S
                await self._lost.wait()
            self._lost.clear()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MOST_S)
            if not self._client.connected:
                await self._client.connect()

    def _on_connect(self, connected: bool) -> None:
        if not connected:
            self._losses += 1
            self._lost.set()

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        if sending:
            if len(data) < _HEADER or data[_HEADER - 1] not in READS:
                raise RuntimeError(f"refused to send function {data[_HEADER - 1:_HEADER].hex()}: this agent only reads")
        elif data[:2] == self._client.ctx.request_transaction_id.to_bytes(2, "big"):
            self._heard = True
        return data

    def _on_pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending and self._stamp_ms is None:
            self._stamp_ms = self._mono_ms()
        return pdu
