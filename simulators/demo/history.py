"""The demo of a long time: the plant's past written, replayed and ingested in bulk, and settled against the truth."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simulators.demo import books
from simulators.demo.broker import BrokerChoice, choose
from simulators.demo.chain import SCENARIO, SEED, Chain, Say, add_certificates, start_broker, start_collector
from simulators.demo.programs import Child, DemoError, ask
from simulators.demo.settle import Findings, against_truth
from simulators.demo.site import lay_out, packaged_plan, write_agent, write_collector
from simulators.plant import build_plant
from simulators.scenario import load_scenario

PLAN = "demo-history-plan.toml"
STATED = {"window_s = 600": "window_s = 3600", "interval_ms = 5000": "interval_ms = 31000",
          "interval_ms = 30000": "interval_ms = 120000"}  # fmt: skip
"""A coarser scan. The stack's interval divides no minute and no boiler cycle, so a day sees each phase of both."""

BATCH_H = 24
LONG_S = 3600.0
TWO_AUDITS_DAYS = 300
"""From so many days on, certificates of the year before are entered too: they hold for a year."""


@dataclass(frozen=True, slots=True)
class History:
    """What was made: the books with their dashboard, and the inventory of the whole time as the collector states it."""

    chain: Chain
    inventory: dict[str, Any]


def make(folder: Path, choice: BrokerChoice, days: int, children: list[Child], say: Say) -> History:
    """Write a tape of the days until the last full hour, replay and ingest it, build the inventory, serve the books."""
    began = time.monotonic()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=days)
    mosquitto = choose(choice)
    site = lay_out(folder, separate_logins=mosquitto is not None)
    collector = write_collector(site)
    agent = write_agent(site, collector, 1, coarse(packaged_plan(PLAN)))
    say(f"history     scenario {SCENARIO}, seed {SEED}, {start.isoformat()} to {end.isoformat()}")
    add_certificates(site, say, *([start.date()] if days >= TWO_AUDITS_DAYS else []), end.date())
    start_broker(mosquitto, site, agent, children, say)
    ours, theirs = ("--config", site.agent_config), ("--config", site.collector_config)
    tape, items = folder / "plant.tape", folder / "items"
    with _step("write", say):
        told = ask("emitrace-simulate", "tape", "--out", tape, "--start", start.isoformat(), "--days", str(days),
                   "--seed", str(SEED), "--scenario", SCENARIO, "--plan", site.plan, "--batch-h", str(BATCH_H),
                   timeout_s=LONG_S)  # fmt: skip
    with _step("replay", say):
        ask("emitrace-agent", "replay", tape, "--out", items, *ours, timeout_s=LONG_S)
    with _step("ingest", say):
        ask("emitrace-collector", "ingest", items, *theirs, timeout_s=LONG_S)
    with _step("inventory", say):
        period = ("--from", start.isoformat(), "--to", end.isoformat())
        built = ask("emitrace-collector", "inventory", "build", *period, "--json", *theirs, timeout_s=LONG_S)
    dashboard = start_collector(site, children)
    readings = re.search(r"(\d+) readings", told)
    say(f"  {int(readings[1]) if readings else 0:,} readings of {days} days in {time.monotonic() - began:.0f} s")
    plant = build_plant(load_scenario(SCENARIO), SEED, start)
    return History(Chain(site, agent, collector, plant, dashboard, children), json.loads(built)["inventory"])


def settle(made: History, say: Say) -> bool:
    """Set measured against true, and the inventory against the windows; whether all of it holds."""
    findings = Findings(say)
    against_truth(made.chain, findings)
    stated = {
        (row["source"], row["gas"]): int(row["mass_mg"]) - int(row["added_mg"])
        for row in [*made.inventory["rows"], *made.inventory["cross_checks"]]
    }
    by_windows: Counter[tuple[str, str]] = Counter()
    for window in books.windows(made.chain.dashboard, made.chain.agent.fingerprint):
        by_windows[window.source, window.gas] += window.mass_mg
    say("\ninventory of the whole time")
    for row in made.inventory["rows"]:
        say(f"  {row['source']:14}{row['gas']:5}{int(row['co2e_mg']) / 1e9:14.3f} t CO2e")
    total = made.inventory["total"]
    say(f"  {'total':19}{int(total['co2e_mg']) / 1e9:14.3f} t CO2e, k = 1: {total['u_co2e_mg'] / 1e9:.3f} t")
    findings.check(dict(by_windows) == stated, "inventory and windows hold the same measured mass, to the milligram")
    now = books.progress(made.chain.dashboard, made.chain.agent.fingerprint)
    findings.check(now.quarantined == 0, f"{now.batches} batches committed, {now.quarantined} messages in quarantine")
    for fault in findings.faults:
        say(f"  {fault}")
    say("\nall of it holds" if not findings.faults else f"\n{len(findings.faults)} FAULTS")
    return not findings.faults


def coarse(plan: str) -> str:
    """The packaged plan with longer windows and a slower scan: a year of it is read in minutes."""
    for stated, wanted in STATED.items():
        if plan.count(stated) != 1:
            raise DemoError(f"{PLAN} states {stated!r} {plan.count(stated)} times, expected once")
        plan = plan.replace(stated, wanted)
    return plan


@contextmanager
def _step(name: str, say: Say) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"  {name:12}{time.monotonic() - began:6.1f} s")
