"""Proofs against published vectors, and against the recursive definitions of RFC 6962 section 2.1 written down anew."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.transparency.proofs import (
    complete_subtrees,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_root,
    is_consistent,
    joined,
)
from protocols.transparency.tree import EMPTY_ROOT, leaf_hash, root_of
from tests.protocols.transparency.test_tree import LEAVES, ROOTS

CONSISTENCY = [
    (1, 1, []),
    (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
"""certificate-transparency, merkle_tree_test.cc: first tree, second tree, proof."""


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, b: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if b else [mth(leaves)]
    k = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], b=b), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], b=False), mth(leaves[:k])]


@pytest.mark.parametrize(
    ("first", "second", "proof"), CONSISTENCY, ids=[f"certificate-transparency {c[0]} to {c[1]}" for c in CONSISTENCY]
)
def test_published_consistency_proofs(first: int, second: int, proof: list[str]) -> None:
    """Consistency proofs are the published ones and hold between the published roots."""
    made = consistency_proof(LEAVES[:second], first)

    assert proof == [node.hex() for node in made]
    assert is_consistent(first, bytes.fromhex(ROOTS[first]), second, bytes.fromhex(ROOTS[second]), made)


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_proofs_are_those_of_the_recursive_definition(size: int, data: st.DataObject) -> None:
    """Roots, audit paths and consistency proofs of any size equal those that RFC 6962 defines by recursion."""
    leaves = [leaf_hash(number.to_bytes(2)) for number in range(size)]
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))

    assert mth(leaves) == root_of(leaves)
    assert path(index, leaves) == list(inclusion_proof(leaves, index))
    assert subproof(first, leaves) == list(consistency_proof(leaves, first))
    assert mth(leaves) == inclusion_root(leaves[index], index, size, path(index, leaves))
    assert is_consistent(first, mth(leaves[:first]), size, mth(leaves), subproof(first, leaves))


@settings(deadline=None)
@given(st.integers(1, 90), st.data())
def test_a_consistency_proof_proves_nothing_else(size: int, data: st.DataObject) -> None:
    """Other roots, sizes or hashes, more of them or fewer: not consistent."""
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    first = data.draw(st.integers(1, size))
    proof, old, new = consistency_proof(leaves, first), root_of(leaves[:first]), root_of(leaves)

    assert is_consistent(first, old, size, new, proof)
    assert not is_consistent(first, bytes(32), size, new, proof)
    assert not is_consistent(first, old, size, bytes(32), proof)
    assert not is_consistent(first, old, size, new, (*proof, bytes(32)))
    assert not is_consistent(size + 1, old, size, new, proof)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not is_consistent(first, old, size, new, proof[:-1])
        assert not is_consistent(first, old, size, new, (*proof[:place], bytes(32), *proof[place + 1 :]))
    if first < size:
        assert not is_consistent(first, root_of([*leaves[: first - 1], bytes(32)]), size, new, proof)


def test_every_tree_begins_with_the_empty_one() -> None:
    """From the empty tree nothing needs a proof, and no proof is taken; a tree never shrinks."""
    root = root_of(LEAVES)

    assert () == consistency_proof(LEAVES, 0)
    assert is_consistent(0, EMPTY_ROOT, 8, root, ())
    assert not is_consistent(0, root, 8, root, ())
    assert not is_consistent(0, EMPTY_ROOT, 8, root, (root,))
    assert not is_consistent(8, root, 7, root_of(LEAVES[:7]), ())
    with pytest.raises(IndexError):
        consistency_spans(9, 8)


@settings(deadline=None)
@given(st.binary(), st.integers(-3, 2**63), st.integers(-3, 2**63), st.lists(st.binary(max_size=40), max_size=70))
def test_no_proof_makes_the_checks_fail(root: bytes, first: int, second: int, proof: list[bytes]) -> None:
    """Whatever arrives is judged, never an error."""
    assert is_consistent(first, root, second, b"", proof) in {True, False}
    assert inclusion_root(root, first, second, proof) is None or proof or second == 1


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(0, 2000))
def test_subtrees_cover_a_span(first: int, second: int) -> None:
    """What a span of a proof consists of are whole subtrees in their places, which lead to its root."""
    for low, high in consistency_spans(min(first, second), max(first, second)):
        at = low
        for level, index in complete_subtrees((low, high)):
            assert at == index << level
            at += 1 << level
        assert high == at
    assert joined([]) == EMPTY_ROOT
