"""The account at the end of a timed run: everything arrived, measured equals true, the bundle verifies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulators.demo import books
from simulators.demo.chain import Chain, Say
from simulators.demo.compare import compare, table
from simulators.demo.programs import DemoError, ask, run, wait_for
from simulators.demo.site import plan_tables
from simulators.demo.slots import account
from simulators.ledger import emitted

LIMIT = 4.0
"""Standard uncertainties by which measured and true may differ."""

CONSISTENT, ORIGIN_OPEN = 0, 4


@dataclass
class Findings:
    """What is wrong, collected while the account goes on."""

    say: Say
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, line: str) -> None:
        """Print a line of the account and keep it as a fault where it does not hold."""
        self.say(f"  {'ok' if holds else 'FAULT':6}{line}")
        if not holds:
            self.faults.append(line)


def settle(chain: Chain, say: Say) -> int:
    """Stop the agent cleanly and settle; exit code 0 where all is as it must be, else 1."""
    say("\nstopping the agent and waiting for the collector to have everything")
    code = chain.stop("agent")
    if code != 0:
        raise DemoError(f"the agent ended with exit code {code}. It said:\n{chain.child('agent').tail()}")
    last = books.last_sequence(chain.site.agent_config)
    wait_for(
        lambda: books.contiguous(chain.dashboard, chain.agent.fingerprint) >= last, 30,
        f"item {last} of the stream to be committed", [chain.child("collector")],
    )  # fmt: skip
    wait_for(
        lambda: books.progress(chain.dashboard, chain.agent.fingerprint).uncompared == 0, 60,
        "the collector to recompute every batch", [chain.child("collector")],
    )  # fmt: skip
    findings = Findings(say)
    against_truth(chain, findings)
    all_slots(chain, findings)
    ledger(chain, findings)
    recomputed(chain, findings)
    bundle(chain, findings)
    if findings.faults:
        say(f"\n{len(findings.faults)} FAULTS:")
        for fault in findings.faults:
            say(f"  {fault}")
        return 1
    say("\nall of it holds")
    return 0


def against_truth(chain: Chain, findings: Findings) -> None:
    """Measured against the plant's ledger, per source and gas."""

    def true_mg(source: str, gas: str, from_ms: int, to_ms: int) -> int:
        return emitted(chain.plant, source, gas, to_ms) - emitted(chain.plant, source, gas, from_ms)

    found = compare(books.windows(chain.dashboard, chain.agent.fingerprint), true_mg)
    findings.say("\nmeasured against true, over the time the windows cover in full")
    for line in table(found):
        findings.say(f"  {line}")
    expected = {(s["id"], gas) for s in plan_tables(chain.site.plan)["sources"] for gas in s["gases"]}
    seen = {(c.source, c.gas) for c in found if c.covered_ms > 0}
    findings.check(expected == seen, f"{len(seen)} of {len(expected)} pairs of source and gas have windows")
    worst = max(found, key=lambda c: c.deviation, default=None)
    if worst is not None:
        findings.check(
            worst.deviation <= LIMIT,
            f"largest difference {worst.deviation:.2f} standard uncertainties ({worst.source}, {worst.gas}),"
            f" limit {LIMIT:g}",
        )


def all_slots(chain: Chain, findings: Findings) -> None:
    """Every slot has exactly one fate."""
    plan = plan_tables(chain.site.plan)
    interval = {c["id"]: int(c["interval_ms"]) for c in plan["scan_classes"]}
    found = account(
        {p["id"]: interval[p["scan_class"]] for p in plan["points"]},
        [books.span(chain.dashboard, chain.agent.fingerprint)],
        books.slots(chain.dashboard, chain.agent.fingerprint),
    )
    findings.say("\nslots per fate")
    for fate, count in sorted(found.fates.items(), key=lambda item: -item[1]):
        findings.say(f"  {fate:16}{count:>8}")
    told = f"{found.expected} slots expected, {sum(found.fates.values())} accounted for"
    if found.unaccounted:
        told += f"; unaccounted for: {found.unaccounted}"
    findings.check(not found.unaccounted, told)


def ledger(chain: Chain, findings: Findings) -> None:
    """The hours hold what the windows hold, split by the calibration status of the instruments."""
    wait_for(lambda: not chain.dashboard.get("hours")["dirty"], 60, "the hours to be made", [chain.child("collector")])
    by_windows: Counter[tuple[str, str]] = Counter()
    for row in books.windows(chain.dashboard, chain.agent.fingerprint):
        by_windows[row.source, row.gas] += row.mass_mg
    by_hours: Counter[tuple[str, str]] = Counter()
    apart = 0
    findings.say("\nhours, by calibration status of the instruments")
    for row in chain.dashboard.get("hours")["hours"]:
        by_hours[row["source"], row["gas"]] += int(row["mass_mg"]) - int(row["added_mg"])
        parts = {status: int(mass) for status, mass in row["status_mg"].items() if int(mass)}
        told = ", ".join(f"{mass / 1000:.3f} g {status}" for status, mass in parts.items())
        findings.say(f"  {row['source']:14}{row['gas']:5}{told}")
        apart += sum(parts.values()) != int(row["mass_mg"])
    findings.check(apart == 0, "the parts add up to each row, to the milligram")
    findings.check(by_hours == by_windows, "hours and windows hold the same measured mass, to the milligram")


def recomputed(chain: Chain, findings: Findings) -> None:
    """Recomputed from raw words, the collector finds what the edge stated."""
    now = books.progress(chain.dashboard, chain.agent.fingerprint)
    findings.say("\nrecomputed from raw register words by the collector")
    findings.check(now.differing == 0, f"{now.equal} batches equal to the edge's figures, {now.differing} differ")
    findings.check(now.equal == now.batches > 0, f"{now.batches} batches committed")
    findings.check(now.quarantined == 0, f"{now.quarantined} messages in quarantine")


def bundle(chain: Chain, findings: Findings) -> None:
    """Export a bundle and have it verified, with and without anchors."""
    path = chain.site.folder / "bundle.zip"
    from_ms, to_ms = books.span(chain.dashboard, chain.agent.fingerprint)
    ask("emitrace-collector", "export", "--from", instant(from_ms), "--to", instant(to_ms, up=True), "--out", path,
        "--config", chain.site.collector_config, timeout_s=300)  # fmt: skip
    findings.say(f"\nbundle {path.stat().st_size:,} bytes")
    trust = ["--trust", chain.agent.fingerprint, "--trust", chain.collector.fingerprint]
    verdict(findings, path, trust, CONSISTENT, "with the fingerprints of agent and collector")
    verdict(findings, path, [], ORIGIN_OPEN, "with no fingerprint at all")


def verdict(findings: Findings, path: Path, trust: list[str], expected: int, how: str) -> None:
    """One run of the verifier."""
    done = run("emitrace-verify", path, *trust, timeout_s=300)
    said = (done.stdout + done.stderr).strip()
    first = said.splitlines()[0] if said else "it said nothing"
    told = f"emitrace-verify {how}: exit {done.returncode}, expected {expected}: {first}"
    findings.check(done.returncode == expected, told)


def instant(at_ms: int, *, up: bool = False) -> str:
    """ISO 8601 of an instant, to the second, rounded down or up."""
    seconds = -(-at_ms // 1000) if up else at_ms // 1000
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()
