"""An inventory as tables that leave the page: the matrix of category and gas, and a line per source and gas."""

from __future__ import annotations

from collections.abc import Sequence

from collector.inventory.matrix import CATEGORIES, Matrix
from collector.inventory.matrix import Cell as Place
from collector.inventory.model import Inventory, InventoryRow
from collector.inventory.statuses import by_badness, by_category
from collector.web.frame import View
from collector.web.table import Cell, Column, Kind, Provenance, Table

K = 2
"""Coverage factor of every uncertainty stated."""


def inventory_tables(inventory: Inventory, matrix: Matrix, view: View) -> tuple[Table, Table, Table, Table]:
    """``matrix``, ``rows``, and ``checks``, whose lines are in no total."""
    words = view.words
    return (
        _matrix(matrix, view),
        _rows("rows", words("inventory.rows"), inventory.rows, view),
        _rows("checks", words("inventory.checks"), inventory.cross_checks, view),
        _statuses(inventory, view),
    )


def basis_of(inventory: Inventory, version: int, digest: bytes, view: View) -> Provenance:
    """What a file of this version rests on, beside what every file says."""
    words, pinned = view.words, inventory.pinned
    ends = [view.local(at_ms, "%Y-%m-%d %H:%M") for at_ms in (inventory.from_ms, inventory.to_ms)]
    return (
        (words("nav.inventory"), words("version.title", version=version)),
        (words("col.period"), " – ".join(ends)),
        (words("versions.gwp"), pinned.gwp_set),
        (words("version.profile"), f"{pinned.profile} {pinned.profile_version}"),
        (words("version.digest"), digest.hex()),
    )


def _matrix(matrix: Matrix, view: View) -> Table:
    """A line per category: mass, CO2e and expanded uncertainty of each gas, and the total."""
    words = view.words
    columns = [Column(words("col.category"))]
    for gas in matrix.gases:
        columns.append(Column(f"{gas} {words('col.mass')}", Kind.MASS))
        columns += _pair(f"{gas} {words('col.co2e')}", words("col.u"))
    columns += _pair(f"{words('col.total')} {words('col.co2e')}", words("col.u"))
    rows = [
        [
            Cell(words(f"category.{category}")),
            *(cell for gas in matrix.gases for cell in _place(matrix.cells.get((category, gas)), with_mass=True)),
            *_place(matrix.by_category.get(category), with_mass=False),
        ]
        for category in CATEGORIES
    ]
    footer = [
        Cell(words("col.total")),
        *(cell for gas in matrix.gases for cell in _place(matrix.by_gas[gas], with_mass=True)),
        *_place(matrix.total, with_mass=False),
    ]
    return Table("matrix", words("matrix.title"), columns, rows, footer)


def _statuses(inventory: Inventory, view: View) -> Table:
    """A line per category and calibration status: CO2e and its share of the category."""
    words = view.words
    columns = [
        Column(words("col.category")), Column(words("col.state")), Column(words("col.co2e"), Kind.MASS),
        Column(words("col.share"), Kind.SHARE),
    ]  # fmt: skip
    rows = [
        [
            Cell(words(f"category.{one.category}")), Cell(words.of("calibration", state)), Cell(part),
            Cell(part / one.co2e_mg if one.co2e_mg else None),
        ]
        for one in by_category(inventory.rows) for state, part in one.status_co2e_mg
    ]  # fmt: skip
    return Table("statuses", words("inventory.status-by-category"), columns, rows)


def _pair(title: str, u: str) -> list[Column]:
    return [Column(title, Kind.MASS), Column(f"{title} {u}", Kind.UNCERTAINTY)]


def _place(place: Place | None, *, with_mass: bool) -> list[Cell]:
    """Mass, CO2e and U of a cell; empty where it has no source or nothing of it is known."""
    if place is None or not place.known:
        return [Cell(None)] * (3 if with_mass else 2)
    expanded = None if place.u_co2e_mg is None else K * place.u_co2e_mg
    return [*([Cell(place.mass_mg)] if with_mass else []), Cell(place.co2e_mg), Cell(expanded)]


def _rows(name: str, caption: str, rows: Sequence[InventoryRow], view: View) -> Table:
    words = view.words
    states = [state for state, _ in by_badness(tuple({state: 0 for row in rows for state, _ in row.status_mg}.items()))]
    columns = [
        Column(words("col.category")), Column(words("col.source")), Column(words("col.agent")),
        Column(words("export.source-id")), Column(words("col.method")), Column(words("col.gas")),
        Column(words("export.record")), Column(words("col.mass"), Kind.MASS), Column(words("col.added"), Kind.MASS),
        Column(words("col.co2e"), Kind.MASS), Column(words("col.u"), Kind.UNCERTAINTY),
        Column(words("col.covered"), Kind.SHARE),
        *(Column(f"{words('col.mass')} {words.of('calibration', state)}", Kind.MASS) for state in states),
    ]  # fmt: skip
    return Table(name, caption, columns, [_row(row, states, view) for row in rows])


def _row(row: InventoryRow, states: Sequence[str], view: View) -> list[Cell]:
    words, known = view.words, row.covered_ms > 0 or row.mass_mg != 0
    status = dict(row.status_mg)
    figures: tuple[int | float, ...] = (row.mass_mg, row.added_mg, row.co2e_mg, K * row.u_co2e_mg)
    return [
        Cell(words(f"category.{row.category}")), Cell(view.named(row)), Cell(row.agent), Cell(row.source),
        Cell(words.of("method", row.method)), Cell(row.gas), Cell(row.gwp_record),
        *(Cell(figure if known else None) for figure in figures),
        Cell(row.covered_ms / row.period_ms), *(Cell(status.get(state, 0) if known else None) for state in states),
    ]  # fmt: skip
