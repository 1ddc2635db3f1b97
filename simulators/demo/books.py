"""What the collector's books say, read over its API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators.demo.compare import WindowRow
from simulators.demo.dashboard import Dashboard
from simulators.demo.programs import DemoError, ask

PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the collector has come with an agent; all counts."""

    committed_to: int
    batches: int
    equal: int
    differing: int
    uncompared: int
    quarantined: int
    good_slots: int
    all_slots: int

    def line(self, after_s: float) -> str:
        """One line for a terminal."""
        share = f"{100 * self.good_slots / self.all_slots:.1f} %" if self.all_slots else "no"
        return (
            f"{after_s:6.0f} s   committed up to item {self.committed_to}, {self.batches} batches, "
            f"{self.equal} recomputed equal, {self.differing} differ, {share} of {self.all_slots} slots good, "
            f"{self.quarantined} in quarantine"
        )


def progress(dashboard: Dashboard, agent: str) -> Progress:
    """Ask for the state of things."""
    fates = slots(dashboard, agent)
    compared = dashboard.get("comparisons")
    return Progress(
        committed_to=contiguous(dashboard, agent),
        batches=sum(item["kind"] == "batch" for item in items(dashboard, agent)),
        equal=compared["equal"],
        differing=compared["different"],
        uncompared=compared["waiting"],
        quarantined=sum(dashboard.get("quarantine")["by_reason"].values()),
        good_slots=sum(count for _, fate, count in fates if fate == "good"),
        all_slots=sum(count for _, _, count in fates),
    )


def contiguous(dashboard: Dashboard, agent: str) -> int:
    """Sequence up to which the agent's newest stream is committed; -1 before its first item."""
    streams = [
        stream for one in dashboard.get("agents")["agents"] if one["agent"] == agent for stream in one["streams"]
    ]
    return max((int(stream["contiguous"]) for stream in streams), default=-1)


def items(dashboard: Dashboard, agent: str) -> list[dict[str, Any]]:
    """The agent's items as the collector keeps them, in the order they came."""
    found: list[dict[str, Any]] = []
    while page := dashboard.get("items", agent=agent, after=found[-1]["id"] if found else 0, limit=PAGE)["items"]:
        found += page
    return found


def span(dashboard: Dashboard, agent: str) -> tuple[int, int]:
    """From the first batch's start to the last one's end. [UTC ms]"""
    spans = [(i["from_ms"], i["to_ms"]) for i in items(dashboard, agent) if i["kind"] == "batch"]
    if not spans:
        raise DemoError("the collector has no batch of the agent")
    return min(start for start, _ in spans), max(end for _, end in spans)


def windows(dashboard: Dashboard, agent: str) -> list[WindowRow]:
    """Every window of the agent, as the edge stated it."""
    found: list[WindowRow] = []
    from_ms: int | None = 0
    while from_ms is not None:
        answer = dashboard.get("windows", agent=agent, from_ms=from_ms, limit=PAGE)
        found += [_row(window) for window in answer["windows"]]
        from_ms = answer["next_from_ms"]
    return found


def slots(dashboard: Dashboard, agent: str) -> list[tuple[str, str, int]]:
    """Point, fate and count of the agent's slots, a row per day."""
    return [(row["point"], row["fate"], row["count"]) for row in dashboard.get("slots", agent=agent)["slots"]]


def last_sequence(agent_config: Path) -> int:
    """Sequence of the newest item in the agent's outbox."""
    newest = json.loads(ask("emitrace-agent", "outbox", "--json", "--last", "1", "--config", agent_config))
    if not newest:
        raise DemoError("the agent's outbox is empty")
    return int(newest[0]["sequence"])


def _row(window: dict[str, Any]) -> WindowRow:
    return WindowRow(
        source=window["source"],
        input=window["input"],
        gas=window["gas"],
        from_ms=window["from_ms"],
        to_ms=window["to_ms"],
        mass_mg=int(window["mass_mg"]),
        measured_ms=window["measured_ms"],
        stopped_ms=window["stopped_ms"],
        u_independent=window["u_independent"],
        u_shared=window["u_shared"],
        u_end=window["u_end"],
    )
