"""A figure, how it is taken (warm up, repeat, median), and the baselines it stands beside."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

BASELINES = Path(__file__).with_name("baselines.toml")


@dataclass(frozen=True, slots=True)
class Figure:
    """One result; ``note`` says the conditions that differ from the key's definition."""

    key: str
    value: float
    unit: str
    note: str = ""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run. [s]"""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_of(run: Callable[[], float], times: int = 3, warm: int = 1) -> float:
    """Median of repeated runs after those that only warm up."""
    for _ in range(warm):
        run()
    return median(run() for _ in range(times))


def baselines() -> dict[str, dict[str, Any]]:
    """Baseline, goal and source of every key."""
    return tomllib.loads(BASELINES.read_text(encoding="utf-8"))


def entry(figure: Figure, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A figure as bench.json states it."""
    own = known.get(figure.key, {})
    told: dict[str, Any] = {"value": figure.value, "unit": figure.unit, "baseline": own.get("baseline")}
    if "goal" in own:
        told["goal"] = own["goal"]
    note = "; ".join(part for part in (figure.note, own.get("note", "")) if part)
    return told | {"note": note}
