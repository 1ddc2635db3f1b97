"""What the collector says of itself to Prometheus: its own counters, and gauges read from the books at each scrape.

Nothing here grows with what is stored: the books are asked by index for the newest of each agent, and for counts that
the database keeps itself. Every metric is described in docs/central-team.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from collector.api.observe import Seen
from collector.api.shapes import fate_name
from collector.books import Books
from collector.live.hub import Hub
from collector.store.comparisons import verdicts
from collector.store.healings import current_healing
from collector.store.migrations import NEWEST
from collector.store.tallies import read_tallies
from collector.store.vitals import AgentVitals, read_agents, read_sizes

PREFIX = "emitrace_collector"
ACK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
HTTP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The service's own counters, and the registry that shows them beside the books.

    Parameters
    ----------
    books : Books
        What the gauges are read from.
    connected : Callable
        Whether there is a session with the broker now.
    """

    def __init__(self, books: Books, connected: Callable[[], bool] = lambda: False) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_OfBooks(books, connected))
        self._messages = Counter(
            f"{PREFIX}_messages", "Items that arrived since the start, by what became of them.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._acks = Histogram(
            f"{PREFIX}_ack_duration_seconds", "From an item's arrival to its acknowledgement, after the commit.",
            buckets=ACK_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._requests = Histogram(
            f"{PREFIX}_http_request_duration_seconds", "Time to the end of the answer.", ["route"],
            buckets=HTTP_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._answers = Counter(
            f"{PREFIX}_http_requests", "Requests answered since the start.", ["method", "route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            f"{PREFIX}_sign_ins_refused", "Wrong or braked passwords since the start, by way in.", ["way"],
            registry=self.registry,
        )  # fmt: skip
        for way in ("page", "script"):
            self._refused.labels(way)

    def show_live(self, hub: Hub) -> None:
        """Show what the live values' hub counts as well."""
        self.registry.register(_OfLive(hub))

    def ingested(self, outcomes: Mapping[str, int], waited_s: list[float]) -> None:
        """A group of items was committed and acknowledged: how many by outcome, and how long each waited. [s]"""
        for outcome, count in outcomes.items():
            self._messages.labels(outcome).inc(count)
        for one in waited_s:
            self._acks.observe(one)

    def answered(self, seen: Seen) -> None:
        """A request was answered."""
        self._answers.labels(seen.method, seen.route, str(seen.status)).inc()
        self._requests.labels(seen.route).observe(seen.seconds)
        if seen.refused_way:
            self._refused.labels(seen.refused_way).inc()


class _OfBooks(Collector):
    """Gauges read at each scrape, in one snapshot."""

    def __init__(self, books: Books, connected: Callable[[], bool]) -> None:
        self._books = books
        self._connected = connected

    def describe(self) -> Iterator[Metric]:
        """Nothing is read when the registry is made."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every gauge; where the books cannot be read only that, and what needs no books."""
        yield InfoMetricFamily(
            f"{PREFIX}_build", "Version, schema of the books, and fingerprint of the collector's key.",
            {"version": version("emitrace"), "schema": str(NEWEST), "collector": self._books.collector_id},
        )  # fmt: skip
        yield _gauge("broker_connected", "1 while there is a session with the broker.", float(self._connected()))
        try:
            found = list(self._of_books())
        except SQLAlchemyError:
            found = []
        yield _gauge("books_readable", "1 where the books could be read for this scrape.", float(bool(found)))
        yield from found

    def _of_books(self) -> Iterator[Metric]:
        with self._books.database.reading() as connection:
            tallies = read_tallies(connection)
            stands = verdicts(connection)
            sizes = read_sizes(connection)
            vitals = read_agents(connection, self._books.plans)
            healing = current_healing(connection)

        def by(name: str) -> dict[str, int]:
            return {label: count for (of, label), count in tallies.items() if of == name}

        batches = {"equal": stands.equal, "different": stands.different, "waiting": stands.waiting}
        yield _labelled("items", "Signed items in the books.", "kind", by("items"))
        yield _labelled("items_bytes", "Bytes of the signed items in the books.", "kind", by("bytes"))
        yield CounterMetricFamily(f"{PREFIX}_readings", "Readings in the books.", by("readings").get("", 0))
        yield _labelled("batches", "Batches by what recomputing them gave.", "verdict", batches)
        yield _labelled("quarantined", "Objects in the quarantine.", "reason", by("quarantine"))
        yield _gauge("dirty_cells", "Hours about to be made anew.", sizes.dirty_cells)
        yield _gauge("healing", "1 while the books are behind what was signed.", float(healing is not None))
        yield _gauge("log_leaves", "Size of the evidence log.", sizes.leaves)
        yield _gauge("database_bytes", "Size of the books.", sizes.database)
        if (file := self._books.database.file) is not None:
            yield _gauge("wal_bytes", "Size of the write-ahead log of the books.", _wal_bytes(file))
        yield from _of_agents(vitals)


class _OfLive(Collector):
    """What live values are taken in and who looks at them, read at each scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """A gauge of the open streams, and counters since the start."""
        yield _gauge("live_streams", "Streams of live values that are open.", self._hub.lookers)
        yield CounterMetricFamily(
            f"{PREFIX}_live_messages_taken", "Live messages that were shown since the start.", self._hub.taken
        )
        refused = CounterMetricFamily(
            f"{PREFIX}_live_messages_refused", "Live messages that could not be shown, by reason.", labels=["reason"]
        )
        for reason, count in self._hub.refused.copy().items():
            refused.add_metric([reason], count)
        yield refused


def _of_agents(vitals: tuple[AgentVitals, ...]) -> Iterator[Metric]:
    names = GaugeMetricFamily(f"{PREFIX}_agent_info", "Name of a registered agent; always 1.", labels=["agent", "name"])
    for one in vitals:
        names.add_metric([one.agent_id, one.name], 1)
    yield names
    stated = {one.agent_id: _stated(one.status) for one in vitals}
    for name, help_, values in (
        ("agent_last_seen_timestamp_seconds", "When anything of an agent last arrived.",
         {one.agent_id: _seconds(one.last_seen_ms) for one in vitals}),
        ("agent_newest_item_timestamp_seconds", "End of the newest batch in order of an agent; its age is the lag.",
         {one.agent_id: _seconds(one.newest_ms) for one in vitals}),
        ("agent_contiguous_sequence", "Everything of the newest stream up to here is committed; -1 for nothing.",
         {one.agent_id: one.contiguous for one in vitals}),
        ("agent_items_ahead", "Items of the newest stream that wait behind a gap.",
         {one.agent_id: one.ahead for one in vitals}),
        ("agent_stated_backlog_items", "Items an agent says wait for the collector; unsigned.",
         {agent: told.get("backlog_items") for agent, told in stated.items()}),
        ("agent_stated_backlog_bytes", "Bytes an agent says wait for the collector; unsigned.",
         {agent: told.get("backlog_bytes") for agent, told in stated.items()}),
    ):  # fmt: skip
        yield _labelled(name, help_, "agent", values)
    slots = GaugeMetricFamily(
        f"{PREFIX}_slots_today", "Slots of batches begun today at the facility, by fate.", labels=["agent", "fate"]
    )
    for one in vitals:
        for code, count in one.slots_today.items():
            slots.add_metric([one.agent_id, fate_name(code)], count)
    yield slots


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", help_, value)


def _labelled(name: str, help_: str, label: str, values: Mapping[str, float | None]) -> Metric:
    """One sample per label; what is unknown has none, because missing is not zero."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", help_, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], value)
    return family


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _stated(status: str | None) -> dict[str, int]:
    """The whole numbers of an agent's own word, which may say anything."""
    told: Any = json.loads(status) if status else {}
    if not isinstance(told, dict):
        return {}
    return {key: value for key, value in told.items() if type(value) is int and 0 <= value < 2**63}


def _wal_bytes(file: Path) -> int:
    try:
        return file.with_name(f"{file.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0
