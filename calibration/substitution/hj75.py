"""Substitution in the manner of HJ 75-2017: the largest of earlier valid hours. It is not a rule for CO2.

References
----------
.. [1] HJ 75-2017, correction of invalid data, as implemented in public code. No readable copy was at hand.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.substitution.series import Filled, Flags, Hours, extreme
from protocols.records import Int64

NOT_FOR_CO2 = (
    "HJ 75-2017 针对 SO2、NOx、颗粒物，不是 CO2 规则；仅按场地自己的程序借用。",
    "HJ 75-2017 is about SO2, NOx and particulates, not a rule for CO2; borrowed only by a site's own procedure.",
)
"""What stands beside every figure of this rule, in Chinese and English."""


class Method(IntEnum):
    """Which value an hour has."""

    MEASURED = 0
    NONE = 1
    MAXIMUM_180 = 2
    MAXIMUM_720 = 3
    MAXIMUM_2160 = 4


METHODS = (
    "measured",
    "none",
    "maximum of 180 valid hours",
    "maximum of 720 valid hours",
    "maximum of 2,160 valid hours",
)
"""By ``Method``."""

_LOOK_BACK = {Method.MAXIMUM_180: 180, Method.MAXIMUM_720: 720, Method.MAXIMUM_2160: 2160}


def substitute(hours: Hours, quarter: Int64, out_of_control: Flags, calibrated: Int64) -> Filled:
    """Fill the missing operating hours of a mass emission rate.

    Parameters
    ----------
    hours : Hours
    quarter : ndarray of int64, shape (hours,)
        Label of the calendar quarter of each hour.
    out_of_control : ndarray of bool, shape (hours,)
        Missing hours whose reason is lost control; the others are maintenance or failure.
    calibrated : ndarray of int64, shape (n,)
        Places of hours in which the monitor was calibrated, ascending.

    Returns
    -------
    Filled
        "none" where the valid capture of the quarter is below 75 %: it then needs the reference method.

    Notes
    -----
    Capture is valid hours over operating hours of the quarter. From 90 % on: the largest of the last 180 valid
    hours for a gap of up to 24 operating hours, of 720 for a longer one; from 75 to 90 %: of 2,160. They are looked
    for before the last calibration where control was lost, else before the gap [1]_. With fewer valid hours, as many
    as there are.
    """
    if not hours.value.shape == quarter.shape == out_of_control.shape:
        raise CalibrationError("hours", "quarters or reasons of another length", "give one for each hour")
    value = hours.value.copy()
    value[~hours.operating] = np.nan
    method = np.zeros(value.shape, dtype=np.int8)
    good = np.flatnonzero(hours.good)
    capture = {
        int(label): (int((hours.good & (quarter == label)).sum()), int((hours.operating & (quarter == label)).sum()))
        for label in np.unique(quarter)
    }
    for gap in hours.gaps():
        first = int(gap[0])
        for place in gap.tolist():
            how = _method(capture[int(quarter[place])], gap.size)
            method[place] = how
            if how is Method.NONE:
                continue
            end = _last_calibration(calibrated, first) if out_of_control[place] else first
            history = good[: int(np.searchsorted(good, end))][-_LOOK_BACK[how] :]
            if history.size:
                value[place] = extreme(hours.value[history], Direction.HIGH)
            else:
                method[place] = Method.NONE
    return Filled(value, method, METHODS)


def _method(capture: tuple[int, int], length: int) -> Method:
    valid, operating = capture
    if 100 * valid < 75 * operating:
        return Method.NONE
    if 100 * valid < 90 * operating:
        return Method.MAXIMUM_2160
    return Method.MAXIMUM_180 if length <= 24 else Method.MAXIMUM_720


def _last_calibration(calibrated: Int64, first: int) -> int:
    """Place of the last calibration before a gap; the gap's own start where there was none."""
    before = calibrated[calibrated <= first]
    return int(before[-1]) if before.size else first
