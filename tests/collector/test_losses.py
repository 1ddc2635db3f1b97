"""What nobody holds any more: a leaf of the log, stepped over where the stream goes on, and counted by its reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collector.books import Books
from collector.store.agents import all_agents
from collector.store.completeness import read_completeness, read_gaps
from collector.store.leaves import find_leaf
from collector.store.losses import keep_loss, read_losses
from collector.store.placing import Placer, stored_reader
from collector.store.plans import sites_known
from protocols.messages import Ack
from protocols.transparency.loss import Loss
from tests.collector.edge import SPAN_MS, START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


def lose(books: Books, edge: Edge, first: int, last: int) -> Ack:
    """Accept a range as lost and read on; what is committed of the stream then."""
    loss = Loss(edge.agent_id, edge.stream_id, first, last, "li", "the disk burnt", START_MS)
    with books.database.writing() as connection:
        known = {agent.agent_id: agent for agent in all_agents(connection)}
        keep_loss(connection, loss)
        placer = Placer(connection, books.plans, stored_reader(known))
        placer.go_on(edge.agent_id, edge.stream_id)
        return placer.acks()[edge.agent_id][0]


@pytest.mark.backends
def test_a_lost_range_is_stepped_over(books: Books, register: Register, ingest: Ingest) -> None:
    """What waited behind it is read into the books; a leaf says stream and range, its record who and why."""
    edge = stream(6)
    register(edge)
    waiting = ingest(edge, 0, 1, 4, 5)
    ack = lose(books, edge, 2, 3)
    with books.database.reading() as connection:
        (loss,) = read_losses(connection)
        leaf = find_leaf(connection, "lost", loss.leaf_id)

    assert (Ack(edge.stream_id, 1, ((4, 5),)), Ack(edge.stream_id, 5)) == (waiting, ack)
    assert leaf is not None
    assert Ack(edge.stream_id, 6) == ingest(edge, 6)
    assert Ack(edge.stream_id, 6) == ingest(edge, 2), "it came too late: a stream does not go back"


def test_behind_a_loss_at_the_end_the_next_item_goes_on(books: Books, register: Register, ingest: Ingest) -> None:
    """Its own word says which digest the last lost one had; before it comes nothing is stepped over."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1)

    assert Ack(edge.stream_id, 1) == lose(books, edge, 2, 4)
    assert Ack(edge.stream_id, 1, ((6, 6),)) == ingest(edge, 6)
    assert Ack(edge.stream_id, 6) == ingest(edge, 5)


def test_what_still_comes_of_a_lost_range_takes_its_place(books: Books, register: Register, ingest: Ingest) -> None:
    """A part found after all is read into the books; only the rest is passed over, also over two ranges."""
    edge = stream(8)
    register(edge)
    ingest(edge, 0, 1)
    lose(books, edge, 2, 3)
    lose(books, edge, 4, 6)

    assert Ack(edge.stream_id, 3) == ingest(edge, 3)
    assert Ack(edge.stream_id, 8) == ingest(edge, 7, 8)


def test_what_is_not_accepted_as_lost_is_waited_for(books: Books, register: Register, ingest: Ingest) -> None:
    """A range that ends before the gap does opens nothing."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1, 5)

    assert Ack(edge.stream_id, 1, ((5, 5),)) == lose(books, edge, 2, 3)


def test_slots_of_lost_items_are_missing_for_that_reason(books: Books, register: Register, ingest: Ingest) -> None:
    """Due, of no fate that came, and lost by the collector: the account adds up, also over ranges side by side."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1, 5, 6)
    lose(books, edge, 2, 3)
    lose(books, edge, 4, 4)
    end_ms = START_MS + 6 * SPAN_MS
    with books.database.reading() as connection:
        (site,) = sites_known(connection, books.plans)
        found = read_completeness(connection, books.plans, site, START_MS, end_ms, end_ms)
        gaps = read_gaps(connection, site, found[0].span, end_ms)

    assert found
    for one in found:
        interval = next(point.interval_ms for point in edge.plan.points if point.id == one.point)
        assert (6 * SPAN_MS // interval, 3 * SPAN_MS // interval) == (one.expected, one.lost)
        assert (0, 0) == (one.silent, one.excess)
    assert [(2, 3), (4, 4)] == [(one.loss.first, one.loss.last) for one in gaps.lost]
    assert {(START_MS + SPAN_MS, START_MS + 4 * SPAN_MS)} == {(one.from_ms, one.to_ms) for one in gaps.lost}
