"""From events to tonnes through the books: what a late or a failed test reaches, as known before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from calibration.events import Event
from calibration.evidence import Result
from calibration.instruments import Chain, Member, Part
from collector.books import Books
from collector.calibration.impact import Impact, Why, impacts
from collector.calibration.overview import standings
from collector.store.calibration import add_record, instruments_known
from collector.store.hours import read_hours
from collector.store.inventories import build_inventory, read_inventory, seal_inventory
from collector.store.log import tree_size
from collector.store.refresh import refresh_hours
from protocols.messages import Ack
from tests.calibration.happenings import failed, happened, percent
from tests.collector.edge import START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]
HOUR_MS = 3_600_000
METER = "em-1"


class Site:
    """The books with an hour of an agent, and what is entered about its meter."""

    def __init__(self, books: Books, register: Register, ingest: Ingest) -> None:
        self.books = books
        edge = stream(6)
        register(edge)
        ingest(edge, *range(7))
        with books.database.reading() as connection:
            self.meter = instruments_known(connection, books.plans)[METER]
        self.make()

    def make(self) -> None:
        refresh_hours(self.books.database, self.books.plans, self.books.hour_rule)

    def enter(self, *events: Event) -> int:
        """Enter events about the meter and make the hours they reach; the size of the log then."""
        with self.books.database.writing() as connection:
            for event in events:
                about = replace(event, instrument=METER, serial=self.meter.serial)
                add_record(connection, self.books.plans, about, START_MS, "li")
            size = tree_size(connection)
        self.make()
        return size

    def status(self) -> dict[str, int]:
        """Mass of the electricity's hour per status. [mg]"""
        with self.books.database.reading() as connection:
            (row,) = [one.row for one in read_hours(connection, 0, 2**48) if one.row.source == "grid"]
        assert row.mass_mg == sum(mass for _, mass in row.status_mg)
        return dict(row.status_mg)

    def impacts(self, size: int | None = None) -> list[Impact]:
        books = self.books
        with books.database.reading() as connection:
            found = standings(connection, books.plans, books.trust, START_MS, size)
            lives = books.trust.lives(connection, size)
            return list(impacts(connection, books.plans, lives, found, size))


def test_a_failure_after_sealing_reaches_back_and_names_the_sealed_version(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """Since the last good evidence nobody can vouch for it; the sealed version and earlier answers stay as they are."""
    site = Site(books, register, ingest)
    good = site.enter(happened("good", "2025-01-10", valid_until=date(2026, 1, 9)))
    assert {"in-interval"} == site.status().keys()
    version = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", START_MS).version
    with books.database.writing() as connection:
        sealed = seal_inventory(connection, books.log_key, version, START_MS)
    site.enter(failed("bad", "2025-12-20", as_found=(percent("5", "-2.4"),)))

    (found,) = site.impacts()
    assert (Why.SUSPECT, "bad", "good", Decimal("-0.024")) == (found.why, found.event, found.last_good, found.error)
    assert [("grid", "CO2", 1)] == [(one.source, one.gas, one.hours) for one in found.touched]
    assert (version,) == found.sealed
    assert {"unknown": found.touched[0].mass_mg} == site.status()
    assert [] == site.impacts(good)
    with books.database.reading() as connection:
        assert sealed.digest == read_inventory(connection, version).digest


def test_late_then_passed_and_late_then_out_of_limits(books: Books, register: Register, ingest: Ingest) -> None:
    """Between the end of the interval and the test it was overdue; what the test found is told with it."""
    site = Site(books, register, ingest)
    site.enter(happened("good", "2024-09-01", valid_until=date(2025, 9, 30)))
    assert {"overdue"} == site.status().keys()
    site.enter(happened("late", "2025-11-05", valid_until=date(2026, 11, 4)))
    (late,) = site.impacts()
    assert (Why.LATE, "late") == (late.why, late.event)
    assert late.from_ms is not None
    assert late.from_ms < START_MS < late.to_ms
    assert {"overdue"} == site.status().keys()

    site.enter(
        happened("late-bad", "2025-11-05", result=Result.FAIL, as_found=(percent("5", "3"),), supersedes="late",
                 document=failed("x", "2025-11-05").document)
    )  # fmt: skip
    assert {Why.SUSPECT, Why.LATE_OUTSIDE} == {one.why for one in site.impacts()}
    assert {Decimal("0.03")} == {one.error for one in site.impacts()}


def test_a_transformer_overdue_makes_the_hour_overdue(books: Books, register: Register, ingest: Ingest) -> None:
    """A chain is as good as its worst member; a test of the transformer reaches the meter's hours."""
    site = Site(books, register, ingest)
    site.enter(happened("good", "2025-01-10", valid_until=date(2026, 1, 9)))
    transformer = replace(site.meter, id="ct-1", serial="C-1")
    chain = Chain("feeder", (Member(Part.METER, METER), Member(Part.CURRENT_TRANSFORMER, "ct-1")))
    with books.database.writing() as connection:
        for record in (
            transformer, chain,
            happened("of-ct", "2023-01-10", instrument="ct-1", serial="C-1", valid_until=date(2025, 1, 9)),
        ):  # fmt: skip
            add_record(connection, books.plans, record, START_MS, "li")
    site.make()
    assert {"overdue"} == site.status().keys()
    with books.database.writing() as connection:
        bad = failed("of-ct-2", "2025-12-01", instrument="ct-1", serial="C-1", as_found=(percent("5", "4"),))
        add_record(connection, books.plans, bad, START_MS, "li")
    site.make()
    reached = [one for one in site.impacts() if one.why is Why.LATE_OUTSIDE]
    assert [("ct-1", ["grid"])] == [
        (one.standing.instrument.id, [row.source for row in one.touched]) for one in reached
    ]


def test_a_superseded_test_reaches_nothing(books: Books, register: Register, ingest: Ingest) -> None:
    """A slip of the pen is taken back by another event; what was said before stands for an earlier size of the log."""
    site = Site(books, register, ingest)
    site.enter(happened("good", "2025-01-10", valid_until=date(2026, 1, 9)))
    wrong = site.enter(failed("slip", "2025-12-20", as_found=(percent("5", "24"),)))
    site.enter(
        happened("right", "2025-12-20", valid_until=date(2026, 12, 19), as_found=(percent("5", "0.24"),),
                 supersedes="slip")
    )  # fmt: skip

    assert [] == site.impacts()
    assert ["slip"] == [one.event for one in site.impacts(wrong)]
    assert {"in-interval"} == site.status().keys()
