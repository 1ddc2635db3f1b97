"""A full queue holds the broker back: what waits here is bounded, and nothing that was published is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import func, select

from collector.books import open_books
from collector.config import BrokerTable, Config, DatabaseTable, Settings
from collector.ingest.broker import RECEIVE_MAXIMUM, Broker
from collector.ingest.worker import IngestWorker
from collector.metrics import Metrics
from collector.store.agents import add_agent
from collector.store.schema import items, quarantine
from protocols.records import ItemKind
from protocols.wire import topics
from tests.collector.edge import START_MS, stream
from tests.postgresql import a_postgresql
from tests.services import LOOPBACK, Mosquitto, wait_until

pytestmark = pytest.mark.mosquitto

FLOOD = 3 * RECEIVE_MAXIMUM
AGENT = "a" * 64


@pytest.fixture
def unbounded(mosquitto: Mosquitto) -> Mosquitto:
    """A broker that itself bounds nothing: whatever holds it back is what the collector asked for."""
    mosquitto.stop()
    with (mosquitto.folder / "mosquitto.conf").open("a") as file:
        file.write("max_inflight_messages 0\n")
    return mosquitto.start()


def settings(mosquitto: Mosquitto, folder: Path, url: str = "") -> Config:
    """A collector at that broker."""
    account = {"username": mosquitto.username, "password_file": str(mosquitto.password_file)}
    broker = BrokerTable.model_validate({"port": mosquitto.port, **account})
    return Config(folder / "c.toml", Settings(broker=broker, database=DatabaseTable(url=url)))


@contextmanager
def publisher(mosquitto: Mosquitto) -> Iterator[mqtt.Client]:
    """A client that publishes as fast as it can."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(mosquitto.username, mosquitto.password)
    client.max_inflight_messages_set(FLOOD)
    client.connect(LOOPBACK, mosquitto.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def flood(client: mqtt.Client, numbers: range) -> None:
    """Publish messages of 4 KiB, no two alike; returns when the broker has them all."""
    topic = topics.up(AGENT, ItemKind.BATCH)
    told = [client.publish(topic, str(n).encode().ljust(4096, b" "), qos=1) for n in numbers]
    for one in told:
        one.wait_for_publish(60)
    assert all(one.is_published() for one in told)


def test_the_broker_keeps_what_is_not_acknowledged(unbounded: Mosquitto, tmp_path: Path) -> None:
    """With nobody taking from the queue no more than the receive maximum comes; then everything does, each once."""
    broker = Broker(settings(unbounded, tmp_path), bytes(32))
    broker.start()
    try:
        wait_until(lambda: broker.connected, 20, "a session with the broker")
        with publisher(unbounded) as client:
            flood(client, range(RECEIVE_MAXIMUM))
            wait_until(lambda: broker.queue.qsize() == RECEIVE_MAXIMUM, 30, "a full queue")
            flood(client, range(RECEIVE_MAXIMUM, FLOOD))
            assert RECEIVE_MAXIMUM == broker.queue.qsize()
            seen: set[bytes] = set()
            most = 0
            while len(seen) < FLOOD:
                message = broker.queue.get(timeout=30)
                assert message is not None
                seen.add(message.payload[:8])
                broker.acknowledge(message)
                most = max(most, broker.queue.qsize())
    finally:
        broker.stop()

    assert FLOOD == len(seen)
    assert most <= 2 * RECEIVE_MAXIMUM  # a session begun anew, as on a busy machine, delivers what is in hand again


@pytest.mark.postgresql
def test_a_flood_while_the_books_are_away_is_taken_when_they_are_back(unbounded: Mosquitto, tmp_path: Path) -> None:
    """The database is stopped, three queues full arrive: a bounded part waits here, all is committed later."""
    edge = stream(20)
    with a_postgresql() as server, open_books(settings(unbounded, tmp_path, server.books())) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)
        broker = Broker(books.config, books.public_key)
        ingest = IngestWorker(books, broker, Metrics(books))
        ingest.start()
        broker.start()
        try:
            wait_until(lambda: broker.connected, 20, "a session with the broker")
            server.stop()
            with publisher(unbounded) as client:
                for sequence in range(10):
                    client.publish(*edge.message(sequence), qos=1).wait_for_publish(30)
                flood(client, range(FLOOD))
                for sequence in range(10, 21):
                    client.publish(*edge.message(sequence), qos=1).wait_for_publish(30)
            waiting = broker.queue.qsize()
            server.start()

            def kept() -> tuple[int, int]:
                with books.database.reading() as connection:
                    counts = [connection.scalar(select(func.count()).select_from(one)) for one in (items, quarantine)]
                return int(counts[0] or 0), int(counts[1] or 0)

            wait_until(lambda: kept() == (21, FLOOD), 90, "everything in the books", every_s=0.5)
        finally:
            broker.stop()
            ingest.stop()
            ingest.join(20)

    assert 0 < waiting <= RECEIVE_MAXIMUM
