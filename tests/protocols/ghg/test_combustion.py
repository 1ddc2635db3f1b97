from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.exact import ExactnessError, half_even
from protocols.ghg.combustion import combustion_mass_mg
from protocols.ghg.energy import energy_mass_mg


def test_a_mass_is_rounded_once_half_to_even() -> None:
    """Ties go to the even milligram, on both sides of zero."""
    assert [0, 2, 2, 4, 0, -2, -2] == combustion_mass_mg(np.array([1, 3, 5, 7, -1, -3, -5]), 0.5).tolist()


@given(st.integers(-(2**52), 2**52), st.floats(0.0, 1.0))
def test_an_ordinary_mass_is_the_float_product_rounded(amount: int, coefficient: float) -> None:
    """One float64 product, then the nearest integer."""
    product = Fraction(float(amount) * coefficient)

    assert [half_even(product.numerator, product.denominator)] == combustion_mass_mg(
        np.array([amount]), coefficient
    ).tolist()


@given(st.integers(2**53, 2**61), st.floats(0.1, 1.9))
def test_a_huge_amount_is_computed_exactly(amount: int, coefficient: float) -> None:
    """Beyond 2**53 the product is an exact fraction of the same coefficient."""
    exact = amount * Fraction(coefficient)

    assert [half_even(exact.numerator, exact.denominator)] == energy_mass_mg(
        np.array([amount]), coefficient
    ).tolist()


def test_one_huge_amount_does_not_change_its_neighbours() -> None:
    """Only the element that needs it leaves the vector path."""
    alone = combustion_mass_mg(np.array([12345, 2**60, -7]), 1.9635)

    assert [24239, half_even(*(2**60 * Fraction(1.9635)).as_integer_ratio()), -14] == alone.tolist()


def test_no_windows_give_no_masses() -> None:
    """An empty span is fine."""
    assert [] == combustion_mass_mg(np.zeros(0, dtype=np.int64), 1.0).tolist()


@pytest.mark.parametrize("coefficient", [float("nan"), float("inf")])
def test_a_coefficient_that_is_no_number_is_refused(coefficient: float) -> None:
    """NaN never becomes a mass."""
    with pytest.raises(ExactnessError, match="not finite"):
        combustion_mass_mg(np.array([1, 2]), coefficient)


def test_a_mass_beyond_int64_is_refused() -> None:
    """Nothing wraps."""
    with pytest.raises(ExactnessError, match="62-bit"):
        combustion_mass_mg(np.array([2**61]), 4.0)
