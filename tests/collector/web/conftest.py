"""Running collectors: one that knows nothing, one with a few minutes of an agent.

Starting one costs more than most tests do with it, so all tests of a worker share them: what a test leaves behind
(a version, a session) another one must not stumble over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from collector.books import open_books
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from tests.collector.edge import stream
from tests.collector.running import Collector
from tests.services import free_port, spawning, wait_until

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture(scope="package")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A running collector that knows nothing; its broker never comes."""
    folder = tmp_path_factory.mktemp("empty")
    with spawning(folder) as spawn:
        one = Collector(folder, spawn, free_port())
        one.configure()
        one.start()
        yield one


@pytest.fixture(scope="package")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A running collector with a few minutes of an agent and one refused message."""
    folder = tmp_path_factory.mktemp("filled")
    with spawning(folder) as spawn:
        one = Collector(folder, spawn, free_port())
        config = one.configure()
        edge = stream(4, at_ms=NOW_MS - NOW_MS % HOUR_MS, window_s=60)
        with open_books(config) as books:
            with books.database.writing() as connection:
                add_agent(connection, edge.public, "boiler <house>", NOW_MS)
            commit_group(books, [edge.message(n) for n in range(5)], NOW_MS)
            commit_group(books, [(edge.message(1)[0], b"<script>alert(1)</script>")], NOW_MS)
        one.start()
        done = {"waiting": 0, "equal": 4}
        wait_until(
            lambda: len(one.get("hours")["hours"]) == 3 and one.get("comparisons").items() >= done.items(),
            20, "the ledger",
        )  # fmt: skip
        yield one
