"""Live values from the meters to whoever looks, through the real programs, a real broker and HTTP."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from protocols.modbus.registermap import Register
from protocols.wire import topics
from simulators.demo.site import ADMINISTRATOR
from simulators.instruments import build_devices
from tests.e2e.rig import Rig, command
from tests.services import LOOPBACK, Mosquitto, Process, accepts, free_port, wait_until

pytestmark = pytest.mark.e2e
SITE = "demo-works/site-1"
COMPARED = {
    "em-1.power": ("em-1", "power_total"), "em-1.import": ("em-1", "energy_import"), "boiler.state": ("plc", "state"),
}  # fmt: skip
"""Points asked for every second: instrument and register of each."""


@dataclass
class Embedded:
    """The broker that comes with the simulators, in the place of a mosquitto."""

    folder: Path
    port: int
    username: str = "tester"
    password: str = "loopback-only"
    process: Process | None = None

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        self.folder.mkdir()
        (self.folder / "password").write_text(self.password)
        line = command("emitrace-simulate", "broker", "--port", str(self.port), "--username", self.username,
                       "--password-file", self.folder / "password")  # fmt: skip
        self.process = Process("broker", line, self.folder / "broker.log").start()
        wait_until(lambda: accepts(self.port), 30, "the embedded broker to listen")

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()


@dataclass
class Stream:
    """An open stream of events, read in a thread."""

    address: str
    auth: tuple[str, str]
    opened_s: float = field(default_factory=time.monotonic)
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    first_lines: list[str] = field(default_factory=list)
    ended: str | None = None

    def read(self, client: httpx.Client) -> None:
        """Read until the other side ends it, or the client is closed."""
        name = ""
        try:
            with client.stream("GET", f"{self.address}/live/{SITE}/events", auth=self.auth) as answer:
                assert 200 == answer.status_code, answer.read()
                assert answer.headers["content-type"].startswith("text/event-stream")
                for line in answer.iter_lines():
                    self.first_lines.append(line)
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: "):
                        self.events.append((time.monotonic() - self.opened_s, name, json.loads(line[6:])))
            self.ended = "cleanly"
        except httpx.HTTPError as error:
            self.ended = repr(error)

    def live(self) -> dict[str, tuple[float, dict[str, Any]]]:
        """Point -> how long after the page's first values its first live value came, and that reading. [s]"""
        first_s = self.events[0][0] if self.events else 0.0
        found: dict[str, tuple[float, dict[str, Any]]] = {}
        for after_s, _, data in list(self.events):
            for reading in data["readings"]:
                if reading["live"] and reading["value"] is not None:
                    found.setdefault(reading["point"], (after_s - first_s, reading))
        return found


@contextmanager
def looking(rig: Rig) -> Iterator[Stream]:
    """Somebody looks at the site while inside."""
    stream = Stream(rig.site.address, (ADMINISTRATOR, rig.site.admin_password))
    with httpx.Client(timeout=30) as client:
        thread = threading.Thread(target=stream.read, args=[client], daemon=True)
        thread.start()
        yield stream
    thread.join(5)


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.mosquitto), "embedded"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """The whole chain, with batches committed."""
    if request.param == "mosquitto":
        broker = cast("Mosquitto", request.getfixturevalue("mosquitto"))
    else:
        embedded = Embedded(tmp_path / "broker", free_port())
        embedded.start()
        broker = cast("Mosquitto", embedded)
    folder = tmp_path / "chain"
    folder.mkdir()
    found = Rig(folder, broker)
    try:
        for name in ("plant", "collector", "agent"):
            found.start(name)
        found.wait_for_items(3)  # the plan, a first batch that may be too short to hold a reading, and a whole one
        yield found
    finally:
        found.kill_all()
        broker.kill()


def value_of(words: tuple[int, ...], register: Register) -> Decimal:
    """What registers say, by Python's own means: the shortest decimal of a float32, or the integer scaled."""
    data = struct.pack(f">{len(words)}H", *words)
    if register.type == "float32":
        wanted = struct.unpack(">f", data)[0]
        return next(
            shown for digits in range(1, 18)
            if struct.unpack(">f", struct.pack(">f", float(shown := Decimal(f"{wanted:.{digits}g}"))))[0] == wanted
        )  # fmt: skip
    number = Decimal(int.from_bytes(data, "big"))
    return number * register.scale if register.scale_by == "multiply" else number / register.scale


def served(rig: Rig, point: str, from_ms: int, to_ms: int) -> set[Decimal]:
    """Everything the simulated meter can have answered between two instants."""
    instrument, register = COMPARED[point]
    (device,) = [one for one in build_devices(rig.plant) if one.instrument.id == instrument]
    (channel,) = [one for one in device.channels if one.register.name == register]
    return {value_of(channel.words(at_ms), channel.register) for at_ms in range(from_ms - 2, to_ms + 3)}


def watched_until(rig: Rig) -> int:
    """What the agent's status says at the collector. [UTC ms]"""
    answer = httpx.get(f"{rig.site.address}/api/v1/agents", auth=(ADMINISTRATOR, rig.site.admin_password), timeout=30)
    status = answer.json()["agents"][0]["status"]
    return 0 if status is None else int(status["watched_until_ms"])


def test_what_the_meters_show_reaches_whoever_looks(rig: Rig) -> None:
    """Live within 3 s of opening, equal to what the meter served at that moment, evidence as ever, a clean end."""
    with looking(rig) as stream:
        wait_until(lambda: COMPARED.keys() <= stream.live().keys(), 20, "live values of every compared point")
        wait_until(lambda: watched_until(rig) > 0, 20, "the agent's status")
        wait_until(lambda: sum(name == "values" for _, name, _ in stream.events) >= 4, 20, "more values")
        collector = rig.processes["collector"]
        rig.wait_for_items(2)
        site = next(data for _, name, data in stream.events if name == "site")
        stopped_s = time.monotonic()
        assert collector.stop() == 0, collector.text()
        wait_until(lambda: stream.ended is not None, 5, "the stream to end")
        assert time.monotonic() - stopped_s < 5
    shown = stream.live()

    assert "cleanly" == stream.ended
    assert "retry: 3000" == stream.first_lines[0]
    assert COMPARED.keys() <= {reading["point"] for reading in site["readings"]}
    for point in COMPARED:
        after_s, reading = shown[point]
        assert after_s <= 3, point
        assert Decimal(reading["value"]) in served(rig, point, reading["due_ms"], reading["at_ms"]), reading
        assert ("G", "good") == (reading["quality"], reading["fate"])
    rig.start("collector")
    rig.finish()
    wait_until(lambda: rig.books("select count(*) from comparisons")[0][0] >= 3, 60, "the recomputation")
    assert [(0,)] == rig.books("select count(*) from comparisons where not equal")
    assert [(0,)] == rig.books("select count(*) from quarantine")


@pytest.mark.mosquitto
@pytest.mark.parametrize("rig", ["mosquitto"], indirect=True)
def test_an_agent_falls_silent_after_the_last_looker_has_left(rig: Rig) -> None:
    """No more than 70 s after the page is closed nothing live goes over the line; then somebody looks again."""
    heard: list[float] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(rig.broker.username, rig.broker.password)
    client.on_connect = lambda who, *_: who.subscribe(topics.ALL_LIVE)
    client.on_message = lambda *_: heard.append(time.monotonic())
    client.connect(LOOPBACK, rig.broker.port)
    client.loop_start()
    try:
        with looking(rig):
            wait_until(lambda: len(heard) >= 3, 20, "live messages")
        left_s = time.monotonic()
        wait_until(lambda: watched_until(rig) == 0, 70, "the end of the watch", every_s=0.5)
        assert heard[-1] - left_s <= 70
        count = len(heard)
        time.sleep(3)  # three live messages long
        assert count == len(heard)

        with looking(rig):
            wait_until(lambda: len(heard) > count, 20, "live messages again")
    finally:
        client.disconnect()
        client.loop_stop()
