"""Hour rows to an inventory: sums of integers, so that every table adds up to the last digit.

CO2e is rounded once, half to even, per finest row (source and gas over the period); every total adds those
integers. Uncertainty: independent parts add in quadrature; shared parts add linearly within a cause, causes
in quadrature; the ends of a source's period count once each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.hours.sources import SourceFacts
from collector.hours.sums import HourSum, add_up
from collector.inventory.model import Inventory, InventoryRow, Pinned, Total, cell_key
from collector.inventory.statuses import status_co2e
from collector.inventory.uncertainty import parts_of
from protocols.errors import EmitraceError
from protocols.exact import sum_exact
from protocols.ghg.gwp import GwpError, GwpSet, co2e_mg, gwp_set, species
from protocols.ghg.uncertainty import Parts, across, scaled
from protocols.plan.model import Method

_KeyOf = Callable[[InventoryRow], str]


@dataclass(frozen=True, slots=True)
class _Line:
    """A finest row with its uncertainty parts, in mg CO2e."""

    row: InventoryRow
    parts: Parts


def assemble_inventory(
    from_ms: int, to_ms: int, sums: Iterable[HourSum], sources: Iterable[SourceFacts], pinned: Pinned
) -> Inventory:
    """The inventory of [from, to).

    Parameters
    ----------
    from_ms, to_ms : int
        The period. A sum must lie wholly inside or outside it. [UTC ms]
    sums : iterable of HourSum
        Hour rows, alone or added up, of any agents and periods; those outside are left out.
    sources : iterable of SourceFacts
        Every source that belongs to the boundary; one without hours appears with no cover, never as absent.
    pinned : Pinned
        What the rows rest on.

    Raises
    ------
    EmitraceError
        The period is empty or cuts an hour row, or a row's source is unknown.
    """
    if to_ms <= from_ms:
        raise EmitraceError("inventory period", f"{from_ms} to {to_ms} is empty", "Give an end after the start.")
    series: dict[tuple[str, str, str], list[HourSum]] = defaultdict(list)
    for row in sums:
        if row.to_ms <= from_ms or row.from_ms >= to_ms:
            continue
        if row.from_ms < from_ms or row.to_ms > to_ms:
            raise EmitraceError(
                f"inventory period {from_ms} to {to_ms}",
                f"cuts the hour row {row.from_ms} to {row.to_ms} of {row.source}",
                "Start and end at a full hour or at the facility's midnight.",
            )
        series[row.agent, row.source, row.gas].append(row)
    facts = {(fact.agent, fact.source): fact for fact in sources}
    _refuse_unknown(series, facts)
    weights = _weights(pinned.gwp_set)
    lines: list[_Line] = []
    checks: list[InventoryRow] = []
    for key in sorted(facts, key=lambda k: (facts[k].category, k)):
        fact = facts[key]
        for gas in fact.gases:
            parts = sorted(series.get((*key, gas), ()), key=lambda one: one.from_ms)
            line = _line(fact, gas, add_up(parts) if parts else _nothing(fact, gas, from_ms), from_ms, to_ms, weights)
            if fact.primary:
                lines.append(line)
            else:
                checks.append(line.row)
    return Inventory(
        from_ms=from_ms, to_ms=to_ms, pinned=pinned,
        rows=tuple(line.row for line in lines), cross_checks=tuple(checks),
        by_gas=_totals(lines, lambda row: row.gas, with_mass=True),
        by_source=_totals(lines, lambda row: f"{row.agent}/{row.source}"),
        by_category=_totals(lines, lambda row: str(row.category)),
        by_cell=_totals(lines, lambda row: cell_key(row.category, row.gas), with_mass=True),
        total=_total("all", lines, with_mass=False),
        covered_ms=sum_exact(line.row.covered_ms for line in lines),
        expected_ms=sum_exact(line.row.period_ms for line in lines),
        status_co2e_mg=status_co2e([line.row for line in lines]),
    )  # fmt: skip


def _refuse_unknown(
    series: Mapping[tuple[str, str, str], object], facts: Mapping[tuple[str, str], SourceFacts]
) -> None:
    for agent, source, gas in series:
        fact = facts.get((agent, source))
        if fact is None or gas not in fact.gases:
            raise EmitraceError(
                f"source {source} of agent {agent[:12]}",
                f"hour rows of {gas} exist, but no monitoring plan given names them",
                "Give every plan that was in force in the period.",
            )


def _weights(name: str) -> GwpSet:
    try:
        return gwp_set(name)
    except GwpError as error:
        raise EmitraceError("GWP set", str(error), "Name one of the sets.") from error


def _nothing(fact: SourceFacts, gas: str, at_ms: int) -> HourSum:
    """A source of which nothing is known: no mass, and no cover either."""
    return HourSum(fact.agent, fact.source, gas, at_ms, at_ms, 0, 0, 0, 0, 0, 0, (), (), (), 0.0, (), 0.0, 0.0)


def _line(fact: SourceFacts, gas: str, summed: HourSum, from_ms: int, to_ms: int, weights: GwpSet) -> _Line:
    weighed = species(gas, Method(fact.method), weights)
    parts = parts_of(summed)
    in_co2e = scaled(parts, float(weights.potential(weighed).exact))
    return _Line(
        InventoryRow(
            agent=fact.agent, source=fact.source, name_zh=fact.name_zh, name_en=fact.name_en,
            category=fact.category, method=fact.method, gas=gas, gwp_record=weighed,
            mass_mg=summed.mass_mg, added_mg=summed.added_mg, co2e_mg=co2e_mg(summed.mass_mg, weighed, weights),
            covered_ms=summed.measured_ms + summed.stopped_ms, period_ms=to_ms - from_ms,
            methods=summed.methods, status_mg=summed.status_mg, status_ms=summed.status_ms,
            u_mg=parts.standard, u_co2e_mg=in_co2e.standard,
        ),
        in_co2e,
    )  # fmt: skip


def _total(key: str, lines: Sequence[_Line], *, with_mass: bool) -> Total:
    return Total(
        key,
        sum_exact(line.row.mass_mg for line in lines) if with_mass else None,
        sum_exact(line.row.co2e_mg for line in lines),
        across(line.parts for line in lines).standard,
    )


def _totals(lines: Sequence[_Line], key_of: _KeyOf, *, with_mass: bool = False) -> tuple[Total, ...]:
    groups: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        groups[key_of(line.row)].append(line)
    return tuple(_total(key, groups[key], with_mass=with_mass) for key in sorted(groups))
