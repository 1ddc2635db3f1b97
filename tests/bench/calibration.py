"""Calibration status of many instruments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from calibration.events import Event, What
from calibration.evidence import Document, Kind, Result
from calibration.instruments import Instrument
from calibration.many import Book, statuses_at
from calibration.requirements import TRACEABILITY
from calibration.status import STATES, State
from protocols.plan.model import Regime
from tests.bench.figures import Figure, median_of, seconds
from tests.calibration.records import ZONE, at

INSTRUMENTS = 10_000


def run() -> Iterator[Figure]:
    """Status at one instant of 10,000 instruments with 20 certificates each, from events to states."""
    subjects = []
    for number in range(INSTRUMENTS):
        meter = Instrument(f"m{number}", f"S{number}", Regime.USER_DEFINED)
        history = [
            Event(
                f"{number}-{year}", meter.id, meter.serial, What.VERIFICATION, date(year, 3, 1 + number % 28),
                result=Result.PASS, valid_until=date(year + 1, 2, 1 + number % 28),
                document=Document(Kind.VERIFICATION, f"{number}-{year}"),
            )
            for year in range(2006, 2026)
        ]  # fmt: skip
        subjects.append((meter, TRACEABILITY, [(event, place) for place, event in enumerate(history)]))
    instant = at("2026-01-01T00:00:00")

    def ask() -> None:
        found = statuses_at(Book.of(subjects, ZONE), instant, None)
        if not bool((found == STATES.index(State.IN_INTERVAL)).all()):
            raise AssertionError("an instrument in its interval is not")

    book = Book.of(subjects, ZONE)
    again = median_of(lambda: seconds(lambda: statuses_at(book, instant, None)))
    note = f"20 yearly certificates each, events compiled and asked; asked again of the compiled book: {again:.4f} s"
    yield Figure("calibration.status_10k_instruments_s", median_of(lambda: seconds(ask)), "s", note)
