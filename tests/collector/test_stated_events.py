"""Events come from the signed batches, in order and page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from collector.api import shapes
from collector.books import Books
from collector.ingest.worker import commit_group
from collector.store.stated_events import events_page
from protocols.records import Event, EventKind, ItemKind
from tests.collector.edge import START_MS, Edge

pytestmark = pytest.mark.backends

FAR_MS = START_MS * 2


def test_events_are_read_page_by_page(books: Books, register: Callable[[Edge], None]) -> None:
    """Two batches with an event each and one without; a page opens so many batches."""
    edge = Edge()
    register(edge)
    edge.add_plan()
    for at in (1, 2, 0):
        stated = (Event(EventKind.GAP, edge.at_ms + at, "em-1", (("reason", "test"), ("key", b"\x01"))),) if at else ()
        edge.add(replace(edge.make_batch(), events=stated), ItemKind.BATCH)
    commit_group(books, [edge.message(n) for n in range(4)], START_MS)

    with books.database.reading() as connection:
        first, following = events_page(connection, edge.agent_id, 0, FAR_MS, 1)
        assert following is not None
        rest, end = events_page(connection, edge.agent_id, following, FAR_MS, 1000)
        nobody = events_page(connection, "0" * 64, 0, FAR_MS, 1000)

    assert ([START_MS + 1], None) == ([event.at_ms for _, event in first], end)
    assert [{"reason": "test", "key": "01"}] == [shapes.event(*one)["details"] for one in rest]
    assert [("gap", "em-1")] == [(one["kind"], one["subject"]) for one in [shapes.event(*rest[0])]]
    assert ([], None) == nobody
