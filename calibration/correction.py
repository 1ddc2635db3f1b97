"""Correction of readings by the errors a calibration found: only where a policy says so, and the raw value is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError
from calibration.events import Event
from protocols.records import Float64

Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Curve:
    """Errors at points, in between linear, beyond them as at the nearest.

    Attributes
    ----------
    at : ndarray of float64, shape (points,)
        Ascending. [instrument's unit]
    error : ndarray of float64, shape (points,)
        Of the indication. [1 of the reference if ``relative``, else instrument's unit]
    relative : bool
    """

    at: Float64
    error: Float64
    relative: bool

    @classmethod
    def of(cls, event: Event, *, relative: bool = True) -> Curve:
        """The curve an instrument was left with: as left, else as found where it was not adjusted.

        Raises
        ------
        CalibrationError
            No points, two of one place, or one without U and k: a correction needs to be known well enough.
        """
        points = sorted(event.as_left or event.as_found, key=lambda point: point.nominal)
        places = [point.nominal for point in points]
        if not points or len(places) != len(set(places)):
            raise CalibrationError(
                f"event {event.id}", "no points, or two of one place", "it gives no correction curve"
            )
        if any(point.standard_uncertainty is None for point in points) and event.uncertainty is None:
            raise CalibrationError(
                f"event {event.id}", "errors without U and k", "they are not known well enough to correct"
            )
        errors = [point.relative if relative else point.absolute for point in points]
        if any(error is None for error in errors):
            raise CalibrationError(f"event {event.id}", "a relative error at zero", "correct by absolute errors")
        return cls(_array(places), _array(error for error in errors if error is not None), relative)

    def corrected(self, indication: Float64) -> tuple[Float64, Flags]:
        """Readings without their known error.

        Parameters
        ----------
        indication : ndarray of float64, shape (n,)
            NaN stays NaN. [instrument's unit]

        Returns
        -------
        corrected : ndarray of float64, shape (n,)
            indication / (1 + e), or indication - e. [instrument's unit]
        outside : ndarray of bool, shape (n,)
            Beyond the points, where the nearest error was taken.

        Notes
        -----
        Linear interpolation in a written order of + - x /, so that every machine gives the same bits.
        """
        inside = np.clip(indication, self.at[0], self.at[-1])
        if self.at.size == 1:
            e = np.where(np.isnan(indication), np.nan, self.error[0])
        else:
            right = np.clip(np.searchsorted(self.at, inside, side="left"), 1, self.at.size - 1)
            low, high = self.at[right - 1], self.at[right]
            first, second = self.error[right - 1], self.error[right]
            e = first + (second - first) * ((inside - low) / (high - low))
        value = indication / (1.0 + e) if self.relative else indication - e
        return value, (indication < self.at[0]) | (indication > self.at[-1])


def _array(values: Iterable[object]) -> Float64:
    return np.array([float(str(value)) for value in values], dtype=np.float64)
