"""Registers that a device does not have: cut out, kept in mind, asked for again, and counted slot by slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent import holes as module
from agent import service, vitals
from agent.clock import KernelClock
from agent.config import Config
from agent.findings import FILE, Findings, keep_findings, read_findings, refined
from agent.health import read_status
from agent.service import OUTBOX, serve
from agent.site import Reading, load_site
from protocols.modbus.holes import part_of
from protocols.records import Batch, Fate
from protocols.wire.keys import load_key, public_bytes
from tests.agent.rig import ENERGY, POWER, Asked, Endpoint, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.services import free_port

ENERGY_POINT, POWER_POINT = 0, 1
REFUSED = int(Fate.EXCEPTION) | 2 << 8


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


def test_findings_cut_the_plan_they_are_of_and_no_other(config: Config, tmp_path: Path) -> None:
    """Written, read back and applied; of another plan, or from a file that says nothing, the plan stays as it is."""
    reading = load_site(config).reading
    (request,) = reading.requests
    answered = part_of(request, [request.points.index(ENERGY_POINT)])
    found = Findings().learnt(reading, request, (answered,), [POWER_POINT])
    keep_findings(tmp_path, found)
    cut = refined(reading, read_findings(tmp_path))

    assert [{(ENERGY_POINT,), (POWER_POINT,)}, 1] == [{one.points for one in cut.requests}, len(cut.unsupported)]
    assert all(cut.requests[position].points == (POWER_POINT,) for position in cut.unsupported)
    assert reading == refined(reading, Findings("00" * 32, found.groups, found.unsupported))
    again = refined(reading, found.supported("em-1.power"))
    assert (frozenset(), 2) == (again.unsupported, len(again.requests))
    (tmp_path / FILE).write_text("{}")
    assert Reading(reading.bound, reading.requests) == refined(reading, read_findings(tmp_path))
