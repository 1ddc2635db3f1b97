"""A collector running as a program, spoken to over HTTP and MQTT."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.books import open_books
from collector.config import Config, load_config
from protocols.messages import Ack, Resend
from protocols.wire import topics
from protocols.wire.codec import read_ack, read_resend
from protocols.wire.keys import fingerprint
from tests.collector.edge import Edge
from tests.services import LOOPBACK, Process, Spawn, free_port, wait_until

PASSWORD = "a-long-enough-password"


@dataclass
class Collector:
    """One collector in a folder of its own."""

    folder: Path
    spawn: Spawn
    broker_port: int
    username: str = ""
    password_file: Path | None = None
    database: str = ""
    web_port: int = 0
    process: Process | None = None

    def configure(self) -> Config:
        """Write collector.toml and make the administrator's account."""
        self.web_port = free_port()
        account = f'username = "{self.username}"\npassword_file = "{self.password_file}"\n' if self.username else ""
        (self.folder / "collector.toml").write_text(
            f'[database]\nurl = "{self.database}"\n[broker]\nport = {self.broker_port}\n{account}'
            f"[web]\nport = {self.web_port}\n"
        )
        config = load_config(self.folder / "collector.toml")
        with open_books(config) as books:
            register = Register(books.database)
            if not register.everybody():
                register.add("admin", Role.ADMIN, PASSWORD, by="test")
        return config

    def add_users(self, *roles: Role) -> None:
        """An account per role, named like it, with the common password."""
        with open_books(load_config(self.folder / "collector.toml")) as books:
            for role in roles:
                Register(books.database).add(role.value, role, PASSWORD, by="test")

    def command(self, *words: str) -> list[str]:
        """A command line of emitrace-collector."""
        return [sys.executable, "-m", "collector", *words, "--config", str(self.folder / "collector.toml")]

    def run(self, *words: str) -> None:
        """Run a command to its end; it must succeed."""
        process = self.spawn("-".join(words[:2]), self.command(*words))
        assert process.popen is not None
        assert 0 == process.popen.wait(60), process.text()

    def start(self) -> None:
        """Serve, and wait until the pages answer."""
        process = self.spawn("collector", self.command("serve"))
        self.process = process
        wait_until(lambda: self.answers() or not process.running, 30, "the collector to answer")
        assert process.running, process.text()

    def answers(self) -> bool:
        """Whether the service answers."""
        try:
            return httpx.get(f"{self.address}/api/v1/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://{LOOPBACK}:{self.web_port}"

    def get(self, path: str) -> Any:
        """JSON of the API, as a script asks for it."""
        answer = httpx.get(f"{self.address}/api/v1/{path}", auth=("admin", PASSWORD), timeout=10)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    @contextmanager
    def browser(self, name: str = "admin") -> Iterator[httpx.Client]:
        """A browser that is signed in."""
        with httpx.Client(base_url=self.address, timeout=10) as client:
            answer = sign_in(client, name)
            assert 303 == answer.status_code, answer.text
            yield client


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    """The answer to the form of the sign-in page."""
    token = hidden(client.get("/login").text)["token"]
    return client.post("/login", data={"username": name, "password": password, "token": token})


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


@dataclass
class Line:
    """The agent's side of MQTT: publishes items, keeps what comes back."""

    edge: Edge
    port: int
    username: str = ""
    password: str = ""
    acks: list[Ack] = field(default_factory=list)
    resends: list[Resend] = field(default_factory=list)
    key: bytes = b""

    def __enter__(self) -> Line:
        self._ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"edge-{self.edge.agent_id[:8]}")
        if self.username:
            self.client.username_pw_set(self.username, self.password)
        self.client.on_connect = lambda client, *_: client.subscribe(
            [(topics.down(self.edge.agent_id), 1), (topics.COLLECTOR_KEY, 1)]
        )
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._heard
        self.client.reconnect_delay_set(1, 1)
        self.client.connect(LOOPBACK, self.port)
        self.client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, *sequences: int) -> None:
        """Publish items; returns when the broker has them."""
        for sequence in sequences:
            self.client.publish(*self.edge.message(sequence), qos=1).wait_for_publish(10)

    def wait_for(self, contiguous: int, timeout_s: float = 20) -> None:
        """Wait for an acknowledgement up to a sequence."""
        wait_until(
            lambda: any(ack.contiguous >= contiguous for ack in self.acks), timeout_s, f"an ack up to {contiguous}"
        )

    def _heard(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic == topics.COLLECTOR_KEY:
            self.key = payload
        elif message.topic == topics.ack(self.edge.agent_id):
            wait_until(lambda: bool(self.key), 5, "the collector's key")
            self.acks.append(read_ack(payload, self.key))
        elif message.topic == topics.resend(self.edge.agent_id):
            self.resends.append(read_resend(payload, self.key))


def origin(config: Config) -> str:
    """Fingerprint of the collector's key, from its books."""
    with open_books(config) as books:
        return fingerprint(books.public_key)
