"""A week without the collector, and kills all the while: what was sealed arrives, byte for byte and in order."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.bounds import Bounds
from agent.config import Config
from agent.outbox import Outbox
from agent.replay import OutboxShelf, replay
from agent.room import make_room
from agent.service import OUTBOX
from agent.spans import SealedItem
from collector.books import open_books
from collector.config import Config as CollectorConfig
from collector.config import Settings as CollectorSettings
from collector.ingest.worker import commit_group
from collector.store import quarantine
from collector.store.acks import missing_ranges
from collector.store.agents import add_agent
from protocols.modbus.maps import load_map
from protocols.plan.document import encode_document
from protocols.records import Batch, Fate
from protocols.tape import Header, TapeReader, TapeWriter, Track
from protocols.windows.series import slot_range
from protocols.wire import topics
from protocols.wire.codec import read_item
from protocols.wire.keys import fingerprint, load_key, public_bytes
from tests.agent.rig import PLAN, write_agent
from tests.agent.stream import stored
from tests.collector.running import Collector, origin
from tests.services import Mosquitto, Spawn, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]

HOUR_MS = 3_600_000
HOURS = 7 * 24
LIVE = 8
WEEK_PLAN = (
    PLAN.replace("window_s = 1", "window_s = 600").replace("batch_s = 1", "batch_s = 600").replace(
        "interval_ms = 200", "interval_ms = 60000"
    )
)  # fmt: skip


@dataclass
class Lives:
    """One program after another, each killed or left to end by itself."""

    server: subprocess.Popen[str]

    def begin(self, *words: object) -> int:
        """Start one; its process id, which stays its own until its end is asked for."""
        return self._told(" ".join(map(str, words)))

    def kill(self, process: int) -> bool:
        """End it as kill -9 does; False where it had ended by itself."""
        os.kill(process, signal.SIGKILL)
        code = self._told("end")
        assert code in {0, -signal.SIGKILL}
        return code != 0

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        return self._told("end")

    def _told(self, line: str) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{line}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@contextmanager
def lives(log: Path) -> Iterator[Lives]:
    """A process that forks them."""
    with log.open("w") as sink:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.outage_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=sink, text=True,
        )  # fmt: skip
        try:
            yield Lives(server)
        finally:
            server.kill()
            server.wait()


def write_tape(path: Path, start_ms: int, hours: int) -> None:
    """Hours of a meter that counts 1 kWh a minute, with an answer missing now and then."""
    document = encode_document(WEEK_PLAN, {"eastron-sdm630": load_map("eastron-sdm630")[1]})
    header = Header(document, start_ms, HOUR_MS, hours, {"made": "for an outage"})
    chance = np.random.default_rng(7)
    with path.open("wb") as file:
        writer = TapeWriter(file, header)
        (request,) = writer.requests
        for hour in range(hours):
            count = slot_range(*header.between(hour), writer.bound.intervals_ms[0])[1]
            fates = np.where(chance.random(count) < 0.02, Fate.TIMEOUT, Fate.GOOD).astype(np.uint16)
            index = (60 * hour + np.arange(count))[fates == Fate.GOOD]
            registers = chance.integers(0, 9, (index.size, request.count), dtype=np.uint16)
            counted = index.astype(">f4").view(">u2").reshape(-1, 2)
            registers[:, 72 - request.address : 74 - request.address] = counted
            writer.write([Track(fates, np.full(index.size, 9, dtype=np.int64), registers)])
        writer.finish()


def number(path: Path, query: str) -> int:
    """A number of an outbox or of the books while somebody writes them; -1 before there is one."""
    if not path.exists():
        return -1
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return -1
    finally:
        connection.close()


def kill_on_the_way(
    some: Lives, words: tuple[object, ...], progress: Callable[[], int], marks: list[int], chance: random.Random,
    most: int = 2**62,
) -> int:
    """Begin anew, let it move on to each mark, and kill it a moment later; how many were at work then."""
    killed = 0
    for mark in marks:
        wanted = min(max(mark, progress() + 1), most)
        process = some.begin(*words)
        wait_until(partial(_reached, progress, wanted), 60, f"mark {wanted}, now at {progress()}", every_s=0.005)
        time.sleep(chance.random() * 0.03)  # the kill falls anywhere in a transaction
        killed += some.kill(process)
    return killed


def _reached(progress: Callable[[], int], mark: int) -> bool:
    return progress() >= mark


def outage(folder: Path, broker: Mosquitto, spawn: Spawn, kills: int, hours: int = HOURS) -> None:
    """Write them under half of the kills, let it drain under the other half, and compare."""
    chance = random.Random(kills)
    (folder / "collector").mkdir()
    collector = Collector(folder / "collector", spawn, broker.port, broker.username, broker.password_file)
    fingerprint = origin(collector.configure())
    extra = f'username = "{broker.username}"\npassword_file = "{broker.password_file}"'
    config = write_agent(folder / "agent", free_port(), broker.port, fingerprint, plan=WEEK_PLAN, extra=extra)
    with config.file.open("a") as file:
        file.write(f"\n[outbox]\nbacklog_per_s = {max(100, kills)}\n")
    collector.run("agents", "add", public_bytes(load_key(config.key_file)).hex(), "--name", "site")
    tape, path = folder / "tape", config.state_dir / OUTBOX
    books = folder / "collector" / "state" / "books.sqlite"
    write_tape(tape, (int(time.time()) // 3600 - hours) * HOUR_MS, hours)
    with lives(folder / "lives.log") as some:
        marks = sorted(chance.choices(range(2, hours - 4), k=kills // 2))
        done = kill_on_the_way(
            some, ("replay", tape, config.file), lambda: number(path, "select count(*) from items"), marks, chance,
            hours + 1,
        )
        some.begin("replay", tape, config.file)
        assert 0 == some.ended(), (folder / "lives.log").read_text()
        backlog = stored(path)
        collector.start()
        marks = sorted(chance.choices(range(LIVE, hours - 4), k=kills - done))
        acknowledged = "select count(*) from items where acked_ms is not null"
        done += kill_on_the_way(some, ("run", config.file), lambda: number(path, acknowledged), marks, chance)
        process = some.begin("run", config.file)
        waiting = f"select count(*) from items where acked_ms is null and sequence <= {backlog[-1].sequence}"  # noqa: S608
        wait_until(lambda: number(path, waiting) == 0, 90, "the backlog to be acknowledged", every_s=0.05)
        some.kill(process)
    assert done >= 0.9 * kills
    compare(config, books, backlog, hours)


def compare(config: Config, books: Path, backlog: list[SealedItem], hours: int) -> None:
    """Bytes in equal bytes out, the newest came first, and the time is whole."""
    kept = {item.sequence: item.data for item in stored(config.state_dir / OUTBOX)}
    connection = sqlite3.connect(f"{books.as_uri()}?mode=ro", uri=True)
    try:
        arrived = connection.execute("select sequence, bytes, state from items order by id").fetchall()
        contiguous = connection.execute("select contiguous from streams").fetchall()
        refused = connection.execute("select count(*) from quarantine").fetchone()[0]
    finally:
        connection.close()
    batches = [read_item(item.data, public_bytes(load_key(config.key_file))) for item in backlog]
    spans = [(one.from_ms, one.to_ms) for one in batches if isinstance(one, Batch)]

    assert {"placed"} == {state for sequence, _, state in arrived if sequence <= backlog[-1].sequence}
    assert all(kept[sequence] == data for sequence, data, _ in arrived)
    assert [item.data for item in backlog] == [kept[item.sequence] for item in backlog]
    assert len(arrived) == len({sequence for sequence, _, _ in arrived})
    assert 1 == len(contiguous)
    assert contiguous[0][0] >= backlog[-1].sequence
    assert 0 == refused
    assert hours == len(spans)
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert min(sequence for sequence, _, _ in arrived[:LIVE]) >= backlog[-1].sequence + 1 - LIVE


def test_what_a_full_outbox_dropped_is_passed_over_by_the_collector(tmp_path: Path) -> None:
    """Of a week only the end fits: newest first the collector takes all there is, and asks for nothing of the rest."""
    key, tape, path = Ed25519PrivateKey.generate(), tmp_path / "tape", tmp_path / OUTBOX
    write_tape(tape, (int(time.time()) // 3600 - HOURS) * HOUR_MS, HOURS)
    outbox = Outbox(path)
    with tape.open("rb") as file:
        replay(TapeReader(file), OutboxShelf(outbox), key, "agent", lambda _done, _readings: None)
    whole = outbox.backlog()
    outbox.close()
    outbox = Outbox(path, Bounds(2 * whole.size))  # its tables alone take a third of that
    standing = outbox.standing()
    assert standing is not None
    made = make_room(outbox, standing, key)
    last, agent = made.standing.tail.sequence - 1, fingerprint(public_bytes(key))
    items = [item for one in outbox.stored(0, last, 10**6)[::-1] if (item := outbox.item(one)) is not None]
    with open_books(CollectorConfig(tmp_path / "collector.toml", CollectorSettings())) as books:
        with books.database.writing() as connection:
            add_agent(connection, public_bytes(key), "site", 1)
        messages = [(topics.up(agent, item.kind), item.data) for item in items]
        (ack,) = commit_group(books, messages, int(time.time() * 1000))[agent]
        with books.database.reading() as connection:
            refused = quarantine.count_by_reason(connection)
    outbox.mark_acknowledged(ack.contiguous, ack.beyond, 1)

    assert HOURS // 5 < len(made.dropped) < HOURS
    assert len(items) == last + 1 - len(made.dropped)
    assert (last, ()) == (ack.contiguous, ack.beyond)
    assert {} == refused
    assert not missing_ranges(ack, 64)
    assert [] == outbox.unacknowledged(10)
    outbox.close()


def test_a_week_behind_and_killed_thirty_times(tmp_path: Path, mosquitto: Mosquitto, spawn: Spawn) -> None:
    """Fifteen kills while the week is written and fifteen while it drains: nothing is lost, doubled or changed."""
    outage(tmp_path, mosquitto, spawn, 30)


@pytest.mark.soak
def test_four_weeks_behind_and_killed_two_hundred_times(tmp_path: Path, mosquitto: Mosquitto, spawn: Spawn) -> None:
    """The same with a hundred and a hundred."""
    outage(tmp_path, mosquitto, spawn, 200, 4 * HOURS)
