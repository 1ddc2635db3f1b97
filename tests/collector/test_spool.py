"""Bundles on the collector's disk: one and the same while it is kept, bounded, and gone when it expires."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collector import spool as module
from collector.books import Books, open_books
from collector.config import BundlesTable, Config, Settings
from collector.exporting import Wanted, write_wanted
from collector.spool import MOST_OF_AN_ACCOUNT, SAME_MS, BusyError, Spool
from collector.store.log import append_leaf
from protocols.errors import EmitraceError
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream

HOUR_MS = 3_600_000
HOUR = Wanted(START_MS, START_MS + HOUR_MS)


@pytest.fixture
def filled(books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]) -> Books:
    """Books with a minute in them."""
    edge = stream(1, window_s=60)
    register(edge)
    ingest(edge, 0, 1)
    return books


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Moves the clock on. [ms]"""
    now = [START_MS]
    monkeypatch.setattr(module, "now_ms", lambda: now[0])

    def move(by_ms: int) -> None:
        now[0] += by_ms

    return move


def files(books: Books) -> set[str]:
    """What lies in the folder."""
    return {path.name for path in (books.config.state_dir / "bundles").iterdir()}


def test_the_same_question_has_the_same_answer_until_something_new_comes(
    filled: Books, later: Callable[[int], None]
) -> None:
    """Also from another process, and for nobody else; a minute after something new came it is a new one."""
    first = Spool(filled).ask(HOUR, "eve")
    later(10 * SAME_MS)
    again, others = Spool(filled).ask(HOUR, "eve"), Spool(filled).ask(HOUR, "mallory")
    with filled.database.writing() as connection:
        append_leaf(connection, "audit", "1", bytes(32), START_MS)
    new = Spool(filled).ask(HOUR, "eve")

    assert first == again
    assert 3 == len({first.number, others.number, new.number})
    assert Spool(filled).find(first.number, "mallory") is None
    assert first.size == Spool(filled).path(first).stat().st_size


def test_what_expires_is_removed(filled: Books, later: Callable[[int], None]) -> None:
    """Not handed out any more at once, and off the disk at the next asking; so is what a crash left."""
    spool = Spool(filled)
    old = spool.ask(HOUR, "eve")
    (filled.config.state_dir / "bundles" / "crashed.zip").touch()
    later(24 * HOUR_MS)
    gone = spool.find(old.number, "eve")
    new = spool.ask(HOUR, "eve")

    assert gone is None
    assert {f"{new.number}.zip", f"{new.number}.json"} == files(filled)


def test_an_account_pushes_out_its_own_only(filled: Books, later: Callable[[int], None]) -> None:
    """Its oldest goes; what another account fetches stays."""
    spool = Spool(filled)
    other = spool.ask(HOUR, "mallory")
    own = []
    for hours in range(1, MOST_OF_AN_ACCOUNT + 2):
        later(1)
        own.append(spool.ask(Wanted(START_MS, START_MS + hours * HOUR_MS), "eve"))
    kept = [spool.find(one.number, "eve") is not None for one in own]

    assert [False, *[True] * MOST_OF_AN_ACCOUNT] == kept
    assert other == spool.find(other.number, "mallory")


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, filled: Books) -> None:
    """The limit holds while it is written."""
    settings = Settings(state_dir=str(filled.config.state_dir), bundles=BundlesTable(most_gb=1e-6))
    with open_books(Config(tmp_path / "collector.toml", settings)) as books:
        with pytest.raises(EmitraceError, match="most_gb"):
            Spool(books).ask(HOUR, "eve")
        assert set() == files(books)


def test_one_is_written_at_a_time(filled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who asks meanwhile is told to come back."""
    spool = Spool(filled)
    seen: list[BaseException] = []

    def meanwhile(*arguments: object) -> tuple[int, int]:
        with pytest.raises(BusyError) as busy:
            spool.ask(HOUR, "mallory")
        seen.append(busy.value)
        return write_wanted(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_wanted", meanwhile)
    spool.ask(HOUR, "eve")

    assert 1 == len(seen)
