"""Registers that a device does not have: cut out, kept in mind, asked for again, and counted slot by slot."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from agent import holes as module
from agent import service, vitals
from agent.bus.bus import Bus
from agent.bus.tcp import tcp
from agent.clock import KernelClock
from agent.config import Config
from agent.findings import NOTHING, read_findings
from agent.health import read_status
from agent.holes import NO_SUCH_ADDRESS, Holes
from agent.identity import Identity
from agent.outbox import Outbox
from agent.results import Result, encode_entry
from agent.salvage import save_end
from agent.service import OUTBOX, serve
from agent.site import Reading, load_site, reading_of
from agent.spans import SealedItem
from agent.writer import Writer
from protocols.modbus.holes import RETRY_AFTER_MS, part_of
from protocols.plan.document import open_document
from protocols.records import Batch, Fate
from protocols.wire.codec import item_digest, read_item
from protocols.wire.items import kind_of
from protocols.wire.keys import load_key, public_bytes
from tests.agent.rig import ENERGY, POWER, Asked, Endpoint, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.agent.test_commands import invoke
from tests.services import LOOPBACK, free_port

ENERGY_POINT, POWER_POINT = 0, 1
REFUSED = int(Fate.EXCEPTION) | 2 << 8
SCAN_MS = 200


@dataclass
class Holed(Endpoint):
    """Refuses a request that touches a register it does not have, whatever else it asks for."""

    holes: set[int] = field(default_factory=set)

    async def answer(self, _: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        refuses = self.holes & set(range(asked.address, asked.address + asked.count))
        writer.write(asked.exception(2) if refuses else asked.registers(self.values(asked.address, asked.count)))


@pytest.fixture
async def meter() -> AsyncIterator[Holed]:
    """A meter without power registers."""
    endpoint = Holed(holes={POWER})
    endpoint.behave = endpoint.answer
    endpoint.put_float(ENERGY, 100.0)
    endpoint.put_float(POWER, 42.0)
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


@pytest.fixture
def config(meter: Holed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(service, "CLOCK_LOOK_S", 0.1)
    monkeypatch.setattr(vitals, "FIRST_STATUS_S", 0.2)
    return write_agent(tmp_path / "agent", meter.port, free_port())


async def run_until(config: Config, done: Callable[[], bool]) -> list[Batch]:
    """Run the agent until something holds, stop it; its batches, each recomputed from its words."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.05)
    stop.set()
    await task
    return batches(read_stream(stored(config.state_dir / OUTBOX), public_bytes(load_key(config.key_file))))


def fates(read: list[Batch], point: int) -> dict[int, int]:
    met: dict[int, int] = {}
    for batch in read:
        for slot in batch.slots:
            if slot.point == point:
                met[slot.fate] = met.get(slot.fate, 0) + slot.count
    return met


def polls_without(config: Config, points: list[str], least: int) -> bool:
    """Whether the agent has so many answers of a run in which just these points are not asked."""
    status = read_status(config.state_dir)
    answered = status.get("units", {}).get("line-a/1", {}).get("good", 0)
    return status.get("phase") == "running" and status.get("unsupported") == points and answered >= least


async def test_a_refused_register_costs_its_own_values_only_and_comes_back_with_the_firmware(
    config: Config, meter: Holed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at the first refusal, kept over a restart at no cost to the bus, asked for after a day, good again."""
    read = await run_until(config, lambda: polls_without(config, ["em-1.power"], 5))
    assert {REFUSED} == set(fates(read, POWER_POINT)) - {Fate.AGENT_DOWN, Fate.BUS_BUSY}  # busy while it is cut
    assert fates(read, ENERGY_POINT)[Fate.GOOD] >= 5
    assert sum(fates(read, POWER_POINT).values()) == sum(fates(read, ENERGY_POINT).values())

    meter.asked.clear()
    await run_until(config, lambda: polls_without(config, ["em-1.power"], 5))
    assert {ENERGY} == {asked.address for asked in meter.asked}

    meter.holes = set()
    monkeypatch.setattr(module, "RETRY_AFTER_MS", 500)
    read = await run_until(config, lambda: polls_without(config, [], 10))
    assert fates(read, POWER_POINT)[Fate.GOOD] >= 2


async def cut_and_killed(config: Config) -> tuple[Path, int]:
    """An outbox whose last run had the power register cut out and journalled one answer; that answer's slot."""
    await run_until(config, lambda: polls_without(config, ["em-1.power"], 5))
    outbox = Outbox(config.state_dir / OUTBOX)
    standing = outbox.standing()
    assert standing is not None
    reading = reading_of(open_document(outbox.document(standing.tail.plan)), standing.findings)
    (asked,) = set(range(len(reading.requests))) - set(reading.unsupported)
    assert [0, 1] == sorted({asked, *reading.unsupported})
    slot = standing.tail.span_end_ms // SCAN_MS + 2
    words = b"".join(word.to_bytes(2, "big") for word in struct.unpack(">HH", struct.pack(">f", 123.0)))
    outbox.journal([(slot * SCAN_MS, encode_entry([Result(asked, slot, Fate.GOOD, 1, words)], []))])
    outbox.close()
    return config.state_dir / OUTBOX, slot


def reads_the_answer(items: Iterable[SealedItem], config: Config, slot: int) -> bool:
    """Whether a batch holds the journalled answer as the energy it was, and nothing as power."""
    read = read_stream(items, public_bytes(load_key(config.key_file)))
    read_slots: set[int] = set()
    for batch in batches(read):
        for samples in batch.samples:
            good = [samples.first_slot + at for at, fate in enumerate(samples.fates) if fate == Fate.GOOD]
            assert not good or (ENERGY_POINT,) == samples.request.points
            read_slots.update(good)
    return slot in read_slots


async def test_a_journal_is_read_as_it_was_written_after_a_restart(config: Config) -> None:
    """By the findings of the run that wrote it, which the outbox itself holds."""
    path, slot = await cut_and_killed(config)
    await run_until(config, lambda: polls_without(config, ["em-1.power"], 2))

    assert reads_the_answer(stored(path), config, slot)


async def test_a_journal_is_read_as_it_was_written_from_a_damaged_outbox(config: Config) -> None:
    """The salvaged end of the stream holds the answer under its own point."""
    path, slot = await cut_and_killed(config)
    before = stored(path)
    damaged = path.with_name(f"{path.name}.damaged-1")
    path.rename(damaged)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    key = load_key(config.key_file)
    writer = await Writer.open(path, 1)
    try:
        await save_end(writer, damaged, Identity(key), "agent", None)
        keys, _ = await writer.call(writer.outbox.waiting, 100, 0)
        end = [await writer.call(writer.outbox.item, one) for one in keys]
    finally:
        await writer.close()

    assert reads_the_answer([*before, *(one for one in end if one is not None)], config, slot)


async def test_a_journal_is_read_as_it_was_written_by_the_machine_that_takes_over(
    config: Config, meter: Holed, tmp_path: Path
) -> None:
    """A copy of the broken machine's outbox is all that is needed."""
    path, slot = await cut_and_killed(config)
    new, out = write_agent(tmp_path / "new", meter.port, free_port()), tmp_path / "out"
    arguments: list[str | Path] = ["replace-agent", config.state_dir, "--out", out, "--config", new.file]
    arguments += ["--old-key", config.key_file]
    code, said = await asyncio.to_thread(invoke, *arguments)
    key = load_key(config.key_file)
    files = [read_item(one.read_bytes(), public_bytes(key)) for one in sorted(out.iterdir())]
    saved = [
        SealedItem(one.sequence, kind_of(one), data.read_bytes(), item_digest(data.read_bytes()), 0, 0)
        for one, data in zip(files, sorted(out.iterdir()), strict=True)
    ]

    assert 0 == code, said
    assert len(saved) > len(stored(path))
    assert reads_the_answer(saved, config, slot)


async def test_an_outbox_of_before_has_no_findings_and_goes_on(config: Config) -> None:
    """Its state has no such column: nothing is known, and it is found again."""
    await run_until(config, lambda: polls_without(config, ["em-1.power"], 2))
    with closing(sqlite3.connect(config.state_dir / OUTBOX)) as connection:
        connection.execute("alter table state drop column findings")
        connection.commit()
    outbox = Outbox(config.state_dir / OUTBOX)
    standing = outbox.standing()
    outbox.close()
    read = await run_until(config, lambda: polls_without(config, ["em-1.power"], 2))

    assert standing is not None
    assert NOTHING == standing.findings
    assert fates(read, ENERGY_POINT)[Fate.GOOD] >= 4


async def test_nothing_is_concluded_from_a_unit_that_refuses_everything(
    config: Config, meter: Holed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that starts refuses all it is asked for a while: all of it is good as soon as it answers."""
    monkeypatch.setattr(module, "LOOK_AGAIN_MS", 500)
    meter.holes = {ENERGY, POWER}
    read = await run_until(config, lambda: len(meter.asked) > 20)
    assert {REFUSED} == set(fates(read, ENERGY_POINT)) - {Fate.AGENT_DOWN, Fate.BUS_BUSY}
    meter.holes = set()
    read = await run_until(config, lambda: polls_without(config, [], 5))

    assert fates(read, ENERGY_POINT)[Fate.GOOD] >= 5
    assert fates(read, POWER_POINT)[Fate.GOOD] >= 5


async def looked(reading: Reading, bus: Bus) -> list[Any]:
    """What is found after a refusal of the first request; all looks are over."""
    found: list[Any] = []
    holes = Holes(reading, lambda *told: found.append(told))
    holes.met(bus, 0, NO_SUCH_ADDRESS, 1_000)
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "holes"])
    await asyncio.sleep(0)
    return found


async def looked_at(meter: Holed, reading: Reading, *refuses: bool) -> list[Any]:
    """The same on a meter that refuses or answers in this order, and is asked no more than that."""
    turns = iter(refuses)

    async def behave(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        values = endpoint.values(asked.address, asked.count)
        writer.write(asked.exception(2) if next(turns) else asked.registers(values))

    meter.behave, mono_ms = behave, KernelClock().mono_ms
    bus = Bus(tcp(LOOPBACK, meter.port, 1.0, mono_ms), 1.0, mono_ms)
    assert await bus.open()
    try:
        return await looked(reading, bus)
    finally:
        await bus.close()
        assert [] == list(turns)


async def test_a_refusal_is_believed_where_it_is_said_twice(config: Config, meter: Holed) -> None:
    """Whole, one half, the other, and once more what was refused; answered that time, nothing is concluded."""
    reading = load_site(config).reading
    ((request, answered, unsupported, at_ms),) = await looked_at(meter, reading, True, True, False, True)

    assert (reading.requests[0], 1_000) == (request, at_ms)
    assert {ENERGY_POINT, POWER_POINT} == {*answered[0].points, *unsupported}
    assert [] == await looked_at(meter, reading, True, True, False, False)


async def test_a_failure_of_a_look_is_told(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    """With what went wrong; nothing is concluded from it."""
    assert [] == await looked(load_site(config).reading, cast("Bus", None))
    assert "cutting-failed" in caplog.text
    assert "no attribute 'read'" in caplog.text


def test_a_value_asked_for_again_counts_from_its_last_refusal(config: Config) -> None:
    """A day from then whatever runs begin meanwhile; refused again it waits another day, answered it is told once."""
    bound = load_site(config).reading.bound
    planned = reading_of(bound)
    answered = part_of(planned.requests[0], [planned.requests[0].points.index(ENERGY_POINT)])
    findings = NOTHING.learnt(bound, planned.requests[0], (answered,), [POWER_POINT], 5_000)
    reading = reading_of(bound, read_findings(findings.text()))
    ((position, refused_ms),) = reading.unsupported.items()
    told: list[Any] = []
    holes = Holes(reading, lambda *one: told.append(one))
    bus = cast("Bus", None)  # not asked
    again_ms = refused_ms + RETRY_AFTER_MS

    assert (5_000, True, False) == (refused_ms, holes.skips(position, again_ms - 1), holes.skips(position, again_ms))
    holes.met(bus, position, REFUSED, again_ms)
    assert holes.skips(position, again_ms + RETRY_AFTER_MS - 1)
    assert [(reading.requests[position], (), (POWER_POINT,), again_ms)] == told
    holes.met(bus, position, Fate.GOOD, again_ms + RETRY_AFTER_MS)
    holes.met(bus, position, Fate.GOOD, again_ms + RETRY_AFTER_MS + 1)
    assert [(reading.requests[position],)] == [one[1] for one in told[1:]]


def test_findings_cut_the_plan_they_are_of_and_no_other(config: Config) -> None:
    """Written, read back and applied; of another plan the plan is read as it is."""
    planned = load_site(config).reading
    bound, (request,) = planned.bound, planned.requests
    answered = part_of(request, [request.points.index(ENERGY_POINT)])
    found = NOTHING.learnt(bound, request, (answered,), [POWER_POINT], 7)
    cut = reading_of(bound, read_findings(found.text()))

    assert [{(ENERGY_POINT,), (POWER_POINT,)}, [7]] == [
        {one.points for one in cut.requests}, list(cut.unsupported.values())
    ]
    assert all(cut.requests[position].points == (POWER_POINT,) for position in cut.unsupported)
    assert planned.requests == reading_of(bound, replace(found, plan="00" * 32)).requests
    (lost,) = (cut.requests[position] for position in cut.unsupported)
    again = reading_of(bound, found.learnt(bound, lost, (lost,), (), 8))
    assert ({}, 2) == (again.unsupported, len(again.requests))
