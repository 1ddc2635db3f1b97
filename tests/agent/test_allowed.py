"""No request that could change something leaves, whoever builds it and on whatever line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.file_message import FileRecord

from agent.bus.allowed import NotAllowedError
from agent.bus.answer import Question
from agent.bus.bus import Bus
from agent.bus.rtu import Pace, rtu_over_tcp
from agent.bus.tcp import tcp
from protocols.modbus.timing import LineTiming
from tests.services import LOOPBACK

READS = {
    "read_coils", "read_discrete_inputs", "read_holding_registers", "read_input_registers", "report_device_id",
    "read_device_information",
}  # fmt: skip
ARGUMENTS: dict[str, dict[str, Any]] = {
    "write_coil": {"address": 1, "value": True}, "write_register": {"address": 1, "value": 7},
    "write_coils": {"address": 1, "values": [True]}, "write_registers": {"address": 1, "values": [7]},
    "mask_write_register": {"address": 1}, "readwrite_registers": {"read_address": 1, "read_count": 1, "values": [7]},
    "write_file_record": {"records": [FileRecord(file_number=1, record_number=1, record_data=b"ab")]},
    "read_file_record": {"records": [FileRecord(file_number=1, record_number=1, record_length=2)]},
    "diag_query_data": {"msg": b"ab"}, "diag_restart_communication": {"toggle": True},
}  # fmt: skip
NO_CALLS = {"DATATYPE", "convert_from_registers", "convert_to_registers", "execute"}
CALLS = sorted(name for name in dir(ModbusClientMixin) if not name.startswith("_") and name not in NO_CALLS)


class Captured(ModbusClientMixin[None]):
    """The library's client, whose requests go nowhere."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pdu = b""

    def execute(self, _no_response_expected: bool, request: ModbusPDU) -> None:
        self.pdu = bytes((request.function_code,)) + request.encode()


def pdu_of(call: str) -> bytes:
    """The request that a call of the library would send."""
    client = Captured()
    method: Callable[..., object] = getattr(client, call)
    needs_address = call in READS - {"report_device_id", "read_device_information"} or call == "read_fifo_queue"
    method(**ARGUMENTS.get(call, {"address": 1} if needs_address else {}), device_id=1)
    return client.pdu


class Sink:
    """A server that only listens."""

    def __init__(self) -> None:
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            self.heard += data
        writer.close()


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
async def test_no_call_of_the_library_but_reads_leaves(framing: str) -> None:
    """Every call the client library has, built as it builds it: what writes or resets is refused, byte for byte."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    pace = Pace(LineTiming(0.0), 0.01, 0.0)
    connects = {"tcp": tcp(LOOPBACK, port, 0.01, lambda: 0), "rtu": rtu_over_tcp(LOOPBACK, port, pace, lambda: 0)}
    bus = Bus(connects[framing], 0.5, lambda: 0)
    assert await bus.open()
    refused = []
    for call in CALLS:
        before = sink.heard
        try:
            await bus.ask(Question(1, pdu_of(call)))
        except NotAllowedError:
            refused.append(call)
            await asyncio.sleep(0.001)
            if before != sink.heard:
                pytest.fail(f"{call} left")
    await bus.close()
    server.close()

    assert set(CALLS) - READS == set(refused)
    assert len(refused) > 25
    functions = {frame[7] if framing == "tcp" else frame[1] for frame in _frames(sink.heard, framing)}
    assert functions == {1, 2, 3, 4, 17, 43}


def _frames(heard: bytes, framing: str) -> list[bytes]:
    """What came, frame by frame."""
    frames: list[bytes] = []
    while heard:
        size = 6 + int.from_bytes(heard[4:6], "big") if framing == "tcp" else {17: 4, 43: 7}.get(heard[1], 8)
        frames.append(heard[:size])
        heard = heard[size:]
    return frames


@pytest.mark.parametrize("pdu", [b"", b"\x2b", b"\x2b\x0d", b"\x06\x00\x01\x00\x01", b"\x83\x02"])
async def test_what_is_no_request_or_writes_by_hand_is_refused(pdu: bytes) -> None:
    """Nothing, half an interface, CANopen over function 43, a write, an exception."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, LOOPBACK, 0)
    bus = Bus(tcp(LOOPBACK, server.sockets[0].getsockname()[1], 0.01, lambda: 0), 0.5, lambda: 0)
    assert await bus.open()
    with pytest.raises(NotAllowedError):
        await bus.ask(Question(1, pdu))
    await bus.close()
    server.close()
    assert sink.heard == b""
