"""A line of simulated instruments with one fault, polled and folded by the agent's own modules, and the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agent.breaker import Breakers
from agent.bus.bus import Bus
from agent.bus.opening import bus_of
from agent.bus.tcp import tcp
from agent.clock import KernelClock, UtcLine
from agent.endpoint import RtuBus
from agent.gather import Gathering
from agent.poll import poll
from agent.results import Result
from agent.schedule import Agenda
from agent.site import Reading
from protocols.modbus.maps import load_map
from protocols.modbus.planner import plan_reads
from protocols.modbus.timing import LineTiming
from protocols.plan.bind import bind
from protocols.plan.load import parse_plan
from protocols.records import Fate, Samples, Window, fate_of
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from simulators.faults.catalogue import parse_fault
from simulators.faults.fault import LineKind
from simulators.instruments import build_devices
from simulators.modbus.delivery import Delivery
from simulators.modbus.line import Line
from simulators.modbus.pdu import registers_of
from simulators.modbus.serial import SerialServer
from simulators.modbus.tcp import TcpServer
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario
from simulators.timeline import milliseconds
from tests.services import LOOPBACK

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
INTERVAL_MS = 400
SECONDS = 6.0
TIMEOUT_S = 0.15
BAUD, RTU_TIMEOUT_S, LATE_S = 115_200, 0.15, 0.35
"""A fast serial line, so that a fault costs the others little; no fault answers later than both together."""
METER, OTHER, GAS, ANALYZER = 1, 2, 4, 240

PLAN = """
schema = 1
version = "faults-1"
organisation = { id = "org", name = { zh = "组织", en = "Organisation" } }
facility = { id = "site", name = { zh = "厂区", en = "Site" }, time_zone = "Asia/Shanghai" }
windows = { window_s = 1, batch_s = 1 }
scan_classes = [{ id = "fast", interval_ms = 400 }]
buses = [{ id = "line" }]
""" + "".join(
    f"""
[[instruments]]
id = "{name}"
name = {{ zh = "仪表", en = "Instrument" }}
serial = "S-{unit}"
map = "{model}"
bus = "line"
unit = {unit}
regime = "user-defined"
registers = "primary"
accuracy = {{ class = "1", percent_of_reading = 1.0 }}
"""
    for name, unit, model in (
        ("em-1", METER, "eastron-sdm630"), ("em-2", OTHER, "eastron-sdm630"), ("gas-1", GAS, "sim-gas-corrector"),
        ("analyzer", ANALYZER, "sim-stack-analyzer"),
    )
) + "".join(
    f"""
[[points]]
id = "{instrument}.{register}"
instrument = "{instrument}"
register = "{register}"
scan_class = "fast"
{more}
"""
    for instrument, register, more in (
        ("em-1", "energy_import", 'max_rate = 100\nmax_rate_unit = "kWh/h"'),
        ("em-1", "power_total", "plausible = { low = 1000, high = 100000, frozen_after = 4 }"),
        ("em-2", "energy_import", 'max_rate = 100\nmax_rate_unit = "kWh/h"'),
        ("em-2", "power_total", "plausible = { low = 1000, high = 100000 }"),
        ("gas-1", "volume_base", 'max_rate = 1000\nmax_rate_unit = "m3/h"'),
        ("gas-1", "line_temperature", ""),
        ("analyzer", "co2_dry",
         'status = { point = "analyzer.doing", measure = [0], zero = [1], span = [2], zero_gas = 0, span_gas = 12 }'),
        ("analyzer", "doing", ""),
    )
) + """
[[sources]]
id = "grid"
name = { zh = "外购电力", en = "Purchased electricity" }
kind = "purchased-electricity"
category = 2
method = "electricity"
gases = ["CO2"]
inputs = { add = ["em-1.energy_import", "em-2.energy_import"] }
factors = { CO2 = ["grid-factor"] }

[[sources]]
id = "boiler"
name = { zh = "锅炉", en = "Boiler" }
kind = "stationary-combustion"
category = 1
method = "combustion"
gases = ["CO2"]
inputs = { add = ["gas-1.volume_base"] }
factors = { CO2 = ["gas-factor"] }
""" + "".join(
    f"""
[[factors]]
id = "{name}"
name = {{ zh = "因子", en = "Factor" }}
value = {value}
unit = "{unit}"
{more}
uncertainty_percent = 5
source = "made up for tests"
valid_from = 2020-01-01
confidence = "unverified"
"""
    for name, value, unit, more in (
        ("grid-factor", 0.5306, "kgCO2/kWh", ""), ("gas-factor", 2.1622, "kgCO2/m3", 'state = "0C"'),
    )
)  # fmt: skip
COUNTERS = {"em-1.energy_import": 10**6, "em-2.energy_import": 10**6, "gas-1.volume_base": 10**6}
"""Counters of the plan and their base units (mWh, mL) per unit of the register."""


def open_plan() -> Reading:
    """The plan and its requests."""
    plan = parse_plan(PLAN, "plan.toml")
    bound = bind(plan, {i.map: load_map(i.map)[0] for i in plan.instruments}, bytes(32))
    return Reading(bound, plan_reads(bound))


def faulty_plant(text: str) -> Plant:
    """The demo plant in the middle of its cycle, with an analyzer that has a status register, and one fault."""
    scenario = load_scenario("demo")
    analyzer = {"map": "sim-stack-analyzer", "constants": {"model_code": 605, "doing": 0}}
    instruments = tuple(i.model_copy(update=analyzer if i.unit == ANALYZER else {}) for i in scenario.instruments)
    signals = {**scenario.signals, "sim-stack-analyzer": {"co2_dry": "stack.co2_dry", "h2o": "stack.water"}}
    own = {"instruments": instruments, "signals": signals, "faults": (parse_fault(text, BEGIN),)}
    return build_plant(scenario.model_copy(update=own), 7, BEGIN - timedelta(seconds=100))


class Witnessed(Line):
    """A line that keeps what its instruments would have shown without the fault, request by request.

    Its clock is the agent's own line, so that a time means the same on both sides.
    """

    def __init__(self, plant: Plant, kind: LineKind, clock: Callable[[], int]) -> None:
        super().__init__(
            build_devices(plant), lambda: self.now_ms, kind=kind,
            faults=plant.scenario.faults, seed=plant.seed, start_ms=plant.start_ms,
        )  # fmt: skip
        self.now_ms = 0
        self._utc_ms = clock
        self.seen: list[tuple[int, tuple[int, int, int, int], list[int]]] = []

    def ask(self, transaction: int, unit: int, pdu: bytes) -> Delivery | None:
        """Answer as ever; keep the truth with its time."""
        asked, self.now_ms = registers_of(pdu), self._utc_ms()
        assert asked is not None
        words = self.devices[unit].read(pdu[0], *asked, self.now_ms)
        assert words is not None
        self.seen.append((self.now_ms, (unit, pdu[0], *asked), words))
        return super().ask(transaction, unit, pdu)


@dataclass
class Outcome:
    """What became of a fault: the fate of every slot of every point, the windows, and who is wrong."""

    reading: Reading
    plant: Plant
    line: Witnessed
    from_ms: int
    to_ms: int
    results: list[Result]
    fates: dict[tuple[str, int], int] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)

    def fold(self) -> Outcome:
        """Fold slot by slot, so that each slot of each point shows its fate."""
        bound = self.reading.bound
        gathering = Gathering(self.reading.requests, bound.intervals_ms)
        for result in self.results:
            assert gathering.add(result), result
        state = initial_state(bound, self.from_ms)
        for slot in range(self.from_ms // INTERVAL_MS, self.to_ms // INTERVAL_MS):
            low, high = slot * INTERVAL_MS, (slot + 1) * INTERVAL_MS
            samples: tuple[Samples, ...] = gathering.samples(low, high)
            folded = fold(bound, state, samples, (), low, high)
            state = folded.state
            self.windows += folded.windows
            for one in folded.slots:
                key = bound.points[one.point].id, slot
                assert (1, None) == (one.count, self.fates.get(key))
                self.fates[key] = one.fate
        return self

    def of_unit(self, unit: int) -> list[str]:
        """Ids of the points that an instrument shows."""
        bound = self.reading.bound
        return [point.id for point in bound.points if bound.plan.instruments[point.instrument].unit == unit]

    def counted(self, *points: str) -> Counter[Fate]:
        """Fates of the slots of some points."""
        return Counter(fate_of(fate) for (point, _), fate in self.fates.items() if point in points)

    def wrong(self, stale: int = 0) -> list[str]:
        """Good readings that are not what the instrument would truly have shown in their slot, or so many before."""
        return [
            point
            for result in self.results
            for point, words in self._words(result).items()
            if fate_of(self.fates[point, result.slot]) is Fate.GOOD and words not in self._true(result, point, stale)
        ]

    def amount(self, point: str) -> int:
        """What the windows say that a counter has counted. [base unit]"""
        inputs = {
            self.reading.bound.points[one.point].id: (at, position)
            for at, source in enumerate(self.reading.bound.sources)
            for position, one in enumerate(source.counters)
        }
        return sum(w.activity for w in self.windows if (w.source, w.input) == inputs[point])

    def growth(self, point: str) -> int:
        """By how much the instrument's index truly grew meanwhile. [base unit]"""
        unit = next(u for u in (METER, OTHER, GAS) if point in self.of_unit(u))
        register = point.partition(".")[2]
        channel = next(c for c in self.line.devices[unit].channels if c.register.name == register)
        return round((channel.shown(self.to_ms) - channel.shown(self.from_ms)) * COUNTERS[point])

    def _words(self, result: Result) -> dict[str, bytes]:
        """The registers of each point in an answer."""
        request = self.reading.requests[result.request]
        if result.fate != Fate.GOOD:
            return {}
        return {
            self.reading.bound.points[point].id: result.registers[2 * at : 2 * (at + width)]
            for point, at, width in zip(request.points, request.offsets, request.widths, strict=True)
        }

    def _true(self, result: Result, point: str, stale: int) -> set[bytes]:
        """What stood in a point's registers at each request that may be the answered one, and when the fault began."""
        request = self.reading.requests[result.request]
        asked = (request.unit, request.function, request.address, request.count)
        low = (result.slot - stale) * INTERVAL_MS
        high = result.slot * INTERVAL_MS + result.delay_ms
        place = [self.reading.bound.points[position].id for position in request.points].index(point)
        at, width = request.offsets[place], request.widths[place]
        begins_ms = self.plant.scenario.faults[0].begins_ms(self.plant.start_ms)
        then = self.line.devices[request.unit].read(*asked[1:], begins_ms) or []
        return {
            b"".join(word.to_bytes(2, "big") for word in words[at : at + width])
            for seen_ms, who, words in [*self.line.seen, (begins_ms, asked, then)]
            if who == asked and low <= seen_ms <= high
        }


class Meeting:
    """A plant with a fault and an agent that is about to poll it.

    Both live on one time line, which begins at ``BEGIN`` when the polling does: what a fault does when does not
    depend on how long it took to get ready.
    """

    def __init__(self, text: str, kind: LineKind) -> None:
        self.reading = open_plan()
        self.plant = faulty_plant(text)
        self.machine = KernelClock()
        self.utc = UtcLine(self.machine, 0)
        self.line = Witnessed(self.plant, kind, self.utc.now_ms)

    async def run(self) -> Outcome:
        """Poll for some seconds; what came of it is still to be folded."""
        async with self._served() as bus:
            return await self._poll(bus)

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[Bus]:
        """The line served, and the agent's bus on it, open."""
        if self.line.kind is LineKind.TCP:
            server = TcpServer(self.line)
            connect = tcp(LOOPBACK, await server.start(LOOPBACK, 0), TIMEOUT_S, self.machine.mono_ms)
            bus = Bus(connect, TIMEOUT_S, self.machine.mono_ms)
            assert await bus.open()
            yield bus
            await bus.close()
            await server.stop()
        else:
            serial = SerialServer(self.line, LineTiming(0.0, BAUD))
            table = RtuBus(
                kind="rtu", port=str(serial.start()), baud=BAUD, parity="even", timeout_s=RTU_TIMEOUT_S, late_s=LATE_S
            )
            bus = bus_of(table, self.machine.mono_ms)
            assert await bus.open()
            yield bus
            await bus.close()
            serial.stop()

    async def _poll(self, bus: Bus) -> Outcome:
        results: list[Result] = []
        from_ms = milliseconds(BEGIN)
        self.utc.offset_ms = from_ms - self.machine.mono_ms()
        agenda = Agenda(self.reading.intervals(0), from_ms)
        breakers = Breakers(self.reading.requests, self.reading.intervals(0), from_ms, seed=1)
        task = asyncio.create_task(poll(bus, agenda, breakers, self.reading.requests, self.utc, results.append))
        await asyncio.sleep(SECONDS)
        to_ms = self.utc.now_ms() // INTERVAL_MS * INTERVAL_MS
        async with asyncio.timeout(5):
            while not agenda.settled(to_ms):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        polled = [result for result in results if result.slot * INTERVAL_MS < to_ms]
        return Outcome(self.reading, self.plant, self.line, from_ms, to_ms, polled)
