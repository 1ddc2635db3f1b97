"""Integer arithmetic of the exact path against Python's own Fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.exact import ExactnessError, half_even, proportion, sum_by_group, sum_exact, to_int64

INTEGERS = st.integers(min_value=-(10**24), max_value=10**24)


@given(INTEGERS, st.integers(min_value=1, max_value=10**20))
def test_half_even_is_the_rounding_of_the_exact_quotient(numerator: int, denominator: int) -> None:
    """Python's round of a Fraction is half to even by definition."""
    assert round(Fraction(numerator, denominator)) == half_even(numerator, denominator)


def test_half_even_refuses_a_denominator_that_is_not_positive() -> None:
    """A quotient by zero or less is an error, not a number."""
    with pytest.raises(ExactnessError, match="denominator 0"):
        half_even(1, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=2**61),
            st.integers(min_value=0, max_value=2**40),
            st.integers(min_value=1, max_value=2**40),
        ),
        max_size=20,
    )
)
def test_proportion_is_exact_whether_or_not_int64_could_overflow(rows: list[tuple[int, int, int]]) -> None:
    """Small and huge products give the same digits as exact arithmetic."""
    fitting = [(a, min(p, w), w) for a, p, w in rows]
    amount, part, whole = (np.array([r[i] for r in fitting], dtype=np.int64) for i in range(3))
    expected = [half_even(a * p, w) for a, p, w in fitting]

    assert expected == proportion(amount, part, whole).tolist()


def test_to_int64_rounds_ties_to_even_and_refuses_what_does_not_fit() -> None:
    """2.5 goes to 2, 3.5 to 4; infinities, NaN and 2**62 are errors."""
    assert [2, 4, -2] == to_int64(np.array([2.5, 3.5, -2.5])).tolist()
    for bad in (np.nan, np.inf, 2.0**62):
        with pytest.raises(ExactnessError, match="62-bit"):
            to_int64(np.array([bad]))


@given(st.lists(st.lists(st.integers(min_value=-(2**58), max_value=2**58), max_size=5), max_size=8))
def test_group_sums_are_exact_and_empty_groups_are_zero(groups: list[list[int]]) -> None:
    """Each group's sum is the sum of its members, however large."""
    values = np.array([v for g in groups for v in g], dtype=np.int64)
    starts = np.array([sum(len(g) for g in groups[:i]) for i in range(len(groups))], dtype=np.int64)

    assert [sum(g) for g in groups] == sum_by_group(values, starts).tolist()


def test_sum_exact_refuses_a_float() -> None:
    """A float in an integer sum would make the order matter."""
    with pytest.raises(ExactnessError, match=r"0\.5"):
        sum_exact([1, 0.5])  # type: ignore[list-item]
