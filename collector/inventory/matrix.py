"""An inventory as the matrix a report shows: ISO 14064-1 category by gas, with totals that are the inventory's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.inventory.model import Inventory, InventoryRow, Total, cell_key
from protocols.exact import sum_exact

CATEGORIES = (1, 2, 3, 4, 5, 6)
"""Of ISO 14064-1:2018."""

_GASES = ("CO2", "CH4", "N2O", "HFCs", "PFCs", "SF6", "NF3")


@dataclass(frozen=True, slots=True)
class Cell:
    """One category and gas, or a row's or column's total.

    Attributes
    ----------
    rows : tuple of InventoryRow
        The sources in it.
    mass_mg : int or None
        None where gases are mixed. [mg]
    co2e_mg : int
        [mg]
    u_co2e_mg : float or None
        Combined standard uncertainty, k = 1; None where the inventory does not state it. [mg]
    """

    rows: tuple[InventoryRow, ...]
    mass_mg: int | None
    co2e_mg: int
    u_co2e_mg: float | None

    @property
    def known(self) -> bool:
        """Whether anything of it is known; what is not is missing, never zero."""
        return any(row.covered_ms > 0 or row.mass_mg != 0 for row in self.rows)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Category by gas; a pair without a source has no cell."""

    gases: tuple[str, ...]
    cells: Mapping[tuple[int, str], Cell]
    by_category: Mapping[int, Cell]
    by_gas: Mapping[str, Cell]
    total: Cell


def matrix_of(inventory: Inventory) -> Matrix:
    """The matrix of an inventory's primary rows; cross-checks are in no cell."""
    rows = inventory.rows
    stated = {total.key: total for total in inventory.by_cell}
    places: dict[tuple[int, str], list[InventoryRow]] = {}
    for row in rows:
        places.setdefault((row.category, row.gas), []).append(row)
    return Matrix(
        gases=tuple(sorted({row.gas for row in rows}, key=_order)),
        cells={place: _cell(own, stated.get(cell_key(*place))) for place, own in places.items()},
        by_category={
            int(total.key): _whole([row for row in rows if row.category == int(total.key)], total)
            for total in inventory.by_category
        },
        by_gas={total.key: _whole([row for row in rows if row.gas == total.key], total) for total in inventory.by_gas},
        total=_whole(rows, inventory.total),
    )


def _cell(rows: list[InventoryRow], stated: Total | None) -> Cell:
    if stated is not None:
        return _whole(rows, stated)
    alone = rows[0].u_co2e_mg if len(rows) == 1 else None
    mass, co2e = (sum_exact(getattr(row, name) for row in rows) for name in ("mass_mg", "co2e_mg"))
    return Cell(tuple(rows), mass, co2e, alone)


def _whole(rows: list[InventoryRow] | tuple[InventoryRow, ...], total: Total) -> Cell:
    return Cell(tuple(rows), total.mass_mg, total.co2e_mg, total.u_co2e_mg)


def _order(gas: str) -> tuple[int, str]:
    return (_GASES.index(gas) if gas in _GASES else len(_GASES)), gas
