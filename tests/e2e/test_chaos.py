"""Twenty agents, and everything is killed, cut, doubled and mixed up: what was committed stands exactly once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from agent.config import Config
from agent.service import OUTBOX
from agent.spans import SealedItem
from collector.books import open_books
from collector.config import Config as CollectorConfig
from collector.config import load_config
from collector.store.agents import add_agent
from collector.store.log import read_frontier
from collector.store.schema import comparisons, items, leaves, quarantine, streams, uncompared
from protocols.transparency.tree import Frontier, leaf_data, leaf_hash
from protocols.wire.keys import fingerprint, load_key, public_bytes
from tests.agent.rig import PLAN, write_agent
from tests.agent.stream import stored
from tests.collector.running import Collector, origin
from tests.e2e.chaos import Echo, Life, Network, network
from tests.e2e.rig import ask
from tests.e2e.test_outage import number
from tests.postgresql import PostgreSQL
from tests.services import Mosquitto, Spawn, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.mosquitto]

AGENTS = 20
SITE_PLAN = PLAN.replace("window_s = 1", "window_s = 4").replace("batch_s = 1", "batch_s = 4").replace(
    "interval_ms = 200", "interval_ms = 1000"
)  # fmt: skip


@dataclass
class Chain:
    """Agents, their way to the broker, broker and collector."""

    folder: Path
    broker: Mosquitto
    collector: Collector
    net: Network
    configs: list[Config] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)

    def build(self) -> None:
        """Twenty sites with a key, a plan and an account."""
        trusted = origin(self.collector.configure())
        extra = f'username = "{self.broker.username}"\npassword_file = "{self.broker.password_file}"'
        for site in range(AGENTS):
            plan = SITE_PLAN.replace('id = "site"', f'id = "site-{site}"')
            config = write_agent(
                self.folder / f"a{site}", self.net.meter.port, self.net.proxy.port, trusted, plan=plan, extra=extra
            )
            self.configs.append(config)
            self.lives.append(Life(config.file, self.folder / f"a{site}.log"))
        with open_books(load_config(self.folder / "collector.toml")) as books, books.database.writing() as connection:
            for site, config in enumerate(self.configs):
                add_agent(connection, public_bytes(load_key(config.key_file)), f"site {site}", 1)

    def disturb(self, seconds: float, seed: int) -> dict[str, int]:
        """Kill, cut and repeat at random for a while; how often each was done."""
        chance, echo = random.Random(seed), Echo(self.broker, seed)
        done = dict.fromkeys(("agent", "collector", "broker", "cut"), 0)
        end_s = time.monotonic() + seconds
        try:
            while time.monotonic() < end_s:
                what = chance.choices(tuple(done), (8, 1, 1, 4))[0]
                done[what] += 1
                if what == "agent":
                    for life in chance.sample(self.lives, 3):
                        life.kill()
                elif what == "cut":
                    self.net.cut(0.5, chance)
                else:
                    self._outage(what, chance.uniform(0, 2))
                echo.send(20)
                time.sleep(chance.uniform(0.1, 0.6))  # how far each gets before the next blow is what is tested
                for life in self.lives:
                    life.begin()
        finally:
            echo.close()
        return {**done, "again": echo.sent}

    def _outage(self, what: str, for_s: float) -> None:
        if what == "broker":
            self.broker.kill()
            time.sleep(for_s)
            self.broker.start()
        else:
            assert self.collector.process is not None
            self.collector.process.kill()
            time.sleep(for_s)
            self.collector.start()

    def settle(self) -> None:
        """In peace again: agents deliver, end cleanly, and the collector has what they sealed last.

        An agent that is told to stop waits some seconds for its last item to be taken, not for ever; on a machine
        that was too busy for that it hands it over when it runs again.
        """
        books = load_config(self.folder / "collector.toml")
        for _ in range(3):
            for life in self.lives:
                life.begin()
            for config in self.configs:
                delivered = partial(_waits_for_few, config)
                wait_until(delivered, 240, f"the backlog of {config.file.parent.name}", every_s=0.2)
            for life in self.lives:
                assert 0 == life.stop(30), life.log.read_text()[-4000:]
            last = {_agent(config): stored(config.state_dir / OUTBOX)[-1].sequence for config in self.configs}
            with suppress(AssertionError):
                wait_until(partial(_are_in, books, last), 30, "the last items at the collector", every_s=0.2)
                return
        assert _heads(books) == last


def _waits_for_few(config: Config) -> bool:
    """Whether an agent that seals on has nothing old to deliver."""
    waiting = number(config.state_dir / OUTBOX, "select count(*) from items where acked_ms is null")
    return 0 <= waiting <= 3


def _are_in(config: CollectorConfig, last: dict[str, int]) -> bool:
    """Whether each agent's stream is in the books up to its last item."""
    return _heads(config) == last


def _heads(config: CollectorConfig) -> dict[str, int]:
    """Up to which item each agent's stream is in the books."""
    with open_books(config) as books, books.database.reading() as connection:
        return {row.agent_id: row.contiguous for row in connection.execute(select(streams))}


@contextmanager
def chain(folder: Path, broker: Mosquitto, spawn: Spawn, database: str) -> Iterator[Chain]:
    """All of it running; whatever happens nothing is left behind."""
    with network(broker.port) as net:
        collector = Collector(folder, spawn, broker.port, broker.username, broker.password_file)
        collector.database = database
        made = Chain(folder, broker, collector, net)
        made.build()
        collector.start()
        for life in made.lives:
            life.begin()
        try:
            yield made
        finally:
            for life in made.lives:
                life.kill()


def survives(folder: Path, broker: Mosquitto, spawn: Spawn, seconds: float, database: str) -> None:
    """Chaos, then peace, then every promise looked at."""
    with chain(folder, broker, spawn, database) as made:
        done = made.disturb(seconds, seed=20)
        made.settle()
        sealed = {_agent(config): stored(config.state_dir / OUTBOX) for config in made.configs}
        books = load_config(folder / "collector.toml")
        wait_until(lambda: _uncompared(books) == 0, 120, "every batch to be recomputed", 0.2)
        _compare(books, sealed)
        _verify(folder, [*sealed, origin(books)])
    assert all(done.values()), done


def _agent(config: Config) -> str:
    return fingerprint(public_bytes(load_key(config.key_file)))


def _uncompared(config: CollectorConfig) -> int:
    with open_books(config) as books, books.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(uncompared)) or 0


def _compare(config: CollectorConfig, sealed: dict[str, list[SealedItem]]) -> None:
    """Each item once, byte for byte and in order; nothing believed that was not sealed; the log is the tree of it."""
    with open_books(config) as books, books.database.reading() as connection:
        rows = connection.execute(select(items).order_by(items.c.agent_id, items.c.sequence)).all()
        logged = connection.execute(select(leaves).order_by(leaves.c.position)).all()
        reasons = set(connection.scalars(select(quarantine.c.reason)))
        differing = connection.scalar(select(func.count()).where(comparisons.c.equal.is_(False)))
        tree = read_frontier(connection)
    grown = Frontier()
    for row in logged:
        grown = grown.append(leaf_hash(leaf_data(row.kind, row.object_id, row.object_digest)))
    logged_items = [row.object_digest for row in logged if row.kind == "item"]

    assert sum(map(len, sealed.values())) > 5 * AGENTS
    for agent, own in sealed.items():
        assert list(range(len(own))) == [item.sequence for item in own]
        assert [item.data for item in own] == [row.bytes for row in rows if row.agent_id == agent]
    assert {"placed"} == {row.state for row in rows}
    assert set() == reasons
    assert 0 == differing
    assert sorted(row.digest for row in rows) == sorted(logged_items)
    assert list(range(len(logged))) == [row.position for row in logged]
    assert (tree.size, tree.root) == (grown.size, grown.root)


def _verify(folder: Path, anchors: list[str]) -> None:
    """The bundle of the whole time holds with the fingerprints of all agents and the collector."""
    bundle, now = folder / "bundle.zip", datetime.now(UTC)
    span = [f"{(now + timedelta(hours=hours)).isoformat(timespec='seconds')}" for hours in (-24, 1)]
    ask("emitrace-collector", "export", "--from", span[0], "--to", span[1], "--out", bundle,
        "--config", folder / "collector.toml")  # fmt: skip
    ask("emitrace-verify", bundle, *(word for anchor in anchors for word in ("--trust", anchor)))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> str:
    """URL of new books; empty for SQLite in the state folder."""
    if request.param == "sqlite":
        return ""
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.books()


def test_a_minute_of_chaos(tmp_path: Path, mosquitto: Mosquitto, spawn: Spawn, database: str) -> None:
    """Everything committed exactly once, the log consistent, the bundle verifies."""
    survives(tmp_path, mosquitto, spawn, 60, database)


@pytest.mark.soak
def test_ten_minutes_of_chaos(tmp_path: Path, mosquitto: Mosquitto, spawn: Spawn, database: str) -> None:
    """The same for longer."""
    survives(tmp_path, mosquitto, spawn, 600, database)
