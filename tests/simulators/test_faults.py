"""Every listed fault, met on real sockets and a real pseudo-terminal: it shows on the wire what it says."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocols.modbus.timing import LineTiming
from simulators.faults.catalogue import FAULTS, FaultError, applies, describe, parse_fault
from simulators.faults.fault import Fault, LineKind
from simulators.instruments import Channel, Device, build_devices
from simulators.modbus.line import Line
from simulators.modbus.serial import SerialServer
from simulators.modbus.tcp import TcpServer
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario
from tests.simulators.clients import Client, RtuClient, RtuOverTcpClient, SerialClient, TcpClient

BAUD = 115_200
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PLC, GAS, METER, ANALYZER = 10, 4, 1, 240
MODEL_CODE = b"\x03\x02\x02\x5c"
HOUR_MS = 3_600_000
SILENCE_S = 0.08


def fault(text: str) -> Fault:
    """A fault from its line."""
    return parse_fault(text, NOW)


def read(function: int, address: int, count: int) -> bytes:
    """A read request."""
    return struct.pack(">BHH", function, address, count)


def words_of(pdu: bytes) -> list[int]:
    """Registers of an answer."""
    assert pdu[1] == len(pdu) - 2, pdu.hex()
    return list(struct.unpack(f">{pdu[1] // 2}H", pdu[2:]))


def u32(words: list[int]) -> int:
    """A number from two registers, high word first."""
    return words[0] << 16 | words[1]


def float32(words: list[int]) -> float:
    """A float from two registers, high word first."""
    return float(struct.unpack(">f", struct.pack(">HH", *words))[0])


@dataclass
class Site:
    """A plant with one fault, served on one line, and a client of it. The clock stands where the test puts it."""

    plant: Plant
    client: Client
    at_ms: int = 0

    @property
    def serial(self) -> bool:
        """Whether the line is a serial one."""
        return isinstance(self.client, RtuClient)

    def channel(self, unit: int, register: str) -> Channel:
        """A register of a faultless instrument."""
        device: Device = next(d for d in build_devices(self.plant) if d.instrument.unit == unit)
        return next(c for c in device.channels if c.register.name == register)

    def truth(self, unit: int, register: str) -> list[int]:
        """What a faultless instrument shows now."""
        return list(self.channel(unit, register).words(self.plant.start_ms + self.at_ms))

    async def pdu(self, unit: int, request: bytes, size: int) -> bytes:
        """The PDU of a whole and proper answer of so many bytes."""
        self.client.ask(unit, request)
        data = await self.client.receive(size + (3 if self.serial else 7))
        pdu = data[1:-2] if self.serial else data[7:]
        assert self.client.frame(unit, pdu) == data
        return pdu

    async def registers(self, unit: int, function: int, address: int, count: int) -> list[int]:
        """Registers of a whole and proper answer."""
        return words_of(await self.pdu(unit, read(function, address, count), 2 + 2 * count))

    async def refused(self, unit: int, function: int, address: int, count: int) -> int:
        """The exception code of a refusal."""
        pdu = await self.pdu(unit, read(function, address, count), 2)
        assert function | 0x80 == pdu[0]
        return pdu[1]

    async def nothing(self, unit: int, function: int, address: int, count: int) -> None:
        """A request that is not answered in a time in which a good one is."""
        self.client.ask(unit, read(function, address, count))
        assert b"" == await self.client.quiet(SILENCE_S)
        assert not self.client.ended

    async def nothing_yet(self) -> None:
        """A request may follow: 3.5 characters have passed since the one before."""
        assert b"" == await self.client.quiet(0.02)

    async def well(self) -> None:
        """The model code is answered as it should be."""
        assert [0x25C] == await self.registers(PLC, 3, 0, 1)


Check = Callable[[Site], Awaitable[None]]
CASES: dict[str, list[tuple[str, Check]]] = {}


def shows(name: str, settings: str = "") -> Callable[[Check], Check]:
    """A check of what a fault with these settings shows on the wire."""

    def put(check: Check) -> Check:
        CASES.setdefault(name, []).append((f"{name} {settings}".strip(), check))
        return check

    return put


@shows("late-answer", "unit=10 delay_s=0.2")
async def late(site: Site) -> None:
    sent = site.client.ask(PLC, read(3, 0, 1))
    assert b"" == await site.client.quiet(0.12)
    expected = site.client.frame(PLC, MODEL_CODE)
    assert expected == await site.client.receive(len(expected))
    assert site.client.pieces[-1][0] - sent >= 0.2


@shows("late-answer", "unit=10 delay_s=0.25 first=0 last=0")
async def later_than_the_next(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    late = site.client.frame(PLC, MODEL_CODE)
    await site.nothing_yet()
    state = (await site.registers(PLC, 3, 100, 1))[0]
    prompt = site.client.frame(PLC, bytes((3, 2)) + state.to_bytes(2, "big"))
    assert prompt + late == await site.client.receive(len(prompt) + len(late))


@shows("stale-answer", "unit=10 first=0 last=0")
async def stale(site: Site) -> None:
    await site.nothing(PLC, 3, 0, 1)
    old = site.client.frame(PLC, MODEL_CODE)
    site.client.ask(PLC, read(3, 100, 1))
    new = site.client.frame(PLC, b"\x03\x02" + struct.pack(">H", *site.truth(PLC, "state")))
    assert old + new == await site.client.receive(len(old) + len(new))


@shows("slow-turnaround", "unit=10 delay_s=0.05")
async def slow(site: Site) -> None:
    sent = site.client.ask(PLC, read(3, 0, 1))
    expected = site.client.frame(PLC, MODEL_CODE)
    assert expected == await site.client.receive(len(expected))
    assert site.client.pieces[0][0] - sent >= 0.05


@shows("dead-unit", "unit=1")
async def dead(site: Site) -> None:
    await site.nothing(METER, 4, 0, 2)
    await site.well()


@shows("wrong-transaction", "unit=10")
async def transactions(site: Site) -> None:
    seen = set()
    for _ in range(3):
        site.client.ask(PLC, read(3, 0, 1))
        good = site.client.frame(PLC, MODEL_CODE)
        data = await site.client.receive(len(good))
        assert good[2:] == data[2:]
        assert good[:2] != data[:2]
        seen.add(data[:2])
    assert 3 == len(seen)


@shows("constant-transaction", "transaction=7")
async def one_transaction(site: Site) -> None:
    for _ in range(2):
        site.client.ask(PLC, read(3, 0, 1))
        good = site.client.frame(PLC, MODEL_CODE)
        assert b"\x00\x07" + good[2:] == await site.client.receive(len(good))


@shows("wrong-unit", "unit=10")
async def other_unit(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    expected = site.client.frame(PLC + 1, MODEL_CODE)
    assert expected == await site.client.receive(len(expected))


@shows("wrong-unit", "unit=10 says=1")
async def named_unit(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    expected = site.client.frame(METER, MODEL_CODE)
    assert expected == await site.client.receive(len(expected))


@shows("half-answer", "unit=10")
async def half(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    good = site.client.frame(PLC, MODEL_CODE)
    assert good[: len(good) // 2] == await site.client.quiet(SILENCE_S)


@shows("noise", "unit=1 how=flip")
async def flipped(site: Site) -> None:
    for _ in range(3):
        site.client.ask(METER, read(4, 72, 2))
        good = site.client.frame(METER, b"\x04\x04" + struct.pack(">HH", *site.truth(METER, "energy_import")))
        data = await site.client.receive(len(good))
        assert 1 == sum(a != b for a, b in zip(good, data, strict=True))


@shows("noise", "unit=1 how=insert")
async def inserted(site: Site) -> None:
    site.client.ask(METER, read(4, 72, 2))
    good = site.client.frame(METER, b"\x04\x04" + struct.pack(">HH", *site.truth(METER, "energy_import")))
    data = await site.client.receive(len(good) + 1)
    assert good in {data[:at] + data[at + 1 :] for at in range(len(data))}


@shows("noise", "unit=1 how=lose count=2")
async def lost(site: Site) -> None:
    site.client.ask(METER, read(4, 72, 2))
    good = site.client.frame(METER, b"\x04\x04" + struct.pack(">HH", *site.truth(METER, "energy_import")))
    data = await site.client.quiet(SILENCE_S)
    once = {good[:at] + good[at + 1 :] for at in range(len(good))}
    assert data in {one[:at] + one[at + 1 :] for one in once for at in range(len(one))}


@shows("noise", "unit=1")
async def anyhow(site: Site) -> None:
    site.client.ask(METER, read(4, 72, 2))
    good = site.client.frame(METER, b"\x04\x04" + struct.pack(">HH", *site.truth(METER, "energy_import")))
    assert good != await site.client.quiet(SILENCE_S)


@shows("echo")
async def echo(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    expected = site.client.frame(PLC, read(3, 0, 1)) + site.client.frame(PLC, MODEL_CODE)
    assert expected == await site.client.receive(len(expected))


@shows("connection-reset", "unit=10")
async def reset(site: Site) -> None:
    site.client.ask(PLC, read(3, 0, 1))
    assert b"" == await site.client.receive(1)
    assert site.client.ended


@shows("holes", "unit=1 function=4 first=70 last=73")
async def holes(site: Site) -> None:
    assert 2 == await site.refused(METER, 4, 72, 2)
    assert 2 == await site.refused(METER, 4, 52, 24)
    assert site.truth(METER, "energy_export") == await site.registers(METER, 4, 74, 2)


@shows("max-registers", "unit=1")
async def sixteen(site: Site) -> None:
    assert 3 == await site.refused(METER, 4, 0, 17)
    assert 16 == len(await site.registers(METER, 4, 0, 16))


@shows("max-registers", "unit=1 limit=2")
async def two(site: Site) -> None:
    assert 3 == await site.refused(METER, 4, 0, 3)
    assert 2 == len(await site.registers(METER, 4, 0, 2))


@shows("busy", "unit=10")
async def busy(site: Site) -> None:
    assert 6 == await site.refused(PLC, 3, 0, 1)


@shows("short-answer", "unit=1")
async def short(site: Site) -> None:
    assert site.truth(METER, "energy_import")[:1] == words_of(await site.pdu(METER, read(4, 72, 2), 4))


@shows("wrong-function", "unit=10")
async def other_function(site: Site) -> None:
    assert b"\x04" + MODEL_CODE[1:] == await site.pdu(PLC, read(3, 0, 1), 4)


@shows("zero-glitch", "unit=1 first=72 last=73")
async def zero(site: Site) -> None:
    assert [0, 0] == await site.registers(METER, 4, 72, 2)
    assert site.truth(METER, "power_total") == await site.registers(METER, 4, 52, 2)


@shows("sentinel", "unit=4 first=0 last=1")
async def sentinel(site: Site) -> None:
    actual = site.truth(GAS, "volume_actual")
    assert [0xFFFF, 0xFFFF, *actual] == await site.registers(GAS, 4, 0, 6)


@shows("torn-words", "unit=4 lag_s=36000")
async def torn(site: Site) -> None:
    site.at_ms = 9 * HOUR_MS
    old = site.truth(GAS, "volume_base")
    site.at_ms += 10 * HOUR_MS
    new = site.truth(GAS, "volume_base")
    assert old[0] != new[0]
    assert [new[0], old[1]] == await site.registers(GAS, 4, 0, 2)


@shows("frozen", "unit=1 from=10")
async def frozen(site: Site) -> None:
    site.at_ms = 5_000
    assert site.truth(METER, "power_total") == await site.registers(METER, 4, 52, 2)
    site.at_ms = 10_000
    then = site.truth(METER, "power_total")
    site.at_ms = 70_000
    assert then != site.truth(METER, "power_total")
    assert then == await site.registers(METER, 4, 52, 2)


@shows("drift", "unit=1 percent_per_h=2")
async def drift(site: Site) -> None:
    before = float32(site.truth(METER, "energy_import"))
    site.at_ms = 3 * HOUR_MS
    power, energy = (float32(site.truth(METER, name)) for name in ("power_total", "energy_import"))
    assert power * 1.06 == pytest.approx(float32(await site.registers(METER, 4, 52, 2)), rel=1e-6)
    drifted = float32(await site.registers(METER, 4, 72, 2))
    assert before + (energy - before) * 1.06 == pytest.approx(drifted, abs=0.002)


@shows("rollover", "unit=4 from=3500")
async def rollover(site: Site) -> None:
    site.at_ms = 3_499_000
    below = u32(await site.registers(GAS, 4, 0, 2))
    site.at_ms = 3_560_000
    above = u32(await site.registers(GAS, 4, 0, 2))
    assert 10**9 - 100 < below < 10**9  # the top is at 10,000,000 m3, in steps of 0.01
    assert 0 <= above < 1000


@shows("rollover", "unit=1 from=3600 top=100000")
async def rollover_of_a_display(site: Site) -> None:
    site.at_ms = HOUR_MS - 10_000
    assert 99_999 < float32(await site.registers(METER, 4, 72, 2)) < 100_000
    site.at_ms = HOUR_MS + 60_000
    assert 0 < float32(await site.registers(METER, 4, 72, 2)) < 2


@shows("counter-reset", "unit=1 from=60")
async def counter_reset(site: Site) -> None:
    site.at_ms = 59_000
    assert float32(await site.registers(METER, 4, 72, 2)) > 6000
    site.at_ms = 120_000
    assert 0 < float32(await site.registers(METER, 4, 72, 2)) < 1
    assert [0x0135, 0x2505] == await site.registers(METER, 3, 64512, 2)  # serial 20260101, as before


@shows("meter-swap", "unit=1 from=60 new_serial=12345678 opening=40.5")
async def meter_swap(site: Site) -> None:
    site.at_ms = 120_000
    assert 40.5 < float32(await site.registers(METER, 4, 72, 2)) < 41.5
    assert 12345678 == u32(await site.registers(METER, 3, 64512, 2))
    site.client.ask(METER, b"\x2b\x0e\x04\x80")
    expected = site.client.frame(METER, b"\x2b\x0e\x04\x83\x00\x00\x01\x80\x0812345678")
    assert expected == await site.client.receive(len(expected))


@shows(
    "calibration-cycle",
    "unit=240 every_s=60 zero_s=10 span_s=10 status=device_status span_gas.co2_dry=100000",
)
async def calibration(site: Site) -> None:
    seen = {}
    for second in (35, 45, 55):
        site.at_ms = 1000 * second
        low, high = await site.registers(ANALYZER, 3, 6, 2)
        seen[second] = (await site.registers(ANALYZER, 3, 527, 1), float32([high, low]))
    low, high = site.truth(ANALYZER, "co2_dry")
    site.at_ms = 35_000
    low, high = site.truth(ANALYZER, "co2_dry")
    assert {35: ([0], float32([high, low])), 45: ([1], 0.0), 55: ([2], 100_000.0)} == seen


@shows("stop", "of=boiler from=100 to=200")
async def stop(site: Site) -> None:
    states, indexes = [], []
    for second in (99, 100, 199, 200):
        site.at_ms = 1000 * second
        states += await site.registers(PLC, 3, 100, 1)
        indexes.append(u32(await site.registers(GAS, 4, 0, 2)))
    assert [2, 0, 0, 2] == states
    assert indexes[0] < indexes[1] == indexes[2] == indexes[3]


def test_every_listed_fault_is_shown() -> None:
    """No fault is listed that no check meets."""
    assert set(FAULTS) == set(CASES)


MATRIX = [
    pytest.param(kind, text, check, id=f"{kind.value}-{text}")
    for name, cases in CASES.items()
    for text, check in cases
    for kind in LineKind
    if applies(fault(text), kind)
]


@pytest.fixture
async def site(kind: LineKind, text: str) -> AsyncIterator[Site]:
    """The demo plant with one fault on one kind of line."""
    scenario = load_scenario("demo").model_copy(update={"faults": (fault(text),)})
    plant = build_plant(scenario, 7)
    line = Line(
        build_devices(plant), lambda: plant.start_ms + opened.at_ms, kind=kind,
        faults=plant.scenario.faults, seed=7, start_ms=plant.start_ms,
    )  # fmt: skip
    if kind is not LineKind.RTU:
        server = TcpServer(line)
        port = await server.start("127.0.0.1", 0)
        client: Client = TcpClient(port) if kind is LineKind.TCP else RtuOverTcpClient(port)
        opened = Site(plant, client)
        yield opened
        client.close()
        await server.stop()
        return
    serial = SerialServer(line, LineTiming(0.0, BAUD))
    client = SerialClient(serial.start(), BAUD)
    opened = Site(plant, client)
    yield opened
    client.close()
    serial.stop()


@pytest.mark.parametrize(("kind", "text", "check"), MATRIX)
async def test_a_fault_shows_on_the_wire_what_it_says(site: Site, check: Check) -> None:
    """The bytes that come, or do not come, are those the fault promises."""
    await check(site)


def asked(line: Line, times: int) -> list[bytes]:
    """Answers of the PLC to the same request over and over."""
    deliveries = [line.ask(1, PLC, read(3, 0, 1)) for _ in range(times)]
    return [d.pdu for d in deliveries if d is not None]


@pytest.fixture(scope="module")
def devices() -> tuple[Device, ...]:
    return build_devices(build_plant(load_scenario("demo"), 7))


def test_chance_is_repeatable(devices: tuple[Device, ...]) -> None:
    """The same seed meets the same requests, another seed others; the share is the probability."""
    some = fault("busy unit=10 probability=0.3")
    first, again, other = (asked(Line(devices, lambda: 0, faults=[some], seed=s), 400) for s in (1, 1, 2))

    assert first == again
    assert first != other
    assert 0.2 < first.count(b"\x83\x06") / 400 < 0.4


def test_a_fault_begins_and_ends(devices: tuple[Device, ...]) -> None:
    """From is included, to is not; both count from the plant's start or are instants."""
    until = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=1020)).isoformat()
    for text in ("busy from=10 to=20", f"busy from=10 to={until}"):
        now = [0]
        line = Line(devices, lambda now=now: now[0], faults=[fault(text)], start_ms=1_000_000)  # type: ignore[misc]
        seen = []
        for now[0] in (1_009_999, 1_010_000, 1_019_999, 1_020_000):
            seen += asked(line, 1)

        assert [MODEL_CODE, b"\x83\x06", b"\x83\x06", MODEL_CODE] == seen


def test_faults_add_up(devices: tuple[Device, ...]) -> None:
    """Two faults at once both take hold."""
    line = Line(devices, lambda: 0, faults=[fault("slow-turnaround delay_s=0.2"), fault("busy"), fault("wrong-unit")])
    delivery = line.ask(1, PLC, read(3, 0, 1))

    assert delivery is not None
    assert (0.2, b"\x83\x06", 11) == (delivery.delay_s, delivery.pdu, delivery.unit)


def test_seconds_from_now() -> None:
    """``from=+5`` is five seconds after the program's now."""
    assert datetime(2026, 11, 1, 0, 0, 5, tzinfo=UTC) == fault("busy from=+5").begins


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bussy", r"'bussy': no such fault. Known: late-answer, .*busy"),
        ("busy unit", r"'unit' is no KEY=VALUE"),
        ("busy unti=1", r"busy: unti: .*Its keys: .*unit"),
        ("busy unit=0", r"busy: unit: .*greater than or equal to 1"),
        ("busy from=soon", r"busy: from"),
        ("busy from=+soon", r"busy: from=\+soon: write seconds from now"),
        ("stop of=boiler", r"stop: to: .*required"),
        ("busy from=2026-01-01T00:00:00", r"no UTC offset"),
    ],
)
def test_a_fault_that_cannot_be_read_says_why(text: str, seen: str) -> None:
    """Name, key and value are named, and what is known."""
    with pytest.raises(FaultError, match=seen):
        fault(text)


def test_every_fault_is_described_in_both_languages() -> None:
    """The list has a Chinese and an English line for each fault, and the lines it shows on."""
    rows = describe()

    assert list(FAULTS) == [row["fault"] for row in rows]
    assert all(any("一" <= c <= "鿿" for c in row["zh"]) and row["en"].isascii() and row["lines"] for row in rows)


def test_every_fault_is_in_the_testers_page() -> None:
    """The page names each fault."""
    page = (Path(__file__).parents[2] / "docs" / "tester.md").read_text(encoding="utf-8")

    assert [name for name in FAULTS if f"`{name}`" not in page] == []
