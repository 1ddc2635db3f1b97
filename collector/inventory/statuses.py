"""CO2 equivalent per calibration status: of all rows, and of each category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from calibration.status import BADNESS, State
from collector.inventory.model import InventoryRow
from protocols.exact import half_even, sum_exact

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CategoryStatuses:
    """What one category rests on.

    Attributes
    ----------
    category : int
    co2e_mg : int
        Its total. [mg]
    status_co2e_mg : tuple of (status, int)
        Its parts, best status first, adding to the total. [mg]
    """

    category: int
    co2e_mg: int
    status_co2e_mg: Counts


def status_co2e(rows: Iterable[InventoryRow]) -> Counts:
    """Each row's CO2e by its mass per status, by cumulative rounding; the parts add to the rows. [mg]"""
    shares: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.mass_mg == 0:
            continue
        ratio_sign = 1 if row.mass_mg > 0 else -1
        cumulative, given = 0, 0
        for status, mass in row.status_mg:
            cumulative += mass
            up_to = half_even(cumulative * row.co2e_mg * ratio_sign, row.mass_mg * ratio_sign)
            shares[status] += up_to - given
            given = up_to
    return tuple((status, shares[status]) for status in sorted(shares))


def by_category(rows: Iterable[InventoryRow]) -> tuple[CategoryStatuses, ...]:
    """The statuses of every category that has a row of which something is known, in order."""
    groups: dict[int, list[InventoryRow]] = defaultdict(list)
    for row in rows:
        if row.is_known:
            groups[row.category].append(row)
    return tuple(
        CategoryStatuses(
            category, sum_exact(row.co2e_mg for row in groups[category]), by_badness(status_co2e(groups[category]))
        )
        for category in sorted(groups)
    )


def by_badness(counts: Counts) -> Counts:
    """(status, amount), the best status first."""
    return tuple(sorted(counts, key=lambda one: BADNESS[State(one[0])]))
