"""A year of the demo plant in bulk: written, replayed, ingested by the programs themselves, and its first inventory."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from collector.books import open_books
from collector.config import load_config
from collector.hours.calendar import By
from collector.hours.cells import HOUR_MS
from collector.store.plans import site_zone
from collector.store.series import read_extent, read_series
from collector.web import overview
from tests.bench.explain import sign_last_hour, year_to_words
from tests.bench.figures import Figure, median_of, seconds
from tests.bench.year import make_year
from tests.e2e.history import History

DAYS = 365
START, END = "2025-01-01T00:00:00+08:00", "2026-01-01T00:00:00+08:00"


def run() -> Iterator[Figure]:
    """All figures of the room; each is taken once, a year is long enough."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), DAYS, START, 2026)
        parts = {name: seconds(step) for name, step in
                 (("written", history.write), ("replayed", history.replay), ("ingested", history.ingest))}  # fmt: skip
        told = ", ".join(f"{name} {part:.0f} s" for name, part in parts.items())
        note = f"{DAYS} days, 27 points, analyzers 5 s, meters 30 s, batches of 3,600 s: {told}"
        yield Figure("simulators.year_minutes", sum(parts.values()) / 60, "min", note)
        built = seconds(lambda: history.inventory(START, END))
        note = "8,760 dirty hours of 5 sources and gases, by the command"
        yield Figure("collector.first_year_inventory_s", built, "s", note)
        with open_books(load_config(Path(folder) / "collector.toml")) as books:

            def months() -> float:
                with books.database.reading() as connection:
                    zone, extent = site_zone(connection, books.plans), read_extent(connection)
                    assert extent is not None
                    return 1000 * seconds(lambda: read_series(connection, *extent, By.MONTH, zone))

            yield Figure("collector.series_ms.year_by_month", median_of(months), "ms", "5 sources and gases")
    with tempfile.TemporaryDirectory() as folder:
        logging.getLogger("collector").setLevel(logging.WARNING)
        now_ms = int(time.time() * 1000)
        config = make_year(Path(folder), now_ms)
        with open_books(config) as books:
            value = 1000 * median_of(lambda: seconds(lambda: overview.gather(books, now_ms)))
        note = f"the store's part of the page, {DAYS * 1440:,} batches of a live agent"
        yield Figure("collector.overview_ms", value, "ms", note)
        end_ms = now_ms - now_ms % HOUR_MS
        with open_books(config) as books:
            sign_last_hour(books, end_ms)
            traced = [year_to_words(books, end_ms, *series) for series in (("boiler-stack", "CO2"), ("grid", "CO2"))]
            assert all(one.window and not one.window.batches[0].differences for one in traced)
            value = 1000 * median_of(lambda: seconds(lambda: year_to_words(books, end_ms, "boiler-stack", "CO2")))
        note = f"a stack's year down to words and signature, as JSON, in {DAYS * 1440:,} batches"
        yield Figure("collector.explain_ms", value, "ms", note)
