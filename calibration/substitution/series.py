"""Hours of one parameter: what was measured, when the unit operated, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from protocols.records import Float64, Int64

Flags: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Hours:
    """Consecutive clock hours.

    Attributes
    ----------
    value : ndarray of float64, shape (hours,)
        Hourly value; NaN where there is none that is quality-assured. [any unit]
    operating : ndarray of bool, shape (hours,)
        Whether the unit operated in the hour, for any part of it.
    """

    value: Float64
    operating: Flags

    def __post_init__(self) -> None:
        if self.value.shape != self.operating.shape or self.value.ndim != 1:
            raise CalibrationError(
                "hours",
                f"{self.value.shape} values and {self.operating.shape} marks of operation",
                "give one for each hour",
            )
        if bool(np.isinf(self.value).any()):
            raise CalibrationError("hours", "an infinite value", "mark it as missing")

    @property
    def good(self) -> Flags:
        """Operating hours with a quality-assured value."""
        return self.operating & ~np.isnan(self.value)

    @property
    def missing(self) -> Flags:
        """Operating hours without one."""
        return self.operating & np.isnan(self.value)

    def gaps(self) -> Iterator[Int64]:
        """Places of the missing hours, gap by gap; standstill does not end a gap, a good hour does."""
        places = np.flatnonzero(self.missing)
        if not places.size:
            return
        before = np.cumsum(self.good)[places]
        yield from np.split(places, np.flatnonzero(np.diff(before)) + 1)


@dataclass(frozen=True, slots=True)
class Filled:
    """Hours after substitution.

    Attributes
    ----------
    value : ndarray of float64, shape (hours,)
        Good values as they were, substituted ones, and NaN where the unit stood still or the rule gives nothing.
    method : ndarray of int8, shape (hours,)
        Position in ``methods``; 0 where nothing was substituted.
    methods : tuple of str
        Names of the rules, the first being "measured".
    """

    value: Float64
    method: Codes
    methods: tuple[str, ...]

    @property
    def unfilled(self) -> int:
        """Hours for which the rule gives no value."""
        return int((self.method == self.methods.index("none")).sum()) if "none" in self.methods else 0


def extreme(values: Float64, direction: Direction) -> float:
    """The largest value, or the smallest where low is conservative."""
    return float(values.max() if direction is Direction.HIGH else values.min())


def percentile(values: Float64, percent: int, direction: Direction) -> float:
    """Percentile by nearest rank, an observed value; for low, that many per cent are at or above it.

    Parameters
    ----------
    values : ndarray of float64, shape (n,), n > 0
    percent : int
        1 to 100. [%]
    direction : Direction

    Notes
    -----
    Rank ceil(n p / 100) of the values ascending (descending for low), in integers: no interpolation, so that every
    machine gives the same value.
    """
    ranked = np.sort(values)
    rank = -(-percent * ranked.size // 100)
    return float(ranked[rank - 1] if direction is Direction.HIGH else ranked[ranked.size - rank])


def stricter(a: float, b: float, direction: Direction) -> float:
    """The more conservative of two values."""
    return max(a, b) if direction is Direction.HIGH else min(a, b)
