from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from collector.api.observe import Seen
from collector.books import Books
from collector.clock import now_ms
from collector.ingest.worker import commit_group
from collector.live.hub import Hub
from collector.metrics import Metrics
from collector.recompute import Recomputer
from collector.store import quarantine
from collector.store.tallies import count_anew, read_tallies
from collector.store.vitals import read_agents
from protocols.wire import topics
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.running import PASSWORD, Collector, Line
from tests.services import Mosquitto, Spawn, wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "central-team.md"
P = "emitrace_collector_"
SMALL = {"agents", "tallies", "dirty_hours", "uncompared", "streams", "healings", "sqlite_master"}
"""Tables that may be read whole: they do not grow with what is stored."""
FEW = "comparisons_different"
"""The index of the batches that differ, and of no others."""


UNITS_NOT_BASE = {"ms", "milliseconds", "minutes", "hours", "kb", "mb", "kilobytes", "percent", "gauge", "counter"}


@pytest.fixture
def busy(books: Books, register: Callable[[Edge], None], ingest: Callable[..., object]) -> Edge:
    """Books with a stream that has a gap, a refused message, compared batches and a status."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1, 2, 3)
    ingest(edge, 5, 6)
    status = b'{"phase": "running", "backlog_items": 7, "backlog_bytes": 900, "sequence": "x"}'
    commit_group(books, [(edge.message(1)[0], b"garbage"), (topics.status(edge.agent_id), status)], START_MS + 2)
    while Recomputer(books).step():
        pass
    return edge


def watched(books: Books) -> Hub:
    """A hub that has been sent rubbish once."""
    hub = Hub(books, lambda _topic, _payload: None)
    hub.take("emitrace/v1/nobody/live", b"")
    return hub


def scrape(metrics: Metrics) -> dict[str, Metric]:
    """Families by name, as a Prometheus server reads them."""
    text = generate_latest(metrics.registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(families: dict[str, Metric], name: str) -> dict[tuple[str, ...], float]:
    """Values of a family by their labels' values, without agent and histogram parts."""
    return {
        tuple(value for label, value in sorted(one.labels.items()) if label != "agent"): one.value
        for one in families[P + name].samples
    }


def test_the_books_are_counted(books: Books, busy: Edge) -> None:
    """Items, batches by verdict, quarantine, log, database and agents, as the books have them."""
    found = scrape(Metrics(books, lambda: True))
    fates = sum(slot.count for batch in busy.batches[:3] for slot in batch.slots if slot.fate < 2)
    sizes = [len(busy.items[n]) for n in (1, 2, 3, 5, 6)]

    assert {("batch",): 5, ("plan",): 1} == samples(found, "items")
    assert {("batch",): sum(sizes), ("plan",): len(busy.items[0])} == samples(found, "items_bytes")
    assert {(): fates} == samples(found, "readings")
    assert {("equal",): 3, ("different",): 0, ("waiting",): 0} == samples(found, "batches")
    assert {("malformed",): 1} == samples(found, "quarantined")
    assert [1, 1] == [samples(found, name)[()] for name in ("broker_connected", "books_readable")]
    assert 9 == samples(found, "log_leaves")[()]  # the agent's key and its audit entry, the plan, six items
    assert samples(found, "database_bytes")[()] > 4096 < samples(found, "wal_bytes")[()]
    assert samples(found, "dirty_cells")[()] >= 1
    assert [3, 2, 7, 900] == [
        samples(found, f"agent_{name}")[()]
        for name in ("contiguous_sequence", "items_ahead", "stated_backlog_items", "stated_backlog_bytes")
    ]
    assert busy.batches[2].to_ms / 1000 == samples(found, "agent_newest_item_timestamp_seconds")[()]
    assert (START_MS + 2) / 1000 == samples(found, "agent_last_seen_timestamp_seconds")[()]
    assert {("boiler house",): 1} == samples(found, "agent_info")


def test_slots_of_today_are_those_of_the_facilitys_day(books: Books, busy: Edge) -> None:
    """By fate, and none on another day; an agent without a plan has none."""
    at = datetime.fromtimestamp(busy.batches[0].from_ms / 1000, UTC)
    with books.database.reading() as connection:
        (that_day,) = read_agents(connection, books.plans, at)
        (another,) = read_agents(connection, books.plans, at.replace(year=2031))
    expected: dict[int, int] = {}
    for batch in busy.batches[:3]:
        for slot in batch.slots:
            expected[slot.fate & 0xFF] = expected.get(slot.fate & 0xFF, 0) + slot.count

    assert expected == that_day.slots_today
    assert {} == another.slots_today


def test_the_databases_own_counts_are_right(books: Books, busy: Edge, ingest: Callable[..., object]) -> None:
    """After duplicates, a conflict, an item given back and one rolled back, they equal what counting anew gives."""
    ingest(busy, 1, 2)
    forged = stream(6, window_s=10)
    ingest(forged, 4, 4)  # the same number with other bytes: stored ahead, does not follow, given back
    ingest(busy, 4)
    with books.database.writing() as connection:
        undone = connection.begin_nested()
        quarantine.keep(connection, "topic", busy.agent_id, "malformed", "rolled back", b"other garbage", START_MS)
        undone.rollback()
    with books.database.reading() as connection:
        kept, anew = read_tallies(connection), count_anew(connection)

    assert anew == kept
    assert kept["quarantine", "chain"] >= 1


def test_a_scrape_reads_nothing_that_grows(books: Books, busy: Edge) -> None:
    """Every statement of a scrape is answered by an index, but for tables that stay small."""
    statements: list[tuple[str, Any]] = []
    metrics = Metrics(books)
    engine = books.database.engine
    listen = lambda _c, _cur, sql, values, *_: statements.append((sql, values))  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    scrape(metrics)
    event.remove(engine, "before_cursor_execute", listen)
    scans = []
    with books.database.reading() as connection:
        for sql, values in statements:
            if sql.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
                scans += [row.detail for row in plan if row.detail.startswith("SCAN") and FEW not in row.detail]

    assert len([sql for sql, _ in statements if sql.startswith("SELECT")]) >= 7
    assert {scan.split()[1] for scan in scans} <= SMALL


def test_without_books_it_says_so(books: Books, busy: Edge) -> None:
    """Books that cannot be read are a gauge of 0, not zeros for everything in them, and no failed scrape."""
    with books.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE tallies")
    found = scrape(Metrics(books))

    assert 0 == samples(found, "books_readable")[()]
    assert f"{P}items" not in found
    assert f"{P}build_info" in found


def test_what_an_agent_does_not_state_is_missing(books: Books, register: Callable[[Edge], None]) -> None:
    """An agent that was never heard of has a name and no figures: missing is not zero."""
    register(stream(0))
    found = scrape(Metrics(books))

    assert {("boiler house",): 1} == samples(found, "agent_info")
    shown = {name for name, family in found.items() if family.samples}
    assert {f"{P}agent_info"} == {name for name in shown if name.startswith(f"{P}agent_")}


def test_requests_and_sign_ins_are_counted(books: Books) -> None:
    """By method, template and status; refused sign-ins by their way in."""
    metrics = Metrics(books)
    metrics.answered(Seen("GET", "/api/v1/items/{item}/bytes", 200, 0.02, "admin"))
    metrics.answered(Seen("POST", "/login", 401, 0.3, "", "page"))
    found = scrape(metrics)

    assert {("GET", "/api/v1/items/{item}/bytes", "200"): 1, ("POST", "/login", "401"): 1} == samples(
        found, "http_requests"
    )
    assert {("page",): 1, ("script",): 0} == samples(found, "sign_ins_refused")
    buckets = {
        one.labels["le"]: one.value for one in found[f"{P}http_request_duration_seconds"].samples
        if one.name.endswith("_bucket") and one.labels["route"] == "/login"
    }  # fmt: skip
    assert (0, 1) == (buckets["0.3"] - 1, buckets["0.5"])


def test_names_follow_the_conventions(books: Books, busy: Edge) -> None:
    """What promtool would say: help for each, snake case, base units, counters and only they end in _total."""
    metrics = Metrics(books)
    metrics.ingested({"stored": 1}, [0.01])
    metrics.answered(Seen("GET", "/", 200, 0.02, "admin"))
    metrics.show_live(watched(books))
    text = generate_latest(metrics.registry).decode()
    families = list(text_string_to_metric_families(text))

    assert [] == [f.name for f in families if not f.documentation.strip()]
    assert [] == [f.name for f in families if not re.fullmatch(r"[a-z][a-z0-9_]*", f.name)]
    assert [] == [
        s.name for f in families for s in f.samples if s.name.endswith("_total") != (f.type == "counter")
    ]
    assert [] == [f.name for f in families if UNITS_NOT_BASE & set(f.name.split("_"))]
    assert [] == [f.name for f in families if re.search(r"time|duration", f.name) and not f.name.endswith("_seconds")]
    assert [] == [f.name for f in families if "bytes" in f.name and not f.name.endswith("_bytes")]
    assert len(families) == len({f.name for f in families})


def test_every_metric_is_documented_and_nothing_else(books: Books, busy: Edge) -> None:
    """The table in docs/central-team.md and the program name the same metrics, of the same type."""
    metrics = Metrics(books)
    metrics.ingested({"stored": 1}, [0.01])
    metrics.answered(Seen("GET", "/", 200, 0.02, "admin"))
    metrics.show_live(watched(books))
    text = generate_latest(metrics.registry).decode()
    shown = dict(re.findall(r"^# TYPE (emitrace_\w+) (\w+)$", text, re.MULTILINE))
    told = dict(re.findall(r"^\| `(emitrace_\w+)(?:\{[^`]*)?` \| (\w+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE))

    assert shown == told


def test_labels_are_documented(books: Books, busy: Edge) -> None:
    """The labels written beside a name are the ones it bears."""
    metrics = Metrics(books)
    metrics.ingested({"stored": 1}, [0.01])
    metrics.answered(Seen("GET", "/", 200, 0.02, "admin"))
    metrics.show_live(watched(books))
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    shown = {
        f.name: sorted(set(f.samples[0].labels) - {"le"}) for f in families if f.name.startswith(P) and f.samples
    }
    rows = re.findall(r"^\| `(emitrace_\w+?)(?:_total)?(?:\{([^`]*)\})?` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    told = {name: sorted(filter(None, re.split(r",\s*", labels))) for name, labels in rows}

    assert {} == {name: (labels, told.get(name)) for name, labels in shown.items() if told.get(name) != labels}


@pytest.mark.mosquitto
def test_a_running_collector_is_scraped(tmp_path: Path, spawn: Spawn, mosquitto: Mosquitto) -> None:
    """Denied to strangers; with a password both formats parse, and the broker, items and their waiting are in them."""
    collector = Collector(tmp_path, spawn, mosquitto.port, mosquitto.username, mosquitto.password_file)
    collector.configure()
    edge = stream(3)
    collector.run("agents", "add", edge.public.hex())
    collector.start()
    address = f"{collector.address}/metrics"
    with Line(edge, mosquitto.port, mosquitto.username, mosquitto.password) as wire:
        wire.send(0, 1, 2, 3, 3)
        wire.wait_for(3)

    def read() -> dict[str, Metric]:
        text = httpx.get(address, auth=("admin", PASSWORD), timeout=10).text
        return {family.name: family for family in text_string_to_metric_families(text)}

    wait_until(lambda: samples(read(), "messages").get(("duplicate",)) == 1, 20, "the duplicate to be counted")
    stranger = httpx.get(address)
    wrong = httpx.get(address, auth=("admin", "not-the-password"))
    httpx.get(f"{collector.address}/api/v1/agents", auth=("admin", "not-the-password"))
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    open_text = httpx.get(address, auth=("admin", PASSWORD), headers=accept)
    found = read()

    assert 200 not in (stranger.status_code, wrong.status_code)
    assert P not in stranger.text + wrong.text
    assert open_text.headers["Content-Type"].startswith("application/openmetrics-text")
    assert f"{P}items" in {family.name for family in parse_openmetrics(open_text.text)}  # type: ignore[no-untyped-call]
    assert {("stored",): 4, ("duplicate",): 1, ("refused",): 0} == samples(found, "messages")
    assert 5 == next(s.value for s in found[f"{P}ack_duration_seconds"].samples if s.name.endswith("_count"))
    assert 1 == samples(found, "broker_connected")[()]
    assert (0, 0) == (samples(found, "live_streams")[()], samples(found, "live_messages_taken")[()])
    assert 1 <= samples(found, "sign_ins_refused")[("script",)] <= 2
    assert found["process_resident_memory_bytes"].samples[0].value > 1e6
    assert samples(found, "http_requests")[("GET", "/metrics", "200")] >= 2
    assert abs(now_ms() / 1000 - samples(found, "agent_last_seen_timestamp_seconds")[()]) < 120
