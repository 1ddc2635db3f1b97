from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.config import load_config
from protocols.wire import topics
from protocols.wire.keys import fingerprint
from tests.collector.edge import Edge, stream
from tests.collector.running import Collector, Line, origin
from tests.services import Mosquitto, Spawn, accepts, free_port, wait_until

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def collector(tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto) -> Collector:
    """A configured collector, not yet running."""
    one = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    one.configure()
    return one


@pytest.fixture
def line(mosquitto: Mosquitto) -> Callable[[Edge], Line]:
    """The agent's side."""
    return lambda edge: Line(edge, mosquitto.port, mosquitto.username, mosquitto.password)


def placed(collector: Collector, edge: Edge) -> int:
    """Items in the books."""
    return len(collector.get(f"items?agent={edge.agent_id}")["items"])


def test_items_are_acknowledged_signed_after_the_commit(collector: Collector, line: Callable[[Edge], Line]) -> None:
    """Through a real broker: the retained key is the collector's own, every item is acknowledged and compared."""
    edge = stream(4)
    collector.run("agents", "add", edge.public.hex(), "--name", "boiler house")
    collector.start()
    with line(edge) as wire:
        wire.send(*range(5))
        wire.wait_for(4)

        assert signer_of(collector) == fingerprint(wire.key)
    wait_until(lambda: collector.get("comparisons")["equal"] == 4, 20, "the recomputation")
    assert (5, 0, {}) == (
        placed(collector, edge), collector.get("comparisons")["different"], collector.get("quarantine")["by_reason"],
    )  # fmt: skip
    assert collector.process is not None
    assert 0 == collector.process.stop()


def test_a_gap_is_asked_for_signed(collector: Collector, line: Callable[[Edge], Line]) -> None:
    """What is missing is asked for by range, and the stream closes when it comes."""
    edge = stream(5)
    collector.run("agents", "add", edge.public.hex())
    collector.start()
    with line(edge) as wire:
        wire.send(0, 1, 4, 5)
        wait_until(lambda: bool(wire.resends), 20, "a resend request")
        wire.send(*(n for first, last in wire.resends[0].ranges for n in range(first, last + 1)))
        wire.wait_for(5)

        assert ((2, 3),) == wire.resends[0].ranges
        assert (1, ((4, 5),)) in [(ack.contiguous, ack.beyond) for ack in wire.acks]


def test_bad_messages_do_not_stop_the_good_ones(collector: Collector, line: Callable[[Edge], Line]) -> None:
    """Garbage, a stranger's item and a spoiled one end in quarantine, shown by the API; the rest is acknowledged."""
    edge, stranger = stream(2), stream(1, seed=bytes(range(1, 33)))
    collector.run("agents", "add", edge.public.hex())
    collector.start()
    with line(edge) as wire:
        topic, good = edge.message(1)
        for where, payload in ((topic, b"garbage"), stranger.message(0), (topic, good[:-1] + bytes([good[-1] ^ 1]))):
            wire.client.publish(where, payload, qos=1).wait_for_publish(10)
        wire.send(0, 1, 2)
        wire.wait_for(2)

    assert {"malformed": 1, "unknown-key": 1, "wrong-signature": 1} == collector.get("quarantine")["by_reason"]


def test_after_sigkill_everything_arrives_exactly_once(collector: Collector, line: Callable[[Edge], Line]) -> None:
    """Killed in the middle and started again: what the broker still holds and what comes anew counts once."""
    edge = stream(30)
    collector.run("agents", "add", edge.public.hex())
    collector.start()
    assert collector.process is not None
    with line(edge) as wire:
        wire.send(*range(10))
        wire.wait_for(0)
        collector.process.kill()
        wire.send(*range(10, 31))
        collector.start()
        wire.send(*range(31))
        wire.wait_for(30, 30)

    assert 31 == placed(collector, edge)
    expected = sum(len(batch.windows) for batch in edge.batches)
    assert expected == len(collector.get(f"windows?agent={edge.agent_id}&limit=100000")["windows"])
    counts = collector.get(f"slots?agent={edge.agent_id}")["slots"]
    assert sum(s.count for b in edge.batches for s in b.slots) == sum(row["count"] for row in counts)


def test_a_broker_that_comes_late_is_found(
    tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto, line: Callable[[Edge], Line]
) -> None:
    """Without a broker the pages answer; once it is there, items flow, also after it was killed."""
    edge = stream(3)
    mosquitto.kill()
    one = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    one.configure()
    one.run("agents", "add", edge.public.hex())
    one.start()
    mosquitto.start()
    with line(edge) as wire:
        wait_until(lambda: bool(wire.key), 20, "the collector to connect")
        wire.send(0, 1)
        wire.wait_for(1)
        mosquitto.kill()
        mosquitto.start()
        wait_until(wire.client.is_connected, 20, "the edge to connect again")
        wire.key = b""
        wait_until(lambda: bool(wire.key), 40, "the collector to connect again")
        wire.send(2, 3)
        wire.wait_for(3)


def test_mqtt_3_1_1_is_enough(tmp_path: Path, spawn: Spawn) -> None:
    """On a broker without MQTT 5 the collector falls back and acknowledges all the same."""
    edge = stream(2)
    port = free_port()
    settings = tmp_path / "amqtt.yaml"
    settings.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    broker = spawn("amqtt", [str(Path(sys.executable).with_name("amqtt")), "-c", str(settings)])
    wait_until(lambda: accepts(port), 20, "amqtt to listen")
    one = Collector(tmp_path, spawn, port)
    one.configure()
    one.run("agents", "add", edge.public.hex())
    one.start()
    with Line(edge, port) as wire:
        wait_until(lambda: bool(wire.key), 30, "the collector to connect")
        wire.send(0, 1, 2)
        wire.wait_for(2, 30)
    assert broker.running


def test_an_agents_unsigned_status_is_shown_and_is_no_evidence(
    collector: Collector, line: Callable[[Edge], Line]
) -> None:
    """The status appears with the agent; no leaf is made of it."""
    edge = stream(0)
    collector.run("agents", "add", edge.public.hex())
    collector.start()
    before = collector.get("log")["tree_size"]
    with line(edge) as wire:
        wire.client.publish(topics.status(edge.agent_id), b'{"phase":"running","backlog_items":3}', qos=1)
        wait_until(lambda: collector.get("agents")["agents"][0]["status"] is not None, 20, "the status")

    assert {"phase": "running", "backlog_items": 3} == collector.get("agents")["agents"][0]["status"]
    assert before == collector.get("log")["tree_size"]


def signer_of(collector: Collector) -> str:
    """Fingerprint of the collector's key as the API states it, which is that of the key on disk."""
    stated: str = collector.get("log")["collector"]
    assert stated == origin(load_config(collector.folder / "collector.toml"))
    return stated
