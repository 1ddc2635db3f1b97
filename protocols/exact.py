"""Integer arithmetic that gives the same digits on every machine: the one place where the exact path sums.

Sums are of integers. Divisions round half to even, once. Arrays are int64 while nothing can overflow and
Python integers where it could; the result never depends on which was taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from protocols.records import Float64, Int64

LIMIT = 2**62
"""Bound kept below int64's own, so that an addition of two admitted numbers cannot wrap."""


class ExactnessError(ArithmeticError):
    """A number left the range in which this arithmetic is exact."""


def half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator / denominator, ties to even; denominator > 0."""
    if denominator <= 0:
        raise ExactnessError(f"denominator {denominator} is not positive")
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + int(twice > denominator or (twice == denominator and quotient % 2 == 1))


def proportion(amount: Int64, part: Int64, whole: Int64) -> Int64:
    """Half-even of amount x part / whole, element by element.

    Parameters
    ----------
    amount, part, whole : ndarray of int64, of shapes that broadcast
        ``0 <= part <= whole`` and ``whole > 0``.

    Returns
    -------
    ndarray of int64
    """
    if amount.size == 0:
        return np.zeros(amount.shape, dtype=np.int64)
    reach = int(np.max(np.abs(amount))) * int(np.max(part)) if part.size else 0
    if reach >= LIMIT:
        all_of = (column.ravel().tolist() for column in np.broadcast_arrays(amount, part, whole))
        exact = [half_even(a * p, w) for a, p, w in zip(*all_of, strict=True)]
        return np.array(exact, dtype=np.int64).reshape(amount.shape)
    quotient, rest = np.divmod(amount * part, whole)
    twice = 2 * rest
    up = (twice > whole) | ((twice == whole) & (quotient % 2 == 1))
    return np.asarray(quotient + up.astype(np.int64), dtype=np.int64)


def to_int64(values: Float64) -> Int64:
    """Nearest integers of float64 values, ties to even; refuses what int64 cannot hold.

    Raises
    ------
    ExactnessError
        A value is not finite or its magnitude is 2**62 or more.
    """
    if values.size and not bool(np.all(np.abs(values) < LIMIT)):
        worst = values[~(np.abs(values) < LIMIT)][0]
        raise ExactnessError(f"{worst!r} does not fit a 62-bit integer")
    return np.rint(values).astype(np.int64)


def sum_by_group(values: Int64, starts: Int64) -> Int64:
    """Sums of consecutive groups of ``values``; group i begins at ``starts[i]`` (ascending, from 0).

    An empty group (two equal starts, or a start at the end) sums to 0.
    """
    if values.size and int(np.max(np.abs(values))) * values.size >= LIMIT:
        bounds = [*(int(s) for s in starts), values.size]
        whole = [sum_exact(values[a:b].tolist()) for a, b in pairwise(bounds)]
        return np.array(whole, dtype=np.int64)
    running = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)))
    ends = np.concatenate((starts[1:], np.array([values.size], dtype=np.int64)))
    return np.asarray(running[ends] - running[starts], dtype=np.int64)


def sum_exact(values: Iterable[int]) -> int:
    """Sum of Python integers: no bound, no rounding."""
    total = 0
    for value in values:
        if isinstance(value, float):
            raise ExactnessError(f"{value!r} is a float in an integer sum")
        total += int(value)
    return total
