"""A running agent beside a meter, watched over a real broker by somebody who plays the collector."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import KernelClock
from agent.config import Config
from agent.service import OUTBOX, serve
from agent.site import load_site
from protocols.messages import Live, Watch
from protocols.records import Fate
from protocols.wire import topics
from protocols.wire.codec import read_live, seal_watch
from protocols.wire.keys import fingerprint, load_key, public_bytes
from simulators.broker import EmbeddedBroker
from tests.agent.rig import ENERGY, PLAN, POWER, Collector, Endpoint, write_agent
from tests.agent.stream import batches, read_stream, stored
from tests.services import LOOPBACK, Mosquitto

POINTS = (0, 1)
SECONDS_PLAN = PLAN.replace("batch_s = 1\n", "batch_s = 5\n").replace("window_s = 1\n", "window_s = 5\n")


@dataclass
class Door:
    """Where a broker is and how it is entered."""

    port: int
    username: str
    password: str


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.mosquitto), "embedded"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """A running broker: mosquitto, and the embedded one that speaks MQTT 3.1.1 only."""
    if request.param == "mosquitto":
        broker: Mosquitto = request.getfixturevalue("mosquitto")
        yield Door(broker.port, broker.username, broker.password)
        return
    embedded = EmbeddedBroker(LOOPBACK, 0, "tester", "loopback-only")
    yield Door(await embedded.start(), "tester", "loopback-only")
    await embedded.stop()


@dataclass
class Watcher:
    """The collector's side."""

    client: aiomqtt.Client
    collector: Collector
    config: Config
    agent_id: str
    lives: list[Live] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    issued_ms: int = 0

    async def listen(self) -> None:
        async for message in self.client.messages:
            if str(message.topic) == topics.live(self.agent_id):
                self.lives.append(read_live(message.payload))
            elif str(message.topic) == topics.status(self.agent_id):
                self.statuses.append(json.loads(message.payload))

    def watch(self, for_s: int) -> Watch:
        """A watch on both points, as a collector would issue it now."""
        self.issued_ms = max(KernelClock().read().utc_ms, self.issued_ms + 1)
        status = self.statuses[-1]
        return Watch(bytes.fromhex(status["stream"]), bytes.fromhex(status["plan"]), self.issued_ms, for_s, POINTS)

    async def send(self, watch: Watch, key: Ed25519PrivateKey | None = None) -> bytes:
        data = seal_watch(watch, key or self.collector.key)
        await self.client.publish(topics.watch(self.agent_id), data, qos=1)
        return data

    async def ended(self) -> None:
        """Wait until the status says that somebody watches, and then that nobody does any more."""
        await self.until(lambda: self.statuses[-1]["watched_until_ms"] > 0, "the watch in the status")
        await self.until(lambda: self.statuses[-1]["watched_until_ms"] == 0, "the end of the watch")

    async def until(self, condition: Any, what: str, timeout_s: float = 15) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}: {self.statuses[-1:]}") from None


@pytest.fixture
async def meter() -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint().start()
    endpoint.put_float(POWER, 4_321.5)
    endpoint.put_float(ENERGY, 100.25)
    yield endpoint
    await endpoint.stop()


@pytest.fixture
async def watcher(door: Door, meter: Endpoint, tmp_path: Path) -> AsyncIterator[Watcher]:
    """An agent that runs and a collector that has not asked for anything yet."""
    collector = Collector(Ed25519PrivateKey.generate())
    (tmp_path / "password").write_text(door.password)
    extra = f'username = "{door.username}"\npassword_file = "{tmp_path / "password"}"'
    config = write_agent(
        tmp_path / "agent", meter.port, door.port, collector.fingerprint, plan=SECONDS_PLAN, extra=extra
    )
    agent_id = fingerprint(public_bytes(load_key(config.key_file)))
    stop = asyncio.Event()
    async with aiomqtt.Client(LOOPBACK, door.port, username=door.username, password=door.password) as client:
        await client.publish(topics.COLLECTOR_KEY, collector.public, qos=1, retain=True)
        found = Watcher(client, collector, config, agent_id)
        await client.subscribe([(topics.live(agent_id), 0), (topics.status(agent_id), 1)])
        tasks = [asyncio.create_task(found.listen()), asyncio.create_task(serve(config, KernelClock(), stop))]
        await found.until(lambda: any(s["phase"] == "running" and s["stream"] for s in found.statuses), "the agent")
        yield found
        stop.set()
        await tasks[1]
        tasks[0].cancel()


def words(value: float) -> int:
    return int.from_bytes(struct.pack(">f", value), "big")


async def test_a_watched_agent_shows_its_words_and_stops_when_the_watch_ends(
    watcher: Watcher, meter: Endpoint
) -> None:
    """Values come within a second, equal the meter's registers, change with them, and end; the status says so."""
    await asyncio.sleep(1.2)  # long enough for a live message, had anybody asked for one
    assert [] == watcher.lives
    await watcher.send(watcher.watch(3))
    await watcher.until(lambda: watcher.lives, "a live message", 2)
    shown = {p: w for one in watcher.lives[0].readings for p, w in zip(one.points, one.words, strict=True)}
    assert {0: words(100.25), 1: words(4_321.5)} == shown

    meter.put_float(POWER, 17.0)
    await watcher.until(lambda: any(words(17.0) in one.words for one in watcher.lives[-1].readings), "the new value")
    await watcher.ended()
    count = len(watcher.lives)
    assert 2 <= count <= 6
    await asyncio.sleep(1.5)
    assert count == len(watcher.lives)


async def test_what_is_not_a_valid_watch_changes_nothing(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    """Forged, of another stream or plan, issued long ago, repeated: refused, said so, and nothing is shown."""
    good = watcher.watch(3)
    for bad in (
        replace(good, stream_id=b"x" * 16), replace(good, plan=b"x" * 32), replace(good, issued_ms=1),
    ):
        await watcher.send(bad)
    await watcher.send(good, Ed25519PrivateKey.generate())

    def refused() -> int:
        return len([r for r in caplog.records if r.getMessage().startswith("not-believed")])

    await watcher.until(lambda: refused() == 4, "four refusals")
    assert 0 == watcher.statuses[-1]["watched_until_ms"]
    assert [] == watcher.lives

    data = await watcher.send(good)
    await watcher.until(lambda: watcher.lives, "a live message")
    await watcher.ended()
    count = len(watcher.lives)
    await watcher.client.publish(topics.watch(watcher.agent_id), data, qos=1)
    await watcher.until(lambda: refused() == 5, "the repeated one refused")
    await asyncio.sleep(1.2)
    assert count == len(watcher.lives)


async def test_batches_are_the_same_watched_or_not(watcher: Watcher) -> None:
    """Every slot has its fate and every batch recomputes while somebody watches."""
    await watcher.send(watcher.watch(5))
    await watcher.until(lambda: len(watcher.lives) >= 2, "two live messages")
    watched_ms = watcher.lives[-1].at_ms
    await watcher.ended()
    config, plan = watcher.config, load_site(watcher.config).reading.bound
    path = config.state_dir / OUTBOX
    async with asyncio.timeout(20):  # the batch in which the watch lay is sealed at its edge
        while watcher.statuses[-1]["span_end_ms"] < watched_ms:
            await asyncio.sleep(0.1)
    read = batches(read_stream(stored(path), public_bytes(load_key(config.key_file))))
    slots = [slot for batch in read for slot in batch.slots]
    due = sum(-(-batch.to_ms // 200) - -(-batch.from_ms // 200) for batch in read)

    assert plan.digest == watcher.lives[0].plan
    assert len(POINTS) * due == sum(slot.count for slot in slots)
    assert sum(slot.count for slot in slots if slot.fate == Fate.GOOD) >= 20
