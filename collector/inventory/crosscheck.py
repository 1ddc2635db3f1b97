"""Two methods for one source side by side: what a cross-check says against the primary source it checks.

Only hours are compared that both know from end to end; an hour of which either knows a part only would show a
difference of coverage, not of method.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.hours.model import HourRow
from collector.hours.sources import SourceFacts
from collector.hours.sums import add_up, sum_of
from collector.inventory.uncertainty import parts_of
from protocols.ghg.uncertainty import across, scaled

Hours = Mapping[tuple[int, int], HourRow]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A cross-check and its primary source over the hours both know.

    Attributes
    ----------
    agent, source, checks, gas : str
        Whose; ``source`` checks the primary source ``checks``.
    hours, left_out : int
        Hours compared, and hours of which only one of the two knows everything.
    mass_mg, checked_mg : int
        Mass by the cross-check and by the primary source, over the hours compared. [mg]
    difference_mg : int
        The first less the second. [mg]
    u_mg : float or None
        Standard uncertainty of the difference; causes that both have in common cancel. None without hours. [mg]
    in_u : float or None
        Magnitude of the difference in standard uncertainties; beyond 2 the methods disagree. None without hours, and
        where the uncertainty is zero.
    """

    agent: str
    source: str
    checks: str
    gas: str
    hours: int
    left_out: int
    mass_mg: int
    checked_mg: int
    difference_mg: int
    u_mg: float | None
    in_u: float | None


def discrepancies(rows: Iterable[HourRow], sources: Iterable[SourceFacts]) -> tuple[Discrepancy, ...]:
    """Every cross-check against its primary source, per gas that both have.

    Parameters
    ----------
    rows : iterable of HourRow
        Of the period; those of other sources are left alone.
    sources : iterable of SourceFacts
    """
    by_series: dict[tuple[str, str, str], dict[tuple[int, int], HourRow]] = defaultdict(dict)
    for row in rows:
        by_series[row.agent, row.source, row.gas][row.from_ms, row.to_ms] = row
    facts = {(fact.agent, fact.source): fact for fact in sources}
    found: list[Discrepancy] = []
    for fact in facts.values():
        checked = facts.get((fact.agent, fact.checks))
        for gas in fact.gases if checked is not None else ():
            if checked is not None and gas in checked.gases:
                own, other = (by_series.get((fact.agent, name, gas), {}) for name in (fact.source, checked.source))
                found.append(_compare(fact, gas, own, other))
    return tuple(found)


def _compare(fact: SourceFacts, gas: str, own: Hours, other: Hours) -> Discrepancy:
    whole, checked = ({span for span, row in rows.items() if _is_whole(row)} for rows in (own, other))
    common = sorted(whole & checked)
    left_out = len((own.keys() | other.keys()) - set(common))
    if not common:
        return Discrepancy(fact.agent, fact.source, fact.checks, gas, 0, left_out, 0, 0, 0, None, None)
    first, second = (add_up([sum_of(rows[span]) for span in common]) for rows in (own, other))
    u_mg = across((parts_of(first), scaled(parts_of(second), -1.0))).standard
    difference = first.mass_mg - second.mass_mg
    return Discrepancy(
        fact.agent, fact.source, fact.checks, gas, len(common), left_out, first.mass_mg, second.mass_mg, difference,
        u_mg, abs(difference) / u_mg if u_mg > 0 else None,
    )  # fmt: skip


def _is_whole(row: HourRow) -> bool:
    """Whether the state of every moment of the hour is known and its mass qualifies."""
    return row.operating_ms + row.stopped_ms == row.to_ms - row.from_ms and row.method != "incomplete"
