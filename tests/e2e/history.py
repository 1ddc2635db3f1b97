"""A register tape written, replayed and ingested by the programs themselves, in one folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.api import shapes
from collector.books import open_books
from collector.config import load_config
from collector.hours.calendar import By
from collector.recompute import Recomputer
from collector.store.comparisons import uncompared
from collector.store.hours import windows_between
from collector.store.series import SeriesRow, read_extent, read_series
from simulators.demo.compare import Comparison, WindowRow, compare
from simulators.demo.site import identity_in, packaged_plan
from simulators.ledger import emitted
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario
from simulators.timeline import milliseconds
from tests.e2e.rig import ask

LONG_S = 1800.0

AGENT = """plan = "plan.toml"
[collector]
fingerprint = "{fingerprint}"
[broker]
host = "127.0.0.1"
[buses.plant]
kind = "tcp"
host = "127.0.0.1"
"""


@dataclass
class History:
    """One tape and what became of it."""

    folder: Path
    days: float
    start: str
    seed: int
    options: tuple[str, ...] = ()
    zone: str = "Asia/Shanghai"
    agent_id: str = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "collector.toml").write_text("[broker]\nport = 1\n[web]\nport = 1\n")
        collector = identity_in(ask("emitrace-collector", "key", *self.collector_config))
        (self.folder / "agent.toml").write_text(AGENT.format(fingerprint=collector.fingerprint))
        agent = identity_in(ask("emitrace-agent", "key", *self.agent_config))
        ask("emitrace-collector", "agents", "add", agent.public, *self.collector_config)
        self.agent_id = agent.fingerprint

    @property
    def collector_config(self) -> tuple[str, str]:
        """Option of the collector's commands."""
        return "--config", str(self.folder / "collector.toml")

    @property
    def agent_config(self) -> tuple[str, str]:
        """Option of the agent's commands."""
        return "--config", str(self.folder / "agent.toml")

    @property
    def tape(self) -> Path:
        """The tape."""
        return self.folder / "plant.tape"

    @property
    def items(self) -> Path:
        """The folder of items."""
        return self.folder / "items"

    def write(self) -> str:
        """Record the plant."""
        return ask(
            "emitrace-simulate", "tape", "--days", str(self.days), "--start", self.start, "--seed", str(self.seed),
            "--out", self.tape, "--plan", self.plan(), *self.options, timeout_s=LONG_S,
        )  # fmt: skip

    def plan(self) -> Path:
        """The plan for long histories, in the facility's zone."""
        path = self.folder / "site.toml"
        text = packaged_plan("demo-history-plan.toml")
        assert text.count('"Asia/Shanghai"') == 1
        path.write_text(text.replace("Asia/Shanghai", self.zone), encoding="utf-8")
        return path

    def replay(self) -> str:
        """Replay the tape into the folder of items."""
        return ask("emitrace-agent", "replay", self.tape, "--out", self.items, *self.agent_config, timeout_s=LONG_S)

    def ingest(self) -> str:
        """Take the items into the books."""
        return ask("emitrace-collector", "ingest", self.items, *self.collector_config, timeout_s=LONG_S)

    def inventory(self, from_: str, to: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows of an inventory of [from, to), cross-checks too, by source and gas."""
        said = json.loads(
            ask("emitrace-collector", "inventory", "build", "--from", from_, "--to", to, "--json",
                *self.collector_config, timeout_s=LONG_S)
        )["inventory"]  # fmt: skip
        return {(row["source"], row["gas"]): row for row in [*said["rows"], *said["cross_checks"]]}

    def windows(self) -> list[WindowRow]:
        """Every window in the books."""
        with open_books(load_config(self.folder / "collector.toml")) as books, books.database.reading() as connection:
            found = windows_between(connection, self.agent_id, 0, 2**48)
            rows = []
            for digest, window in found:
                plan = books.plans.of(connection, self.agent_id, digest)
                assert plan is not None
                row = shapes.window(self.agent_id, plan, window)
                names = [name for name in WindowRow.__dataclass_fields__ if name != "mass_mg"]
                rows.append(WindowRow(mass_mg=window.mass_mg, **{name: row[name] for name in names}))
            return rows

    def years(self) -> list[SeriesRow]:
        """The whole time by the facility's years, as the pages read it."""
        with open_books(load_config(self.folder / "collector.toml")) as books, books.database.reading() as connection:
            extent = read_extent(connection)
            assert extent is not None
            return read_series(connection, *extent, By.YEAR, ZoneInfo(self.zone))

    def recompute(self) -> list[str]:
        """Fold every batch in the books again; what differs."""
        with open_books(load_config(self.folder / "collector.toml")) as books:
            recomputer = Recomputer(books)
            while recomputer.step():
                pass
            with books.database.reading() as connection:
                assert not uncompared(connection, 1)
                rows = connection.exec_driver_sql("select differences from comparisons").all()
        return [row[0] for row in rows if row[0] not in {"", "[]"}]

    def plant(self) -> Plant:
        """The plant that was recorded."""
        return build_plant(load_scenario("demo"), self.seed, datetime.fromisoformat(self.start))

    def compared(self) -> list[Comparison]:
        """Windows against the truth ledger over the same time."""
        plant = self.plant()

        def true_mg(source: str, gas: str, from_ms: int, to_ms: int) -> int:
            return emitted(plant, source, gas, to_ms) - emitted(plant, source, gas, from_ms)

        return compare(self.windows(), true_mg)

    @property
    def start_ms(self) -> int:
        """Where the tape begins. [UTC ms]"""
        return milliseconds(datetime.fromisoformat(self.start))


def check(history: History, start: str, midnight: str, end: str) -> None:
    """The books hold what the tape holds: sums equal to the last integer, truth within four uncertainties."""
    windows = history.windows()
    sums: dict[tuple[str, str], int] = {}
    for window in windows:
        sums[window.source, window.gas] = sums.get((window.source, window.gas), 0) + window.mass_mg
    whole = history.inventory(start, end)
    before, after = history.inventory(start, midnight), history.inventory(midnight, end)

    assert set(sums) == {("grid", "CO2"), ("boiler", "CO2"), ("boiler", "CH4"), ("boiler", "N2O"),
                         ("boiler-stack", "CO2")}  # fmt: skip
    assert {pair: int(row["mass_mg"]) - int(row["added_mg"]) for pair, row in whole.items()} == sums
    assert {pair: int(row["mass_mg"]) for pair, row in whole.items()} == {
        pair: int(before[pair]["mass_mg"]) + int(after[pair]["mass_mg"]) for pair in whole
    }
    assert min(int(row["mass_mg"]) for side in (before, after) for row in side.values()) > 0
    years = history.years()
    assert len({row.from_ms for row in years}) == 2
    for position, side in enumerate((before, after)):
        first_ms = sorted({row.from_ms for row in years})[position]
        shown = {(row.source, row.gas): row for row in years if row.from_ms == first_ms}
        assert {pair: int(row["mass_mg"]) for pair, row in side.items()} == {
            pair: row.mass_mg for pair, row in shown.items()
        }
        assert {pair: row["u_mg"] for pair, row in side.items()} == pytest.approx(
            {pair: row.u_mg for pair, row in shown.items()}, rel=1e-9
        )
    assert {(c.source, c.gas): c.deviation for c in history.compared() if c.deviation > 4} == {}
