"""A partial bundle's log from the books: the leaves it shows and kept hashes for the rest, none of them read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from collector.evidence.layout import Leaf, encode_leaf
from collector.evidence.pruned import Hidden, encode_element, grow_by
from collector.pruning import all_leaves, part_of_log
from collector.store.database import Database
from collector.store.log import append_leaves
from collector.store.schema import leaves
from protocols.transparency.tree import Frontier, leaf_hash, root_of

SIZE = 2600
ROWS = [("item", str(number), number.to_bytes(32)) for number in range(SIZE)]
HASHES = [leaf_hash(encode_leaf(Leaf(*row))) for row in ROWS]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A log of 2,600 leaves of which 512 to 1,279 are not there any more: only what was kept of them."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('log') / 'books.sqlite'}")
    with database.writing() as connection:
        append_leaves(connection, ROWS, 1)
        connection.execute(delete(leaves).where(leaves.c.position >= 512, leaves.c.position < 1280))
    return database


_there = st.integers(0, 511) | st.integers(1280, SIZE - 1)


@settings(max_examples=60, deadline=None)
@given(st.sets(_there, max_size=40), st.sets(st.integers(1280, SIZE), max_size=2))
def test_any_leaves_are_shown_under_the_same_roots(log: Database, shown: set[int], bounds: set[int]) -> None:
    """Also where the leaves in between cannot be read: kept hashes stand for them, and the root at each bound."""
    tree, roots, seen = Frontier(), {}, []
    with log.reading() as connection:
        for element in part_of_log(connection, sorted(shown), SIZE, bounds):
            if not isinstance(element, Hidden):
                seen.append((tree.size, element.object_id))
            tree = grow_by(tree, element, encode_element(element))
            roots[tree.size] = tree.root

    assert [(place, str(place)) for place in sorted(shown)] == seen
    assert all(roots[size] == root_of(HASHES[:size]) for size in {*bounds, SIZE})


def test_a_run_of_leaves_is_read_across_pages(log: Database) -> None:
    """From one position to another, or to the end."""
    with log.reading() as connection:
        run = [one.object_id for one in all_leaves(connection, 1290, 2550)]
        assert [str(place) for place in range(1290, 2550)] == run
        assert SIZE - 1280 == sum(1 for _ in all_leaves(connection, 1280))
