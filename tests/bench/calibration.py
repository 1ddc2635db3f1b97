"""Calibration status of many instruments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import insert

from calibration.encoding import Kept, encode_record
from calibration.events import Event, What
from calibration.evidence import Document, Kind, Result
from calibration.instruments import Instrument
from calibration.many import Book, Subject, statuses_at
from calibration.requirements import TRACEABILITY
from calibration.status import STATES, State
from collector.books import open_books
from collector.calibration.overview import due, standings
from collector.config import Config, Settings
from collector.store.calibration import EVENT, INSTRUMENT
from collector.store.schema import calibration_records
from protocols.plan.model import Regime
from tests.bench.figures import Figure, median_of, seconds
from tests.calibration.records import ZONE, at

INSTRUMENTS = 10_000
GROUP = 5_000


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
    yield from _due_list(subjects, instant)
    yield Figure("calibration.status_10k_instruments_s", median_of(lambda: seconds(ask)), "s", note)


def _due_list(subjects: Sequence[Subject], instant: int) -> Iterator[Figure]:
    """The due list out of books that hold them all: the first one reads and judges everything, the next ones ask."""
    rows: list[dict[str, object]] = []
    for meter, _, history in subjects:
        kept: list[Kept] = [meter, *(event for event, _ in history)]
        for record in kept:
            data, kind = encode_record(record), EVENT if isinstance(record, Event) else INSTRUMENT
            rows.append({"leaf": len(rows) + 1, "kind": kind, "id": record.id, "about": meter.id, "bytes": data,
                         "digest": hashlib.sha256(data).digest(), "known_ms": 0, "by": "bench"})  # fmt: skip
    with TemporaryDirectory() as folder, open_books(Config(Path(folder) / "collector.toml", Settings())) as books:
        with books.database.writing() as connection:
            for first in range(0, len(rows), GROUP):
                connection.execute(insert(calibration_records), rows[first : first + GROUP])

        def ask() -> None:
            with books.database.reading() as connection:
                found = standings(connection, books.plans, books.trust, instant)
            if len(due(found)) != INSTRUMENTS:
                raise AssertionError("an instrument whose interval ends within 60 days is not listed")

        begun = seconds(ask)
        note = f"20 yearly certificates each, in SQLite; the first list of a process takes {begun:.1f} s"
        yield Figure("calibration.due_list_ms", 1000 * median_of(lambda: seconds(ask)), "ms", note)
