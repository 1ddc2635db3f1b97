"""Uncertainty of hour rows over a period; how parts combine is ``protocols.ghg.uncertainty``."""

from __future__ import annotations

from collections.abc import Sequence

from collector.hours.model import HourRow
from protocols.ghg.uncertainty import Parts, across, combine


def parts_of(row: HourRow) -> Parts:
    """A row's parts; a factor is one cause wherever it is used, an instrument is a cause of its own agent. [mg]"""
    shared = {f"{row.agent}/{cause}" if cause.startswith("instrument:") else cause: u for cause, u in row.u_shared}
    return Parts(row.u_independent, shared, row.u_end_first, row.u_end_last)


def of_series(rows: Sequence[HourRow]) -> Parts:
    """Parts of one source and gas over rows in time order; a hole in time gives each stretch its own ends. [mg]"""
    stretches: list[list[Parts]] = []
    end_ms: int | None = None
    for row in rows:
        if row.from_ms != end_ms:
            stretches.append([])
        stretches[-1].append(parts_of(row))
        end_ms = row.to_ms
    return across(combine(stretch) for stretch in stretches)
