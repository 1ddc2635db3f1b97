"""The way down from an inventory's matrix: a cell opens its sources, a source its months, a month the explorer.

What is open stands in the address (``category``, ``gas``, ``agent``, ``source``), so that it can be copied. Months
come from the ledger as it stands now; where they no longer add to an older inventory, the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from collector.hours.calendar import By
from collector.inventory.matrix import Cell, Matrix, matrix_of
from collector.inventory.model import Inventory, InventoryRow
from collector.store.series import SeriesRow, read_series
from collector.web.addresses import figure_address
from collector.web.period import Period
from protocols.exact import sum_exact
from protocols.ghg.gwp import GwpSet, co2e_mg, gwp_set

_OPENING = ("category", "gas", "agent", "source")


@dataclass(frozen=True, slots=True)
class Month:
    """A month of one source and gas, what of it lies in the period; the CO2e of all adds to that of the sum. [mg]"""

    row: SeriesRow
    co2e_mg: int
    u_co2e_mg: float
    address: str


@dataclass(frozen=True, slots=True)
class OpenSource:
    """An opened row with its months; ``moved_mg`` is what the ledger holds now less what the row states. [mg]

    ``explained`` is where its figure is taken apart.
    """

    row: InventoryRow
    months: tuple[Month, ...]
    moved_mg: int
    explained: str


@dataclass(frozen=True, slots=True)
class Drill:
    """The matrix and what of it is open: a cell, and in it a source.

    ``path`` and ``kept`` make the addresses: the page's own, and its parameters that stay.
    """

    matrix: Matrix
    path: str
    kept: Mapping[str, str]
    place: tuple[int, str] | None
    cell: Cell | None
    source: OpenSource | None

    def cell_address(self, category: int, gas: str) -> str:
        """Opens a cell."""
        return self._address({"category": str(category), "gas": gas}, "cell")

    def source_address(self, row: InventoryRow) -> str:
        """Opens a source in its cell."""
        own = {"category": str(row.category), "gas": row.gas, "agent": row.agent, "source": row.source}
        return self._address(own, "months")

    @property
    def closed_address(self) -> str:
        """Nothing open."""
        return self._address({}, "matrix")

    def _address(self, opening: Mapping[str, str], anchor: str) -> str:
        query = urlencode({**self.kept, **opening})
        return f"{self.path}{'?' + query if query else ''}#{anchor}"


def open_drill(
    connection: Connection, inventory: Inventory, zone: ZoneInfo, path: str, query: Mapping[str, str]
) -> Drill:
    """What an address opens of an inventory; what it does not have stays closed."""
    matrix = matrix_of(inventory)
    kept = {key: value for key, value in query.items() if key in ("live", "site")}
    wanted = query.get("category", ""), query.get("gas", "")
    place = next((place for place in matrix.cells if (str(place[0]), place[1]) == wanted), None)
    cell = None if place is None else matrix.cells[place]
    row = None
    if cell is not None:
        named = query.get("agent"), query.get("source")
        row = next((row for row in cell.rows if (row.agent, row.source) == named), None)
    source = None if row is None else _months(connection, inventory, row, zone, kept)
    return Drill(matrix, path, kept, place, cell, source)


def _months(
    connection: Connection, inventory: Inventory, row: InventoryRow, zone: ZoneInfo, kept: Mapping[str, str]
) -> OpenSource:
    series = read_series(
        connection, inventory.from_ms, inventory.to_ms, By.MONTH, zone, agent=row.agent, source=row.source, gas=row.gas
    )
    weights = gwp_set(inventory.pinned.gwp_set)
    factor = float(weights.potential(row.gwp_record).exact)
    months, mass = [], 0
    for one in series:
        before = co2e_mg(mass, row.gwp_record, weights)
        mass += one.mass_mg
        share = co2e_mg(mass, row.gwp_record, weights) - before
        months.append(Month(one, share, one.u_mg * factor, _explorer(one, zone, weights, kept)))
    whole = Period(inventory.from_ms, inventory.to_ms, By.MONTH, zone)
    explained = figure_address(row.agent, row.source, row.gas, whole)
    return OpenSource(row, tuple(months), sum_exact(one.row.mass_mg for one in months) - row.mass_mg, explained)


def _explorer(one: SeriesRow, zone: ZoneInfo, weights: GwpSet, kept: Mapping[str, str]) -> str:
    """The month day by day in the emissions explorer, of the same site."""
    site = {"site": kept["site"]} if "site" in kept else {}
    own = site | {"agent": one.agent, "source": one.source, "gas": one.gas, "gwp": weights.name}
    return "/emissions?" + urlencode(Period(one.from_ms, one.to_ms, By.DAY, zone).query | own)
