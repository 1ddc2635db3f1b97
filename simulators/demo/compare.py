"""Measured against true, per source and gas, over exactly the time the windows cover. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

ROUNDING = "rounding"
ROUNDED_MG = 0.5 / math.sqrt(3)
"""Standard uncertainty of a mass rounded to whole milligrams: half-width 0.5, rectangular. [mg]"""

Interval = tuple[int, int]
Truth = Callable[[str, str, int, int], int]
"""(source, gas, from_ms, to_ms) -> truly emitted mass. [mg]"""


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window as the collector's API states it: times in UTC ms, masses in mg."""

    source: str
    input: int
    gas: str
    from_ms: int
    to_ms: int
    mass_mg: int
    measured_ms: int
    stopped_ms: int
    u_independent: float
    u_shared: Mapping[str, float]
    u_end: float

    @property
    def covered(self) -> bool:
        """Whether the window knows every millisecond of its span."""
        return self.measured_ms + self.stopped_ms >= self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True)
class Comparison:
    """One source and gas.

    Attributes
    ----------
    covered_ms, partial : int
        Time compared, and how many windows were left out because part of their span is unknown. [ms], count
    measured_mg, true_mg : int
        Mass by the collector's windows and by the plant's ledger over the same time. [mg]
    u_mg : float
        Standard uncertainty of the measured mass. [mg]
    """

    source: str
    gas: str
    covered_ms: int
    partial: int
    measured_mg: int
    true_mg: int
    u_mg: float

    @property
    def deviation(self) -> float:
        """Difference in standard uncertainties; infinite where the uncertainty is zero and they differ."""
        difference = self.measured_mg - self.true_mg
        if difference == 0:
            return 0.0
        return abs(difference) / self.u_mg if self.u_mg > 0 else math.inf

    @property
    def within_95_percent(self) -> bool:
        """Whether the truth lies within two standard uncertainties of the measured mass."""
        return self.deviation <= 2


def joined(spans: Iterable[Interval]) -> list[Interval]:
    """Spans put in order, touching ones made one."""
    result: list[Interval] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def standard_uncertainty(rows: Iterable[WindowRow]) -> float:
    """Standard uncertainty of the rows' sum. [mg]

    Independent parts add in quadrature; shared parts add linearly within a cause over time, then in
    quadrature; the end-point part counts once at either end of each unbroken stretch of each input.
    A mass is whole milligrams: up to half of one per window, and the same way in each while the rate is steady.
    """
    independent: list[float] = []
    shared: dict[str, list[float]] = defaultdict(list)
    by_input: dict[int, list[WindowRow]] = defaultdict(list)
    for row in rows:
        independent.append(row.u_independent)
        shared[ROUNDING].append(ROUNDED_MG)
        by_input[row.input].append(row)
        for cause, part in row.u_shared.items():
            shared[cause].append(part)
    ends: list[float] = []
    for group in by_input.values():
        ordered = sorted(group, key=lambda row: row.from_ms)
        for before, after in zip([None, *ordered], [*ordered, None], strict=True):
            if before is None or after is None or before.to_ms != after.from_ms:
                ends += [row.u_end for row in (before, after) if row is not None]
    parts = independent + [math.fsum(values) for values in shared.values()] + ends
    return math.sqrt(math.fsum(part * part for part in parts))


def compare(rows: Iterable[WindowRow], truth: Truth) -> list[Comparison]:
    """Compare per source and gas, over the windows that all inputs of the source cover in full."""
    groups: dict[tuple[str, str], list[WindowRow]] = defaultdict(list)
    for row in rows:
        groups[(row.source, row.gas)].append(row)
    result = []
    for (source, gas), group in sorted(groups.items()):
        spans_of: dict[int, set[Interval]] = defaultdict(set)
        for row in group:
            spans_of[row.input].update([(row.from_ms, row.to_ms)] if row.covered else [])
        common = set.intersection(*spans_of.values())
        used = [row for row in group if (row.from_ms, row.to_ms) in common and row.covered]
        stretches = joined(common)
        result.append(
            Comparison(
                source=source,
                gas=gas,
                covered_ms=sum(end - start for start, end in stretches),
                partial=len({(row.from_ms, row.to_ms) for row in group} - common),
                measured_mg=sum(row.mass_mg for row in used),
                true_mg=sum(truth(source, gas, start, end) for start, end in stretches),
                u_mg=standard_uncertainty(used),
            )
        )
    return result


def table(comparisons: Iterable[Comparison]) -> list[str]:
    """The comparison as lines for a terminal; masses in grams, as exact as they are."""
    head = ("source", "gas", "covered s", "measured g", "true g", "difference g", "std. unc. g", "in u", "95 %")
    body = [
        (
            c.source, c.gas, f"{c.covered_ms / 1000:.1f}", f"{c.measured_mg / 1000:.3f}", f"{c.true_mg / 1000:.3f}",
            f"{(c.measured_mg - c.true_mg) / 1000:+.3f}", f"{c.u_mg / 1000:.3f}", f"{c.deviation:.2f}",
            "agrees" if c.within_95_percent else "OUTSIDE",
        )
        for c in comparisons
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]

    def aligned(row: tuple[str, ...]) -> str:
        return "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))

    return [aligned(row) for row in (head, *body)]
