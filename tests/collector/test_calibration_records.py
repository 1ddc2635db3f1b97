"""Records of calibration are only ever added to, known from their leaf on, and told apart by id and serial number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from calibration.encoding import Kept
from calibration.errors import CalibrationError
from calibration.instruments import Chain, Instrument, Member, Part
from collector.books import Books
from collector.store.calibration import add_record, all_records, chains_known, instruments_known, known_events
from collector.store.evidence_files import LARGEST, add_file, file_of
from collector.store.leaves import find_leaf
from collector.store.log import tree_size
from collector.store.refresh import refresh_hours
from collector.store.schema import calibration_records, dirty_hours, evidence_files
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.plan.model import Regime
from tests.calibration.happenings import happened, meter
from tests.collector.edge import START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


def enter(books: Books, kept: Kept) -> bool:
    """Keep one record as the central team would."""
    with books.database.writing() as connection:
        return add_record(connection, books.plans, kept, START_MS, "li")


def make_hours(books: Books) -> None:
    """Make every hour that is asked for."""
    refresh_hours(books.database, books.plans, books.hour_rule)


@pytest.mark.backends
def test_an_event_is_kept_once_and_known_from_its_leaf_on(books: Books) -> None:
    """The same event again changes nothing; its leaf is the digest of its bytes."""
    event = happened("v-1", "2026-03-31")

    assert [True, False] == [enter(books, event), enter(books, event)]
    with books.database.reading() as connection:
        (stored,) = all_records(connection)
        leaf = find_leaf(connection, "calibration-event", "v-1")
        events = known_events(connection)
    assert ((event, stored.leaf + 1),) == events
    assert leaf is not None
    assert (stored.leaf, stored.digest, "li") == (leaf.position, leaf.digest, stored.by)


def test_another_event_of_the_same_id_is_refused(books: Books) -> None:
    """A correction is an event of its own."""
    enter(books, happened("v-1", "2026-03-31"))

    with pytest.raises(CalibrationError, match="supersedes"):
        enter(books, happened("v-1", "2026-04-01"))


def test_the_instrument_entered_last_counts_as_known_then(books: Books) -> None:
    """Earlier records stay, and an earlier size of the log still sees them; going back to one is a record too."""
    first, second = meter(location="boiler house"), meter(location="store")
    entered = [enter(books, one) for one in (first, second, second, first)]
    with books.database.reading() as connection:
        sizes = [stored.known_from for stored in all_records(connection)]
        seen = [instruments_known(connection, books.plans, size).get("meter") for size in (sizes[0] - 1, *sizes)]

    assert [True, True, False, True] == entered
    assert [None, first, second, first] == seen


def test_a_plans_instrument_is_known_until_more_is_entered(books: Books, register: Register, ingest: Ingest) -> None:
    """An entered record of the same serial number wins; one of another is another instrument."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 1)
    planned = edge.plan.plan.instruments[0]
    same = Instrument(planned.id, planned.serial, Regime.MANDATORY_PERIODIC, location="substation 3")

    def known() -> Instrument:
        with books.database.reading() as connection:
            return instruments_known(connection, books.plans)[planned.id]

    before = known()
    enter(books, dataclasses.replace(same, serial="X-9"))
    other = known()
    enter(books, same)
    assert (before, before, same) == (other, other, known())
    assert planned.serial == before.serial


def test_what_is_entered_asks_only_for_hours_of_agents_that_name_the_instrument(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """Also for a member of a chain, whose other members' hours it changes."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 1)
    make_hours(books)
    meant = edge.plan.plan.instruments[0]

    def dirty() -> int:
        with books.database.reading() as connection:
            return len(connection.execute(select(dirty_hours)).all())

    enter(books, happened("other", "2026-03-31"))
    assert dirty() == 0
    chain = Chain("feeder", (Member(Part.METER, meant.id), Member(Part.CURRENT_TRANSFORMER, "meter")))
    enter(books, chain)
    with books.database.reading() as connection:
        assert {"feeder": chain} == chains_known(connection)
    assert dirty() > 0
    make_hours(books)
    enter(books, happened("of-the-ct", "2025-10-01"))
    assert dirty() > 0


@pytest.mark.backends
@pytest.mark.parametrize("table", [calibration_records, evidence_files], ids=lambda table: str(table.name))
def test_the_database_itself_refuses_changes(books: Books, table: type) -> None:
    """Neither changed nor deleted, by whatever program."""
    enter(books, happened("v-1", "2026-03-31"))
    with books.database.writing() as connection:
        add_file(connection, b"%PDF-1.7", "scan.pdf", "application/pdf", START_MS, "li")

    for statement in (update(table).values(by="somebody"), delete(table)):
        with pytest.raises(DBAPIError, match="only ever added to"), books.database.writing() as connection:
            connection.execute(statement)


@pytest.mark.backends
def test_a_file_is_kept_once_under_its_digest(books: Books) -> None:
    """The same bytes under another name are the same file."""
    with books.database.writing() as connection:
        size = tree_size(connection)
        names = {
            add_file(connection, b"%PDF-1.7", name, "application/pdf", START_MS, "li") for name in ("a.pdf", "b.pdf")
        }
        (sha256,) = names
        found = file_of(connection, sha256)
        assert find_leaf(connection, "evidence-file", sha256) is not None
        assert tree_size(connection) == size + 2, "the file and one entry of the audit trail"
        assert file_of(connection, "00" * 32) is None
        assert file_of(connection, "no digest") is None

    assert found is not None
    assert ("a.pdf", 8, b"%PDF-1.7") == (found[0].name, found[0].size, found[1])


@pytest.mark.parametrize(
    ("data", "media_type", "why"),
    [
        (b"", "application/pdf", "empty"),
        (b"<script>", "text/html", "media type 'text/html'"),
        (bytes(LARGEST + 1), "image/png", "at most"),
    ],
    ids=["empty", "page", "large"],
)
def test_a_file_that_is_no_evidence_is_refused(books: Books, data: bytes, media_type: str, why: str) -> None:
    """It says what was seen and what is taken."""
    with pytest.raises(EmitraceError, match=why), books.database.writing() as connection:
        add_file(connection, data, "scan", media_type, START_MS, "li")
