"""An inventory as a frozen value, with everything it rests on pinned."""

from __future__ import annotations

from dataclasses import dataclass

from collector.hours.model import COARSE


@dataclass(frozen=True, slots=True)
class Pinned:
    """What an inventory version was made from; equal inputs give an equal inventory.

    Attributes
    ----------
    origin : str
        Name of the evidence log (C2SP); in versions from before it had one, the fingerprint of the collector's key.
    tree_size : int
        Leaves of the evidence log that were known.
    plans : tuple of str
        SHA-256 of each plan document used, hex, sorted.
    certificates : tuple of str
        SHA-256 of each certificate record known, hex, sorted.
    gwp_set, profile, profile_version : str
        The chosen GWP set and accounting profile.
    profile_digest : str
        SHA-256 of the profile's text, hex.
    hour_rules : int
        Version of the rules by which hours put their mass on calibration statuses (``collector.hours.lives``).
    records : tuple of str
        SHA-256 of each event, instrument and chain record of calibration known, hex, sorted.
    """

    origin: str
    tree_size: int
    plans: tuple[str, ...]
    certificates: tuple[str, ...]
    gwp_set: str
    profile: str
    profile_version: str
    profile_digest: str
    hour_rules: int = COARSE
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """The finest row of the report: one source and gas over the whole period.

    Attributes
    ----------
    gwp_record : str
        The record of the GWP set that weighs the gas (methane has two).
    mass_mg, added_mg, co2e_mg : int
        Mass, the part of it added for operating time without valid data, and CO2 equivalent. [mg]
    covered_ms, period_ms : int
        Measured or stopped time, and the period's length; the rest is unknown, never zero. [ms]
    methods : tuple of (method, hours)
        How many hour rows came about by each method.
    status_mg, status_ms : tuple of (status, int)
        Mass and covered time per calibration status; the masses add to ``mass_mg``.
    u_mg, u_co2e_mg : float
        Combined standard uncertainty of the mass and of the CO2 equivalent (k = 1). [mg]
    """

    agent: str
    source: str
    name_zh: str
    name_en: str
    category: int
    method: str
    gas: str
    gwp_record: str
    mass_mg: int
    added_mg: int
    co2e_mg: int
    covered_ms: int
    period_ms: int
    methods: tuple[tuple[str, int], ...]
    status_mg: tuple[tuple[str, int], ...]
    status_ms: tuple[tuple[str, int], ...]
    u_mg: float
    u_co2e_mg: float

    @property
    def is_known(self) -> bool:
        """Whether anything of the period is known; a mass of nothing known is no zero."""
        return self.covered_ms > 0 or self.mass_mg != 0


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of rows: by gas, by source, by category, by category and gas, or of all; ``key`` says which."""

    key: str
    mass_mg: int | None
    co2e_mg: int
    u_co2e_mg: float


def cell_key(category: int, gas: str) -> str:
    """Key of the total of one category and gas."""
    return f"{category}/{gas}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Emissions of a period: rows, their totals, and the cross-checks that are listed but never added.

    ``by_cell`` is the matrix of category and gas; versions built before it was kept have none.
    ``status_co2e_mg`` splits the total by calibration status by each row's mass share; its parts add to the total.
    """

    from_ms: int
    to_ms: int
    pinned: Pinned
    rows: tuple[InventoryRow, ...]
    cross_checks: tuple[InventoryRow, ...]
    by_gas: tuple[Total, ...]
    by_source: tuple[Total, ...]
    by_category: tuple[Total, ...]
    by_cell: tuple[Total, ...]
    total: Total
    covered_ms: int
    expected_ms: int
    status_co2e_mg: tuple[tuple[str, int], ...]

    @property
    def is_known(self) -> bool:
        """Whether anything of the period is known; a total of nothing known is no zero."""
        return self.covered_ms > 0 or self.total.co2e_mg != 0
