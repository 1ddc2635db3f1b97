from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import update

from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.store.completeness import PointDay, read_completeness, read_gaps
from collector.store.plans import Site, sites_known
from collector.store.schema import slots
from protocols.messages import Ack
from protocols.records import Fate, fate_of
from tests.collector.edge import SPAN_MS, START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def edge(register: Register, ingest: Ingest) -> Edge:
    """Five minutes, the last one beginning with three timeouts; the fourth batch has not come."""
    edge = stream(4)
    edge.add_batch(missing_slots=3)
    register(edge)
    ingest(edge, 0, 1, 2, 3, 5)
    return edge


def completeness(books: Books, from_ms: int, to_ms: int, now_ms: int) -> tuple[Site, list[PointDay]]:
    """The only site, and its points and days."""
    with books.database.reading() as connection:
        (site,) = sites_known(connection, books.plans)
        return site, read_completeness(connection, books.plans, site, from_ms, to_ms, now_ms)


def test_every_due_slot_is_accounted_for_or_silent(books: Books, edge: Edge, ingest: Ingest) -> None:
    """Until the gap closes its slots are silent; then each due slot has its fate, and nothing is left over."""
    end_ms = START_MS + 5 * SPAN_MS
    _, before = completeness(books, START_MS, end_ms, end_ms)
    ingest(edge, 4)
    _, after = completeness(books, START_MS, end_ms, end_ms)

    assert {point.id for point in edge.plan.points} == {one.point for one in after}
    for early, late in zip(before, after, strict=True):
        interval = next(point.interval_ms for point in edge.plan.points if point.id == late.point)
        assert 5 * SPAN_MS // interval == late.expected == late.accounted
        assert (2 * SPAN_MS // interval, 0) == (early.silent, late.silent)
        assert 3 == sum(count for code, count in late.fates if fate_of(code) is Fate.TIMEOUT)
        assert 0 == early.excess == late.excess


def test_a_silent_site_is_missing_day_by_day(books: Books, edge: Edge) -> None:
    """Days after the last batch are there with every slot due and none accounted for; days before the first are not."""
    site, found = completeness(books, START_MS - 3 * DAY_MS, START_MS + 5 * DAY_MS, START_MS + 3 * DAY_MS)
    own = sorted((one for one in found if one.point == edge.plan.points[0].id), key=lambda one: one.day)
    interval = edge.plan.points[0].interval_ms

    assert site.agents == {edge.agent_id}
    assert 3 * DAY_MS // interval == sum(one.expected for one in own)
    assert [DAY_MS // interval] * 2 == [one.silent for one in own if one.accounted == 0][:2]
    assert all(one.span[1] > START_MS for one in own)


def test_what_is_known_of_gaps_is_said(books: Books, edge: Edge) -> None:
    """The hole where no batch is, and the number that is asked for again."""
    with books.database.reading() as connection:
        (site,) = sites_known(connection, books.plans)
        gaps = read_gaps(connection, site, (START_MS, START_MS + DAY_MS), START_MS + 10 * SPAN_MS)

    assert [(START_MS + 3 * SPAN_MS, START_MS + 10 * SPAN_MS)] == [(one.from_ms, one.to_ms) for one in gaps.holes]
    assert [((4, 4),)] == [one.ranges for one in gaps.asked]


def test_an_account_that_does_not_add_up_says_by_how_much(books: Books, edge: Edge) -> None:
    """Somebody who adds good slots in the database has more accounted for than were due."""
    with books.database.writing() as connection:
        connection.execute(update(slots).where(slots.c.fate == int(Fate.GOOD)).values(count=100_000))
    end_ms = START_MS + 3 * SPAN_MS
    _, found = completeness(books, START_MS, end_ms, end_ms)

    assert all(one.excess == one.accounted - one.expected > 0 for one in found)
    assert 0 == replace(found[0], fates=()).excess
