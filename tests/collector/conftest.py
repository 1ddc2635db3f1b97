"""Opened books in a temporary folder, with one registered agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.books import Books, open_books
from collector.config import Config, DatabaseTable, Settings
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked ``backends`` and looks at books does so in SQLite and in PostgreSQL."""
    if "backend" in metafunc.fixturenames and metafunc.definition.get_closest_marker("backends"):
        metafunc.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])


@pytest.fixture
def backend() -> str:
    """The database of the books; a test marked ``backends`` runs on each."""
    return "sqlite"


@pytest.fixture
def config(tmp_path: Path, backend: str, request: pytest.FixtureRequest) -> Iterator[Config]:
    """Everything by default, in a folder of its own."""
    if backend == "sqlite":
        yield Config(tmp_path / "collector.toml", Settings())
        return
    server = request.getfixturevalue("postgresql")
    url = server.books()
    yield Config(tmp_path / "collector.toml", Settings(database=DatabaseTable(url=url)))
    server.drop(url)


@pytest.fixture
def books(config: Config) -> Iterator[Books]:
    """Opened books."""
    with open_books(config) as opened:
        yield opened


@pytest.fixture
def register(books: Books) -> Callable[[Edge], None]:
    """Register an agent."""

    def register(edge: Edge) -> None:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)

    return register


@pytest.fixture
def ingest(books: Books) -> Callable[..., Ack | None]:
    """Take items of an agent into the books in one group; the acknowledgement of its stream."""

    def ingest(edge: Edge, *sequences: int) -> Ack | None:
        told = commit_group(books, [edge.message(sequence) for sequence in sequences], START_MS + 1)
        acks = told.get(edge.agent_id, [])
        return acks[0] if acks else None

    return ingest
