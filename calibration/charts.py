"""Control charts of zero and span checks: Shewhart limits and the CUSUM of EN 14181's QAL3.

Deviations are reading less reference of one kind of check, zero or span, in the order of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from calibration.errors import CalibrationError
from protocols.records import Float64

PRECISION_LIMIT, PRECISION_SLACK = 6.90, 1.85
"""h_s and k_s in units of s^2."""

DRIFT_LIMIT, DRIFT_SLACK = 2.85, 0.501
"""h_x and k_x in units of s."""

ADJUSTMENT = 0.7
"""Share of the estimated drift that is adjusted."""


class Signal(IntEnum):
    """What a point of a Shewhart chart says, from best to worst."""

    FINE = 0
    WARN = 1
    ACT = 2


def shewhart(deviations: Float64, s: float) -> list[Signal]:
    """Shewhart signals: beyond 2 s warn, beyond 3 s act; two of three beyond 2 s or eight on one side act.

    Parameters
    ----------
    deviations : ndarray of float64, shape (checks,)
        [any unit]
    s : float
        Standard deviation of the instrument in control, positive. [same unit]
    """
    _check(deviations, s)
    signals: list[Signal] = []
    for n, d in enumerate(deviations.tolist()):
        recent = deviations[max(0, n - 2) : n + 1]
        run = deviations[max(0, n - 7) : n + 1]
        side = 1.0 if d > 0 else -1.0
        two_of_three = abs(d) > 2 * s and int((recent * side > 2 * s).sum()) >= 2
        eight = run.size == 8 and bool((run * side > 0).all())
        if abs(d) > 3 * s or two_of_three or eight:
            signals.append(Signal.ACT)
        else:
            signals.append(Signal.WARN if abs(d) > 2 * s else Signal.FINE)
    return signals


@dataclass(frozen=True, slots=True)
class Cusum:
    """A CUSUM chart.

    Attributes
    ----------
    precision : ndarray of float64, shape (checks,)
        S_t. [unit^2]
    up, down : ndarray of float64, shape (checks,)
        P_t and N_t. [unit]
    precision_alarm, drift_alarm : ndarray of bool, shape (checks,)
    adjustment : ndarray of float64, shape (checks,)
        What to add to the readings at a drift alarm, 0 elsewhere. [unit]
    """

    precision: Float64
    up: Float64
    down: Float64
    precision_alarm: np.ndarray[tuple[int], np.dtype[np.bool_]]
    drift_alarm: np.ndarray[tuple[int], np.dtype[np.bool_]]
    adjustment: Float64


def cusum(deviations: Float64, s: float, *, reset: bool = False) -> Cusum:
    """CUSUM chart of precision and drift.

    Parameters
    ----------
    deviations : ndarray of float64, shape (checks,)
        [any unit]
    s : float
        s_AMS, standard deviation of the instrument in control, positive. [same unit]
    reset : bool
        Begin anew after each alarm, as after an adjustment.

    Notes
    -----
    - S_t = max(0, S_{t-1} + (d_t - d_{t-1})^2 / 2 - 1.85 s^2), precision alarm above 6.90 s^2; checked first.
    - P_t = max(0, P_{t-1} + d_t - 0.501 s), N_t = max(0, N_{t-1} - d_t - 0.501 s); drift alarm above 2.85 s.
    - Drift is estimated as 0.501 s + P_t / n, n the checks since P left zero (likewise N, other sign); 0.7 of it
      is taken off.

    Constants [1]_; the recursion and the adjustment are recalled.

    References
    ----------
    .. [1] EN 14181 QAL3 as in the manual of an ABB EL3000 analyzer, p. 160. Confidence: seen there.
    """
    _check(deviations, s)
    n = deviations.size
    precision, up, down, adjust = (np.zeros(n) for _ in range(4))
    unsteady, drifting = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    spread = rise = fall = 0.0
    rising = falling = 0
    last: float | None = None
    for t, d in enumerate(deviations.tolist()):
        step = 0.0 if last is None else d - last
        spread = max(0.0, spread + step * step / 2 - PRECISION_SLACK * s * s)
        rise = max(0.0, rise + d - DRIFT_SLACK * s)
        fall = max(0.0, fall - d - DRIFT_SLACK * s)
        rising = rising + 1 if rise > 0 else 0
        falling = falling + 1 if fall > 0 else 0
        last = d
        precision[t], up[t], down[t] = spread, rise, fall
        unsteady[t] = spread > PRECISION_LIMIT * s * s
        drifting[t] = max(rise, fall) > DRIFT_LIMIT * s
        if drifting[t]:
            drift = DRIFT_SLACK * s + (rise / rising if rise > fall else fall / falling)
            adjust[t] = -ADJUSTMENT * drift if rise > fall else ADJUSTMENT * drift
        if reset and (unsteady[t] or drifting[t]):
            spread = rise = fall = 0.0
            rising = falling = 0
            last = None
    return Cusum(precision, up, down, unsteady, drifting, adjust)


def _check(deviations: Float64, s: float) -> None:
    if s <= 0 or not np.isfinite(s) or not bool(np.isfinite(deviations).all()):
        raise CalibrationError(
            "control chart", "a deviation that is no number, or s not above zero", "leave out what failed"
        )
