"""The tables of the charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collector.web.chart.model import Bucket, Row, State, Unit
from collector.web.language import Words
from collector.web.shown import share_text
from collector.web.table import Cell, Column, Kind, Table, Value


def values_table(
    name: str, title: str, buckets: Sequence[Bucket], rows: Sequence[Row], unit: Unit, words: Words
) -> Table:
    """A line per bucket: its time, each series (and its band, where it has one), and how complete it is."""
    shown = in_unit(unit)
    columns = [Column(words("col.time"))]
    for row in rows:
        columns.append(Column(row.name, Kind.UNCERTAINTY, shown, unit.name))
        if row.u:
            columns.append(Column(words("col.u"), Kind.UNCERTAINTY, shown, unit.name))
    columns.append(Column(words("col.covered"), Kind.SHARE, share_text))
    lines = []
    for n, bucket in enumerate(buckets):
        line = [Cell(bucket.label, bucket.href)]
        for row in rows:
            line.append(Cell(row.values[n], state=_part(bucket)))
            if row.u:
                line.append(Cell(row.u[n]))
        lines.append([*line, Cell(bucket.covered)])
    return Table(f"{name}-table", title, columns, lines)


def in_unit(unit: Unit) -> Callable[[Value], str]:
    """How a number reads in a unit; a dash where nothing is known."""
    return lambda value: "\u2013" if value is None or isinstance(value, str) else unit.text(value)


def _part(bucket: Bucket) -> str | None:
    return State.PART.value if bucket.state is State.PART else None
