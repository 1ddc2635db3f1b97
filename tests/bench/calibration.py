"""Calibration status of many instruments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from calibration.status import timeline
from protocols.plan.model import Regime
from tests.bench.figures import Figure, median_of, seconds
from tests.calibration.records import ZONE, at, certificate, instrument

INSTRUMENTS = 10_000


def run() -> Iterator[Figure]:
    """Status at one instant of 10,000 instruments with 20 certificates each."""
    meter = instrument(Regime.USER_DEFINED)
    years = [certificate(f"c{year}", f"{year}-03-01", date(year + 1, 2, 28)) for year in range(2006, 2026)]
    known = [(one, place) for place, one in enumerate(years)]
    instant = at("2026-01-01T00:00:00")

    def ask() -> None:
        for _ in range(INSTRUMENTS):
            timeline(meter, None, known, ZONE).at(instant)

    note = "20 yearly certificates each, handed over per instrument; one set of dates"
    yield Figure("calibration.status_10k_instruments_s", median_of(lambda: seconds(ask)), "s", note)
