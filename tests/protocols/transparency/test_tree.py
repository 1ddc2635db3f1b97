"""The evidence log's tree against the vectors of the Certificate Transparency reference implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transparency.proofs import inclusion_proof, inclusion_root
from protocols.transparency.tree import EMPTY_ROOT, Frontier, leaf_data, leaf_hash, root_of

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in DATA]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""certificate-transparency, merkle_tree_test.cc: roots of the first 0 to 8 leaves."""

PATHS = [
    (0, 1, []),
    (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
"""certificate-transparency, merkle_tree_test.cc: leaf, tree size, audit path."""


@pytest.mark.parametrize("size", range(9), ids=lambda size: f"certificate-transparency root of {size} leaves")
def test_published_roots(size: int) -> None:
    """The tree of RFC 6962, leaf by leaf and all at once."""
    tree = Frontier()
    for leaf in LEAVES[:size]:
        tree = tree.append(leaf)

    assert ROOTS[size] == tree.root.hex()
    assert ROOTS[size] == root_of(LEAVES[:size]).hex()
    assert size == tree.size


@pytest.mark.parametrize(
    ("index", "size", "path"), PATHS, ids=[f"certificate-transparency path {p[0]} of {p[1]}" for p in PATHS]
)
def test_published_paths(index: int, size: int, path: list[str]) -> None:
    """Inclusion proofs are the published ones and lead to the published root."""
    proof = inclusion_proof(LEAVES[:size], index)

    assert path == [node.hex() for node in proof]
    assert bytes.fromhex(ROOTS[size]) == inclusion_root(LEAVES[index], index, size, proof)


@given(st.integers(1, 70), st.data())
def test_every_leaf_has_a_proof_and_no_other_leaf_has_it(size: int, data: st.DataObject) -> None:
    """A proof leads to the root; another leaf, another place, or a changed path does not."""
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)

    assert root == inclusion_root(leaves[index], index, size, proof)
    assert root != inclusion_root(leaf_hash(b"other"), index, size, proof)
    assert root != inclusion_root(leaves[index], index, size, (*proof, bytes(32)))
    assert inclusion_root(leaves[index], size, size, proof) is None
    if proof:
        assert root != inclusion_root(leaves[index], index, size, proof[:-1])
        assert root != inclusion_root(leaves[index], index, size, (bytes(32), *proof[1:]))
    with pytest.raises(IndexError):
        inclusion_proof(leaves, size)


def test_the_frontier_stays_small() -> None:
    """A thousand leaves need at most ten hashes."""
    tree = Frontier()
    for number in range(1000):
        tree = tree.append(leaf_hash(bytes([number % 251])))

    assert 1000 == tree.size
    assert (1000).bit_count() == len(tree.roots)
    assert Frontier().root == EMPTY_ROOT


def test_leaf_data_is_deterministic_cbor() -> None:
    """[kind, id, digest] as the schema says."""
    assert "83" + "646974656d" + "6161" + "5820" + "00" * 32 == leaf_data("item", "a", bytes(32)).hex()
