"""Substitution of the EU Monitoring and Reporting Regulation: the mean of the period and two standard deviations.

References
----------
.. [1] Implementing Regulation (EU) 2018/2066, Art. 45(3): substitute concentration = mean + 2 standard deviations over
   the reporting period. Confidence: recalled, article text not read.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.substitution.series import Filled, Hours

FEWEST_HOURS = 2
"""Good hours without which there is no standard deviation."""


class Method(IntEnum):
    """Which value an hour has."""

    MEASURED = 0
    MEAN_AND_TWO_SIGMA = 1


METHODS = ("measured", "mean and two standard deviations")
"""By ``Method``."""


def substitute(hours: Hours, direction: Direction = Direction.HIGH) -> Filled:
    """Fill the missing operating hours of a concentration.

    Parameters
    ----------
    hours : Hours
        Of the whole reporting period.
    direction : Direction
        For low, the mean less two standard deviations, never below zero.

    Raises
    ------
    CalibrationError
        Fewer than two good hours in the period.

    Notes
    -----
    x = mean + 2 s, s the sample standard deviation of the good operating hours [1]_. Sums by ``math.fsum``: the same
    on every machine and in any order.
    """
    value = hours.value.copy()
    value[~hours.operating] = np.nan
    method = np.zeros(value.shape, dtype=np.int8)
    missing = hours.missing
    if bool(missing.any()):
        good = hours.value[hours.good].tolist()
        if len(good) < FEWEST_HOURS:
            raise CalibrationError(
                "substitution",
                f"{len(good)} good hours in the period",
                "take another reasonable period, or another method",
            )
        mean = math.fsum(good) / len(good)
        spread = math.sqrt(math.fsum((one - mean) * (one - mean) for one in good) / (len(good) - 1))
        value[missing] = max(0.0, mean + direction.sign * 2 * spread)
        method[missing] = Method.MEAN_AND_TWO_SIGMA
    return Filled(value, method, METHODS)
