"""The RTU master on real pseudo-terminals and sockets: gaps kept, late answers never believed, ports come and go."""

from __future__ import annotations

import asyncio
import os
import struct
import time
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pymodbus.framer import FramerRTU

from agent.bus.bus import Bus
from agent.bus.opening import bus_of
from agent.bus.serial import BY_ID
from agent.endpoint import RtuBus, RtuOverTcpBus
from protocols.modbus.timing import LineTiming
from protocols.records import Fate
from simulators.faults.fault import LineKind
from simulators.instruments import build_devices
from simulators.modbus.line import Line
from simulators.modbus.serial import SerialServer
from simulators.plant import build_plant
from simulators.scenario import load_scenario
from tests.services import LOOPBACK

pytestmark = pytest.mark.clock
TIMEOUT_S, LATE_S = 0.1, 0.25


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def framed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def registers(frame: bytes, mark: int) -> bytes:
    """The answer to a read request, whose registers all say which request it was."""
    unit, function, _, count = struct.unpack(">BBHH", frame[:6])
    return framed(bytes((unit, function, 2 * count)) + mark.to_bytes(2, "big") * count)


class Device:
    """One end of a pseudo-terminal; ``behave`` gets each request with its number and may write when it likes."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.asked: list[tuple[float, bytes]] = []
        self.behave: Callable[[int, bytes], None] = lambda number, frame: self.say(registers(frame, number))
        self._loop = asyncio.get_running_loop()
        self._ends: tuple[int, int] | None = None

    def plug_in(self) -> None:
        """Be there, under the same name but another device."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        self._ends = ours, theirs
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(theirs))
        self._loop.add_reader(ours, self._read)

    def pull_out(self) -> None:
        """Be gone."""
        if self._ends is not None:
            self._loop.remove_reader(self._ends[0])
            for end in self._ends:
                os.close(end)
            self._ends = None
            self.link.unlink(missing_ok=True)

    def say(self, data: bytes, after_s: float = 0.0) -> None:
        """Send bytes, now or later."""
        if after_s:
            self._loop.call_later(after_s, self.say, data)
        elif self._ends is not None:
            os.write(self._ends[0], data)

    def _read(self) -> None:
        if self._ends is not None:
            frame = os.read(self._ends[0], 256)
            self.asked.append((self._loop.time(), frame))
            self.behave(len(self.asked), frame)


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    made = Device(tmp_path / "port")
    made.plug_in()
    yield made
    made.pull_out()


@pytest.fixture
async def bus(device: Device) -> AsyncIterator[Bus]:
    table = RtuBus(kind="rtu", port=str(device.link), baud=115_200, timeout_s=TIMEOUT_S, late_s=LATE_S)
    opened = bus_of(table, mono_ms)
    assert await opened.open()
    for unit in (1, 2, 5):  # in step from here on
        assert Fate.GOOD == (await opened.read(unit, 3, 0, 1)).fate
    device.asked.clear()
    opened.tally.units.clear()
    yield opened
    await opened.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("baud", [9600, 19_200])
async def test_a_plant_on_a_paced_line_is_read_with_every_gap_kept(baud: int, tmp_path: Path) -> None:
    """As many answers as requests, words as the instrument encodes them, and 3.5 characters before each request."""
    plant = build_plant(load_scenario("demo"), 7)
    line = Line(build_devices(plant), lambda: plant.start_ms, kind=LineKind.RTU)
    server = SerialServer(line, LineTiming(2.0, baud))
    path = server.start(tmp_path / "line")
    bus = bus_of(RtuBus(kind="rtu", port=str(path), baud=baud, parity="even", timeout_s=0.5), mono_ms)
    assert await bus.open()
    answers = [await bus.read(10, 3, 0, 1) for _ in range(12)]
    await bus.close()
    server.stop()

    assert {(Fate.GOOD, bytes.fromhex("025c"))} == {(one.fate, one.registers) for one in answers}
    assert 0 == server.short_gaps
    assert 12 == bus.tally.of(10).answers


@pytest.mark.parametrize("late_s", [0.05, 0.11, 0.15, 0.2, 0.3])
async def test_a_late_answer_is_never_taken_for_another(bus: Bus, device: Device, late_s: float) -> None:
    """However late within its worst latency a device answers: each value that is believed is of its own request."""
    device.behave = lambda number, frame: device.say(registers(frame, number), late_s if number == 1 else 0.0)
    answers = [(await bus.read(1, 3, 0, 2), len(device.asked)) for _ in range(3)]
    believed = [(asked, one.registers) for one, asked in answers if one.fate == Fate.GOOD]

    assert all(data == asked.to_bytes(2, "big") * 2 for asked, data in believed)
    assert (2 if late_s > TIMEOUT_S else 3) == len(believed)
    assert (late_s < TIMEOUT_S) == (answers[0][0].fate == Fate.GOOD)
    assert (late_s > TIMEOUT_S) == (bus.tally.of(1).strays > 0)


async def test_after_silence_nothing_is_asked_before_a_late_answer_is_over(bus: Bus, device: Device) -> None:
    """Timeout, then the device's worst latency, then the next request."""
    device.behave = lambda number, frame: None if number == 1 else device.say(registers(frame, number))
    first, second = await bus.read(1, 3, 0, 1), await bus.read(2, 3, 0, 1)

    assert (Fate.TIMEOUT, Fate.GOOD) == (first.fate, second.fate)
    assert device.asked[1][0] - device.asked[0][0] >= TIMEOUT_S + LATE_S


@pytest.mark.parametrize(
    "broken",
    [
        lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)),
        lambda frame: frame[:3] + frame[4:],
        lambda frame: frame[:3] + b"\x00" + frame[3:],
        lambda frame: frame + b"\x00",
        lambda frame: b"\x00" + frame,
        lambda frame: framed(bytes((9,)) + frame[1:-2]),
        lambda frame: framed(frame[:1] + b"\x04" + frame[2:-2]),
        lambda frame: framed(frame[:2] + b"\x02" + frame[3:5]),
        lambda frame: frame[:4],
        lambda frame: frame[:0] + b"\xff" * 300,
    ],
    ids=["checksum", "lost", "inserted", "trailing", "leading", "unit", "function", "short", "half", "noise"],
)
async def test_a_frame_that_makes_no_sense_is_no_value(
    bus: Bus, device: Device, broken: Callable[[bytes], bytes]
) -> None:
    """One bad answer, and the next request is answered."""
    device.behave = lambda number, frame: device.say(
        broken(registers(frame, 7)) if number == 1 else registers(frame, number)
    )
    first, second = await bus.read(1, 3, 0, 2), await bus.read(1, 3, 0, 2)

    assert (Fate.BAD_ANSWER, b"") == (first.fate, first.registers)
    assert (Fate.GOOD, b"\0\3\0\3") == (second.fate, second.registers)  # the second request shows that both are in step


async def test_exceptions_and_identities_are_answers(bus: Bus, device: Device) -> None:
    """An exception keeps its number; what a unit says of itself has the length that it says."""
    objects = bytes((0x2B, 14, 1, 1, 0, 0, 2, 0, 5)) + b"Maker" + bytes((1, 3)) + b"X-1"
    said = {3: b"\x83\x02", 17: b"\x11\x03ab\xff", 43: objects}
    device.behave = lambda _number, frame: device.say(framed(frame[:1] + said[frame[1]]))
    answers = [await bus.read(5, 3, 0, 1), await bus.server_id(5), await bus.identification(5)]

    assert [Fate.EXCEPTION | 2 << 8, Fate.GOOD, Fate.GOOD] == [one.fate for one in answers]
    assert [b"", b"\x03ab\xff", objects[1:]] == [one.registers for one in answers]
    assert 3 == bus.tally.of(5).answers


@pytest.mark.parametrize("together", [True, False])
async def test_a_device_that_keeps_answers_back_is_never_believed(bus: Bus, device: Device, together: bool) -> None:
    """An answer kept until the next request comes, once or for ever: no value is that of another request."""
    kept: list[bytes] = []

    def behave(number: int, frame: bytes) -> None:
        kept.append(registers(frame, number))
        if number > 1:
            device.say(b"".join(kept) if together else kept[0])
            del kept[: len(kept) if together else 1]

    device.behave = behave
    values = []
    for place in range(6):
        answer = await bus.read(1, 3, place, 2)
        if answer.fate == Fate.GOOD:
            values.append((answer.registers, len(device.asked)))

    assert all(data == number.to_bytes(2, "big") * 2 for data, number in values)
    assert bool(values) == together


@pytest.mark.parametrize("count", [1, 2, 40])
async def test_a_device_that_is_silent_to_other_reads_is_read(device: Device, count: int) -> None:
    """One that answers to its own block only and refuses nothing: lost is the first slot, then each is answered."""
    table = RtuBus(kind="rtu", port=str(device.link), baud=115_200, timeout_s=TIMEOUT_S, late_s=0.0)
    bus = bus_of(table, mono_ms)
    device.behave = lambda number, frame: device.say(registers(frame, number)) if frame[5] == count else None
    assert await bus.open()
    fates = [(await bus.read(1, 3, 0, count)).fate for _ in range(4)]
    asked = len(device.asked)
    device.behave = lambda _number, _frame: None
    fates.append((await bus.read(1, 3, 0, count)).fate)
    device.behave = lambda number, frame: device.say(registers(frame, number)) if frame[5] == count else None
    fates.append((await bus.read(1, 3, 0, count)).fate)
    await bus.close()

    assert [Fate.TIMEOUT, Fate.GOOD, Fate.GOOD, Fate.GOOD, Fate.TIMEOUT, Fate.GOOD] == fates
    assert 5 == asked  # the other number twice, and the request three times
    assert 4 == bus.tally.of(1).answers


async def test_silence_to_the_test_is_no_proof(bus: Bus, device: Device) -> None:
    """A device that keeps answers back, and a line that loses the test: still no value of another request."""
    kept: list[bytes] = []

    def behave(number: int, frame: bytes) -> None:
        if number != 2:  # which does not reach it
            kept.append(registers(frame, number))
            if len(kept) > 1:
                device.say(kept.pop(0))

    device.behave = behave
    values = []
    for place in range(7):
        answer = await bus.read(1, 3, place, 2)
        if answer.fate == Fate.GOOD:
            values.append((answer.registers, len(device.asked)))

    assert [] == values


async def test_an_adapter_that_is_pulled_out_comes_back_under_its_name(bus: Bus, device: Device) -> None:
    """Without it no value and a reason; plugged in again, as another device of the system, it is read on."""
    assert Fate.GOOD == (await bus.read(1, 3, 0, 1)).fate
    device.pull_out()
    await until(lambda: not bus.connected)
    assert Fate.DISCONNECTED == (await bus.read(1, 3, 0, 1)).fate
    await until(lambda: "is not there" in bus.problem)
    assert str(BY_ID) in bus.problem
    device.plug_in()
    await until(lambda: bus.connected)

    assert Fate.GOOD == (await bus.read(1, 3, 0, 1)).fate
    assert "" == bus.problem


async def test_a_port_belongs_to_one_program(bus: Bus, device: Device) -> None:
    """A second opening is refused and says why; the first goes on."""
    second = bus_of(RtuBus(kind="rtu", port=str(device.link), timeout_s=TIMEOUT_S), mono_ms)

    assert not await second.open()
    assert "is in use by another program" in second.problem
    assert Fate.GOOD == (await bus.read(1, 3, 0, 1)).fate
    await second.close()


async def test_a_line_that_gives_back_what_is_sent(device: Device) -> None:
    """With ``echo`` the request's own bytes are passed over, also where they come in pieces with the answer."""
    bus = bus_of(RtuBus(kind="rtu", port=str(device.link), timeout_s=TIMEOUT_S, echo=True), mono_ms)
    device.behave = lambda number, frame: device.say(frame + registers(frame, number))
    assert await bus.open()
    answer = await bus.read(1, 3, 0, 1)
    await bus.close()

    assert (Fate.GOOD, b"\0\2") == (answer.fate, answer.registers)


async def test_rtu_frames_through_a_gateway(device: Device) -> None:
    """Over a TCP port as on a serial line, the gateway knowing no Modbus."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await reader.read(8):
            writer.write(registers(frame, 3))
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    bus = bus_of(RtuOverTcpBus(kind="rtu-over-tcp", host=LOOPBACK, port=port, timeout_s=TIMEOUT_S), mono_ms)
    assert await bus.open()
    answers = [await bus.read(1, 4, 0, 1) for _ in range(3)]
    await bus.close()
    server.close()

    assert [(Fate.GOOD, b"\0\3")] * 3 == [(one.fate, one.registers) for one in answers]


async def test_every_frame_can_be_heard(bus: Bus) -> None:
    """Requests and answers as they went over the line, for a trace."""
    heard: list[tuple[str, bytes]] = []
    bus.listen(lambda way, _at, data: heard.append((way, data)))
    await bus.read(1, 3, 0, 1)
    bus.listen(None)
    await bus.read(1, 3, 0, 1)

    request = framed(b"\1\3\0\0\0\1")
    assert [("sent", request), ("came", framed(b"\1\3\2\0\1"))] == [(heard[0][0], heard[0][1]), ("came", b"".join(
        data for way, data in heard if way == "came"
    ))]  # fmt: skip
    assert 1 == len([way for way, _ in heard if way == "sent"])
