from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocols.modbus.timing import LineTiming
from simulators.faults.fault import LineKind
from simulators.instruments import build_devices
from simulators.modbus.frames import check
from simulators.modbus.line import Line
from simulators.modbus.rtu import PacedWire, precise_loop
from simulators.modbus.serial import SerialServer
from simulators.plant import Plant
from tests.simulators.clients import SerialClient, serial_frame

AT = 123_456
FAST = LineTiming(0.0, baud=115_200, bits=11)


def line_of(plant: Plant) -> Line:
    """The demo plant on a serial line, its clock standing still."""
    return Line(build_devices(plant), lambda: plant.start_ms + AT, kind=LineKind.RTU)


@pytest.fixture
async def served(plant: Plant) -> AsyncIterator[SerialServer]:
    """The plant on a pseudo-terminal."""
    server = SerialServer(line_of(plant), FAST)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(served: SerialServer) -> AsyncIterator[SerialClient]:
    """An open port to it."""
    opened = SerialClient(served.path, FAST.baud)
    yield opened
    opened.close()


def read(function: int, address: int, count: int) -> bytes:
    """A read request."""
    return struct.pack(">BHH", function, address, count)


def test_the_check_is_that_of_the_standard() -> None:
    """The frame of the serial line specification's example: 02 07 is followed by 41 12."""
    assert bytes.fromhex("4112") == check(bytes.fromhex("0207"))


async def test_registers_come_in_a_serial_frame(client: SerialClient) -> None:
    """Unit, function, byte count, registers and check of the model code."""
    client.ask(10, read(3, 0, 1))

    assert serial_frame(bytes.fromhex("0a0302025c")) == await client.receive(7)


@pytest.mark.parametrize("unit", [77, 0], ids=["a unit id of nobody", "a broadcast"])
async def test_nobody_answers_for_others(client: SerialClient, unit: int) -> None:
    """Silence, and the next request is answered."""
    client.ask(unit, read(3, 0, 1))
    nothing = await client.quiet(0.05)
    client.ask(10, read(3, 0, 1))

    assert b"" == nothing
    assert 7 == len(await client.receive(7))


async def test_a_frame_with_a_wrong_check_is_not_heard(client: SerialClient, served: SerialServer) -> None:
    """A request whose bytes were hurt gets no answer and is not counted."""
    client.write(b"\x0a" + read(3, 0, 1) + b"\x00\x00")

    assert b"" == await client.quiet(0.05)
    assert not served.line.requests


async def test_another_speed_is_not_understood(served: SerialServer) -> None:
    """A client at 9600 baud on a line of 115,200 hears nothing."""
    slow = SerialClient(served.path, 9600)
    slow.ask(10, read(3, 0, 1))
    heard = await slow.quiet(0.05)
    slow.close()

    assert b"" == heard


async def test_a_client_may_come_again(served: SerialServer) -> None:
    """The line outlives its clients."""
    for _ in range(2):
        client = SerialClient(served.path, FAST.baud)
        client.ask(10, read(3, 0, 1))
        assert 7 == len(await client.receive(7))
        client.close()


async def test_a_link_names_the_line_beforehand(plant: Plant, tmp_path: Path) -> None:
    """The link leads to the pseudo-terminal while it is served, and is gone afterwards."""
    server = SerialServer(line_of(plant), FAST)
    server.start(tmp_path / "ttyPLANT")
    client = SerialClient(tmp_path / "ttyPLANT", FAST.baud)
    client.ask(10, read(3, 0, 1))
    answered = await client.receive(7)
    client.close()
    server.stop()

    assert 7 == len(answered)
    assert not (tmp_path / "ttyPLANT").is_symlink()


def test_an_unknown_speed_is_refused(plant: Plant) -> None:
    """A baud rate that no system has."""
    with pytest.raises(ValueError, match="no baud rate 9601"):
        SerialServer(line_of(plant), LineTiming(0.0, baud=9601))


def test_an_answer_takes_the_time_of_its_characters(plant: Plant) -> None:
    """On a precise loop: request, silence, turnaround and answer take what the line's timing says, within 2 %."""
    timing = LineTiming(4.0, baud=9600, bits=11)
    spread: list[float] = []

    async def run() -> tuple[list[float], int]:
        server = SerialServer(line_of(plant), timing)
        server.start()
        client = SerialClient(server.path, 9600)
        times = []
        for _ in range(3):
            sent = client.ask(1, read(4, 0, 24))
            await client.receive(5 + 48)
            times.append(client.pieces[-1][0] - sent)
            spread.append(client.pieces[-1][0] - client.pieces[0][0])
            await asyncio.sleep(0.006)
        client.close()
        server.stop()
        return times, server.short_gaps

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        times, short = runner.run(run())
    expected = (timing.poll_ms(24) - timing.silence_ms) / 1000  # the silence before the next request is not in it

    assert min(times) == pytest.approx(expected, rel=0.02)
    assert max(spread) > 0.9 * 52 * timing.character_ms / 1000
    assert 0 == short


async def test_a_request_that_comes_too_soon_is_seen(plant: Plant) -> None:
    """Less than 3.5 characters after an answer: counted, so that a test can say that a master keeps its gaps."""
    sent: list[bytes] = []
    wire = PacedWire(line_of(plant), LineTiming(0.0, baud=1200), sent.append)
    request = serial_frame(b"\x0a" + read(3, 0, 1))
    wire.received(request)
    async with asyncio.timeout(5):
        while sum(map(len, sent)) < 7:
            await asyncio.sleep(0.001)
    wire.received(request)
    wire.close()

    assert 1 == wire.short_gaps
