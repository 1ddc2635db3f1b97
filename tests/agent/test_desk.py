"""The desk over real sockets: a running agent, a meter that misbehaves on demand, and the commands beside them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from pymodbus.framer import FramerRTU

from agent.clock import KernelClock
from agent.config import Config
from agent.desk.alone import open_desk
from agent.desk.asks import MOST_BYTES, DeskError, NoteAsk, ReadAsk, StatusAsk, TraceAsk, ValuesAsk
from agent.desk.commissioning import check_clamp, check_clock, check_display, check_phases
from agent.desk.compare import compare_clock
from agent.desk.guess import interpretations
from agent.desk.visit import SOCKET, Visit, ask_one, visit
from agent.desk.visit import Desk as AnyDesk
from agent.endpoint import RtuOverTcpBus
from agent.service import OUTBOX, serve
from agent.site import load_site
from protocols.records import EventKind
from protocols.wire.codec import read_item
from protocols.wire.keys import load_key, public_bytes
from tests.agent.rig import ENERGY, POWER, Asked, Endpoint, behave_well, write_agent
from tests.agent.stream import batches
from tests.agent.test_commands import invoke
from tests.agent.test_service import events, stream_of
from tests.services import free_port

SYSTEM_TYPE = 10
SWAP = [
    "swap", "em-1", "--old-serial", "E1", "--new-serial", "E2", "--closing-index", "101.5", "--opening-index", "0.3",
    "--unit", "kWh", "--load", "off", "--by", "Li Wei",
]  # fmt: skip


async def only_unit_1(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
    if asked.unit == 1:
        await behave_well(endpoint, asked, writer)


async def unplugged(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """No answer at all."""


@pytest.fixture
async def meter() -> AsyncIterator[Endpoint]:
    """Unit 1 alone answers; it shows 360 kW and an index of 100 kWh."""
    endpoint = await Endpoint(only_unit_1).start()
    endpoint.put_float(POWER, 360_000.0)
    endpoint.put_float(ENERGY, 100.0)
    yield endpoint
    await endpoint.stop()


@pytest.fixture
def config(meter: Endpoint, tmp_path: Path) -> Config:
    return write_agent(tmp_path / "a", meter.port, free_port())


@asynccontextmanager
async def polling(config: Config) -> AsyncIterator[Visit]:
    """An agent that polls, and a visit to its desk; stopped cleanly at the end."""
    stop = asyncio.Event()
    agent = asyncio.create_task(serve(config, KernelClock(), stop))
    try:
        async with asyncio.timeout(20):
            while not await _has_values(config):
                await asyncio.sleep(0.05)
        async with visit(config.state_dir) as desk:
            yield desk
    finally:
        stop.set()
        await agent


async def _has_values(config: Config) -> bool:
    try:
        async with visit(config.state_dir) as desk:
            return bool((await ask_one(desk, ValuesAsk()))["values"])
    except DeskError:
        return False


async def test_a_visitor_takes_turns_with_polling(config: Config, meter: Endpoint) -> None:
    """Values, a read, a trace of both, and the counts; the socket is for user and group, and goes with the agent."""
    path = config.state_dir / SOCKET
    async with polling(config) as desk:
        mode = stat.S_IMODE(path.stat().st_mode)
        shown: dict[str, dict[str, str]] = {}
        while shown.get("em-1.energy", {}).get("value") is None:  # a busy machine may miss a slot
            shown = {row["point"]: row for row in (await ask_one(desk, ValuesAsk()))["values"]}
        async with visit(config.state_dir) as other:
            trace = asyncio.create_task(_frames(other))
            await asyncio.sleep(0)
            read = await ask_one(desk, ReadAsk(bus="line-a", unit=1, function=4, address=POWER, count=2))
            frames = await trace
        code, report = await asyncio.to_thread(invoke, "bus-report", "--config", config.file, "--json")
        _, printed = await asyncio.to_thread(invoke, "bus-report", "--config", config.file)

    assert 0o660 == mode
    assert ("100", "kWh") == (shown["em-1.energy"]["value"], shown["em-1.energy"]["unit"])
    assert struct.pack(">f", 360_000.0).hex() == read["registers"]
    assert {"sent", "came"} == {frame["way"] for frame in frames}
    assert 0 == code
    assert json.loads(report)["buses"]["line-a"]["units"]["1"]["fates"].keys() == {"good"}
    assert f"line-a, 127.0.0.1:{meter.port}: 已连接 / connected" in printed
    assert "1, em-1 (表号 / serial E1): 正常 / in order" in printed
    assert not path.exists()


async def test_a_trace_tells_frames_not_pieces(config: Config) -> None:
    """A serial line hands answers on in pieces: each is one row, whole, under the request it belongs to."""
    answers: list[str] = []

    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(8):
            answer = bytes((1, 4, 2 * request[5])) + b"\x00\x2a" * request[5]
            answer += FramerRTU.compute_CRC(answer).to_bytes(2, "big")
            answers.append(answer.hex(" "))
            for piece in (answer[:1], answer[1:4], answer[4:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    async with await asyncio.start_server(in_pieces, "127.0.0.1", 0) as server:
        table = RtuOverTcpBus(kind="rtu-over-tcp", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        async with open_desk(config, load_site(config), {"line-a": table}) as desk:
            trace = asyncio.create_task(_frames(desk))
            await asyncio.sleep(0)
            for _ in range(2):
                told = await ask_one(desk, ReadAsk(bus="line-a", unit=1, function=4, address=0))
            frames = await trace

    assert "002a" == told["registers"]
    assert ["sent", "came"] * len(answers) == [frame["way"] for frame in frames]
    assert answers == [frame["bytes"] for frame in frames if frame["way"] == "came"]


async def _frames(desk: AnyDesk) -> list[dict[str, object]]:
    return [frame async for frame in desk.answer(TraceAsk(bus="line-a", for_s=0.6))]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"do":"write","bus":"line-a"}\n', "write"),
        (b'{"do":"read","bus":"line-a","unit":1,"function":6,"address":0}\n', "less than or equal to 4"),
        (b'{"do":"status","more":1}\n', "more"),
        (b"nothing\n", "JSON"),
        (b'{"do":"read","bus":"line-b","unit":1,"function":3,"address":0}\n', "its buses: line-a"),
        (b'{"do":"note","kind":"meter_swap","subject":"em-9"}\n', "em-1"),
        (b'"' + b"x" * MOST_BYTES + b'"\n', f"longer than {MOST_BYTES}"),
    ],
    ids=["unknown", "writing", "more", "garbage", "bus", "subject", "long"],
)
async def test_what_is_not_known_is_refused(config: Config, line: bytes, said: str) -> None:
    """A question that is none gets its error, and the agent polls on."""
    async with polling(config) as desk:
        reader, writer = await asyncio.open_unix_connection(config.state_dir / SOCKET)
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        status = await ask_one(desk, StatusAsk())

    assert said in answer["error"]
    assert "running" == status["phase"]


async def test_a_swap_stands_in_the_signed_stream(config: Config, meter: Endpoint) -> None:
    """Stated while the agent runs and, for another, while it does not: both are sealed, and no leap is counted."""
    async with polling(config):
        usual, meter.behave = meter.behave, unplugged  # as on site: no meter answers what the one before was asked
        first, _ = await asyncio.to_thread(invoke, *SWAP, "--config", config.file)
        meter.put_float(ENERGY, 5_000.0)
        meter.behave = usual
        await asyncio.sleep(0.5)
    second, said = await asyncio.to_thread(
        invoke, "stop-reason", "grid", "--reason", "检修", "--by", "Li Wei", "--config", config.file
    )
    async with polling(config):
        pass
    read = batches(stream_of(config))
    stated = {event.kind: event for event in events(read)}
    swap, stop = stated[EventKind.METER_SWAP], stated[EventKind.OPERATING_STOP]
    counted = [window.activity for batch in read for window in batch.windows]

    assert (0, 0) == (first, second), said
    assert ("em-1", "101.5", "off") == (swap.subject, dict(swap.details)["closing_index"], dict(swap.details)["load"])
    assert ("grid", "检修") == (stop.subject, dict(stop.details)["reason"])
    assert EventKind.COUNTER_RESET not in stated
    assert {0} == set(counted)


async def test_a_broken_machine_is_replaced(config: Config, meter: Endpoint, tmp_path: Path) -> None:
    """What it held is saved byte for byte and its journal sealed, all by the old key; the new machine has another."""
    async with polling(config):
        pass
    await asyncio.to_thread(invoke, "stop-reason", "grid", "--reason", "broken", "--by", "Li", "--config", config.file)
    new, out = write_agent(tmp_path / "new", meter.port, free_port()), tmp_path / "out"
    new.key_file.unlink()
    before = (config.state_dir / OUTBOX).read_bytes()
    arguments: list[str | Path] = ["replace-agent", config.state_dir, "--out", out, "--config", new.file]
    arguments += ["--old-key", config.key_file]
    code, said = await asyncio.to_thread(invoke, *arguments)
    again, refused = await asyncio.to_thread(invoke, *arguments)
    old = public_bytes(load_key(config.key_file))
    items = [read_item(path.read_bytes(), old) for path in sorted(out.iterdir())]

    assert (0, 2) == (code, again), said
    assert "is not empty" in refused
    assert list(range(len(items))) == [item.sequence for item in items]
    assert "broken" in [dict(event.details).get("reason") for event in events(batches(items))]
    assert public_bytes(load_key(new.key_file)).hex() in said
    assert old != public_bytes(load_key(new.key_file))
    assert before == (config.state_dir / OUTBOX).read_bytes()


@pytest.mark.parametrize(("option", "value"), [("--closing-index", "-1"), ("--new-serial", "E1"), ("--load", "maybe")])
def test_a_swap_that_cannot_be_is_refused(config: Config, option: str, value: str) -> None:
    """A negative index, the same meter, a load that is neither on nor off."""
    changed = list(SWAP)
    changed[changed.index(option) + 1] = value
    code, said = invoke(*changed, "--config", config.file)

    assert 3 == code
    assert "swap of em-1" in said


async def test_an_unknown_meter_is_found_and_read_without_an_agent(config: Config, meter: Endpoint) -> None:
    """Scan tells who answers, what it says and which map fits; read shows the number among all types."""
    meter.put_float(SYSTEM_TYPE, 3.0)
    scanned, said = await asyncio.to_thread(
        invoke, "scan", "--units", "1-2", "--timeout-s", "0.1", "--config", config.file
    )
    code, shown = await asyncio.to_thread(
        invoke, "read", str(POWER), "--function", "4", "--count", "2", "--config", config.file
    )
    none, _ = await asyncio.to_thread(
        invoke, "scan", "--units", "7", "--timeout-s", "0.05", "--config", config.file
    )

    assert (0, 0, 1) == (scanned, code, none), said
    assert "maker: Rig" in said
    assert "may be eastron-sdm630" in said
    assert "unit 2" not in said
    assert any(row.split()[:3] == [str(POWER), "float32", "360000"] for row in shown.splitlines())


def test_a_line_that_cannot_be_had_is_told(config: Config, tmp_path: Path) -> None:
    """A port that refuses a parity is told beside one that it takes; a gateway that is away is no silent unit."""
    ours, theirs = os.openpty()
    serial = f'[buses.line-a]\nkind = "rtu"\nport = "{os.ttyname(theirs)}"\ntimeout_s = 0.1\n'
    away = f'[buses.line-a]\nkind = "tcp"\nhost = "127.0.0.1"\nport = {free_port()}\n'
    head = config.file.read_text(encoding="utf-8").partition("[buses")[0]
    said = []
    for name, bus in (("serial", serial), ("away", away)):
        file = tmp_path / "a" / f"{name}.toml"
        file.write_text(head + bus, encoding="utf-8")
        bauds = ("--bauds", "9600", "--parities", "none,even", "--timeout-s", "0.05") if name == "serial" else ()
        said.append(invoke("scan", "--units", "1", *bauds, "--config", file))
        said.append(invoke("read", "0", "--config", file))
    os.close(ours)
    os.close(theirs)

    assert [1, 1, 1, 3] == [code for code, _ in said]
    assert "refuses 9600 baud, 8E1" in said[0][1]
    assert "no unit answered" in said[0][1]
    assert "timeout" in said[1][1]
    assert "not connected" in said[2][1]
    assert "no unit answered" not in said[2][1]
    assert "is not connected" in said[3][1]


async def test_doctor_tells_what_to_mend(config: Config) -> None:
    """No agent, no collector's fingerprint, no broker: three findings, each with what to do."""
    code, said = await asyncio.to_thread(invoke, "doctor", "--json", "--config", config.file)
    bad = {look["name"]: look["todo"] for look in json.loads(said) if not look["well"]}

    assert 1 == code
    assert {"agent", "collector", "broker"} <= bad.keys()
    assert all(bad.values())


@pytest.mark.parametrize(
    ("kind", "place", "order", "shown"),
    [("u16", 0, 0, "17008"), ("s32", 0, 3, "-1056964606"), ("float32", 0, 0, "60"), ("float32", 1, 1, "60")],
)
def test_registers_are_read_in_every_way(kind: str, place: int, order: int, shown: str) -> None:
    """60.0 as a float32 lies high word first at register 0, low word first at register 1."""
    words = [0x4270, 0x0000, 0x4270] if kind != "s32" else [0x0200, 0x00C1]
    rows = {(name, first): numbers for name, first, numbers in interpretations(words)}

    assert shown == rows[kind, place][order]


@pytest.mark.parametrize(
    ("register", "display", "ratio", "verdict"),
    [
        ("1000", "1001", "1", "agrees"), ("40000", "1000", "40", "ratio_applied_twice"),
        ("25", "1000", "40", "ratio_not_applied"), ("100", "1000", "40", "decimal_point"),
        ("-1000", "1000", "40", "reversed"), ("700", "1000", "40", "differs"), ("0", "0", "1", "agrees"),
    ],
)  # fmt: skip
def test_a_ratio_or_decimal_point_shows_against_the_display(
    register: str, display: str, ratio: str, verdict: str
) -> None:
    """Each usual mistake makes a quotient of its own."""
    assert verdict == check_display(Decimal(register), Decimal(display), Decimal(ratio)).verdict
    if verdict == "agrees":
        assert check_clamp(Decimal(register) * Decimal("1.05"), Decimal(display), Decimal(ratio)).well


@pytest.mark.parametrize(
    ("meter_shows", "verdict"),
    [
        ([10, 20, 30], "agrees"), ([10, -20, 30], "reversed"), ([20, 10, 30], "swapped"), ([20, 30, 10], "swapped"),
        ([10, 20, 60], "differs"),
    ],
)  # fmt: skip
def test_phases_show_against_a_clamp_meter(meter_shows: list[float], verdict: str) -> None:
    """A reversed transformer has another sign, swapped ones another order."""
    assert verdict == check_phases(meter_shows, [10.2, 19.8, 30]).verdict


@pytest.mark.parametrize(("off_s", "well"), [(59, True), (-61, False), (3600, False)])
def test_a_meter_clock_that_is_off_shows(off_s: int, well: bool) -> None:
    """More than a minute is too much."""
    assert well == check_clock(10**12 + 1000 * off_s, 10**12).well


@pytest.mark.parametrize("text", ["2026-03-31 14:05:00", "2026-03-31T06:05:30Z"])
def test_a_meter_clock_is_read_in_the_zone_of_the_facility(text: str) -> None:
    """Without a zone it is the facility's; with one it is that."""
    at_ms = 1_774_937_100_000

    assert compare_clock(text, "Asia/Shanghai", at_ms).well
    assert not compare_clock(text, "Europe/Berlin", at_ms + 3_600_000).well


def test_details_of_an_event_are_bounded() -> None:
    """No more of them than the wire takes, and no long texts."""
    with pytest.raises(ValueError, match="at most 32"):
        NoteAsk(kind="meter_swap", subject="em-1", details=tuple((f"d{place}", 1) for place in range(33)))
