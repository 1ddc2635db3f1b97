"""Agents as witnesses of the log, through a real broker: proofs from where each stands, and books that went back."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from agent.held_log import Held
from agent.witness import Judged, judge
from collector.books import Books
from collector.ingest.statuses import Status, read_status
from collector.ingest.witnesses import Witnesses
from collector.store.checkpoints import GROWN, make_checkpoint
from collector.store.tree import root_at
from protocols.messages import Ack
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.wire.codec import read_ack, seal_ack
from protocols.wire.keys import make_key, public_bytes
from tests.collector.edge import START_MS, Edge, stream


def read(data: bytes) -> Status:
    found = read_status(data)
    assert found is not None
    return found


def status(checkpoint: bytes) -> Status:
    return read(json.dumps({"phase": "running", "log_checkpoint": checkpoint.decode()}).encode())


def signed(books: Books, at_ms: int) -> bytes:
    with books.database.writing() as connection:
        return make_checkpoint(connection, books.log_key, at_ms, GROWN).note


def test_each_agent_gets_the_proof_from_where_it_stands(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """One of before gets no checkpoint, a new one its first, one that has missed some the proof from what it holds."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1)
    first = signed(books, 1)
    ingest(edge, 2)
    signed(books, 2)
    ingest(edge, 3, 4, 5)
    last = signed(books, 3)
    witnesses, plain = Witnesses(books, lambda: START_MS), Ack(edge.stream_id, 5)
    assert plain == witnesses.dress(edge.agent_id, plain)
    witnesses.note(edge.agent_id, read(b'{"phase": "running"}'))
    assert plain == witnesses.dress(edge.agent_id, plain)
    witnesses.note(edge.agent_id, status(b""))
    pinned = witnesses.dress(edge.agent_id, plain)
    assert (last, (), 0) == (pinned.checkpoint, pinned.consistency, pinned.base)
    assert Judged(newer=True) == judge(None, pinned)
    witnesses.note(edge.agent_id, status(first))
    told = read_ack(seal_ack(witnesses.dress(edge.agent_id, plain), books.key), books.public_key)
    assert Judged(newer=True) == judge(Held(pinned.log_key, first, 1), told)
    assert told.consistency
    witnesses.note(edge.agent_id, status(last))
    assert plain == witnesses.dress(edge.agent_id, plain)


def test_books_that_went_back_are_noticed(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None], caplog: pytest.LogCaptureFixture
) -> None:
    """A checkpoint of ours that our log does not lead to is said once; shown ours, its agent would see it shrunken."""
    edge = stream(3)
    register(edge)
    ingest(edge, 0, 1)
    now = signed(books, 1)
    with books.database.reading() as connection:
        head = Checkpoint(now.decode().split("\n")[0], 99, root_at(connection, 1))
    later = sign_checkpoint(head, books.log_key)
    witnesses = Witnesses(books, lambda: START_MS)
    witnesses.note(edge.agent_id, status(later))
    witnesses.note(edge.agent_id, status(later))
    told = witnesses.dress(edge.agent_id, Ack(bytes(16), 1))

    assert 1 == sum(record.getMessage().startswith("log-alarm") for record in caplog.records)
    assert Ack(bytes(16), 1) == told, "nothing that was signed before is shown to it meanwhile"
    key = public_bytes(books.log_key)
    assert judge(Held(key, later, 1), Ack(bytes(16), 1, (), now, (), key, 99)).alarm.startswith("shrunken")


@pytest.mark.parametrize(
    "told",
    [b"", b"[]", b"{", b'{"log_checkpoint": 5}', b'{"log_checkpoint": "x"}', b"[" * 9000, b'{"x": "\\ud800"}',
     b'{"x": "%s"}' % (b"9" * 20_000), b"9" * 5000],
)  # fmt: skip
def test_a_status_that_says_nonsense_is_passed_over(books: Books, told: bytes) -> None:
    """Neither an error nor a witness."""
    witnesses = Witnesses(books, lambda: START_MS)
    found = read_status(told)
    if found is not None:
        witnesses.note("a", found)

    assert Ack(bytes(16), 1) == witnesses.dress("a", Ack(bytes(16), 1))


def test_a_checkpoint_signed_by_somebody_else_is_passed_over(
    books: Books, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody without the log's key can make these books look as if they had gone back."""
    foreign = make_key(tmp_path_factory.mktemp("foreign") / "log.key")
    witnesses = Witnesses(books, lambda: START_MS)
    witnesses.note("a", status(sign_checkpoint(Checkpoint("emitrace/x", START_MS, bytes(32)), foreign)))

    assert not [record for record in caplog.records if record.getMessage().startswith("log-alarm")]
