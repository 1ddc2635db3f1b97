"""A log with leaves left out leads to the same root, with as few hashes as possible."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.evidence.layout import Leaf, encode_leaf
from collector.evidence.pruned import Hidden, decode_hidden, encode_element, encode_hidden, grow, grow_by, prune
from protocols.transparency.tree import Frontier, leaf_hash, root_of
from protocols.wire.errors import WireError

LEAVES = [Leaf("item", f"a/b/{n}", hashlib.sha256(bytes([n])).digest()) for n in range(70)]


@given(st.lists(st.booleans(), max_size=70))
def test_any_choice_leads_to_the_same_root(wanted: list[bool]) -> None:
    """Whatever is left out, size and root are those of the whole log, and no two hashes could be one."""
    chosen = LEAVES[: len(wanted)]
    tree, shown, sizes = Frontier(), [], []
    for element in prune(zip(chosen, wanted, strict=True)):
        if isinstance(element, Hidden):
            sizes.append((tree.size, element.level))
        else:
            shown.append(element)
        tree = grow_by(tree, element, encode_element(element))

    assert (len(chosen), root_of(leaf_hash(encode_leaf(leaf)) for leaf in chosen)) == (tree.size, tree.root)
    assert [leaf for leaf, kept in zip(chosen, wanted, strict=True) if kept] == shown
    for (at, level), (after, following) in pairwise(sizes):
        joined = after == at + (1 << level) and level == following and not at % (2 << level)
        assert not joined


def test_a_subtree_begins_only_where_one_of_its_size_can() -> None:
    """Two leaves cannot be left out behind one."""
    with pytest.raises(ValueError, match="cannot begin at leaf 1"):
        grow(Frontier().append(bytes(32)), Hidden(1, bytes(32)))


@given(st.binary(max_size=50))
def test_rubbish_is_refused(data: bytes) -> None:
    """What is no subtree raises WireError; what is one comes back."""
    try:
        found = decode_hidden(data)
    except WireError:
        return
    assert data == encode_hidden(found)
