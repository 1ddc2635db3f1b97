"""A log with leaves left out leads to the same root, with as few hashes as possible."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.evidence.layout import Leaf, encode_leaf
from collector.evidence.pruned import Hidden, decode_hidden, encode_hidden, grow, parts
from protocols.transparency.tree import Frontier, leaf_hash, root_of
from protocols.wire.errors import WireError

LEAVES = [Leaf("item", f"a/b/{n}", hashlib.sha256(bytes([n])).digest()) for n in range(70)]


@given(st.lists(st.booleans(), max_size=70), st.sets(st.integers(0, 75), max_size=3))
def test_any_choice_leads_to_the_same_roots(wanted: list[bool], bounds: set[int]) -> None:
    """Whatever is left out, size and root are those of the whole log, there and at each bound, by the fewest hashes."""
    hashes = [leaf_hash(encode_leaf(leaf)) for leaf in LEAVES[: len(wanted)]]
    shown = [place for place, kept in enumerate(wanted) if kept]
    tree, seen, sizes, roots = Frontier(), [], [], {0: Frontier().root}
    for part in parts(shown, len(wanted), bounds):
        if isinstance(part, int):
            seen.append(part)
            tree = tree.append(hashes[part])
        else:
            low, high = part.place << part.level, (part.place + 1) << part.level
            assert low == tree.size
            sizes.append((low, part.level))
            tree = grow(tree, Hidden(part.level, root_of(hashes[low:high])))
        roots[tree.size] = tree.root

    assert (len(wanted), shown) == (tree.size, seen)
    assert all(roots[size] == root_of(hashes[:size]) for size in {*bounds, len(wanted)} if size <= len(wanted))
    for (at, level), (after, following) in pairwise(sizes):
        joined = after == at + (1 << level) and level == following and not at % (2 << level)
        assert not joined or after in bounds


@pytest.mark.parametrize("shown", [[3, 2], [2, 2], [7]])
def test_leaves_out_of_order_are_refused(shown: list[int]) -> None:
    """A leaf twice, before another, or behind the end."""
    with pytest.raises(ValueError, match="leaf"):
        list(parts(shown, 6))


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
