from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from agent.bus.bus import Bus
from agent.bus.tcp import TcpTalk, tcp
from protocols.records import Fate
from tests.agent.rig import Asked, Endpoint
from tests.services import LOOPBACK, free_port

pytestmark = pytest.mark.clock


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    served = await Endpoint(table={k: 1000 + k for k in range(200)}).start()
    yield served
    await served.stop()


@pytest.fixture
async def bus(endpoint: Endpoint) -> AsyncIterator[Bus]:
    opened = Bus(tcp(LOOPBACK, endpoint.port, 0.2, mono_ms), 0.2, mono_ms)
    assert await opened.open()
    yield opened
    await opened.close()


async def reconnected(bus: Bus) -> None:
    async with asyncio.timeout(5):
        while not bus.connected:
            await asyncio.sleep(0.01)


async def test_registers_come_back_as_they_are(bus: Bus) -> None:
    """Words are the answer's bytes, stamped when its last byte came."""
    before = mono_ms()
    answer = await bus.read(1, 4, 10, 2)

    assert bytes.fromhex("03f203f3") == answer.registers
    assert Fate.GOOD == answer.fate
    assert before <= answer.at_ms <= mono_ms()


async def test_the_stamp_is_that_of_the_last_byte(bus: Bus, endpoint: Endpoint) -> None:
    """An answer in two pieces is stamped at the second."""
    second: list[int] = []

    async def in_pieces(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = asked.registers([1, 2])
        writer.write(data[:9])
        await asyncio.sleep(0.08)
        second.append(mono_ms())
        writer.write(data[9:])

    endpoint.behave = in_pieces
    answer = await bus.read(1, 3, 0, 2)

    assert Fate.GOOD == answer.fate
    assert answer.at_ms >= second[0]


async def test_an_exception_answer_keeps_its_number(bus: Bus, endpoint: Endpoint) -> None:
    """Exception 2 is a fate of its own, with the number in the high byte."""

    async def refuse(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.exception(2))

    endpoint.behave = refuse

    assert Fate.EXCEPTION | 2 << 8 == (await bus.read(1, 3, 5000, 2)).fate


async def test_a_late_answer_is_not_taken_for_the_next_one(bus: Bus, endpoint: Endpoint) -> None:
    """The answer to the first request arrives while the second waits: only the second's own counts."""

    async def late(served: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        async def answer() -> None:
            await asyncio.sleep(0.3 if asked.address == 100 else 0.15)
            writer.write(asked.registers([asked.address] * asked.count))

        tasks.append(asyncio.create_task(answer()))

    tasks: list[asyncio.Task[None]] = []
    endpoint.behave = late
    first = await bus.read(1, 3, 100, 2)
    second = await bus.read(1, 3, 10, 2)
    await asyncio.gather(*tasks)

    assert Fate.TIMEOUT == first.fate
    assert (Fate.GOOD, b"\x00\x0a\x00\x0a") == (second.fate, second.registers)


@pytest.mark.parametrize(
    ("other", "expected"),
    [({"tid": 0}, Fate.BAD_ANSWER), ({"tid": 4711}, Fate.TIMEOUT), ({"unit": 9}, Fate.BAD_ANSWER)],
)
async def test_a_foreign_answer_is_not_believed(
    bus: Bus, endpoint: Endpoint, other: dict[str, int], expected: Fate
) -> None:
    """Another transaction id (0 included) or another unit: no value."""

    async def foreign(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.registers([7] * asked.count, **other))

    endpoint.behave = foreign
    answer = await bus.read(1, 3, 0, 2)

    assert (expected, b"") == (answer.fate, answer.registers)


@pytest.mark.parametrize("given", [0, 1, 3])
async def test_a_wrong_register_count_is_not_believed(bus: Bus, endpoint: Endpoint, given: int) -> None:
    """Fewer or more registers than asked for are no value."""

    async def other_count(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.registers([7] * given))

    endpoint.behave = other_count

    assert Fate.BAD_ANSWER == (await bus.read(1, 3, 0, 2)).fate


async def test_the_answer_to_another_function_is_not_believed(bus: Bus, endpoint: Endpoint) -> None:
    """Function 4 asked, function 3 answered: no value."""

    async def other_function(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.frame(bytes.fromhex("0304") + b"\x00" * 4))

    endpoint.behave = other_function

    assert Fate.BAD_ANSWER == (await bus.read(1, 4, 0, 2)).fate


@pytest.mark.parametrize("broken", ["half", "length"])
async def test_a_broken_answer_costs_one_request_only(bus: Bus, endpoint: Endpoint, broken: str) -> None:
    """Half an answer, or a byte count beyond the frame: no value, and the next request is answered."""
    well = endpoint.behave

    async def half(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = asked.registers([7, 7])
        writer.write(data[:-2] if broken == "half" else data[:8] + b"\xf0" + data[9:])

    endpoint.behave = half
    first = await bus.read(1, 3, 0, 2)
    endpoint.behave = well
    await reconnected(bus)
    second = await bus.read(1, 3, 0, 2)

    assert Fate.BAD_ANSWER == first.fate
    assert (Fate.GOOD, bytes.fromhex("03e803e9")) == (second.fate, second.registers)


async def test_silence_is_a_timeout_in_time(bus: Bus, endpoint: Endpoint) -> None:
    """No answer: one timeout's time, no retry."""

    async def silent(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        return

    endpoint.behave = silent
    began = time.monotonic()
    answer = await bus.read(1, 3, 0, 2)

    assert Fate.TIMEOUT == answer.fate
    assert 0.19 < time.monotonic() - began < 0.5
    assert 1 == len(endpoint.asked)


async def test_a_cut_connection_comes_back(bus: Bus, endpoint: Endpoint) -> None:
    """While the endpoint is away requests are disconnected at once; when it is back they are answered."""
    await endpoint.stop()
    async with asyncio.timeout(2):
        while bus.connected:
            await asyncio.sleep(0.01)
    began = time.monotonic()
    away = await bus.read(1, 3, 0, 2)
    quick = time.monotonic() - began
    await endpoint.start()
    await reconnected(bus)

    assert Fate.DISCONNECTED == away.fate
    assert quick < 0.1
    assert Fate.GOOD == (await bus.read(1, 3, 0, 2)).fate


async def test_an_endpoint_that_is_away_at_start_is_found_later() -> None:
    """A failed first connect is not the last one."""
    endpoint = Endpoint(port=free_port())
    bus = Bus(tcp(LOOPBACK, endpoint.port, 0.2, mono_ms), 0.2, mono_ms)
    try:
        assert not await bus.open()
        await endpoint.start()
        await reconnected(bus)

        assert Fate.GOOD == (await bus.read(1, 3, 0, 2)).fate
    finally:
        await bus.close()
        await endpoint.stop()


async def test_a_cut_in_the_middle_of_a_request_is_a_disconnection(bus: Bus, endpoint: Endpoint) -> None:
    """The endpoint closes instead of answering."""

    async def hang_up(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    endpoint.behave = hang_up

    assert Fate.DISCONNECTED == (await bus.read(1, 3, 0, 2)).fate


async def test_the_question_is_the_standard_s(bus: Bus, endpoint: Endpoint) -> None:
    """Unit, function, address and count arrive as they were asked, under a transaction id that is new each time."""
    await bus.read(247, 4, 65_000, 125)
    await bus.read(1, 3, 0, 1)
    first, second = endpoint.asked

    assert (247, 4, 65_000, 125) == (first.unit, first.function, first.address, first.count)
    assert (1, 3, 0, 1) == (second.unit, second.function, second.address, second.count)
    assert first.tid != second.tid


async def test_transaction_ids_go_round_without_zero(bus: Bus) -> None:
    """After 65,535 questions ids begin anew; 0 is left to servers that do not echo them."""
    await bus.read(1, 3, 0, 1)
    assert isinstance(bus._talk, TcpTalk)
    bus._talk._transaction = 0xFFFF

    assert Fate.GOOD == (await bus.read(1, 3, 0, 1)).fate
    assert 1 == bus._talk._transaction


async def test_an_answer_given_twice_is_taken_once(bus: Bus, endpoint: Endpoint) -> None:
    """The second copy comes while the next request waits, or between two; neither is believed."""
    well = endpoint.behave

    async def twice(served: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await well(served, asked, writer)
        await well(served, asked, writer)

    endpoint.behave = twice
    answers = [(await bus.read(1, 3, address, 1)).registers for address in range(20)]

    assert [(1000 + address).to_bytes(2, "big") for address in range(20)] == answers


@pytest.mark.parametrize("header", ["0001000100050103020007", "000100000001", "0001000001000103"])
async def test_what_is_no_modbus_costs_the_connection(bus: Bus, endpoint: Endpoint, header: str) -> None:
    """Another protocol id, or a length no answer has: nothing behind it can be read, so the connection is made anew."""
    well = endpoint.behave

    async def garbled(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes.fromhex(header))

    endpoint.behave = garbled
    first = await bus.read(1, 3, 0, 1)
    endpoint.behave = well
    await reconnected(bus)

    assert Fate.BAD_ANSWER == first.fate
    assert Fate.GOOD == (await bus.read(1, 3, 0, 1)).fate
    assert 2 == endpoint.connections


async def test_a_wait_that_is_cancelled_leaves_the_bus_usable(bus: Bus, endpoint: Endpoint) -> None:
    """The next request is answered, and the answer to the one before is not taken for its own."""
    well = endpoint.behave
    asked_once = asyncio.Event()

    async def late(served: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        asked_once.set()
        await asyncio.sleep(0.05)
        await well(served, asked, writer)

    endpoint.behave = late
    given_up = asyncio.create_task(bus.read(1, 3, 5, 1))
    await asked_once.wait()
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)

    assert bytes.fromhex("03e9") == (await bus.read(1, 3, 1, 1)).registers


async def test_each_answer_has_its_own_timeout(bus: Bus, endpoint: Endpoint) -> None:
    """A quick answer does not shorten the wait for the next, nor a slow one lengthen it."""
    well = endpoint.behave

    async def slow(served: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address < 3:
            await asyncio.sleep(0.12)
            await well(served, asked, writer)

    endpoint.behave = slow
    fates = [(await bus.read(1, 3, address, 1)).fate for address in range(3)]
    began = time.monotonic()
    silent = await bus.read(1, 3, 9, 1)

    assert [Fate.GOOD] * 3 == fates
    assert Fate.TIMEOUT == silent.fate
    assert 0.19 < time.monotonic() - began < 0.4
