"""A collector with two days of a simulated plant: tape, replay and ingest by the programs, then `serve`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

from simulators.demo.site import certificates, plan_tables
from tests.collector.running import Collector, Spawn
from tests.e2e.history import History
from tests.e2e.rig import ask
from tests.services import free_port, wait_until

HOURS = 48
HOUR = timedelta(hours=1)
PLAN = "demo-history-plan.toml"


def fill(folder: Path, spawn: Spawn) -> tuple[Collector, dict[str, object]]:
    """The collector, serving, and what its pages' addresses need: agent, hour, versions.

    The books end with the hour before this one, so that the running month, the last day and the chart have
    something to show. One certificate is overdue, one instrument has none, one message is refused; version
    ``sealed`` is sealed, version ``open`` is not and reaches back before the first reading.
    """
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - HOURS * HOUR
    history = History(folder, HOURS / 24, start.isoformat(), 7, ("--timeouts", "0.01"))
    collector = Collector(folder, spawn, free_port())
    collector.configure()
    _enter_certificates(history, end.date())
    history.write()
    history.replay()
    history.ingest()
    _refuse_one(history)
    for begin in (start, start - 6 * HOUR):
        ask("emitrace-collector", "inventory", "build", "--from", begin.isoformat(), "--to", end.isoformat(),
            *history.collector_config)  # fmt: skip
    ask("emitrace-collector", "inventory", "seal", "1", *history.collector_config)
    collector.start()
    wait_until(lambda: collector.get("comparisons")["waiting"] == 0, 60, "the recomputation of every batch")
    facts = {"agent": history.agent_id, "sealed": 1, "open": 2, "from_ms": history.start_ms, "hours": HOURS}
    return collector, facts


def _enter_certificates(history: History, today: date) -> None:
    plan = history.folder / PLAN
    plan.write_bytes((resources.files("simulators") / "scenarios" / PLAN).read_bytes())
    path = history.folder / "certificates.toml"
    made = certificates(plan_tables(plan)["instruments"], today).values()
    path.write_text("schema = 1\n\n" + "\n".join(made), encoding="utf-8")
    ask("emitrace-collector", "certificates", "add", path, *history.collector_config)


def _refuse_one(history: History) -> None:
    """Take an item in that someone has changed: it goes into quarantine."""
    changed = history.folder / "changed"
    changed.mkdir()
    newest = max(path for path in history.items.iterdir() if path.suffix == ".batch")
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    (changed / newest.name).write_bytes(data)
    ask("emitrace-collector", "ingest", changed, *history.collector_config, accepted=[1])
