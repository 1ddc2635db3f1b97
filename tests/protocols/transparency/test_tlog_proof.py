"""tlog-proof files come back, rubbish is refused, and an audit path is hashed step by step."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transparency.proofs import (
    ProofError,
    TlogProof,
    inclusion_proof,
    inclusion_steps,
    read_tlog_proof,
    tlog_proof,
)
from protocols.transparency.tree import node_hash, root_of

LEAVES = [hashlib.sha256(bytes([n])).digest() for n in range(70)]


@given(st.integers(1, 70), st.data())
def test_the_steps_lead_to_the_root(size: int, data: st.DataObject) -> None:
    """Each hashes what is there with its sibling, which is the root over the leaves that it names."""
    index = data.draw(st.integers(0, size - 1))
    node = LEAVES[index]
    for step in inclusion_steps(node, index, size, inclusion_proof(LEAVES[:size], index)):
        assert root_of(LEAVES[slice(*step.span)]) == step.sibling
        node = node_hash(step.sibling, node) if step.is_left else node_hash(node, step.sibling)
        assert node == step.node

    assert root_of(LEAVES[:size]) == node


def test_a_path_that_does_not_fit_is_no_proof() -> None:
    """Too long, too short, or of a leaf that is not there."""
    for index, path, kind in ((1, LEAVES[:5], ValueError), (1, (), ValueError), (9, (), IndexError)):
        with pytest.raises(kind):
            inclusion_steps(LEAVES[0], index, 8, path)


@given(
    st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=90),
    st.binary(max_size=90),
)  # fmt: skip
def test_a_file_comes_back(index: int, path: list[bytes], extra: bytes, checkpoint: bytes) -> None:
    """Index, path, extra and the checkpoint's bytes, whatever they are."""
    assert TlogProof(index, tuple(path), extra, checkpoint) == read_tlog_proof(
        tlog_proof(index, path, checkpoint, extra)
    )


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: tlog_proof(1, (), b"", b"")[:-2] + tail))
def test_rubbish_is_refused(data: bytes) -> None:
    """With ProofError and nothing else; what is taken comes back the same."""
    try:
        found = read_tlog_proof(data)
    except ProofError:
        return
    assert data == tlog_proof(found.index, found.path, found.checkpoint, found.extra)
