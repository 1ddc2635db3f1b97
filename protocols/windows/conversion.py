"""Conditions behind a volume counter: what a volume counted at them is at the reference state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocols.ghg.volume import volume_factor
from protocols.modbus.decode import values
from protocols.plan.bound import BoundConversion
from protocols.records import Float64, Int64
from protocols.windows.instants import usable
from protocols.windows.rates import Held, active_at


def factors_at(
    conversion: BoundConversion, temperature: Held, pressure: Held, due_ms: Int64
) -> tuple[Float64, NDArray[np.bool_]]:
    """Volume at the reference state per counted volume, by the conditions that stand when a reading is due.

    When it is due, not when it came: what had come by then is the same however a span is split.

    Parameters
    ----------
    conversion : BoundConversion
    temperature, pressure : Held
    due_ms : ndarray of int64, shape (samples,)
        [UTC ms]

    Returns
    -------
    tuple of (ndarray of float64, ndarray of bool), shape (samples,)
        Factors, and which of them are known; the others are 0 and mean nothing.
    """
    celsius, warm = _standing(temperature, due_ms)
    kpa, pressed = _standing(pressure, due_ms)
    factor = volume_factor(celsius, kpa, conversion.to, conversion.compressibility)
    known = warm & pressed & np.isfinite(factor)
    return np.where(known, factor, 0.0), known


def _standing(held: Held, at_ms: Int64) -> tuple[Float64, NDArray[np.bool_]]:
    """The values that stand at each instant, and where one does."""
    if not held.words.size:
        return np.zeros(at_ms.size), np.zeros(at_ms.size, dtype=np.bool_)
    index = active_at(held, at_ms)
    value, available = values(held.words, held.point)
    stands = (index >= 0) & (available & usable(held.fates))[index]
    return np.where(stands, value[index], 0.0), stands
