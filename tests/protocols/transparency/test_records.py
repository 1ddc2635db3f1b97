"""Records of new origins and of losses: back as they went, refused where they are none, and proven by their leaf."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.loss import Loss, decode_loss, encode_loss, range_of
from protocols.transparency.proofs import inclusion_proof
from protocols.transparency.succession import (
    Predecessor,
    Succession,
    decode_succession,
    encode_succession,
    is_included,
)
from protocols.transparency.tree import leaf_data, leaf_hash, root_of
from protocols.wire.errors import WireError

names = st.text(max_size=20)
predecessors = st.integers(0, 2**63 - 1).flatmap(
    lambda size: st.builds(
        Predecessor, st.builds(Checkpoint, names, st.just(size), st.binary(min_size=32, max_size=32)),
        st.integers(0, size),
    )
)  # fmt: skip
SUCCESSION = Succession("emitrace/b", (Predecessor(Checkpoint("emitrace/a", 9, bytes(32)), 7),))
LOSS = Loss("ab" * 32, bytes(range(16)), 3, 9, "li", "disk lost", 5)


@given(st.builds(Succession, names, st.lists(predecessors, max_size=5).map(tuple)))
def test_what_a_new_origin_went_on_from_comes_back_equal(succession: Succession) -> None:
    """Whatever it names."""
    assert succession == decode_succession(encode_succession(succession))


def test_a_loss_comes_back_equal_and_its_leaf_says_its_range() -> None:
    """Stream and range stand in the leaf's id, so that a reader of the log alone knows them."""
    assert LOSS == decode_loss(encode_loss(LOSS))
    assert (f"{LOSS.agent_id}/{LOSS.stream_id.hex()}", 3, 9) == range_of(LOSS.leaf_id)


@pytest.mark.parametrize(
    "leaf_id", ["", "a/b/1-2", f"{'ab' * 32}/{'00' * 16}/9-3", f"{'ab' * 32}/{'00' * 16}/3", LOSS.leaf_id + "0" * 20]
)
def test_what_is_no_range_is_none(leaf_id: str) -> None:
    """An id from outside is read strictly."""
    assert range_of(leaf_id) is None


@given(st.binary(max_size=200))
def test_rubbish_is_no_record(data: bytes) -> None:
    """Refused in the one way there is."""
    for read in (decode_succession, decode_loss):
        with pytest.raises(WireError):
            read(data)


def test_more_kept_than_there_was_is_refused() -> None:
    """A log cannot begin with more leaves of another than that had."""
    with pytest.raises(WireError):
        decode_succession(encode_succession(Succession("b", (Predecessor(Checkpoint("a", 9, bytes(32)), 10),))))


def test_a_record_is_proven_by_its_leaf() -> None:
    """Only the record of the head's own origin, at its place, under its root."""
    record = encode_succession(SUCCESSION)
    leaves = [leaf_hash(b"x"), leaf_hash(leaf_data("origin", "emitrace/b", hashlib.sha256(record).digest()))]
    head, path = Checkpoint("emitrace/b", 2, root_of(leaves)), inclusion_proof(leaves, 1)
    other = encode_succession(Succession("emitrace/b", ()))

    assert is_included(record, 1, path, head)
    for wrong in (
        is_included(other, 1, path, head), is_included(record, 0, path, head), is_included(record, 5, path, head),
        is_included(record, 1, (), head), is_included(b"x", 1, path, head),
        is_included(record, 1, path, Checkpoint("emitrace/c", 2, root_of(leaves))),
    ):  # fmt: skip
        assert not wrong
