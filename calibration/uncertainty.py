"""Standard uncertainty of a reading from what is known of its instrument.

Everything is relative to the reading, k = 1, unless it says otherwise; parts combine in quadrature. Values are
float64 and agree between machines to 1e-9, like every uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from calibration.errors import CalibrationError
from calibration.events import Event
from calibration.instruments import Instrument
from calibration.status import State
from protocols.ghg.uncertainty import quadrature

_SQRT3 = math.sqrt(3.0)
_SQRT12 = math.sqrt(12.0)

WIDEST = 2.0
"""Largest factor on the limits of error of an instrument long overdue or unknown. [1]"""

AFTER_ONE_INTERVAL = 1.5
"""Factor on the limits of error one interval after the end of the last. [1]"""


@dataclass(frozen=True, slots=True)
class Budget:
    """Relative standard uncertainty of one reading, part by part. [1]

    Attributes
    ----------
    trueness : float
        From the certificate's U and k, or from the class where there is no U.
    drift, resolution, installation : float
    uncorrected : float
        Of a known error that is not corrected.
    basis : str
        "certificate", "class" or "class, widened".
    """

    trueness: float
    drift: float = 0.0
    resolution: float = 0.0
    installation: float = 0.0
    uncorrected: float = 0.0
    basis: str = "class"

    @property
    def standard(self) -> float:
        """Combined relative standard uncertainty, k = 1. [1]"""
        return quadrature((self.trueness, self.drift, self.resolution, self.installation, self.uncorrected))


def of_limits(half_width: float) -> float:
    """Standard uncertainty a / sqrt 3 of limits with half-width a, inside which nothing is known (GUM 4.3.7)."""
    return half_width / _SQRT3


def of_certificate(expanded: float, k: float) -> float:
    """Standard uncertainty U / k."""
    if k <= 0 or expanded < 0:
        raise CalibrationError("uncertainty", f"U {expanded}, k {k}", "U is not negative, k is positive")
    return expanded / k


def of_drift(as_found: float, as_left_before: float) -> float:
    """Standard uncertainty abs(as found - previous as left) / sqrt 3, in the unit of the errors."""
    return abs(as_found - as_left_before) / _SQRT3


def of_resolution(step: float) -> float:
    """Standard uncertainty d / sqrt 12 of a display or register in steps of d."""
    return step / _SQRT12


def of_uncorrected(error: float) -> float:
    """Standard uncertainty abs(e) / sqrt 3 of a known error that is left uncorrected."""
    return abs(error) / _SQRT3


def widening(overdue_ms: int, interval_ms: int) -> float:
    """Factor on the limits of error of an overdue instrument. [1]

    Parameters
    ----------
    overdue_ms : int
        Since the end of its interval, 0 or more. [ms]
    interval_ms : int
        The interval's length, positive. [ms]

    Notes
    -----
    f = min(2, 1 + dt / (2 T)): one and a half after one more interval, twice at most. A policy of this program.
    """
    if interval_ms <= 0 or overdue_ms < 0:
        raise CalibrationError(
            "uncertainty", f"{overdue_ms} ms of {interval_ms} ms", "a positive interval, and no negative delay"
        )
    return min(WIDEST, 1.0 + (AFTER_ONE_INTERVAL - 1.0) * overdue_ms / interval_ms)


def of_chain(members: Iterable[float]) -> float:
    """Relative standard uncertainty of a chain such as meter, CT and PT: root sum of squares. [1]"""
    return quadrature(members)


def budget(
    instrument: Instrument,
    reading: Decimal,
    state: State,
    last: Event | None,
    before: Event | None = None,
    *,
    overdue_ms: int = 0,
    interval_ms: int = 1,
    resolution: Decimal = Decimal(0),
    installation: float = 0.0,
    corrected: bool = False,
) -> Budget:
    """Uncertainty of a reading from an instrument's last test, its drift, its resolution and its status.

    Parameters
    ----------
    instrument : Instrument
    reading : Decimal
        Other than zero. [instrument's unit]
    state : State
        At the reading.
    last : Event or None
        The test that stands behind it.
    before : Event or None
        The test before that, for the drift between them.
    overdue_ms, interval_ms : int
        As of ``widening``; only looked at when overdue. [ms]
    resolution : Decimal
        Step of the register. [instrument's unit]
    installation : float
        Relative standard uncertainty of how it is built in. [1]
    corrected : bool
        Whether the readings are corrected by the curve; else the known error counts.

    Returns
    -------
    Budget

    Raises
    ------
    CalibrationError
        The reading is zero, or there is neither an uncertainty nor a class to go by.

    Notes
    -----
    In interval with U and k: U / k, drift, resolution, and the known error unless corrected. Without U: the class,
    u = MPE / sqrt 3, which holds drift and error already. Overdue: the class widened, or what the certificate gives
    where that is more. Failed or unknown: twice the class; what is suspect needs a correction or a substitute besides.
    """
    if not reading:
        raise CalibrationError(
            f"instrument {instrument.id}", "a relative uncertainty of a reading of zero", "leave it out"
        )
    size = float(abs(reading))
    fine = of_resolution(float(resolution)) / size
    limits = of_limits(float(instrument.mpe.relative_at(reading, in_service=True))) if instrument.mpe.stated else None
    stated = _stated(last, size)
    if state in (State.FAILED, State.UNKNOWN, State.SUSPENDED):
        return Budget(WIDEST * _class(limits, instrument), 0.0, fine, installation, basis="class, widened")
    late = state in (State.OVERDUE, State.OVERDUE_JUSTIFIED)
    if stated is None or last is None or state is State.EXEMPT:
        wide = widening(overdue_ms, interval_ms) if late else 1.0
        basis = "class, widened" if late else "class"
        return Budget(wide * _class(limits, instrument), 0.0, fine, installation, basis=basis)
    drift = 0.0 if before is None else of_drift(_error(last, found=True), _error(before, found=False))
    known = 0.0 if corrected else of_uncorrected(_error(last, found=False))
    whole = Budget(stated, drift, fine, installation, known, "certificate")
    if late and limits is not None:
        widened = Budget(widening(overdue_ms, interval_ms) * limits, 0.0, fine, installation, basis="class, widened")
        return max(whole, widened, key=lambda one: one.standard)
    return whole


def _class(limits: float | None, instrument: Instrument) -> float:
    if limits is None:
        raise CalibrationError(
            f"instrument {instrument.id}", "neither an uncertainty nor limits of error", "state its class in the plan"
        )
    return limits


def _stated(event: Event | None, size: float) -> float | None:
    """Largest relative u = U / k of a test's points, or of its document. [1]"""
    if event is None:
        return None
    found = []
    for point in event.as_left or event.as_found:
        of_point, at = point.standard_uncertainty, point.nominal if point.reference is None else point.reference
        if of_point is not None and at:
            found.append(float(of_point / abs(at)))
    if not found and event.uncertainty is not None:
        u = of_certificate(float(event.uncertainty.expanded), float(event.uncertainty.k))
        unit = event.uncertainty.unit
        found.append(u / 100 if unit == "%" else u if unit == "1" else u / size)
    return max(found, default=None)


def _error(event: Event, *, found: bool) -> float:
    """The relative error furthest from zero, as found or as left, with its sign; 0 where no point states one. [1]"""
    points = (event.as_found or event.as_left) if found else (event.as_left or event.as_found)
    errors = [float(point.relative) for point in points if point.relative is not None]
    return max(errors, key=abs, default=0.0)
