"""A new calibration record asks anew for the hours it reaches, and for no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select

from calibration.certificates import Certificate
from calibration.days import day_of
from calibration.encoding import Kept
from calibration.events import Event, What
from calibration.instruments import Chain, Instrument, Member, Part
from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.store.calibration import add_record
from collector.store.certificates import add_certificate
from collector.store.hours import replace_hours
from collector.store.schema import dirty_hours
from collector.store.trust import trust_known
from protocols.messages import Ack
from protocols.plan.model import Regime
from tests.calibration.happenings import failed, happened
from tests.calibration.records import at, certificate
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_inventory import hour

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]
pytestmark = pytest.mark.backends
DAYS = 10


@pytest.fixture
def edge(books: Books, register: Register, ingest: Ingest) -> Edge:
    """An agent with its plan and ten days of hours."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    first = at("2026-03-01", edge.plan.plan.facility.time_zone)
    starts = [first + n * HOUR_MS for n in range(24 * DAYS)]
    with books.database.writing() as connection:
        row = replace(hour("grid", 0, 1), agent=edge.agent_id)
        made = {one: [replace(row, from_ms=one, to_ms=one + HOUR_MS)] for one in starts}
        replace_hours(connection, edge.agent_id, made)
        connection.execute(delete(dirty_hours))
    return edge


def entered(books: Books, *records: Kept | Certificate) -> tuple[int, str]:
    """How many hours the last of these asks anew, and from which day of March."""
    for one in records:
        with books.database.writing() as connection:
            connection.execute(delete(dirty_hours))
            if isinstance(one, Certificate):
                add_certificate(connection, books.plans, one, START_MS)
            else:
                add_record(connection, books.plans, one, START_MS, "li")
            found = select(func.count(), func.min(dirty_hours.c.from_ms)).select_from(dirty_hours)
            count, first = connection.execute(found).one()
    return count, "" if first is None else str(day_of(first, ZoneInfo("Asia/Shanghai")))


def of_meter(event: Event) -> Event:
    """The same event of the plan's first meter."""
    return replace(event, instrument="em-1", serial="E1")


PASS = of_meter(happened("pass", "2026-03-03", valid_until=date(2026, 12, 31)))


def test_a_pass_reaches_from_its_day_on(books: Books, edge: Edge) -> None:
    """What was before stays as it was made; a record of an instrument that no plan names reaches nothing."""
    assert edge.plan.plan.facility.time_zone == "Asia/Shanghai"
    assert (0, "") == entered(books, replace(PASS, id="their", instrument="elsewhere"))
    assert (24 * 8, "2026-03-03") == entered(books, PASS)


def test_a_certificate_reaches_like_an_event(books: Books, edge: Edge) -> None:
    """The old command's records are no other thing."""
    entered_as = certificate("c", "2026-03-04", "2026-12-31", instrument="em-1", serial="E1")

    assert (24 * 7, "2026-03-04") == entered(books, entered_as)


def test_a_cell_that_waits_is_marked_again(books: Books, edge: Edge) -> None:
    """Whoever is making it just then sees that something came in between."""
    with books.database.writing() as connection:
        for one in (PASS, replace(PASS, id="another")):
            add_record(connection, books.plans, one, START_MS, "li")
        assert {2} == set(connection.scalars(select(dirty_hours.c.marks)))


def test_a_failure_reaches_back_to_the_last_good_evidence(books: Books, edge: Edge) -> None:
    """From the day after the pass, not from the beginning."""
    assert (24 * 7, "2026-03-04") == entered(books, PASS, of_meter(failed("bad", "2026-03-08")))


def test_what_supersedes_reaches_from_the_earlier_of_both(books: Books, edge: Edge) -> None:
    """A day that was entered wrongly is no longer a pass."""
    later = of_meter(happened("right", "2026-03-06", valid_until=date(2026, 12, 31), supersedes="pass"))

    assert (24 * 8, "2026-03-03") == entered(books, PASS, later)


def test_a_chain_or_an_instrument_reaches_everything(books: Books, edge: Edge) -> None:
    """Also the hours of a meter that is a member no longer; an event of a member reaches from its day."""
    ct = Member(Part.CURRENT_TRANSFORMER, "ct-1")
    chain, without = Chain("feeder", (Member(Part.METER, "em-1"), ct)), Chain("feeder", (ct,))
    of_ct = replace(happened("ct", "2026-03-09", What.OUT_OF_USE), instrument="ct-1", serial="CT1")

    assert (24 * DAYS, "2026-03-01") == entered(books, Instrument("em-1", "E1", Regime.USER_DEFINED))
    assert (24 * DAYS, "2026-03-01") == entered(books, chain)
    assert (24 * 2, "2026-03-09") == entered(books, Instrument("ct-1", "CT1", Regime.USER_DEFINED), of_ct)
    assert (24 * DAYS, "2026-03-01") == entered(books, without)


def test_what_bears_on_some_instruments_is_whole(books: Books, edge: Edge) -> None:
    """Their chains in every record of them, the other members' events, and nothing of anybody else."""
    chain = Chain("feeder", (Member(Part.METER, "em-1"), Member(Part.CURRENT_TRANSFORMER, "ct-1")))
    newer = Chain("feeder", (Member(Part.CURRENT_TRANSFORMER, "ct-1"),))
    of_ct = replace(happened("ct", "2026-03-09"), instrument="ct-1", serial="CT1")
    entered(books, chain, newer, of_ct, PASS, replace(PASS, id="other", instrument="other"))

    with books.database.reading() as connection:
        found, everything = trust_known(connection, ["em-1"]), trust_known(connection)

    assert [chain, newer] == [one for one, _ in found.chains]
    assert {"ct", "pass"} == {one.id for one, _ in found.events}
    assert {"ct", "pass", "other"} == {one.id for one, _ in everything.events}
