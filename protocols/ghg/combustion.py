"""Stationary combustion: mass of a gas from the fuel a meter counted."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from protocols.exact import LIMIT, ExactnessError, half_even
from protocols.records import Float64, Int64

EXACT_FLOAT = 2**53
"""Above this magnitude float64 no longer holds every integer."""


def combustion_mass_mg(fuel: Int64, coefficient_mg_per_unit: float | Float64) -> Int64:
    """Mass of one gas emitted by burning metered fuel, window by window.

    Parameters
    ----------
    fuel : ndarray of int64, shape (windows,)
        Differences of the fuel counter, in its base unit: gas volume [mL] at the state the factors are stated
        at, or fuel mass [mg]. Magnitude below 2**62.
    coefficient_mg_per_unit : float or ndarray of float64, shape (windows,)
        ``protocols.ghg.factors.coefficient`` of the chain, rounded once to float64. [mg/mL or mg/mg]

    Returns
    -------
    ndarray of int64, shape (windows,)
        Rounded once, half to even. [mg]

    Raises
    ------
    ExactnessError
        A mass is not finite or reaches 2**62 mg (4.6 million tonnes in one window).

    Notes
    -----
    m = fuel * coefficient, with the coefficient = NCV * CC * OF * 44/12 for CO2 by carbon content [1]_, or
    NCV * EF for CH4 and N2O [2]_. Carbon that leaves as CH4 is part of this CO2 already.

    References
    ----------
    .. [1] GB/T 32151.34-2024, Table C.1 and the formula of that family; confidence: medium (read through
       software that quotes it).
    .. [2] IPCC 2006 Guidelines, Vol. 2, Ch. 2, eq. 2.1; confidence: high for the form.
    """
    return rounded_product(fuel, coefficient_mg_per_unit)


def rounded_product(amounts: Int64, coefficient: float | Float64) -> Int64:
    """Half-even integer of amount x coefficient, element by element: one float64 product, one rounding.

    Where an amount or a product leaves the range in which float64 holds every integer, that element is
    computed as an exact fraction of the same float64 coefficient instead.

    Parameters
    ----------
    amounts : ndarray of int64, shape (n,)
        Magnitude below 2**62.
    coefficient : float or ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    products: Float64 = amounts.astype(np.float64) * coefficient
    large = ~((np.abs(amounts) < EXACT_FLOAT) & (np.abs(products) < EXACT_FLOAT))
    result = np.rint(np.where(large, 0.0, products)).astype(np.int64)
    of_each = np.broadcast_to(coefficient, amounts.shape)
    for place in np.flatnonzero(large).tolist():
        result[place] = _exact_product(int(amounts[place]), float(of_each[place]))
    return result


def _exact_product(amount: int, coefficient: float) -> int:
    """Half-even of amount x coefficient in integers."""
    try:
        exact = amount * Fraction(coefficient)
    except (OverflowError, ValueError) as error:
        raise ExactnessError(f"coefficient {coefficient!r} is not finite") from error
    whole = half_even(exact.numerator, exact.denominator)
    if abs(whole) >= LIMIT:
        raise ExactnessError(f"{amount} x {coefficient!r} does not fit a 62-bit integer")
    return whole
