"""Rows of the hourly ledger."""

from __future__ import annotations

from dataclasses import dataclass

COARSE, RULES = 1, 2
"""Versions of the rules by which an hour's mass is put on calibration statuses: three of them, from certificates
alone, as in documents that name no version; and today's eight, from events, instruments and chains."""


@dataclass(frozen=True, slots=True)
class HourRow:
    """One source and gas over one UTC hour (cut at the facility's midnight where that is inside it).

    Attributes
    ----------
    agent : str
        Agent id (hex of the key's fingerprint).
    source, gas : str
        Ids of the plan.
    from_ms, to_ms : int
        The cell. [UTC ms]
    mass_mg, added_mg : int
        Mass of the row, and the part of it added for operating time without valid data. [mg]
    activity : int
        Sum of the windows' signed activity. [base unit of the inputs]
    operating_ms, measured_ms, stopped_ms : int
        Times known; the rest of the cell is unknown. [ms]
    method : str
        measured, scaled (the added part is not zero) or incomplete (the hour does not qualify).
    status_mg, status_ms : tuple of (status, int)
        The row's mass per calibration status, adding to ``mass_mg``; measured and stopped time likewise.
    u_independent, u_end_first, u_end_last : float
        Parts of the standard uncertainty; the two ends belong to the row's first and last instant. [mg]
    u_shared : tuple of (cause, float)
        Shared standard uncertainty per cause. [mg]
    windows : int
        How many windows made the row.
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
    method: str
    status_mg: tuple[tuple[str, int], ...]
    status_ms: tuple[tuple[str, int], ...]
    u_independent: float
    u_shared: tuple[tuple[str, float], ...]
    u_end_first: float
    u_end_last: float
    windows: int
