from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import URL, Connection, insert, select, update

from collector.books import Books
from collector.doctor.books import look_at_books
from collector.hours.cells import HOUR_MS
from collector.store import refresh
from collector.store.database import Database
from collector.store.hours import read_hours
from collector.store.refresh import broken_cells, dirty_cells, refresh_hours
from collector.store.schema import days, dirty_hours, windows
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_hours import RULE

pytestmark = pytest.mark.backends

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack]


def long_stream(hours: int) -> Edge:
    """A stream with its plan and a batch of ten minutes in each of some hours."""
    edge = stream(0, window_s=60)
    for _ in range(hours):
        edge.add_batch(span_ms=10 * 60_000)
        edge.at_ms, edge.state = edge.at_ms + 50 * 60_000, None
    return edge


def starts(books: Books) -> list[int]:
    """Starts of the hours that have rows, in hours from the first."""
    with books.database.reading() as connection:
        return sorted({(one.row.from_ms - START_MS) // HOUR_MS for one in read_hours(connection, 0, 2**48)})


class Beside(Database):
    """The books, with something that happens between the snapshot of a refresh and its next writing."""

    def __init__(self, url: URL) -> None:
        self.act: list[Callable[[], object]] = []
        super().__init__(url)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """First what happens beside, then the transaction."""
        while self.act:
            self.act.pop()()
        with super().writing() as connection:
            yield connection


def test_a_group_gives_what_single_cells_give(
    books: Books, register: Register, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the cells are grouped, the rows are the same, and no cell is left."""
    edge = long_stream(7)
    register(edge)
    ingest(edge, *range(8))
    assert 7 == refresh_hours(books.database, books.plans, RULE)
    with books.database.writing() as connection:
        together = [one.row for one in read_hours(connection, 0, 2**48)]
        connection.execute(
            insert(dirty_hours),
            [{"agent_id": edge.agent_id, "from_ms": START_MS + n * HOUR_MS, "to_ms": START_MS + (n + 1) * HOUR_MS,
              "marks": 1} for n in range(7)],
        )  # fmt: skip
    monkeypatch.setattr(refresh, "GROUP_ROWS", 1)
    assert 7 == refresh_hours(books.database, books.plans, RULE)

    with books.database.reading() as connection:
        alone = read_hours(connection, 0, 2**48)
        assert 0 == dirty_cells(connection)
    assert together == [one.row for one in alone]
    assert {2} == {one.version for one in alone}


def test_a_broken_cell_stays_dirty_and_stops_no_other(books: Books, register: Register, ingest: Ingest) -> None:
    """Its reason is kept, it comes last when there is a limit, and it is made once what broke it is gone."""
    edge = long_stream(4)
    register(edge)
    ingest(edge, *range(5))
    broken_ms = START_MS + HOUR_MS
    inside = update(windows).where(windows.c.from_ms.between(broken_ms, broken_ms + HOUR_MS - 1))
    with books.database.writing() as connection:
        connection.execute(inside.values(to_ms=windows.c.to_ms + 1))  # each moment before an edge is stated twice
    refresh_hours(books.database, books.plans, RULE)

    assert [0, 2, 3] == starts(books)
    with books.database.reading() as connection:
        (broken,) = broken_cells(connection)
        assert (edge.agent_id, broken_ms, 1) == (broken.agent_id, broken.from_ms, dirty_cells(connection))
    assert "is stated twice" in broken.error
    told = [one for one in look_at_books(books.config, START_MS, deep=False) if one.is_finding and one.check == "hours"]
    assert 1 == len(told)
    assert broken.error in told[0].seen

    with books.database.writing() as connection:
        connection.execute(
            insert(dirty_hours).values(
                agent_id=edge.agent_id, from_ms=START_MS + 3 * HOUR_MS, to_ms=START_MS + 4 * HOUR_MS, marks=1
            )
        )
    assert 1 == refresh_hours(books.database, books.plans, RULE, most=1)
    with books.database.writing() as connection:
        assert [broken_ms] == list(connection.scalars(select(dirty_hours.c.from_ms)))
        connection.execute(inside.values(to_ms=windows.c.to_ms - 1))
    refresh_hours(books.database, books.plans, RULE)

    assert [0, 1, 2, 3] == starts(books)
    with books.database.reading() as connection:
        assert 0 == dirty_cells(connection)


def test_a_batch_that_comes_in_meanwhile_is_not_forgotten(books: Books, register: Register, ingest: Ingest) -> None:
    """What was computed without it is not written; the cell stays dirty until the next refresh, the others do not."""
    edge = long_stream(2)
    edge.at_ms -= 50 * 60_000
    edge.add_batch(span_ms=10 * 60_000)
    register(edge)
    ingest(edge, 0, 1, 2)
    beside = Beside(books.database.engine.url)
    beside.act.append(lambda: ingest(edge, 3))
    refresh_hours(beside, books.plans, RULE)
    with books.database.reading() as connection:
        assert 1 == dirty_cells(connection)
    assert [0] == starts(books)

    refresh_hours(books.database, books.plans, RULE)

    with books.database.reading() as connection:
        rows = [one.row for one in read_hours(connection, 0, 2**48)]
    stated = sum(window.mass_mg for batch in edge.batches for window in batch.windows)
    assert stated == sum(row.mass_mg - row.added_mg for row in rows)


def test_what_ends_in_the_middle_leaves_hours_days_and_marks_together(
    books: Books, register: Register, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the days cannot be renewed, the hours are not there either and the cells are still dirty."""
    edge = long_stream(3)
    register(edge)
    ingest(edge, *range(4))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(refresh, "renew_days", killed)
        with pytest.raises(KeyboardInterrupt):
            refresh_hours(books.database, books.plans, RULE)
    with books.database.reading() as connection:
        assert (3, []) == (dirty_cells(connection), connection.execute(select(days)).all())
    assert [] == starts(books)

    refresh_hours(books.database, books.plans, RULE)
    assert [0, 1, 2] == starts(books)


def test_ingest_goes_on_during_a_long_refresh(
    books: Books, register: Register, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that arrive between the groups of a refresh are committed before it ends."""
    edge = long_stream(40)
    other = stream(30, seed=bytes(range(1, 33)), window_s=60)
    for one in (edge, other):
        register(one)
    ingest(edge, *range(41))
    monkeypatch.setattr(refresh, "GROUP_ROWS", 1)
    ended = threading.Event()
    before: list[bool] = []

    def send() -> None:
        for sequence in range(31):
            ingest(other, sequence)
            before.append(not ended.is_set())

    sender = threading.Thread(target=send)
    sender.start()
    refresh_hours(books.database, books.plans, RULE)
    ended.set()
    sender.join(60)

    assert before[0]
    assert 31 == len(before)
    assert list(range(40)) == [start for start in starts(books) if start < 40]
