from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from collector.books import Books
from collector.ingest.worker import commit_group
from collector.recompute import Recomputer
from collector.store import quarantine
from collector.store.acks import missing_ranges
from collector.store.comparisons import Verdicts, differing, verdicts
from collector.store.log import read_frontier, tree_size
from collector.store.schema import items, leaves, slots, windows
from protocols.messages import Ack
from protocols.plan.document import encode_document
from protocols.records import CounterState, ItemKind, PlanItem
from protocols.transparency.tree import root_of
from protocols.windows.opening import initial_state
from protocols.wire import topics
from protocols.wire.codec import seal_item
from tests.collector.edge import START_MS, Edge, stream

pytestmark = pytest.mark.backends

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack]


def reasons(books: Books) -> dict[str, int]:
    """Quarantined objects by reason."""
    with books.database.reading() as connection:
        return quarantine.count_by_reason(connection)


def counted(books: Books) -> tuple[int, int, int]:
    """How many items, windows and slots are in the books."""
    with books.database.reading() as connection:
        return (
            connection.scalar(select(func.count()).select_from(items)) or 0,
            connection.scalar(select(func.count()).select_from(windows)) or 0,
            int(connection.scalar(select(func.sum(slots.c.count))) or 0),
        )


def test_a_stream_is_stored_verbatim_and_acknowledged(books: Books, register: Register, ingest: Ingest) -> None:
    """Items in order are acknowledged to the last, their bytes, windows and slots are in the books."""
    edge = stream(3)
    register(edge)

    ack = ingest(edge, 0, 1, 2, 3)

    assert Ack(edge.stream_id, 3) == ack
    with books.database.reading() as connection:
        assert edge.items == list(connection.scalars(select(items.c.bytes).order_by(items.c.sequence)))
    expected_slots = sum(slot.count for batch in edge.batches for slot in batch.slots)
    assert (4, sum(len(batch.windows) for batch in edge.batches), expected_slots) == counted(books)
    assert {} == reasons(books)


def test_a_duplicate_counts_once_and_is_acknowledged_again(books: Books, register: Register, ingest: Ingest) -> None:
    """The same bytes again, in one group or later, change nothing but are acknowledged."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 1, 1, 2)
    once = counted(books)

    ack = ingest(edge, 2, 0, 1)

    assert (Ack(edge.stream_id, 2), once) == (ack, counted(books))


def test_items_in_any_order_give_the_same_books(books: Books, register: Register, ingest: Ingest) -> None:
    """What is ahead is stored, logged and acknowledged beyond; it is read when the gap closes."""
    edge = stream(5)
    register(edge)

    beyond = ingest(edge, 5, 3, 0)
    gap = ingest(edge, 4, 2)
    whole = ingest(edge, 1)

    assert Ack(edge.stream_id, 0, ((3, 3), (5, 5))) == beyond
    assert (((1, 2), (4, 4)), ((1, 1),)) == (missing_ranges(beyond, 9), missing_ranges(gap, 9))
    assert Ack(edge.stream_id, 0, ((2, 5),)) == gap
    assert Ack(edge.stream_id, 5) == whole
    assert sum(len(batch.windows) for batch in edge.batches) == counted(books)[1]


def test_every_object_is_a_leaf_of_the_log(books: Books, register: Register, ingest: Ingest) -> None:
    """The kept frontier gives the same root as the tree over all leaves."""
    edge = stream(4)
    register(edge)
    ingest(edge, 0, 2, 1)
    ingest(edge, 3, 4)

    with books.database.reading() as connection:
        rows = connection.execute(select(leaves).order_by(leaves.c.position)).all()
        tree = read_frontier(connection)

    assert ["agent-key", "audit", "item", "plan", "item", "item", "item", "item"] == [row.kind for row in rows]
    assert (len(rows), root_of([row.leaf_hash for row in rows])) == (tree.size, tree.root)


def test_a_broken_chain_is_quarantined_and_the_stream_goes_on(books: Books, register: Register, ingest: Ingest) -> None:
    """An item that names another previous is refused; the right one still takes its place."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 1)
    false = seal_item(replace(edge.batches[1], previous=b"\x09" * 32), edge.key)

    commit_group(books, [(topics.up(edge.agent_id, ItemKind.BATCH), false)], 1)
    ack = ingest(edge, 2)

    assert ({"chain": 1}, Ack(edge.stream_id, 2)) == (reasons(books), ack)


def test_an_item_ahead_that_does_not_follow_gives_its_place_back(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """Found out when the gap closes: it goes to the quarantine, is missing again, and the right one is taken."""
    edge = stream(2)
    register(edge)
    false = seal_item(replace(edge.batches[1], previous=b"\x09" * 32), edge.key)
    commit_group(books, [(topics.up(edge.agent_id, ItemKind.BATCH), false)], 1)

    closed = ingest(edge, 0, 1)
    ack = ingest(edge, 2)

    assert (Ack(edge.stream_id, 1), Ack(edge.stream_id, 2)) == (closed, ack)
    assert ({"chain": 1}, 3) == (reasons(books), counted(books)[0])


def test_the_same_number_with_other_bytes_is_a_conflict(books: Books, register: Register, ingest: Ingest) -> None:
    """A second item under a number that is taken is refused, the first stays."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    other = seal_item(replace(edge.batches[0], software="test 2"), edge.key)

    commit_group(books, [(topics.up(edge.agent_id, ItemKind.BATCH), other)], 1)

    with books.database.reading() as connection:
        assert edge.items[1] == connection.scalar(select(items.c.bytes).where(items.c.sequence == 1))
    assert {"conflict": 1} == reasons(books)


def test_a_tombstone_is_passed_over(books: Books, register: Register, ingest: Ingest) -> None:
    """The contiguous acknowledgement passes over what the agent had to drop and goes on behind it."""
    edge = stream(4)
    edge.drop(1, 3)
    edge.add_batch()
    register(edge)

    waiting = ingest(edge, 0, 4, 6)
    ack = ingest(edge, 5)

    assert (Ack(edge.stream_id, 0, ((4, 4), (6, 6))), Ack(edge.stream_id, 6)) == (waiting, ack)


def flipped(data: bytes) -> bytes:
    """One bit of the signature turned."""
    return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("wrong-signature", lambda e: flipped(e.items[1])),
        ("unknown-key", lambda e: seal_item(e.batches[0], Ed25519PrivateKey.generate())),
        ("trailing-bytes", lambda e: e.items[1] + b"\x00"),
        ("malformed", lambda _: b"not a message"),
        ("too-large", lambda _: b"\xd2" + bytes(9 * 2**20)),
        ("wrong-content-type", lambda e: e.items[0]),
    ],
)
def test_a_bad_message_is_kept_with_its_reason(
    books: Books, register: Register, ingest: Ingest, reason: str, spoil: Callable[[Edge], bytes]
) -> None:
    """What cannot be believed is in quarantine with its bytes; what came in the same group goes on."""
    edge = stream(2)
    register(edge)
    bad = spoil(edge)

    told = commit_group(
        books, [edge.message(0), (topics.up(edge.agent_id, ItemKind.BATCH), bad), edge.message(1), edge.message(2)], 1
    )

    assert [Ack(edge.stream_id, 2)] == told[edge.agent_id]
    assert {reason: 1} == reasons(books)
    with books.database.reading() as connection:
        entry = quarantine.latest(connection)[0]
        assert (bad, len(bad)) == (quarantine.read_bytes(connection, entry.id), entry.size)


def test_an_unregistered_agent_is_refused(books: Books) -> None:
    """Whose key nobody registered is quarantined as unknown, counted when it comes again."""
    edge = stream(1)

    commit_group(books, [edge.message(0)], 1)
    told = commit_group(books, [edge.message(0)], 2)

    with books.database.reading() as connection:
        entries = quarantine.latest(connection)
    assert ({}, [("unknown-key", 2)]) == (told, [(one.reason, one.times) for one in entries])


def test_a_batch_of_an_unknown_plan_keeps_its_place(books: Books, register: Register, ingest: Ingest) -> None:
    """It is authentic: kept and acknowledged, shown as refused, and nothing of it is counted."""
    edge = Edge()
    edge.add_batch()
    register(edge)

    ack = ingest(edge, 0)

    assert (Ack(edge.stream_id, 0), {"plan-unknown": 1}, (1, 0, 0)) == (ack, reasons(books), counted(books))


def test_an_invalid_plan_keeps_its_place(books: Books, register: Register, ingest: Ingest) -> None:
    """A plan document that does not open is shown as invalid."""
    edge = Edge()
    edge.add(PlanItem(edge.stream_id, 0, bytes(32), encode_document("schema = 9", {})), ItemKind.PLAN)
    register(edge)

    ack = ingest(edge, 0)

    assert (Ack(edge.stream_id, 0), {"plan-invalid": 1}) == (ack, reasons(books))


def test_recomputed_from_raw_words_the_batches_are_equal(books: Books, register: Register, ingest: Ingest) -> None:
    """Every batch folds to what the edge stated, and opens with what the one before yields."""
    edge = stream(2)
    edge.add_batch(missing_slots=3)
    register(edge)
    ingest(edge, 0, 1, 2, 3)

    done = Recomputer(books).step()

    with books.database.reading() as connection:
        assert (3, Verdicts(3, 0, 0)) == (done, verdicts(connection))


def test_a_wrong_figure_of_the_edge_is_found(books: Books, register: Register, ingest: Ingest) -> None:
    """One milligram more in one window, and an opening state that does not continue, are both named."""
    edge = stream(1)
    honest = edge.make_batch()
    windows_ = (replace(honest.windows[0], mass_mg=honest.windows[0].mass_mg + 1), *honest.windows[1:])
    edge.add(replace(honest, windows=windows_), ItemKind.BATCH)
    edge.state = replace(edge.batches[0].opening, at_ms=edge.at_ms)
    edge.add_batch()
    register(edge)
    ingest(edge, 0, 1, 2, 3)

    Recomputer(books).step()

    with books.database.reading() as connection:
        found = {one.sequence: one.differences for one in differing(connection)}
        assert Verdicts(1, 2, 0) == verdicts(connection)
    assert "window stated" in found[2]
    assert "opens with another state than the batch before it yields: point em-1.energy" in found[3]


def test_a_new_recomputer_continues_where_the_last_one_ended(books: Books, register: Register, ingest: Ingest) -> None:
    """After a restart the state before is folded anew from the stored batch."""
    edge = stream(3)
    register(edge)
    ingest(edge, 0, 1, 2)
    Recomputer(books).step()
    ingest(edge, 3)

    Recomputer(books).step()

    with books.database.reading() as connection:
        assert Verdicts(3, 0, 0) == verdicts(connection)


def test_the_log_of_an_empty_collector_is_empty(books: Books) -> None:
    """Opening the books logs nothing."""
    with books.database.reading() as connection:
        assert 0 == tree_size(connection)


def test_a_time_stated_by_two_streams_counts_once(books: Books, register: Register, ingest: Ingest) -> None:
    """A second stream of the same agent over the same time keeps its bytes but enters no figure."""
    first, second = stream(3), stream(2, stream_id=b"\x08" * 16)
    register(first)
    ingest(first, 0, 1, 2, 3)
    with books.database.reading() as connection:
        before = connection.scalar(select(func.sum(windows.c.mass_mg)))

    ack = ingest(second, 0, 1, 2)

    with books.database.reading() as connection:
        assert before == connection.scalar(select(func.sum(windows.c.mass_mg)))
    assert Ack(second.stream_id, 2) == ack
    assert {"overlap": 2} == reasons(books)


def test_a_time_stated_by_two_agents_counts_once(books: Books, register: Register, ingest: Ingest) -> None:
    """Two devices on the same meters: the second enters no figure before the first has ended."""
    first, second = stream(2), stream(3, seed=bytes(32))
    register(first)
    register(second)
    ingest(first, 0, 1, 2)
    ingest(second, 0, 1, 2, 3)

    with books.database.reading() as connection:
        stated = connection.execute(select(windows).order_by(windows.c.from_ms)).all()
    assert {"overlap": 2} == reasons(books)
    assert {first.agent_id, second.agent_id} == {row.agent_id for row in stated}
    reached: dict[tuple[int, int, int], int] = {}
    for row in stated:
        series = (row.source, row.input, row.gas)
        assert reached.get(series, 0) <= row.from_ms
        reached[series] = row.to_ms


def test_a_stream_cannot_open_with_an_invented_state(books: Books, register: Register, ingest: Ingest) -> None:
    """An amount that a first batch claims to carry over from nowhere is found by the recomputation."""
    edge = stream(0)
    fresh = initial_state(edge.plan, edge.at_ms)
    claimed = CounterState(START_MS - 1000, 1_000_000_000, START_MS - 1000, 10**9)
    edge.state = replace(fresh, points=(replace(fresh.points[0], counter=claimed), *fresh.points[1:]))
    edge.add_batch()
    register(edge)
    ingest(edge, 0, 1)

    Recomputer(books).step()

    with books.database.reading() as connection:
        assert Verdicts(0, 1, 0) == verdicts(connection)
        assert "opens the stream with a state that nothing before it yields" in differing(connection, 1)[0].differences
