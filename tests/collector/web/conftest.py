"""Running collectors: one that knows nothing, one with a few minutes of an agent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from collector.books import open_books
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from tests.collector.edge import stream
from tests.collector.running import Collector, Spawn
from tests.services import free_port, wait_until

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def empty(tmp_path: Path, spawn: Spawn) -> Collector:
    """A running collector that knows nothing; its broker never comes."""
    one = Collector(tmp_path, spawn, free_port())
    one.configure()
    one.start()
    return one


@pytest.fixture
def filled(tmp_path: Path, spawn: Spawn) -> Collector:
    """A running collector with a few minutes of an agent and one refused message."""
    one = Collector(tmp_path, spawn, free_port())
    config = one.configure()
    edge = stream(4, at_ms=NOW_MS - NOW_MS % HOUR_MS, window_s=60)
    with open_books(config) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler <house>", NOW_MS)
        commit_group(books, [edge.message(n) for n in range(5)], NOW_MS)
        commit_group(books, [(edge.message(1)[0], b"<script>alert(1)</script>")], NOW_MS)
    one.start()
    wait_until(lambda: len(one.get("hours")["hours"]) == 3 and one.get("comparisons")["equal"] == 4, 20, "the ledger")
    return one
