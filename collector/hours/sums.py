"""Sums of hour rows: an hour, a day, a month or a year of one source and gas, alike and additive.

Every integer adds. Uncertainty adds by its parts: independent parts in quadrature, shared ones linearly per
cause. Each stretch without a hole in time has two ends; a sum keeps the outer two apart from those at holes
inside it, because the outer ones vanish where another sum joins without a hole. So sums of sums equal the sum of
all hours: integers exactly, uncertainty up to the last bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

from collector.hours.model import HourRow
from protocols.exact import sum_exact
from protocols.ghg.uncertainty import quadrature

Counts = tuple[tuple[str, int], ...]
"""(name, amount) by name."""


@dataclass(frozen=True, slots=True)
class HourSum:
    """Hour rows of one agent, source and gas added up.

    Attributes
    ----------
    agent, source, gas : str
        Whose rows.
    from_ms, to_ms : int
        Start of the first row and end of the last. [UTC ms]
    mass_mg, added_mg : int
        Mass, and the part of it added for operating time without valid data. [mg]
    activity : int
        Signed activity. [base unit of the inputs]
    operating_ms, measured_ms, stopped_ms : int
        Times known. [ms]
    methods : tuple of (method, int)
        How many hour rows came about by each method.
    status_mg, status_ms : tuple of (status, int)
        Mass per calibration status, adding to ``mass_mg``; measured and stopped time likewise.
    u_independent : float
        Independent part of the standard uncertainty. [mg]
    u_shared : tuple of (cause, float)
        Shared part per cause. [mg]
    u_end_first, u_end_last : float
        Ends at ``from_ms`` and ``to_ms``. [mg]
    u_hole_first, u_hole_last : float
        First and last ends of the stretches inside, in quadrature: those behind and before a hole. [mg]
    """

    agent: str
    source: str
    gas: str
    from_ms: int
    to_ms: int
    mass_mg: int
    added_mg: int
    activity: int
    operating_ms: int
    measured_ms: int
    stopped_ms: int
    methods: Counts
    status_mg: Counts
    status_ms: Counts
    u_independent: float
    u_shared: tuple[tuple[str, float], ...]
    u_end_first: float
    u_end_last: float
    u_hole_first: float = 0.0
    u_hole_last: float = 0.0


def sum_of(row: HourRow) -> HourSum:
    """One hour row as a sum."""
    return HourSum(
        row.agent, row.source, row.gas, row.from_ms, row.to_ms, row.mass_mg, row.added_mg, row.activity,
        row.operating_ms, row.measured_ms, row.stopped_ms, ((row.method, 1),), row.status_mg, row.status_ms,
        row.u_independent, row.u_shared, row.u_end_first, row.u_end_last,
    )  # fmt: skip


def add_up(sums: Sequence[HourSum]) -> HourSum:
    """The sum of sums.

    Parameters
    ----------
    sums : sequence of HourSum
        At least one, all of one agent, source and gas, in time order, none overlapping another.
    """
    first, last = sums[0], sums[-1]
    if len(sums) == 1:
        return first
    hole_first = [one.u_hole_first for one in sums]
    hole_last = [one.u_hole_last for one in sums]
    for before, after in pairwise(sums):
        if before.to_ms != after.from_ms:
            hole_last.append(before.u_end_last)
            hole_first.append(after.u_end_first)
    return HourSum(
        first.agent, first.source, first.gas, first.from_ms, last.to_ms,
        sum_exact(one.mass_mg for one in sums), sum_exact(one.added_mg for one in sums),
        sum_exact(one.activity for one in sums), sum_exact(one.operating_ms for one in sums),
        sum_exact(one.measured_ms for one in sums), sum_exact(one.stopped_ms for one in sums),
        _counted(one.methods for one in sums), _counted(one.status_mg for one in sums),
        _counted(one.status_ms for one in sums),
        quadrature(one.u_independent for one in sums), _shared(sums), first.u_end_first, last.u_end_last,
        quadrature(hole_first), quadrature(hole_last),
    )  # fmt: skip


def _counted(counts: Iterable[Counts]) -> Counts:
    totals: dict[str, int] = {}
    for pairs in counts:
        for name, amount in pairs:
            totals[name] = totals.get(name, 0) + amount
    return tuple(sorted(totals.items()))


def _shared(sums: Sequence[HourSum]) -> tuple[tuple[str, float], ...]:
    by_cause: dict[str, list[float]] = {}
    for one in sums:
        for cause, u in one.u_shared:
            by_cause.setdefault(cause, []).append(u)
    return tuple((cause, fsum(by_cause[cause])) for cause in sorted(by_cause))
