from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event

from collector.books import Books
from collector.store import readings
from collector.store.plans import PlanBook
from collector.store.readings import OpenedBatch, items_holding, read_point
from protocols.messages import Ack
from protocols.records import Fate
from tests.collector.edge import SPAN_MS, START_MS, Edge, stream, words_at

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


@pytest.fixture
def edge(register: Register, ingest: Ingest) -> Edge:
    """Ten minutes of the small plan, the sixth beginning with two timeouts."""
    edge = stream(5)
    edge.add_batch(missing_slots=2)
    for _ in range(4):
        edge.add_batch()
    register(edge)
    ingest(edge, *range(len(edge.items)))
    return edge


def test_a_range_opens_only_the_batches_that_hold_it(
    books: Books, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten batches one is opened for a range inside it, two for one across an edge, none before the first."""
    opened: list[int] = []
    open_batch = readings.open_batch

    def counting(connection: Connection, book: PlanBook, item: int) -> OpenedBatch:
        opened.append(item)
        return open_batch(connection, book, item)

    monkeypatch.setattr(readings, "open_batch", counting)
    point = edge.plan.points[0].id

    def read(from_ms: int, to_ms: int) -> int:
        opened.clear()
        with books.database.reading() as connection:
            list(read_point(connection, books.plans, edge.agent_id, point, START_MS + from_ms, START_MS + to_ms))
        return len(opened)

    assert [1, 2, 10, 0, 0] == [
        read(SPAN_MS + 10_000, SPAN_MS + 20_000), read(2 * SPAN_MS - 1000, 2 * SPAN_MS + 1000),
        read(-SPAN_MS, 20 * SPAN_MS), read(-SPAN_MS, 0), read(10 * SPAN_MS, 11 * SPAN_MS),
    ]  # fmt: skip


def test_finding_the_batches_walks_the_index(books: Books, edge: Edge) -> None:
    """The statements that find a range's batches search the index of spans and scan no table."""
    asked: list[tuple[str, object]] = []
    with books.database.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        found = items_holding(connection, edge.agent_id, START_MS + SPAN_MS + 1, START_MS + SPAN_MS + 2)
        statements = list(asked)
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all())  # type: ignore[arg-type]
            for text, values in statements
        ]

    assert 1 == len(found)
    assert 2 == len(plans)
    assert all("items_span" in plan and "SCAN" not in plan for plan in plans)


def test_every_slot_has_its_words_or_its_reason(books: Books, edge: Edge) -> None:
    """Slots follow each other without a hole; answered ones carry the words the meter sent, the others say why not."""
    for point in edge.plan.points:
        with books.database.reading() as connection:
            found = list(read_point(
                connection, books.plans, edge.agent_id, point.id, START_MS, START_MS + 10 * SPAN_MS
            ))  # fmt: skip
        due = [one.due_ms for one in found]
        missing = [one for one in found if one.word is None]

        assert list(range(START_MS, START_MS + 10 * SPAN_MS, point.interval_ms)) == due
        assert [Fate.TIMEOUT] * 2 == [one.fate for one in missing]
        assert {one.delay_ms for one in found} == {7, None}
        assert all(one.word in words_at(one.due_ms).values() for one in found if one.word is not None)
