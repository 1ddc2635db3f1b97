from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import aiomqtt
import numpy as np
import pytest

from agent import service
from agent.clock import KernelClock, SystemTime
from agent.config import Config
from agent.health import read_status
from agent.lock import LockedError
from agent.outbox import Outbox
from agent.results import decode_entry
from agent.service import OUTBOX, serve
from protocols.records import Batch, ClockState, Event, EventKind, Fate, PlanItem, StreamItem
from protocols.wire import topics
from protocols.wire.keys import fingerprint, load_key, public_bytes
from tests.agent.rig import ENERGY, PLAN, POWER, Asked, Endpoint, behave_well, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.services import Mosquitto, free_port

HOUR_MS = 3_600_000


@dataclass
class ShiftedClock(KernelClock):
    """The machine's clock with UTC moved, or never set."""

    ahead_ms: int = 0
    unset: bool = False
    state: ClockState | None = None

    def read(self) -> SystemTime:
        now = super().read()
        state = ClockState.UNSET if self.unset else self.state or now.state
        return replace(now, utc_ms=now.utc_ms + self.ahead_ms, state=state)


@pytest.fixture
async def meter() -> AsyncIterator[Endpoint]:
    """An electricity meter whose index grows by 10 Wh ten times a second."""
    endpoint = await Endpoint().start()
    endpoint.put_float(POWER, 360_000.0)

    async def run() -> None:
        energy = 100.0
        while True:
            endpoint.put_float(ENERGY, energy)
            energy += 0.01
            await asyncio.sleep(0.1)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    yield endpoint
    task.cancel()
    await endpoint.stop()


@pytest.fixture
def config(meter: Endpoint, tmp_path: Path) -> Config:
    """An agent beside the meter; its broker is away."""
    return write_agent(tmp_path / "agent", meter.port, free_port())


async def run_for(config: Config, seconds: float, machine: KernelClock | None = None) -> None:
    """Run the agent and stop it cleanly."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, machine or KernelClock(), stop))
    await asyncio.wait([task], timeout=seconds)
    stop.set()
    await task


async def run_until(config: Config, done: Callable[[], bool]) -> None:
    """Run the agent until something has come about, then stop it cleanly."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    async with asyncio.timeout(40):
        while not done():
            await asyncio.sleep(0.02)
    stop.set()
    await task


def count(path: Path, table: str) -> int:
    """Rows of a table of an outbox that an agent is using; 0 while it is being made."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608 - our own names
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


async def sealed(config: Config, items: int, timeout_s: float = 15) -> None:
    """Wait until the outbox holds so many items."""
    path = config.state_dir / OUTBOX
    async with asyncio.timeout(timeout_s):
        while True:
            if path.exists() and count(path, "items") >= items:
                return
            await asyncio.sleep(0.05)


async def noted(config: Config, note: str) -> None:
    """Wait until the status file says so."""
    async with asyncio.timeout(15):
        while read_status(config.state_dir).get("note") != note:
            await asyncio.sleep(0.05)


def stream_of(config: Config, *, previous: bytes = bytes(32)) -> list[StreamItem]:
    """The stored stream after all a collector checks."""
    return read_stream(stored(config.state_dir / OUTBOX), public_bytes(load_key(config.key_file)), previous)


def fates(items: list[Batch]) -> Counter[Fate]:
    """Slots of all points by fate."""
    counted: Counter[Fate] = Counter()
    for batch in items:
        for slot in batch.slots:
            counted[Fate(slot.fate & 0xFF)] += slot.count
    return counted


def events(items: list[Batch]) -> list[Event]:
    """Every event, in order."""
    return [event for batch in items for event in batch.events]


def assert_every_slot_counted(items: list[Batch]) -> None:
    """Fates of both points add up to the slots due in the stream's whole span."""
    due = -(-items[-1].to_ms // 200) - -(-items[0].from_ms // 200)

    assert 2 * due == sum(fates(items).values())


def assert_polled_throughout(items: list[Batch]) -> None:
    """Every slot was asked for and nearly all were answered; a busy machine may miss a moment, nothing else is lost."""
    met = fates(items)

    assert {Fate.GOOD, Fate.TIMEOUT, Fate.BUS_BUSY} >= set(met)
    assert met[Fate.GOOD] >= 0.8 * sum(met.values())


async def test_from_the_bus_to_a_sealed_stream(config: Config) -> None:
    """Plan first, then batches without a gap that recompute alone; start and stop are told, every slot counted."""
    path = config.state_dir / OUTBOX
    await run_until(config, lambda: path.exists() and count(path, "items") > 4)  # the plan and four batches
    items = stream_of(config)
    read = batches(items)

    assert isinstance(items[0], PlanItem)
    assert [EventKind.AGENT_START, EventKind.AGENT_STOP] == [event.kind for event in events(read)]
    assert_every_slot_counted(read)
    assert fates(read)[Fate.GOOD] >= 2 * 14
    assert {Fate.GOOD, Fate.BUS_BUSY, Fate.AGENT_DOWN} >= set(fates(read))  # a busy machine may miss a moment
    windows = [window for batch in read for window in batch.windows]
    seconds = sum(window.to_ms - window.from_ms for window in windows) / 1000
    assert sum(window.activity for window in windows) == pytest.approx(100_000 * seconds, rel=0.15)  # mWh
    assert windows[-1].to_ms <= read[-1].to_ms


async def test_a_clean_restart_goes_on_where_it_stopped(config: Config) -> None:
    """The time between is counted as agent down, and the start says that the stop was clean."""
    await run_for(config, 1.5)
    await asyncio.sleep(0.7)
    await run_for(config, 1.5)
    read = batches(stream_of(config))
    starts = [dict(event.details)["after"] for event in events(read) if event.kind is EventKind.AGENT_START]

    assert ["first start", "stop"] == starts
    assert fates(read)[Fate.AGENT_DOWN] >= 2 * 3
    assert_every_slot_counted(read)


async def test_killed_at_random_the_stream_holds(config: Config) -> None:
    """SIGKILL three times, then SIGTERM: chain, states and slots hold; what was missed is agent down."""
    chance = random.Random(3)
    codes: list[int] = []
    for how in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", "--config", str(config.file), stderr=asyncio.subprocess.DEVNULL
        )
        await sealed(config, 2 + 3 * len(codes))
        await asyncio.sleep(chance.random())
        process.send_signal(how)
        codes.append(await process.wait())
    read = batches(stream_of(config))
    starts = [dict(event.details)["after"] for event in events(read) if event.kind is EventKind.AGENT_START]

    assert [-9, -9, -9, 0] == codes
    assert ["first start", "crash", "crash", "crash"] == starts
    assert fates(read)[Fate.GOOD] > 0
    assert fates(read)[Fate.AGENT_DOWN] > 0
    assert_every_slot_counted(read)


async def test_what_was_journalled_before_a_kill_is_in_the_stream(config: Config) -> None:
    """Nothing was sealed yet: the recovered batch holds exactly the journal's slots and ends after the last."""
    config.plan.write_text(PLAN.replace("batch_s = 1", "batch_s = 3600"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", "run", "--config", str(config.file), stderr=asyncio.subprocess.DEVNULL
    )
    path = config.state_dir / OUTBOX
    async with asyncio.timeout(20):
        while not path.exists() or count(path, "journal") < 6:
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    outbox = Outbox(path)
    journalled = [result for entry in outbox.journalled() for result in decode_entry(entry)[0]]
    outbox.close()
    await run_until(config, lambda: count(path, "items") > 1)  # the plan, and the recovered batch
    recovered = batches(stream_of(config))[0]
    (samples,) = recovered.samples
    good = [samples.first_slot + int(at) for at in np.flatnonzero(samples.fates == Fate.GOOD)]

    assert [result.slot for result in journalled] == good
    assert 200 * journalled[-1].slot + journalled[-1].delay_ms + 1 == recovered.to_ms


async def test_a_changed_plan_takes_its_place_in_the_stream(config: Config) -> None:
    """A new plan item stands before the first batch under it, and the counter goes on."""
    await run_for(config, 1.3)
    text = PLAN.replace('version = "rig-1"', 'version = "rig-2"').replace("value = 0.5306", "value = 0.6")
    config.plan.write_text(text)
    await run_for(config, 1.5)
    items = stream_of(config)
    plans = [at for at, item in enumerate(items) if isinstance(item, PlanItem)]
    after = items[plans[1] + 1]

    assert 2 == len(plans)
    assert isinstance(after, Batch)
    assert after.plan != batches(items)[0].plan
    assert after.opening.points[0].counter is not None


async def test_a_dead_unit_is_named_until_it_is_back(meter: Endpoint, config: Config) -> None:
    """Status says which and since when, the batches count its slots as device dead, and one answer ends both."""
    async def silent(_: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """No answer at all."""

    meter.behave = silent
    dead: dict[str, int] = {}

    def came_back() -> bool:
        seen = read_status(config.state_dir).get("dead", {})
        if seen and not dead:
            dead.update(seen)
            meter.behave = behave_well
        return bool(dead) and not seen

    await run_until(config, came_back)
    read = batches(stream_of(config))

    assert {"line-a/1"} == set(dead)
    assert read[0].from_ms < dead["line-a/1"] < read[-1].to_ms
    assert {Fate.TIMEOUT, Fate.DEVICE_DEAD, Fate.GOOD} <= set(fates(read))
    assert_every_slot_counted(read)


async def test_a_damaged_outbox_starts_a_new_stream_that_names_the_old(config: Config) -> None:
    """The old file is kept aside; the new stream's first item continues from the last head known."""
    await run_for(config, 1.5)
    status = json.loads((config.state_dir / "status.json").read_text())
    path = config.state_dir / OUTBOX
    path.write_bytes(b"garbage" * 1000)
    await run_for(config, 1.3)
    head = bytes.fromhex(status["head"])
    told = events(batches(stream_of(config, previous=head)))[0]

    assert EventKind.NEW_STREAM == told.kind
    old = (("stream", bytes.fromhex(status["stream"])), ("sequence", status["sequence"]), ("digest", head))
    assert old == told.details
    assert 1 == len(list(config.state_dir.glob(f"{OUTBOX}.damaged-*")))


async def test_a_long_absence_is_sealed_hour_by_hour(config: Config) -> None:
    """After three hours no batch covers more than the rest of an hour, and the moved clock is told."""
    await run_for(config, 1.3)
    await run_for(config, 1.5, ShiftedClock(ahead_ms=3 * HOUR_MS))
    read = batches(stream_of(config))
    correction = next(event for event in events(read) if event.kind is EventKind.CLOCK_CORRECTION)
    details = dict(correction.details)

    assert max(batch.to_ms - batch.from_ms for batch in read) <= HOUR_MS + 1_000
    assert 3 * HOUR_MS == pytest.approx(int(details["to_offset_ms"]) - int(details["from_offset_ms"]), abs=10)
    assert_every_slot_counted(read)


async def test_a_clock_behind_the_last_batch_keeps_readings_out_of_the_stream(config: Config) -> None:
    """The time line never goes backwards: what is read meanwhile is set aside, and the status says why it waits."""
    machine = ShiftedClock(ahead_ms=HOUR_MS)
    await run_for(config, 1.3, machine)
    before = len(stream_of(config))
    machine.ahead_ms = 0
    await run_for(config, 2, machine)
    outbox = Outbox(config.state_dir / OUTBOX)
    aside = outbox.set_aside()
    outbox.close()

    assert before == len(stream_of(config))
    assert "stopped" == read_status(config.state_dir)["phase"]
    assert {Fate.GOOD} == {result.fate for one in aside for result in decode_entry(one.entry)[0]}
    assert sum(one.results for one in aside) >= 5

    machine.ahead_ms = HOUR_MS + 5_000
    await run_for(config, 1.3, machine)

    assert len(stream_of(config)) > before


async def test_readings_of_a_clock_that_is_not_set_yet_are_placed_when_it_is(config: Config) -> None:
    """A machine that wakes up in 1970: what it reads stands at its true time, and a signed event says how."""
    machine = ShiftedClock(unset=True, ahead_ms=-KernelClock().read().utc_ms)
    began_ms, stop = KernelClock().read().utc_ms, asyncio.Event()
    task = asyncio.create_task(serve(config, machine, stop))
    async with asyncio.timeout(10):
        while read_status(config.state_dir).get("units", {}).get("line-a/1", {}).get("good", 0) < 8:
            await asyncio.sleep(0.02)
    status = read_status(config.state_dir)
    set_ms = KernelClock().read().utc_ms
    machine.unset, machine.ahead_ms = False, 0
    await sealed(config, 4)
    stop.set()
    await task
    read = batches(stream_of(config))
    (correction,) = [event for event in events(read) if event.kind is EventKind.CLOCK_CORRECTION]
    early = [
        200 * (samples.first_slot + int(at)) for batch in read for samples in batch.samples
        for at in np.flatnonzero(samples.fates == Fate.GOOD) if 200 * (samples.first_slot + int(at)) < set_ms
    ]  # fmt: skip

    assert ("waiting", "unset") == (status["phase"], status["clock"])
    assert "readings are kept and placed when it is" in status["note"]
    assert began_ms - 200 <= read[0].from_ms == correction.at_ms <= set_ms
    assert len(early) >= 8
    assert len(early) <= int(dict(correction.details)["placed"])
    assert read[0].clock.offset_ms == dict(correction.details)["to_offset_ms"]
    assert_every_slot_counted(read)


async def test_a_stepped_clock_begins_a_new_run(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples stay where they were; the run ends cleanly and the next states the correction."""
    monkeypatch.setattr(service, "CLOCK_LOOK_S", 0.1)
    machine, stop = ShiftedClock(), asyncio.Event()
    task = asyncio.create_task(serve(config, machine, stop))
    await sealed(config, 2)
    machine.ahead_ms = 5_000
    await sealed(config, 5)
    stop.set()
    await task
    read = batches(stream_of(config))
    kinds = [event.kind for event in events(read)]
    start, stopped = EventKind.AGENT_START, EventKind.AGENT_STOP

    assert [start, stopped, EventKind.CLOCK_CORRECTION, start, stopped] == kinds
    assert_every_slot_counted(read)


async def test_a_clock_moved_by_hand_moves_no_reading(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synchronised run goes on through a wrong clock set forward and back, and through a restart meanwhile."""
    monkeypatch.setattr(service, "CLOCK_LOOK_S", 0.1)
    machine, stop = ShiftedClock(state=ClockState.SYNCED), asyncio.Event()
    task = asyncio.create_task(serve(config, machine, stop))
    await sealed(config, 2)
    machine.state = ClockState.HOLDOVER
    for machine.ahead_ms in (HOUR_MS, -HOUR_MS):
        await noted(config, "the system clock was moved and is not synchronised; readings keep the time they had")
        await sealed(config, count(config.state_dir / OUTBOX, "items") + 2)
    stop.set()
    await task
    await run_for(config, 2, machine)
    read = batches(stream_of(config))
    starts = [dict(event.details)["after"] for event in events(read) if event.kind is EventKind.AGENT_START]

    assert ["first start", "stop"] == starts
    assert EventKind.CLOCK_CORRECTION not in {event.kind for event in events(read)}
    assert 1 == len({batch.clock for batch in read})
    assert fates(read[-2:])[Fate.GOOD] > 0
    assert_every_slot_counted(read)


async def test_a_meter_that_goes_away_is_a_fate_and_comes_back(config: Config, meter: Endpoint) -> None:
    """Polling goes on at its pace; slots are disconnected meanwhile and good again afterwards."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    await sealed(config, 3)
    await meter.stop()
    await sealed(config, 5)
    await meter.start()
    await sealed(config, 8)
    stop.set()
    await task
    read = batches(stream_of(config))

    assert fates(read)[Fate.DISCONNECTED] > 0
    assert_polled_throughout([read[-2]])
    assert_every_slot_counted(read)


async def test_two_agents_never_share_a_state_folder(config: Config) -> None:
    """The second is refused while the first runs."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, KernelClock(), stop))
    await sealed(config, 1)
    with pytest.raises(LockedError):
        await serve(config, KernelClock(), asyncio.Event())
    stop.set()
    await task


@pytest.mark.mosquitto
async def test_a_clean_stop_publishes_its_last_batch(meter: Endpoint, tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The batch with the stop event and the status 'stopped' are with the broker when the agent ends."""
    extra = f'username = "{mosquitto.username}"\npassword_file = "{mosquitto.password_file}"'
    config = write_agent(tmp_path / "agent", meter.port, mosquitto.port, extra=extra)
    agent_id = fingerprint(public_bytes(load_key(config.key_file)))
    seen: dict[str, list[bytes]] = {"up": [], "status": []}
    async with aiomqtt.Client(
        mosquitto.host, mosquitto.port, username=mosquitto.username, password=mosquitto.password
    ) as client:
        await client.subscribe([(topics.ALL_UP, 1), (topics.ALL_STATUS, 1)])

        async def listen() -> None:
            async for message in client.messages:
                seen["status" if str(message.topic) == topics.status(agent_id) else "up"].append(message.payload)

        listening = asyncio.create_task(listen())
        await run_for(config, 2.3)
        expected = {item.data for item in stored(config.state_dir / OUTBOX)}
        async with asyncio.timeout(5):
            while not expected <= set(seen["up"]) or json.loads(seen["status"][-1])["phase"] != "stopped":
                await asyncio.sleep(0.01)
        listening.cancel()

    assert expected == set(seen["up"])
