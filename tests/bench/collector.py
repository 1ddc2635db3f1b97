"""The central side: ingest, recomputation, disk, inventory, export and verification; ingest on a server too."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from collector.books import Books, open_books
from collector.config import Config, DatabaseTable, Settings
from collector.ingest.worker import GROUP, commit_group
from collector.recompute import Recomputer
from collector.store.agents import add_agent
from collector.store.inventories import compose_inventory
from collector.store.postgresql import database_bytes
from collector.store.refresh import refresh_hours
from tests.bench import bundles
from tests.bench.field import PANEL, START_MS, Size, Stream
from tests.bench.figures import Figure, median_of, seconds
from tests.bench.profiles import keep
from tests.postgresql import a_postgresql, find_server

HOURLY = Size(devices=50, counters=1, gauges=0, blocks=(1,), interval_ms=300_000, window_s=3600, batch_s=3600)
HOURS = 240


def run() -> Iterator[Figure]:
    """All figures of the room."""
    logging.getLogger("collector").setLevel(logging.WARNING)
    minutes = Stream(PANEL).more(120)
    rounds = [_round(minutes) for _ in range(4)][1:]
    note = f"{len(minutes.items) - 1} batches of 60 s, 50 points"
    yield _median("collector.ingest_readings_per_s.sqlite", [one[0] for one in rounds], "readings/s", note)
    yield _median("collector.recompute_readings_per_s.batch60", [one[1] for one in rounds], "readings/s", note)
    yield _median("collector.disk_bytes_per_reading", [one[2] for one in rounds], "B", f"{note}; the closed file")
    hours = Stream(replace(PANEL, batch_s=3600)).more(4)
    long = [_round(hours)[1] for _ in range(4)][1:]
    yield _median("collector.recompute_readings_per_s.batch3600", long, "readings/s", "4 batches of 3,600 s, 50 points")
    yield from bundles.run()
    yield from _inventory()
    yield from _on_server(minutes)
    keep("collector", lambda: _round(minutes))


def _median(key: str, values: list[float], unit: str, note: str) -> Figure:
    return Figure(key, median(values), unit, note)


@contextmanager
def _opened(stream: Stream, folder: str, url: str = "") -> Iterator[Books]:
    with open_books(Config(Path(folder) / "collector.toml", Settings(database=DatabaseTable(url=url)))) as books:
        with books.database.writing() as connection:
            add_agent(connection, stream.public, "bench", START_MS)
        yield books


def _ingest(books: Books, stream: Stream) -> None:
    messages = list(stream.messages())
    for first in range(0, len(messages), GROUP):
        commit_group(books, messages[first : first + GROUP], START_MS)


def _recompute(books: Books) -> None:
    recomputer = Recomputer(books)
    while recomputer.step():
        pass


def _round(stream: Stream) -> tuple[float, float, float]:
    """Ingest rate, recomputation rate, bytes on disk per reading, in new books."""
    with tempfile.TemporaryDirectory() as folder:
        with _opened(stream, folder) as books:
            ingest_s = seconds(lambda: _ingest(books, stream))
            recompute_s = seconds(lambda: _recompute(books))
            refresh_hours(books.database, books.plans, books.hour_rule)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return stream.readings / ingest_s, stream.readings / recompute_s, size / stream.readings


def _on_server(stream: Stream) -> Iterator[Figure]:
    """The same on a PostgreSQL server of this machine that syncs every commit, over loopback."""
    if find_server() is None:
        return
    rates, sizes = [], []
    with a_postgresql(durable=True) as server:
        for _ in range(4):
            with tempfile.TemporaryDirectory() as folder, _opened(stream, folder, server.books()) as books:
                empty = _size_on_server(books)
                rates.append(stream.readings / seconds(lambda: _ingest(books, stream)))  # called at once
                sizes.append((_size_on_server(books) - empty) / stream.readings)
        version = server.version
    note = f"{len(stream.items) - 1} batches of 60 s, 50 points; PostgreSQL {version} on the same machine, fsync on"
    yield _median("collector.ingest_readings_per_s.postgresql", rates[1:], "readings/s", note)
    yield _median("collector.disk_bytes_per_reading.postgresql", sizes[1:], "B", f"{note}; growth of the database")


def _size_on_server(books: Books) -> int:
    with books.database.reading() as connection:
        return database_bytes(connection)


def _inventory() -> Iterator[Figure]:
    stream = Stream(HOURLY).more(HOURS)
    with tempfile.TemporaryDirectory() as folder, _opened(stream, folder) as books:
        _ingest(books, stream)
        refresh_hours(books.database, books.plans, books.hour_rule)

        def compose() -> None:
            with books.database.reading() as connection:
                compose_inventory(
                    connection, books.plans, START_MS, stream.at_ms, "AR6",
                    books.config.settings.inventory.profile,
                )  # fmt: skip

        value = median_of(lambda: seconds(compose))
    note = f"reduced size: 50 sources x 1 gas x {HOURS} h = {50 * HOURS} hour rows, of the goal's 52,560,000"
    yield Figure("collector.inventory_s", value, "s", note)
