from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators.instruments import build_devices
from simulators.modbus.line import Line
from simulators.modbus.tcp import TcpServer
from simulators.plant import Plant

LOOPBACK = "127.0.0.1"
AT = 123_456


class RawClient:
    """Modbus TCP by hand over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.transaction = reader, writer, 0

    async def ask(self, unit: int, pdu: bytes) -> bytes:
        """Send a request; the PDU of the answer. The header must be that of the request."""
        self.transaction += 1
        self.writer.write(struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, unit) + pdu)
        async with asyncio.timeout(5):
            transaction, protocol, length, answered = struct.unpack(">HHHB", await self.reader.readexactly(7))
            answer = await self.reader.readexactly(length - 1)
        assert (self.transaction, 0, unit) == (transaction, protocol, answered)
        return answer


@pytest.fixture
async def served(plant: Plant) -> AsyncIterator[tuple[TcpServer, int]]:
    """The demo plant on a free port, its clock standing still."""
    server = TcpServer(Line(build_devices(plant), lambda: plant.start_ms + AT))
    port = await server.start(LOOPBACK, 0)
    yield server, port
    await server.stop()


@pytest.fixture
async def raw(served: tuple[TcpServer, int]) -> AsyncIterator[RawClient]:
    """A raw connection to the plant."""
    reader, writer = await asyncio.open_connection(LOOPBACK, served[1])
    yield RawClient(reader, writer)
    writer.close()


def read(function: int, address: int, count: int) -> bytes:
    """A read request."""
    return struct.pack(">BHH", function, address, count)


async def test_a_raw_client_reads_the_words_of_the_instruments(raw: RawClient, plant: Plant) -> None:
    """Every register of every instrument comes over the socket as its instrument encodes it."""
    for device in build_devices(plant):
        for channel in device.channels:
            register = channel.register
            words = channel.words(plant.start_ms + AT)
            expected = bytes([register.function, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words)

            assert expected == await raw.ask(
                device.instrument.unit, read(register.function, register.address, register.width)
            ), (device.instrument.id, register.name)


async def test_a_modbus_client_reads_floats_in_both_word_orders(served: tuple[TcpServer, int], plant: Plant) -> None:
    """An ordinary client library gets the import register of a meter and the dry CO2 of the analyzer."""
    client = AsyncModbusTcpClient(LOOPBACK, port=served[1])
    assert await client.connect()
    energy = await client.read_input_registers(72, count=2, device_id=1)
    co2 = await client.read_holding_registers(6, count=2, device_id=240)
    client.close()
    kwh = client.convert_from_registers(energy.registers, client.DATATYPE.FLOAT32)
    ppm = client.convert_from_registers(co2.registers, client.DATATYPE.FLOAT32, word_order="little")
    truth_kwh = 6213.407 + plant.total("workshop.import", plant.start_ms + AT) / 1e12

    assert kwh == pytest.approx(truth_kwh, abs=0.03)  # 1.3 kWh used, class 1, step 0.001
    assert ppm == pytest.approx(plant.instant("stack.co2_dry", plant.start_ms + AT) * 1e4, rel=0.05)


@pytest.mark.parametrize(
    ("unit", "pdu", "answer"),
    [
        pytest.param(1, read(4, 5000, 2), bytes([0x84, 2]), id="an address of nothing"),
        pytest.param(1, read(4, 74, 4), bytes([0x84, 2]), id="partly beyond the last register"),
        pytest.param(1, read(3, 0, 2), bytes([0x83, 2]), id="an input register asked for as holding register"),
        pytest.param(10, read(3, 60000, 1), bytes([0x83, 2]), id="an address above all registers"),
        pytest.param(77, read(4, 0, 2), bytes([0x84, 0x0B]), id="a unit id of nobody"),
        pytest.param(1, read(4, 0, 81), bytes([0x84, 3]), id="more registers than the meter allows"),
        pytest.param(1, read(1, 0, 2), bytes([0x81, 1]), id="coils"),
        pytest.param(1, struct.pack(">BHH", 6, 10, 2), bytes([0x86, 1]), id="a write"),
    ],
)
async def test_what_cannot_be_answered_gets_its_exception(raw: RawClient, unit: int, pdu: bytes, answer: bytes) -> None:
    """Each kind of wrong request has its exception code, and the connection goes on."""
    assert answer == await raw.ask(unit, pdu)
    assert b"\x03\x02\x02\x5c" == await raw.ask(10, read(3, 0, 1))  # model code 604


async def test_requests_are_counted(served: tuple[TcpServer, int], raw: RawClient) -> None:
    """What was asked for is counted by unit id and function; nobody's unit ids together."""
    for unit in (1, 1, 240, 99):
        await raw.ask(unit, read(3, 10, 2))

    assert {(1, 3): 2, (240, 3): 1, (0, 3): 1} == dict(served[0].line.requests)


async def test_a_port_in_use_is_an_error(served: tuple[TcpServer, int], plant: Plant) -> None:
    """A second server on the same port says which address it could not take."""
    second = TcpServer(Line(build_devices(plant)))
    with pytest.raises(OSError, match=f"{LOOPBACK}:{served[1]}"):
        await second.start(LOOPBACK, served[1])


async def test_stopping_ends_open_connections(plant: Plant) -> None:
    """A stopped server closes its clients' connections and frees the port at once."""
    server = TcpServer(Line(build_devices(plant)))
    port = await server.start(LOOPBACK, 0)
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    await RawClient(reader, writer).ask(10, read(3, 0, 1))
    await server.stop()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    again = TcpServer(Line(build_devices(plant)))
    assert port == await again.start(LOOPBACK, port)
    await again.stop()
