"""The explorer's figures as tables: by bucket, and by source and gas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collector.inventory.statuses import by_badness
from collector.web.addresses import figure_address
from collector.web.chart.tables import in_unit
from collector.web.emissions.gather import Explored, Line
from collector.web.emissions.groups import Group, expanded, known, label_of, largest, opened
from collector.web.frame import View
from collector.web.shown import formula, mass_unit, share_text
from collector.web.table import Cell, Column, Kind, Table


def steps_table(found: Explored, groups: Sequence[Group], view: View) -> Table:
    """A line per bucket: CO2e of each group, the total with its expanded uncertainty, and how complete it is."""
    words, unit = view.words, mass_unit(largest(found))
    shown = in_unit(unit)
    columns = [
        Column(words(f"by.{found.period.by.value}")),
        *(Column(group.name, Kind.MASS, shown, unit.name) for group in groups),
        Column(words("col.total"), Kind.MASS, shown, unit.name),
        Column(words("col.u"), Kind.UNCERTAINTY, shown, unit.name),
        Column(words("col.covered"), Kind.SHARE, share_text),
    ]
    rows = []
    for place, step in enumerate(found.steps):
        state = "part" if step.covered is not None and step.covered < 1 and step.co2e_mg is not None else None
        cells = [
            Cell(value, opened(found, step.span, group, view) if value is not None else None)
            for group in groups
            for value in (group.value(place),)
        ]
        whole = opened(found, step.span, None, view)
        rows.append([
            Cell(label_of(step.span, found.period, view), whole),
            *cells,
            Cell(step.co2e_mg, whole if step.co2e_mg is not None else None, state),
            Cell(expanded(step.u_mg)), Cell(step.covered),
        ])  # fmt: skip
    due_ms = found.due_ms * len(found.lines)
    footer = [
        Cell(words("col.total")), *(Cell(group.co2e_mg if known(group.lines) else None) for group in groups),
        Cell(found.co2e_mg if found.known else None), Cell(expanded(found.u_mg) if found.known else None),
        Cell(min(1.0, found.covered_ms / due_ms) if due_ms else None),
    ]  # fmt: skip
    return Table("steps", words("emissions.steps", gwp=found.gwp), columns, rows, footer)


def rows_table(found: Explored, view: View) -> Table:
    """A line per source and gas: mass, the part of it added, CO2e, uncertainty, how complete, methods, calibration."""
    words, unit = view.words, mass_unit(largest(found))
    shown = in_unit(unit)
    columns = [
        Column(words("col.source")), Column(words("col.gas"), shown=lambda gas: formula(str(gas))),
        Column(words("col.mass"), Kind.MASS, shown, unit.name),
        Column(words("col.added"), Kind.MASS, shown, unit.name),
        Column(words("col.co2e"), Kind.MASS, shown, unit.name),
        Column(words("col.u"), Kind.UNCERTAINTY, shown, unit.name),
        Column(words("col.covered"), Kind.SHARE, share_text),
        Column(words("col.calibration")),
    ]  # fmt: skip
    rows = []
    for line in found.lines:
        total = line.total if known([line]) else None
        alone = view.address(source=line.fact.source, agent=line.fact.agent, gas=line.gas, split="both")
        explained = figure_address(line.fact.agent, line.fact.source, line.gas, found.period)
        rows.append([
            Cell(view.named(line.fact), alone), Cell(line.gas),
            Cell(total.mass_mg if total else None), Cell(total.added_mg if total else None),
            Cell(line.co2e_mg if total else None, explained if total else None),
            Cell(expanded(line.parts.standard) if total else None),
            Cell(min(1.0, sum(line.covered_ms) / found.due_ms) if found.due_ms else None),
            Cell(_status(line, view)),
        ])  # fmt: skip
    return Table("rows", words("emissions.rows", gwp=found.gwp), columns, rows)


def _status(line: Line, view: View) -> str:
    """Calibration status of the mass, or of the time where there is none: each status with its share."""
    if line.total is None:
        return "\u2013"
    pairs = by_badness(line.total.status_mg if line.total.mass_mg else line.total.status_ms)
    whole = sum(abs(amount) for _, amount in pairs)
    words: Callable[[str, str], str] = view.words.of
    return ", ".join(
        f"{words('calibration', status)} {share_text(abs(amount) / whole)}" for status, amount in pairs if amount
    ) or "\u2013"  # fmt: skip
