"""What is done to the chain: agents that are killed, lines that are cut, messages that come twice and in any order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.clock import KernelClock
from agent.config import load_config
from agent.log import start_logging
from agent.service import serve
from protocols.wire import topics
from tests.agent.rig import ENERGY, Asked, Endpoint
from tests.forked import PROGRAMS
from tests.services import LOOPBACK, Mosquitto


def live(config_file: Path, log: Path) -> None:
    """The agent's program until SIGTERM, in a process that has loaded it already."""
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdin.close()
    start_logging()

    async def until_told() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await serve(load_config(config_file), KernelClock(), stop)

    asyncio.run(until_told())


@dataclass
class Life:
    """An agent's folder and the program that runs in it now."""

    config_file: Path
    log: Path
    process: BaseProcess | None = None

    def begin(self) -> None:
        """Start it where it does not run."""
        if self.process is None or not self.process.is_alive():
            self.process = PROGRAMS.Process(target=live, args=(self.config_file, self.log), daemon=True)
            self.process.start()

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def stop(self, timeout_s: float) -> int | None:
        """SIGTERM, then wait; the exit code, None where it did not end in time."""
        assert self.process is not None
        self.process.terminate()
        self.process.join(timeout_s)
        return self.process.exitcode


async def counting(endpoint: Endpoint, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """An index of 1 kWh a second."""
    index = struct.unpack(">HH", struct.pack(">f", asyncio.get_running_loop().time() % 1_000_000))
    endpoint.table[ENERGY], endpoint.table[ENERGY + 1] = index
    writer.write(asked.registers(endpoint.values(asked.address, asked.count)))


@dataclass
class Proxy:
    """The network between agents and broker, which can be cut."""

    broker_port: int
    port: int = 0
    cuts: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]

    def cut(self, share: float, chance: random.Random) -> None:
        """Reset a share of the connections; what is on its way is lost."""
        for writer in [one for one in self._writers if chance.random() < share]:
            writer.transport.abort()
            self.cuts += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.broker_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@dataclass
class Network:
    """The meter and the proxy in a thread of their own."""

    meter: Endpoint
    proxy: Proxy
    loop: asyncio.AbstractEventLoop

    def cut(self, share: float, chance: random.Random) -> None:
        """Reset a share of the connections between agents and broker."""
        self.loop.call_soon_threadsafe(self.proxy.cut, share, chance)


@contextmanager
def network(broker_port: int) -> Iterator[Network]:
    """A meter that counts, and the way to the broker."""
    loop = asyncio.new_event_loop()
    made = Network(Endpoint(counting), Proxy(broker_port), loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(made.meter.start(), loop).result(10)
        asyncio.run_coroutine_threadsafe(made.proxy.start(), loop).result(10)
        yield made
    finally:
        made.cut(1.0, random.Random(0))
        asyncio.run_coroutine_threadsafe(made.meter.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


class Echo:
    """Sends what agents sent again, any number of times and in any order."""

    KEPT = 500

    def __init__(self, broker: Mosquitto, seed: int) -> None:
        self.sent = 0
        self._chance = random.Random(seed)
        self._heard: deque[tuple[str, bytes]] = deque(maxlen=self.KEPT)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="echo")
        self._client.username_pw_set(broker.username, broker.password)
        self._client.on_connect = lambda client, *_: client.subscribe(topics.ALL_UP, 1)
        self._client.on_message = lambda _client, _data, message: self._heard.append(
            (message.topic, bytes(message.payload))
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(LOOPBACK, broker.port)
        self._client.loop_start()

    def send(self, most: int) -> None:
        """Send some of what was heard once more."""
        if self._client.is_connected() and self._heard:
            for topic, payload in self._chance.choices(list(self._heard), k=most):
                self._client.publish(topic, payload, 1)
                self.sent += 1

    def close(self) -> None:
        """Send no more."""
        self._client.disconnect()
        self._client.loop_stop()
