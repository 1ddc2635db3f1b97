"""Items that come together leave in the books what they leave one by one, whatever comes in which order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from collector.books import Books, open_books
from collector.config import Config, Settings
from collector.ingest.believe import believe
from collector.ingest.worker import take_group
from collector.store import runs
from collector.store.agents import add_agent, all_agents
from collector.store.log import read_frontier
from collector.store.placing import Outcome
from collector.store.rows import Arrival
from collector.store.runs import runs_of
from collector.store.schema import dirty_hours, items, leaves, quarantine, slots, streams, uncompared, windows
from collector.store.tree import root_at
from tests.collector.edge import START_MS, Edge, stream
from tests.plans import PLAN

AT_MS = START_MS + 1
TABLES = (items, leaves, streams, windows, slots, dirty_hours, uncompared, quarantine)
OTHER_PLAN = PLAN.replace('id = "site"', 'id = "other"')
Message = tuple[str, bytes]


@cache
def edges() -> tuple[Edge, Edge]:
    """Two agents of two facilities, six batches each and a tombstone at the end of one."""
    first = stream(6)
    first.drop(3, 4)
    second = Edge(seed=bytes(range(1, 33)), stream_id=b"\x08" * 16, plan_text=OTHER_PLAN)
    second.add_plan()
    for _ in range(6):
        second.add_batch(missing_slots=1)
    return first, second


@cache
def messages() -> tuple[Message, ...]:
    """All of them, and two that are changed on the way."""
    found = [edge.message(sequence) for edge in edges() for sequence in range(len(edge.items))]
    topic, data = found[3]
    return (*found, (topic, data[:-1] + bytes([data[-1] ^ 1])), (found[1][0], b"rubbish"))


def register(books: Books) -> None:
    """Both agents."""
    with books.database.writing() as connection:
        for edge in edges():
            add_agent(connection, edge.public, "agent", START_MS)


def content(books: Books) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables that ingest writes, but for how often an hour was marked and the numbers of windows.

    Leaves of the audit trail have random names; the log's root must be that of its leaves all the same.
    """
    with books.database.reading() as connection:
        tree = read_frontier(connection)
        assert tree.root == root_at(connection, tree.size)
        found = {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in TABLES}
    for row in found["dirty_hours"]:
        del row["marks"]
    for row in found["windows"]:
        del row["id"]
    found["leaves"] = [row for row in found["leaves"] if row["kind"] in ("item", "plan")]
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def told(books: Books, groups: Sequence[Sequence[int]]) -> dict[tuple[str, bytes], object]:
    """The last acknowledgement of each stream after the groups were taken in."""
    acks: dict[tuple[str, bytes], object] = {}
    for group in groups:
        for agent, own in take_group(books, [messages()[number] for number in group], AT_MS).acks.items():
            acks |= {(agent, ack.stream_id): ack for ack in own}
    return acks


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books that know both agents and nothing else, to be copied: making them anew takes a second."""
    folder = tmp_path_factory.mktemp("template")
    with open_books(Config(folder / "collector.toml", Settings())) as books:
        register(books)
    return folder


orders = st.lists(st.integers(0, len(messages()) - 1), max_size=24)
whole = st.permutations(range(len(messages())))


@settings(max_examples=12, deadline=None)
@given(order=orders | whole, cuts=st.lists(st.integers(2, 12), min_size=1, max_size=4))
def test_a_group_leaves_what_its_items_leave_one_by_one(template: Path, order: list[int], cuts: list[int]) -> None:
    """Shuffled, duplicated, tampered with, with gaps: every row, leaf, acknowledgement and refusal is the same."""
    groups: list[list[int]] = []
    at = 0
    while at < len(order):
        size = cuts[len(groups) % len(cuts)]
        groups.append(order[at : at + size])
        at += size
    left = []
    for cut in (runs_of, one_by_one):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            shutil.copytree(template, folder, dirs_exist_ok=True)
            patch.setattr("collector.ingest.worker.runs_of", cut)
            with open_books(Config(Path(folder) / "collector.toml", Settings())) as books:
                left.append((told(books, groups), content(books)))

    assert left[0] == left[1]


def one_by_one(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """Each arrival alone."""
    yield from ([one] for one in arrivals)


@pytest.mark.backends
def test_a_stream_that_comes_whole_is_placed_at_once(books: Books) -> None:
    """A backlog takes a fixed number of statements, not so many for each item."""
    register(books)
    edge = edges()[0]
    take_group(books, [edge.message(0), edge.message(1)], AT_MS)
    seen: list[str] = []
    event.listen(books.database.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
    group = take_group(books, [edge.message(n) for n in range(2, 7)], AT_MS)

    (ack,) = group.acks[edge.agent_id]
    assert (5, 6) == (group.counts[Outcome.STORED], ack.contiguous)
    assert len(seen) < 35
    assert [] == [one for one in seen if one.startswith("UPDATE items")]


@pytest.mark.backends
@pytest.mark.parametrize("broken", ["duplicate", "gap", "program"])
def test_what_fits_no_run_is_placed_one_by_one(
    books: Books, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is here already, one too early, a fault in the program: the others are taken in all the same."""
    register(books)
    edge = edges()[0]
    take_group(books, [edge.message(0), edge.message(1)], AT_MS)
    order = {"duplicate": [1, 2, 3, 4], "gap": [2, 4, 5], "program": [2, 3, 4]}[broken]
    if broken == "program":
        monkeypatch.setattr(runs, "mark_dirty", lambda *_: 1 / 0)
    group = take_group(books, [edge.message(number) for number in order], AT_MS)

    (ack,) = group.acks[edge.agent_id]
    assert {"duplicate": 4, "gap": 2, "program": 4}[broken] == ack.contiguous
    assert {"duplicate": 3, "gap": 3, "program": 3}[broken] == group.counts[Outcome.STORED]
    with books.database.reading() as connection:
        rows = connection.execute(select(leaves.c.object_id).where(leaves.c.kind == "item")).scalars().all()
    assert len(rows) == len(set(rows)) == len({0, 1, *order})


def test_runs_end_where_a_stream_does_not_go_on(books: Books) -> None:
    """Batches in order are together, also of several streams; plans, gaps, forks and long times are cut off."""
    register(books)
    with books.database.reading() as connection:
        known = {agent.agent_id: agent for agent in all_agents(connection)}

    def arrivals(*places: tuple[int, int]) -> list[Arrival]:
        found = [believe(*edges()[edge].message(sequence), AT_MS, known) for edge, sequence in places]
        return [one for one in found if isinstance(one, Arrival)]

    def lengths(*places: tuple[int, int]) -> list[int]:
        return [len(run) for run in runs_of(arrivals(*places))]

    assert [1, 3, 1] == lengths((0, 0), (0, 1), (0, 2), (0, 3), (0, 7))
    assert [4] == lengths((0, 1), (1, 3), (0, 2), (1, 4))
    assert [1, 2] == lengths((0, 1), (0, 3), (0, 4))
    assert [1, 1] == lengths((0, 2), (0, 2))
    assert [] == list(runs_of([]))


