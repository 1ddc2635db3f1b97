from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from collector.books import Books
from collector.ingest.again import try_again
from collector.ingest.worker import commit_group
from collector.recompute import Recomputer
from collector.store.comparisons import verdicts
from collector.store.decisions import decisions_of, read_entries, read_entry, record_decision
from collector.store.placing import Outcome
from collector.store.schema import items, streams, windows
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.wire.errors import Reason
from tests.collector.edge import START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]

pytestmark = pytest.mark.backends


def entries(books: Books, reason: Reason | None = None) -> list[int]:
    """Numbers of the objects in quarantine, oldest first."""
    with books.database.reading() as connection:
        found = read_entries(connection, reason.value if reason else None)
    return [one.object.id for one in reversed(found)]


def outcomes(books: Books, entry: int) -> list[tuple[str, str, str, str]]:
    """What was decided about one."""
    with books.database.reading() as connection:
        return [(one.decision, one.outcome, one.by, one.reason) for one in decisions_of(connection, entry)]


def test_an_agent_enrolled_later_has_its_items_accepted(books: Books, register: Register, ingest: Ingest) -> None:
    """Before it is registered trying again refuses; after it each item takes its place, once, with who and why."""
    edge = stream(2)
    ingest(edge, 0, 1, 2)
    first, *others = entries(books, Reason.UNKNOWN_KEY)

    assert Outcome.REFUSED is try_again(books, first, "li.wei", "too early", START_MS)
    register(edge)
    assert [Outcome.STORED] * 3 == [
        try_again(books, one, "li.wei", "key checked by telephone", START_MS) for one in (first, *others)
    ]
    assert Outcome.DUPLICATE is try_again(books, first, "li.wei", "again", START_MS)
    assert ["refused", "stored", "duplicate"] == [one[1] for one in outcomes(books, first)]
    assert ("accept", "stored", "li.wei", "key checked by telephone") == outcomes(books, first)[1]
    with books.database.reading() as connection:
        assert ["placed"] * 3 == list(connection.scalars(select(items.c.state)))
        kept = read_entry(connection, first)
    assert kept is not None
    assert edge.items[0] == kept[2]


def test_a_batch_whose_plan_is_known_by_now_is_read_in(books: Books, register: Register, ingest: Ingest) -> None:
    """It kept its place in the chain; accepted, its windows, slots and comparison are there as if it had come so."""
    edge = Edge()
    edge.add_batch()
    register(edge)
    ingest(edge, 0)
    (entry,) = entries(books, Reason.PLAN_UNKNOWN)
    assert Outcome.REFUSED is try_again(books, entry, "li.wei", "not yet", START_MS)

    edge.add_plan()
    ingest(edge, 1)
    assert Outcome.STORED is try_again(books, entry, "li.wei", "the plan has come", START_MS)

    recomputer = Recomputer(books)
    while recomputer.step():
        pass
    with books.database.reading() as connection:
        assert len(edge.batches[0].windows) == len(connection.execute(select(windows.c.id)).all())
        assert (2, 1) == tuple(connection.execute(select(streams.c.placed, streams.c.batches)).one())
        assert 1 == verdicts(connection).equal


def test_a_failed_signature_is_never_accepted(books: Books, register: Register, ingest: Ingest) -> None:
    """Whoever asks for it, and nothing is recorded as accepted."""
    edge = stream(1)
    register(edge)
    topic, data = edge.message(0)
    commit_group(books, [(topic, data[:-1] + bytes([data[-1] ^ 1]))], START_MS)
    (entry,) = entries(books)

    with pytest.raises(EmitraceError, match="nothing that came later"):
        try_again(books, entry, "admin", "please", START_MS)
    assert [] == outcomes(books, entry)
    with books.database.reading() as connection:
        assert [] == connection.execute(select(items.c.id)).all()


def test_a_key_in_the_wrong_place_is_still_refused(books: Books, register: Register, ingest: Ingest) -> None:
    """An item signed by another key than its topic says stays unknown, however often it is tried."""
    edge, stranger = stream(1), stream(1, seed=bytes(range(1, 33)))
    register(edge)
    commit_group(books, [(edge.message(0)[0], stranger.items[0])], START_MS)
    (entry,) = entries(books, Reason.UNKNOWN_KEY)

    assert Outcome.REFUSED is try_again(books, entry, "li.wei", "try", START_MS)


def test_a_decision_needs_a_reason_and_none_is_ever_replaced(books: Books, ingest: Ingest) -> None:
    """Rejecting keeps the bytes; a second decision stands behind the first."""
    edge = stream(0)
    ingest(edge, 0)
    (entry,) = entries(books)
    with books.database.writing() as connection:
        with pytest.raises(EmitraceError, match="reason"):
            record_decision(connection, entry, "reject", "rejected", "li.wei", "  ", START_MS)
        for why in ("a test bench", "really"):
            record_decision(connection, entry, "reject", "rejected", "li.wei", why, START_MS)

    assert ["a test bench", "really"] == [one[3] for one in outcomes(books, entry)]
    with books.database.reading() as connection:
        (one,) = read_entries(connection)
        assert one.decided is not None
        assert "really" == one.decided.reason
        assert edge.items[0] == read_entry(connection, entry)[2]  # type: ignore[index]
