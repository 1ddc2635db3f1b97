from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from collector.books import Books
from collector.recompute import Recomputer
from collector.store.agents import view_agents
from collector.store.comparisons import Verdicts, uncompared, verdicts
from collector.store.plans import plans_used
from collector.store.refresh import refresh_hours
from collector.store.schema import comparisons, items, streams, windows
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_hours import RULE

pytestmark = pytest.mark.backends

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack]


def check(books: Books) -> None:
    """Counts that are kept equal what the items say when they are all gone through."""
    with books.database.reading() as connection:
        for row in connection.execute(select(streams)).all():
            own = [
                one for one in connection.execute(select(items)).all()
                if (one.agent_id, one.stream_id) == (row.agent_id, row.stream_id)
            ]  # fmt: skip
            placed = [one for one in own if one.state == "placed"]
            batches = [one for one in placed if one.kind == "batch"]
            assert (len(placed), len(batches)) == (row.placed, row.batches)
            assert max((one.to_ms for one in batches), default=None) == row.last_to_ms
            (view,) = [s for a in view_agents(connection) for s in a.streams if s.stream_id == row.stream_id]
            assert (len([one for one in own if one.state == "ahead"]), len(placed)) == (view.ahead, view.placed)
        batches_of_all = {
            one.id for one in connection.execute(select(items)) if (one.kind, one.state) == ("batch", "placed")
        }
        compared = {row.item: row.equal for row in connection.execute(select(comparisons))}
        assert sorted(batches_of_all - compared.keys()) == [row.id for row in uncompared(connection, 1000)]
        different = list(compared.values()).count(False)
        waiting = len(batches_of_all - compared.keys())
        assert Verdicts(len(compared) - different, different, waiting) == verdicts(connection)


def test_kept_counts_follow_every_way_an_item_goes(books: Books, register: Register, ingest: Ingest) -> None:
    """In order, ahead of a gap, twice, behind a tombstone and compared: what is kept is what would be counted."""
    edge = stream(6)
    edge.drop(4, 5)
    edge.add_batch()
    register(edge)
    recomputer = Recomputer(books)
    for sequences in ((0,), (3,), (1, 1), (8, 2), (6,), (7,), (3, 8)):
        ingest(edge, *sequences)
        check(books)
        recomputer.step()
        check(books)


def test_a_plan_is_used_where_its_windows_made_hours(books: Books, register: Register, ingest: Ingest) -> None:
    """From the hour of its first window to that of its last, and only once the hours are made."""
    edge = stream(3, window_s=60)
    register(edge)
    ingest(edge, *range(4))
    with books.database.reading() as connection:
        assert [] == plans_used(connection, 0, 2**48)
    refresh_hours(books.database, books.plans, RULE)

    with books.database.reading() as connection:
        first, last = connection.execute(select(func.min(windows.c.from_ms), func.max(windows.c.from_ms))).one()
        assert first - first % 3_600_000 == START_MS == last - last % 3_600_000
        used = [(edge.agent_id, edge.plan.digest)]
        assert used == plans_used(connection, START_MS, START_MS + 1) == plans_used(connection, 0, 2**48)
        assert [] == plans_used(connection, START_MS + 1, 2**48) == plans_used(connection, 0, START_MS)
