from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.broker import Broker
from agent.old_streams import Salvaged
from agent.outbox import Standing
from agent.outflow import Outflow
from agent.spans import SealedItem, Tail
from agent.trust import Trust
from agent.uplink import Uplink
from agent.writer import Writer
from protocols.messages import Ack, Notice, Noticed, Resend
from protocols.records import Clock, ClockState, FoldState, ItemKind
from protocols.wire import topics
from protocols.wire.codec import seal_ack, seal_notice, seal_resend
from tests.agent.rig import Collector, no_push, unwatched
from tests.services import Mosquitto

pytestmark = pytest.mark.mosquitto
AGENT, STREAM = "a" * 64, b"s" * 16


def standing(sequence: int) -> Standing:
    tail = Tail(STREAM, sequence, bytes(32), 0, b"p" * 32, FoldState(0, ()))
    return Standing(tail, Clock(bytes(16), 0, ClockState.SYNCED, 1), clean=False)


async def put(writer: Writer, first: int, last: int) -> None:
    """Items ``first..last`` in one transaction, each with bytes of its own."""
    items = [
        SealedItem(sequence, ItemKind.BATCH if sequence else ItemKind.PLAN, b"item %d" % sequence, bytes(32), 0, 0)
        for sequence in range(first, last + 1)
    ]
    await writer.call(writer.outbox.seal_all, items, standing(last + 1), 0)


async def until(condition: Callable[[], Any], what: str, timeout_s: float = 10) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s:g} s in vain for {what}") from None


@dataclass
class Peer:
    """The collector's side: keeps what arrives, says what it is told to."""

    client: aiomqtt.Client
    collector: Collector
    items: list[bytes] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)

    async def listen(self) -> None:
        await self.client.subscribe([(topics.ALL_UP, 1), (topics.ALL_STATUS, 1)])
        async for message in self.client.messages:
            if str(message.topic).endswith("/status"):
                self.statuses.append(json.loads(message.payload))
            else:
                self.items.append(message.payload)

    async def give_key(self, key: bytes | None = None) -> None:
        public = self.collector.public if key is None else key
        await self.client.publish(topics.COLLECTOR_KEY, public, qos=1, retain=True)

    async def acknowledge(self, ack: Ack, key: Ed25519PrivateKey | None = None) -> None:
        data = seal_ack(ack, key or self.collector.key)
        await self.client.publish(topics.ack(AGENT), data, qos=1)

    async def ask(self, resend: Resend, key: Ed25519PrivateKey | None = None) -> None:
        data = seal_resend(resend, key or self.collector.key)
        await self.client.publish(topics.resend(AGENT), data, qos=1)


@dataclass
class Rig:
    """An uplink on a real broker, its outbox, and the other side."""

    uplink: Uplink
    writer: Writer
    peer: Peer
    broker: Mosquitto
    log: pytest.LogCaptureFixture
    connected: list[bool]
    notices: list[tuple[Notice, bytes]]

    def refusals(self) -> list[str]:
        return [r.getMessage() for r in self.log.records if r.getMessage().startswith("not-believed")]

    async def waiting(self) -> list[int]:
        return await self.writer.call(self.writer.outbox.unacknowledged, 100)

    async def acknowledged_up_to(self, *left: int) -> None:
        async with asyncio.timeout(10):
            while list(left) != await self.waiting():
                await asyncio.sleep(0.01)


@pytest.fixture
async def rig(mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    caplog.set_level("INFO", "agent")
    collector = Collector(Ed25519PrivateKey.generate())
    writer = await Writer.open(tmp_path / "outbox.sqlite", 0)
    connected: list[bool] = []
    notices: list[tuple[Notice, bytes]] = []
    uplink = Uplink(
        Broker(mosquitto.host, mosquitto.port, mosquitto.username, mosquitto.password), AGENT, writer,
        Trust(collector.fingerprint, tmp_path / "collector.pub"), lambda: STREAM,
        lambda: json.dumps({"phase": "running"}).encode(), connected.append, lambda: 1, unwatched(), no_push,
        Outflow(window=2, again_first_s=0.5, backlog_per_s=100, live=2),
        on_notice=lambda notice, data: notices.append((notice, data)),
    )
    async with aiomqtt.Client(
        mosquitto.host, mosquitto.port, username=mosquitto.username, password=mosquitto.password
    ) as client:
        peer = Peer(client, collector)
        tasks = [asyncio.create_task(peer.listen()), asyncio.create_task(uplink.run())]
        yield Rig(uplink, writer, peer, mosquitto, caplog, connected, notices)
        uplink.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await writer.close()


async def test_the_newest_items_go_first_and_the_backlog_within_the_window(rig: Rig) -> None:
    """Two newest and two oldest of eight are under way; the rest waits for acknowledgements."""
    await put(rig.writer, 0, 7)
    await rig.peer.give_key()
    rig.uplink.wake()
    await until(lambda: len(set(rig.peer.items)) >= 4, "four items")
    assert {b"item 6", b"item 7"} == set(rig.peer.items[:2])
    assert {b"item 0", b"item 1", b"item 6", b"item 7"} == set(rig.peer.items)

    await rig.peer.acknowledge(Ack(STREAM, 1, ((6, 7),)))
    await until(lambda: b"item 3" in rig.peer.items, "the next two")
    await rig.acknowledged_up_to(2, 3, 4, 5)
    assert b"item 4" not in rig.peer.items


async def test_the_brokers_word_is_not_the_collectors(rig: Rig) -> None:
    """An item the broker has taken but the collector not acknowledged is published again, at a bounded rate."""
    await put(rig.writer, 0, 0)
    rig.uplink.wake()
    await until(lambda: rig.peer.items.count(b"item 0") >= 3, "two repeats")

    assert [0] == await rig.waiting()


async def test_an_acknowledgement_before_the_key_is_not_believed(rig: Rig) -> None:
    """Without the collector's key nobody is believed."""
    await put(rig.writer, 0, 0)
    rig.uplink.wake()
    await until(lambda: rig.peer.items, "the item")
    await rig.peer.acknowledge(Ack(STREAM, 0))
    await until(rig.refusals, "a refusal")

    assert [0] == await rig.waiting()


async def test_forged_acknowledgements_change_nothing(rig: Rig) -> None:
    """Another key, another stream, a flipped bit, a resend as an ack: each refused, the true one believed."""
    await put(rig.writer, 0, 1)
    await rig.peer.give_key()
    rig.uplink.wake()
    await until(lambda: len(rig.peer.items) >= 2, "both items")
    good = seal_ack(Ack(STREAM, 1), rig.peer.collector.key)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    forged = [
        seal_ack(Ack(STREAM, 1), Ed25519PrivateKey.generate()),
        seal_ack(Ack(b"t" * 16, 1), rig.peer.collector.key),
        bytes(flipped),
        seal_resend(Resend(STREAM, ((0, 1),)), rig.peer.collector.key),
        b"",
        b"\xff" * 5_000,
    ]
    for data in forged:
        await rig.peer.client.publish(topics.ack(AGENT), data, qos=1)
    await until(lambda: len(rig.refusals()) >= len(forged), "every forgery refused")
    assert [0, 1] == await rig.waiting()

    await rig.peer.client.publish(topics.ack(AGENT), good, qos=1)
    await rig.acknowledged_up_to()


async def test_a_notice_is_taken_as_it_was_signed_and_a_forged_one_is_not(rig: Rig) -> None:
    """Another key, another stream, an acknowledgement on its topic: refused; then the true one."""
    await rig.peer.give_key()
    await until(lambda: rig.connected, "a session")
    true = Notice(STREAM, 7, "Asia/Shanghai", (Noticed("em-1", "A-1", "failed", 0),))
    good = seal_notice(true, rig.peer.collector.key)
    forged = [
        seal_notice(true, Ed25519PrivateKey.generate()),
        seal_notice(replace(true, stream_id=b"t" * 16), rig.peer.collector.key),
        seal_ack(Ack(STREAM, 1), rig.peer.collector.key),
    ]
    for data in (*forged, good):
        await rig.peer.client.publish(topics.notice(AGENT), data, qos=1)
    await until(lambda: rig.notices, "the true notice")

    assert len(forged) == len(rig.refusals())
    assert [(true, good)] == rig.notices


@pytest.mark.parametrize("key", [bytes(32), b"short", b"k" * 33], ids=["other", "short", "long"])
async def test_a_foreign_collector_key_is_not_believed(rig: Rig, key: bytes) -> None:
    """Only the key whose fingerprint agent.toml names replaces nothing and is replaced by nothing."""
    await put(rig.writer, 0, 0)
    await rig.peer.give_key()
    await rig.peer.give_key(key)
    rig.uplink.wake()
    await until(rig.refusals, "a refusal")
    await rig.peer.acknowledge(Ack(STREAM, 0))
    await rig.acknowledged_up_to()


async def test_a_resend_brings_the_stored_bytes_even_of_acknowledged_items(rig: Rig) -> None:
    """What is asked for goes out as it was sealed; a forged request brings nothing."""
    await put(rig.writer, 0, 2)
    await rig.peer.give_key()
    rig.uplink.wake()
    await until(lambda: len(rig.peer.items) >= 3, "all items")
    await rig.peer.acknowledge(Ack(STREAM, 2))
    await rig.acknowledged_up_to()
    before = len(rig.peer.items)
    await rig.peer.ask(Resend(STREAM, ((0, 99),)), Ed25519PrivateKey.generate())
    await until(rig.refusals, "a refusal")
    assert before == len(rig.peer.items)

    await rig.peer.ask(Resend(STREAM, ((1, 99),)))
    await until(lambda: len(rig.peer.items) >= before + 2, "the items asked for")
    assert [b"item 1", b"item 2"] == rig.peer.items[before : before + 2]


async def test_salvaged_items_leave_with_the_backlog_under_their_own_stream(rig: Rig) -> None:
    """An acknowledgement of the old stream ends them and nothing of the own; one of a foreign stream is refused."""
    old = [Salvaged(b"o" * 16, SealedItem(one, ItemKind.BATCH, b"old %d" % one, bytes(32), 0, 0)) for one in range(5)]
    await rig.writer.call(rig.writer.outbox.old_streams.keep, old)
    await put(rig.writer, 0, 3)
    await rig.peer.give_key()
    rig.uplink.wake()
    await until(lambda: len(set(rig.peer.items)) >= 4, "four items")
    assert {b"item 2", b"item 3"} == set(rig.peer.items[:2])

    await rig.peer.acknowledge(Ack(b"o" * 16, 4))
    await rig.peer.acknowledge(Ack(b"x" * 16, 99))
    await until(rig.refusals, "a refusal")
    assert [0, 1, 2, 3] == (await rig.writer.call(rig.writer.outbox.waiting, 100, 8))[0]

    await until(lambda: b"item 1" in rig.peer.items, "the own backlog")
    await rig.peer.ask(Resend(b"o" * 16, ((3, 3),)))
    before = rig.peer.items.count(b"old 3")
    await until(lambda: rig.peer.items.count(b"old 3") > before, "what the collector asks for")


async def test_a_killed_broker_costs_nothing(rig: Rig) -> None:
    """After kill -9 and restart of the broker everything not acknowledged goes out again."""
    await put(rig.writer, 0, 1)
    await rig.peer.give_key()
    rig.uplink.wake()
    await until(lambda: len(rig.peer.items) >= 2, "both items")
    rig.broker.kill()
    await until(lambda: rig.connected[-1] is False, "the loss to be seen")
    await put(rig.writer, 2, 2)
    rig.broker.start()
    async with aiomqtt.Client(
        rig.broker.host, rig.broker.port, username=rig.broker.username, password=rig.broker.password
    ) as client:
        again = Peer(client, rig.peer.collector)
        listening = asyncio.create_task(again.listen())
        await until(lambda: {b"item 0", b"item 1", b"item 2"} <= set(again.items), "all three after the restart", 20)
        listening.cancel()


async def test_the_status_is_retained_and_the_last_will_replaces_it(rig: Rig, tmp_path: Path) -> None:
    """Whoever asks later sees the state; when the connection is cut the broker says offline."""
    await until(lambda: rig.peer.statuses, "a status")
    assert "running" == rig.peer.statuses[-1]["phase"]

    session = rig.uplink._client
    assert session is not None
    session._client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    await until(lambda: rig.peer.statuses[-1]["phase"] == "offline", "the last will")


async def test_a_wrong_password_is_tried_again_without_haste(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused by the broker: said once, tried for ever, and the password is not in the log."""
    writer = await Writer.open(tmp_path / "outbox.sqlite", 0)
    connected: list[bool] = []
    uplink = Uplink(
        Broker(mosquitto.host, mosquitto.port, mosquitto.username, "not-the-password"), AGENT, writer,
        Trust("0" * 64, tmp_path / "collector.pub"), lambda: STREAM, lambda: b"{}", connected.append, lambda: 1,
        unwatched(), no_push,
    )
    task = asyncio.create_task(uplink.run())
    await until(lambda: len(connected) >= 2, "two tries")
    uplink.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writer.close()

    assert {False} == set(connected)
    assert 1 == len([r for r in caplog.records if r.getMessage().startswith("broker-away")])
    assert "not-the-password" not in caplog.text
