"""A serial line: what share of the time that the standard allows the master needs for its requests, gaps kept."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from agent.bus.opening import bus_of
from agent.endpoint import RtuBus
from protocols.modbus.timing import LineTiming
from protocols.records import Fate
from simulators.faults.fault import LineKind
from simulators.instruments import build_devices
from simulators.modbus.line import Line
from simulators.modbus.rtu import precise_loop
from simulators.modbus.serial import SerialServer
from simulators.plant import build_plant
from simulators.scenario import load_scenario
from tests.bench.figures import Figure

READS = ((10, 3, 0, 1), (1, 4, 52, 2))
ROUNDS = 60


def run() -> Iterator[Figure]:
    """Requests one after another to a plant on a paced pseudo-terminal, at two baud rates."""
    for baud in (9600, 19_200):
        with tempfile.TemporaryDirectory() as folder:
            share, requests, short = _share(Path(folder) / "line", baud)
        note = f"{requests} requests on a paced pseudo-terminal, 8E1, no turnaround; {short} gaps cut short"
        yield Figure(f"agent.rtu_utilisation.{baud}", share, "", note)


def _share(path: Path, baud: int) -> tuple[float, int, int]:
    """Time in theory by time taken, requests, and gaps of less than 3.5 characters."""
    timing = LineTiming(0.0, baud)
    plant = build_plant(load_scenario("demo"), 7)
    server = SerialServer(Line(build_devices(plant), lambda: plant.start_ms, kind=LineKind.RTU), timing)
    loop = precise_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(_start(server, path), loop).result(10)
    try:
        taken_s = asyncio.run(_ask(RtuBus(kind="rtu", port=str(path), baud=baud, parity="even")))
    finally:
        loop.call_soon_threadsafe(server.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
    theory_s = ROUNDS * sum(timing.poll_ms(count) for *_, count in READS) / 1000
    return theory_s / taken_s, ROUNDS * len(READS), server.short_gaps


async def _start(server: SerialServer, path: Path) -> None:
    server.start(path)


async def _ask(table: RtuBus) -> float:
    """Time of all rounds. [s]"""
    bus = bus_of(table, lambda: time.monotonic_ns() // 1_000_000)
    if not await bus.open():
        raise AssertionError(bus.problem)
    for read in READS:
        if (answer := await bus.read(*read)).fate != Fate.GOOD:
            raise AssertionError(f"{read}: {answer}")
    began_s = time.perf_counter()
    for _ in range(ROUNDS):
        for read in READS:
            await bus.read(*read)
    taken_s = time.perf_counter() - began_s
    await bus.close()
    if bus.tally.of(READS[0][0]).fates.keys() != {Fate.GOOD}:
        raise AssertionError(bus.tally.shown())
    return taken_s
