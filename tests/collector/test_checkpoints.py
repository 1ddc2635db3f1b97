"""Checkpoints of the books' log: when they are made, that they hold, and proofs from logs of any size."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from collector.books import Books, open_books
from collector.config import Config, Settings
from collector.hours.cells import HOUR_MS
from collector.ingest.signing import LogSigner
from collector.store.checkpoints import (
    GROWN,
    SEAL,
    Stored,
    current_origin,
    ensure_origin,
    list_checkpoints,
    make_checkpoint,
    newest_checkpoint,
)
from collector.store.database import Database
from collector.store.inventories import build_inventory, seal_inventory
from collector.store.leaves import read_leaf
from collector.store.log import append_leaves, read_frontier
from collector.store.schema import tree_nodes
from collector.store.tree import consistency, inclusion, keep_nodes, root_at
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.transparency.checkpoint import open_checkpoint
from protocols.transparency.note import read_key
from protocols.transparency.proofs import consistency_proof, inclusion_proof, inclusion_root, is_consistent, tlog_proof
from protocols.transparency.tree import leaf_data, leaf_hash, root_of
from protocols.wire.keys import make_key
from tests.collector.edge import START_MS, Edge, stream

MOST = 70_000
ROWS = [("item", str(number), number.to_bytes(32)) for number in range(MOST)]
HASHES = [leaf_hash(leaf_data(*row)) for row in ROWS]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A log of 70,000 leaves, appended in groups of uneven sizes."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('log') / 'books.sqlite'}")
    with database.writing() as connection:
        at = 0
        while at < MOST:
            step = 1 + (at * 7919) % 611
            append_leaves(connection, ROWS[at : at + step], 1)
            at += step
    return database


@settings(max_examples=30, deadline=None)
@given(st.integers(1, MOST), st.data())
def test_proofs_from_the_database_are_those_from_all_leaves(
    long_log: Database, size: int, data: st.DataObject
) -> None:
    """Root, audit path and consistency proof at any size equal those computed from the list of leaves."""
    position, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    with long_log.reading() as connection:
        assert root_of(HASHES[:size]) == root_at(connection, size)
        assert inclusion_proof(HASHES[:size], position) == inclusion(connection, position, size)
        assert consistency_proof(HASHES[:size], first) == consistency(connection, first, size)


def test_books_of_before_are_filled_and_prove_the_same_meanwhile(long_log: Database) -> None:
    """Without kept nodes a proof is the same; they are added in one go, and then none is missing."""
    with long_log.writing() as connection:
        before = [tuple(row) for row in connection.execute(tree_nodes.select().order_by("level", "place"))]
        kept = inclusion(connection, 12_345, MOST)
        connection.execute(delete(tree_nodes))
        assert kept == inclusion(connection, 12_345, MOST)
        assert MOST // 256 + MOST // 65_536 == keep_nodes(connection, MOST)
        assert before == [tuple(row) for row in connection.execute(tree_nodes.select().order_by("level", "place"))]
        assert 0 == keep_nodes(connection, MOST)


def test_a_proof_from_a_long_log_is_quick(long_log: Database) -> None:
    """Five proofs of each kind cost less than hashing 70,000 leaves once: none reads all of them."""
    began = time.process_time()
    root_of(HASHES)
    whole = time.process_time() - began
    began = time.process_time()
    with long_log.reading() as connection:
        for number in range(5):
            inclusion(connection, 13_697 * number, MOST)
            consistency(connection, 1 + 13_691 * number, MOST)

    assert time.process_time() - began < whole


def test_a_leaf_that_is_not_there_proves_nothing(long_log: Database) -> None:
    """Asked for more leaves than there are, the database says so."""
    with long_log.reading() as connection, pytest.raises(IndexError, match="not in the log"):
        root_at(connection, MOST + 1)


def test_the_log_is_signed_when_it_grows_and_at_every_seal(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """Once at first, again when the hour has passed and there is something new, and in the seal's own transaction."""
    edge, now = stream(4), [START_MS]
    signer = LogSigner(books, lambda: now[0] / 1000, lambda: now[0])
    def looked() -> Stored | None:
        signer.look()
        return signer.newest

    assert looked() is None
    register(edge)
    ingest(edge, 0, 1)
    now[0] += 60_000
    first = looked()
    assert first is not None
    ingest(edge, 2)
    now[0] += 60_000
    assert first == looked()
    now[0] += HOUR_MS
    second = looked()
    assert second is not None
    now[0] += HOUR_MS
    assert second == looked()
    built = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", now[0])
    with books.database.writing() as connection:
        leaf = seal_inventory(connection, books.log_key, built.version, now[0]).leaf
    with books.database.reading() as connection:
        sealed, *earlier = list_checkpoints(connection, 10)
        origin = current_origin(connection)
        proof = consistency(connection, first.head.size, sealed.head.size)
        read = read_leaf(connection, leaf or 0)
        path = inclusion(connection, leaf or 0, sealed.head.size)

    assert [second, first] == earlier
    assert [SEAL, GROWN, GROWN] == [one.why for one in (sealed, *earlier)]
    assert sealed.head.size == (leaf or 0) + 1
    assert sealed.head == open_checkpoint(sealed.note, read_key(origin.key.encoded()).public)
    assert is_consistent(first.head.size, first.head.root, sealed.head.size, sealed.head.root, proof)
    assert read is not None
    assert sealed.head.root == inclusion_root(leaf_hash(read.data), read.position, sealed.head.size, path)


def test_a_log_keeps_its_origin_and_its_own_key(config: Config) -> None:
    """Opened again it is the same log; its key is not the collector's; another key in its place is refused."""
    with open_books(config) as books, books.database.writing() as connection:
        origin = current_origin(connection)
        one = make_checkpoint(connection, books.log_key, 5, GROWN)
        assert one == make_checkpoint(connection, books.log_key, 6, GROWN) == newest_checkpoint(connection)
        assert origin.public_key != books.public_key
    with open_books(config) as books, books.database.reading() as connection:
        assert origin == current_origin(connection)
    assert 0o600 == config.log_key_file.stat().st_mode & 0o777
    config.log_key_file.unlink()
    make_key(config.log_key_file)
    with pytest.raises(EmitraceError, match="is not the key of log emitrace/"), open_books(config):
        pass


def test_two_logs_have_two_origins(books: Books) -> None:
    """An origin is drawn at random."""
    other = Database("sqlite://")
    with other.writing() as connection, books.database.reading() as ours:
        assert ensure_origin(connection, books.log_key, 1).name != current_origin(ours).name
        assert read_frontier(connection).size == 0
    other.close()


def test_a_tlog_proof_is_the_file_of_c2sp() -> None:
    """Header, extra, index, hashes, an empty line and the checkpoint, as C2SP tlog-proof has them."""
    made = tlog_proof(5, (bytes(32), bytes(31) + b"\1"), b"test checkpoint\n", b"extra information")

    assert made.decode().split("\n") == [
        "c2sp.org/tlog-proof@v1", f"extra {base64.b64encode(b'extra information').decode()}", "index 5",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", "",
        "test checkpoint", "",
    ]  # fmt: skip
    assert tlog_proof(0, (), b"checkpoint\n") == b"c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"


def test_settings_bound_the_hour() -> None:
    """The log is signed at least hourly: nothing rarer can be set."""
    with pytest.raises(ValueError, match="less than or equal to 3600"):
        Settings.model_validate({"transparency": {"checkpoint_s": 7200}})
