"""A real mosquitto with the written files, over TLS: an agent gets at its own topics only, a stranger at nothing."""

from __future__ import annotations

import os
import queue
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from paho.mqtt.enums import CallbackAPIVersion

from collector.books import open_books
from collector.broker.configuration import hash_password, password_fits, read_accounts
from collector.config import Config
from collector.store.agents import add_agent
from protocols.errors import EmitraceError
from protocols.records import ItemKind
from protocols.wire import topics
from tests.certificates import certify, make_ca, write_key
from tests.collector.running import Collector
from tests.services import LOOPBACK, Process, Spawn, accepts, find_program, free_port, wait_until

pytestmark = pytest.mark.mosquitto
KEYS = {"a": bytes(32), "b": bytes([1]) * 32}
A, B = (sha256(key).hexdigest() for key in KEYS.values())
Heard = queue.SimpleQueue[tuple[str, bytes]]


@dataclass
class Site:
    """A collector with two agents, the files that were written, and the broker that runs on them."""

    collector: Collector
    config: Config
    out: Path
    port: int
    ca: Path
    broker: Process | None = None
    said: str = ""

    def write(self, *words: str) -> str:
        """Write the configuration; what the command said."""
        user = "root" if os.geteuid() == 0 else "nobody"
        command = self.collector.command(
            "broker-config", "--out", str(self.out), "--certificate", str(self.ca.parent / "broker.pem"),
            "--key", str(self.ca.parent / "broker.key"), "--port", str(self.port), "--user", user,
            "--store", str(self.ca.parent), *words,
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def password(self, name: str) -> str:
        """The password as it is handed over."""
        return (self.out / "credentials" / f"{name}.password").read_text().strip()

    @contextmanager
    def client(self, name: str | None, password: str | None = None) -> Iterator[tuple[mqtt.Client, Heard, int]]:
        """A client that has tried to connect: what it hears, and the broker's answer."""
        heard: Heard = queue.SimpleQueue()
        answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        client.tls_set_context(ssl.create_default_context(cafile=str(self.ca)))
        if name is not None:
            client.username_pw_set(name, self.password(name) if password is None else password)
        client.on_connect = lambda _c, _d, _f, reason, _p: answers.put(reason.value)
        client.on_message = lambda _c, _d, message: heard.put((message.topic, bytes(message.payload)))
        client.connect(LOOPBACK, self.port)
        client.loop_start()
        try:
            yield client, heard, answers.get(timeout=10)
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def site(tmp_path: Path, spawn: Spawn) -> Site:
    """Files written for two agents, and mosquitto started on them."""
    program = find_program("mosquitto")
    assert program is not None
    collector = Collector(tmp_path, spawn, free_port())
    config = collector.configure()
    with open_books(config) as books, books.database.writing() as connection:
        for name, public in KEYS.items():
            add_agent(connection, public, name, 1_000)
    key, (ca_key, ca) = generate_private_key(SECP256R1()), make_ca(tmp_path, "ca")
    write_key(tmp_path / "broker.key", key)
    (tmp_path / "broker.pem").write_bytes(certify("broker", key, "ca", ca_key, host=LOOPBACK))
    one = Site(collector, config, tmp_path / "mosquitto", free_port(), ca)
    one.said = one.write()
    one.broker = spawn("mosquitto", [program, "-c", str(one.out / "mosquitto.conf")])
    broker = one.broker
    wait_until(lambda: accepts(one.port) or not broker.running, 10, "mosquitto to listen")
    assert broker.running, broker.text()
    return one


def subscribe(client: mqtt.Client, topic: str) -> None:
    """Subscribe, and wait for the broker's answer, whatever it is."""
    answered: queue.SimpleQueue[bool] = queue.SimpleQueue()
    client.on_subscribe = lambda *_: answered.put(True)
    client.subscribe(topic, 1)
    answered.get(timeout=10)


def published(client: mqtt.Client, topic: str, payload: bytes = b"x") -> int:
    """The broker's answer to a message."""
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    client.on_publish = lambda _c, _d, _m, reason, _p: answers.put(reason.value)
    client.publish(topic, payload, qos=1)
    return answers.get(timeout=10)


def test_nobody_enters_without_an_account(site: Site) -> None:
    """Anonymous, a wrong password, another agent's password and plain TCP are refused."""
    refused: list[tuple[str | None, str | None]] = [(None, None), (A, "wrong"), (A, site.password(B)), ("root", "x")]
    for name, password in refused:
        with site.client(name, password) as (_, _, answer):
            assert answer in {0x86, 0x87}
    with site.client(A) as (_, _, answer):
        assert 0 == answer
    plain = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
    plain.on_disconnect = lambda *_: ended.put(True)
    plain.on_connect_fail = lambda *_: ended.put(True)
    plain.connect(LOOPBACK, site.port)
    plain.loop_start()
    assert ended.get(timeout=10)
    assert not plain.is_connected()
    plain.loop_stop()


def test_an_agent_writes_its_own_topics_only(site: Site) -> None:
    """Items, status and live of its own reach the collector; nothing under any other name."""
    own = [topics.up(A, ItemKind.BATCH), topics.status(A), topics.live(A)]
    foreign = [
        topics.up(B, ItemKind.BATCH), topics.status(B), topics.live(B), topics.ack(A), topics.ack(B),
        topics.COLLECTOR_KEY, "elsewhere", f"{topics.ROOT}/{A}/up/batch/more",
    ]  # fmt: skip
    with site.client("collector") as (collector, heard, _):
        subscribe(collector, "#")
        refused = []
        for topic in foreign:  # mosquitto 2.0.11 may end the connection after it has refused
            with site.client(A) as (agent, _, _):
                refused.append(published(agent, topic))
        with site.client(A) as (agent, _, _):
            taken = [published(agent, topic) for topic in own]
        seen = [heard.get(timeout=10)[0] for _ in own]

    assert [0x87] * len(foreign) == refused
    assert [0] * len(own) == taken
    assert own == seen
    assert heard.empty()


def test_an_agent_reads_its_own_back_path_only(site: Site) -> None:
    """Subscribed to everything it hears what is for it and the collector's key, and nothing of another agent."""
    foreign = [topics.ack(B), topics.plan_push(B), topics.up(B, ItemKind.BATCH), topics.status(B), topics.live(B)]
    own = [topics.ack(A), topics.resend(A), topics.plan_push(A), topics.watch(A), topics.notice(A)]
    own.append(topics.COLLECTOR_KEY)
    with site.client("collector") as (collector, _, _), site.client(A) as (agent, heard, _):
        for wanted in ("#", "+/+/+/+/+", topics.down(B), topics.status(B)):
            subscribe(agent, wanted)
        subscribe(agent, topics.down(A))
        for topic in (*foreign, *own):
            assert published(collector, topic) in {0, 0x10}
        seen = set[str]()
        while seen != set(own):
            seen.add(heard.get(timeout=10)[0])
        late = [heard.get_nowait()[0] for _ in range(heard.qsize())]

    assert set(own) >= set(late)


def test_accounts_are_kept_added_removed_and_renewed(site: Site) -> None:
    """A second run keeps what is there; a new agent gets a password, a renewed one another; none is ever printed."""
    before = read_accounts((site.out / "accounts").read_text(), "")
    first = site.password(A)
    with open_books(site.config) as books, books.database.writing() as connection:
        added = add_agent(connection, bytes([2]) * 32, "c", 1_000).agent_id
    said = site.write("--renew", B)
    after = read_accounts((site.out / "accounts").read_text(), "")

    assert {"collector", A, B} == before.keys()
    assert {"collector", A, B, added} == after.keys()
    assert (before[A], before["collector"]) == (after[A], after["collector"])
    assert before[B] != after[B]
    assert password_fits(after[A], first)
    secrets = [site.password(name) for name in after]
    assert not any(one in said or one in site.said for one in secrets)
    assert {0o600} == {path.stat().st_mode & 0o777 for path in site.out.rglob("*") if path.is_file()}
    assert {0o700} == {path.stat().st_mode & 0o777 for path in (site.out, site.out / "credentials")}


def test_mosquittos_own_hash_is_the_same(tmp_path: Path) -> None:
    """What mosquitto_passwd makes of a password is what we make of it with the same salt."""
    program = find_program("mosquitto_passwd")
    assert program is not None
    file = tmp_path / "accounts"
    file.write_text("somebody:a password of ours\n")
    subprocess.run([program, "-U", str(file)], check=True, capture_output=True)
    (hashed,) = read_accounts(file.read_text(), "accounts").values()

    assert password_fits(hashed, "a password of ours")
    assert not password_fits(hashed, "another")
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("text", ["nobody\n", "a:plain\n", ":$7$1$a$b\n"])
def test_a_damaged_password_file_is_said(text: str) -> None:
    """The line is named."""
    with pytest.raises(EmitraceError, match="line 1"):
        read_accounts(text, "accounts")
