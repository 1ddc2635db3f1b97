"""The log as the verifier holds it: every leaf found again, few bytes each, whatever the order."""

from __future__ import annotations

import hashlib
import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from collector.evidence.layout import Leaf, encode_leaf
from collector.evidence.verify.log import Log, Positions, Sequences

MANY = 40_000
BYTES_PER_LEAF = 72
"""24 stay; growing and sorting take some more for a while."""


def hashed(number: int) -> bytes:
    """A leaf hash."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


@given(st.lists(st.integers(0, 60), max_size=80))
def test_a_leaf_is_found_where_it_stands_first(numbers: list[int]) -> None:
    """Also when it was logged again; what was not logged is not found."""
    positions = Positions()
    for place, number in enumerate(numbers):
        positions.add(hashed(number), place)
    positions.settle()

    for number in range(61):
        expected = numbers.index(number) if number in numbers else None
        assert expected == positions.find(hashed(number))


@given(st.lists(st.integers(0, 30), max_size=40))
def test_sequences_are_counted_once(numbers: list[int]) -> None:
    """In any order, with repetitions."""
    sequences = Sequences()
    for number in numbers:
        sequences.add("a/b", number)
    sequences.settle()

    assert (["a/b"] if numbers else []) == sequences.names()
    for least in range(32):
        assert sum(one >= least for one in set(numbers)) == sequences.count("a/b", least)
        assert (least in numbers) is sequences.has("a/b", least)
    assert 0 == sequences.count("a/c")


def test_a_log_of_years_fits() -> None:
    """Bytes per leaf, the sorting included; every leaf is still found."""
    agent, draw = "ab" * 32, random.Random(2)
    data = [encode_leaf(Leaf("item", f"{agent}/{'07' * 16}/{number}", hashed(number))) for number in range(MANY)]
    draw.shuffle(data)
    log = Log()
    tracemalloc.start()
    for element in data:
        log.take(element)
    log.positions.settle()
    log.sequences.settle()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < BYTES_PER_LEAF * MANY
    assert MANY == log.tree.size == log.sequences.count(f"{agent}/{'07' * 16}")
    assert all(log.position(Leaf("item", f"{agent}/{'07' * 16}/{n}", hashed(n))) is not None for n in (0, 1, MANY - 1))
    assert log.position(Leaf("item", f"{agent}/{'07' * 16}/{MANY}", hashed(MANY))) is None
