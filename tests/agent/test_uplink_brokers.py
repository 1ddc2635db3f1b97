"""The uplink on other brokers than a plain mosquitto: the embedded one, and mosquitto behind TLS."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.broker import Broker, BrokerError, broker_of
from agent.config import load_config
from agent.outflow import Outflow
from agent.trust import Trust
from agent.uplink import Uplink
from agent.writer import Writer
from protocols.messages import Ack
from tests.agent.rig import Collector, no_push, unwatched, write_agent
from tests.agent.test_uplink import AGENT as AGENT_ID
from tests.agent.test_uplink import STREAM, Peer, put, until
from tests.certificates import certify, make_ca, write_key
from tests.services import LOOPBACK, Mosquitto, Process, accepts, find_program, free_port, wait_until


@dataclass
class Session:
    """An uplink with its outbox and connection log, before a broker that may refuse it."""

    uplink: Uplink
    writer: Writer
    collector: Collector
    connected: list[bool]

    async def acknowledged(self) -> None:
        """Wait until nothing waits for the collector."""
        async with asyncio.timeout(15):
            while await self.writer.call(self.writer.outbox.unacknowledged, 100):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def session(broker: Broker, folder: Path) -> AsyncIterator[Session]:
    collector, connected = Collector(Ed25519PrivateKey.generate()), list[bool]()
    writer = await Writer.open(folder / "outbox.sqlite", 0)
    uplink = Uplink(
        broker, AGENT_ID, writer, Trust(collector.fingerprint, folder / "collector.pub"), lambda: STREAM,
        lambda: b'{"phase": "running"}', connected.append, lambda: 1, unwatched(), no_push, Outflow(again_first_s=0.5),
    )
    task = asyncio.create_task(uplink.run())
    try:
        yield Session(uplink, writer, collector, connected)
    finally:
        uplink.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.close()


@asynccontextmanager
async def peer(broker: Broker, collector: Collector) -> AsyncIterator[Peer]:
    """The collector's side, through the same door."""
    tls = None if broker.tls_ca is None else ssl.create_default_context(cafile=str(broker.tls_ca))
    async with aiomqtt.Client(
        broker.host, broker.port, username=broker.username, password=broker.password, tls_context=tls,
        protocol=aiomqtt.ProtocolVersion.V311,
    ) as client:
        one = Peer(client, collector)
        listening = asyncio.create_task(one.listen())
        yield one
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def there_and_back(broker: Broker, own: Session) -> None:
    """Three items arrive; a signed acknowledgement ends their wait, a forged one does not."""
    await put(own.writer, 0, 2)
    async with peer(broker, own.collector) as other:
        await other.give_key()
        own.uplink.wake()
        await until(lambda: {b"item 0", b"item 1", b"item 2"} <= set(other.items), "three items", 20)
        await other.acknowledge(Ack(STREAM, 2), Ed25519PrivateKey.generate())
        await other.acknowledge(Ack(STREAM, 0))
        async with asyncio.timeout(15):
            while [1, 2] != await own.writer.call(own.writer.outbox.unacknowledged, 100):
                await asyncio.sleep(0.02)
        await other.acknowledge(Ack(STREAM, 2))
        await own.acknowledged()
        assert 2 == await own.writer.call(own.writer.outbox.evict, 10**15)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[tuple[Broker, Process]]:
    """`emitrace-simulate broker` as a process."""
    secret, port = tmp_path / "password", free_port()
    secret.touch(mode=0o600)
    secret.write_text("loopback-only\n")
    command = [sys.executable, "-m", "simulators", "broker", "--host", LOOPBACK, "--port", str(port)]
    command += ["--username", "tester", "--password-file", str(secret)]
    process = Process("broker", command, tmp_path / "broker.log").start()
    wait_until(lambda: accepts(port) or not process.running, 20, "the embedded broker to listen")
    assert process.running, process.text()
    yield Broker(LOOPBACK, port, "tester", "loopback-only"), process
    process.kill()


async def test_items_and_acknowledgements_pass_the_embedded_broker(
    embedded: tuple[Broker, Process], tmp_path: Path
) -> None:
    """The broker of machines without mosquitto carries the whole exchange."""
    async with session(embedded[0], tmp_path) as own:
        await there_and_back(embedded[0], own)


async def test_a_killed_embedded_broker_costs_nothing(embedded: tuple[Broker, Process], tmp_path: Path) -> None:
    """It keeps nothing; after kill -9 and a restart the agent brings everything again."""
    broker, process = embedded
    async with session(broker, tmp_path) as own:
        await put(own.writer, 0, 0)
        await until(lambda: own.connected, "a connection", 20)
        process.kill()
        await until(lambda: own.connected[-1] is False, "the loss to be seen", 20)
        process.start()
        await asyncio.to_thread(wait_until, lambda: accepts(broker.port), 20, "the embedded broker to listen again")
        async with peer(broker, own.collector) as other:
            await until(lambda: b"item 0" in other.items, "the item after the restart", 30)


@dataclass
class Secured:
    """A mosquitto that speaks only TLS, and the CA of its certificate."""

    broker: Broker
    folder: Path
    mosquitto: Mosquitto


def secured(folder: Path, host: str) -> Secured:
    """A mosquitto whose certificate is for ``host``."""
    program = find_program("mosquitto")
    assert program is not None
    own = Mosquitto(program, folder / "mosquitto", free_port()).prepare()
    ca_key, ca = make_ca(folder, "ca")
    key = generate_private_key(SECP256R1())
    write_key(own.folder / "server.key", key)
    (own.folder / "server.pem").write_bytes(certify("broker", key, "ca", ca_key, host=host))
    with (own.folder / "mosquitto.conf").open("a") as conf:
        conf.write(f"certfile {own.folder}/server.pem\nkeyfile {own.folder}/server.key\ntls_version tlsv1.2\n")
    own.start()
    return Secured(Broker(own.host, own.port, own.username, own.password, ca), folder, own)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Secured]:
    one = secured(tmp_path, LOOPBACK)
    yield one
    one.mosquitto.stop()


@pytest.mark.mosquitto
async def test_items_and_acknowledgements_pass_through_tls(tls: Secured, tmp_path: Path) -> None:
    """With the CA that signed the broker's certificate the exchange is as ever."""
    async with session(tls.broker, tmp_path) as own:
        await there_and_back(tls.broker, own)


@pytest.mark.mosquitto
async def test_a_broker_of_an_unknown_ca_gets_nothing(
    tls: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused before the password is sent; one clear line; tried again, the item waits, the password stays secret."""
    _, other = make_ca(tmp_path, "other")
    broker = Broker(tls.broker.host, tls.broker.port, tls.broker.username, tls.broker.password, other)
    async with session(broker, tmp_path) as own:
        await put(own.writer, 0, 0)
        await until(lambda: len(own.connected) >= 2, "two tries", 20)
        waiting = await own.writer.call(own.writer.outbox.unacknowledged, 10)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("broker-away")]

    assert {False} == set(own.connected)
    assert [0] == waiting
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert "not signed by [broker] tls_ca" in line
    assert str(tls.broker.password) not in caplog.text


@pytest.mark.mosquitto
async def test_a_certificate_for_another_host_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right CA does not make every host the broker."""
    other = secured(tmp_path, "192.0.2.1")
    try:
        async with session(other.broker, tmp_path) as own:
            await until(lambda: own.connected, "a try", 20)
    finally:
        other.mosquitto.stop()

    assert {False} == set(own.connected)
    assert "not valid for '127.0.0.1'" in caplog.text
    assert "not for this host" in caplog.text


@pytest.mark.mosquitto
async def test_without_a_ca_a_tls_broker_is_not_entered(tls: Secured, tmp_path: Path) -> None:
    """No silent fall to plain text: there is no session."""
    plain = Broker(tls.broker.host, tls.broker.port, tls.broker.username, tls.broker.password)
    async with session(plain, tmp_path) as own:
        await until(lambda: own.connected, "a try", 20)

    assert {False} == set(own.connected)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    """Said at the start, not retried for ever."""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    config = write_agent(tmp_path, 502, 8883, extra='tls_ca = "ca.pem"')

    with pytest.raises(BrokerError, match=r"tls_ca .*ca\.pem.*not a usable CA certificate"):
        broker_of(load_config(config.file))


