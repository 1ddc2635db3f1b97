"""Missing data of 40 CFR Part 75: the less available a monitor was, the harder the substitute.

References
----------
.. [1] 40 CFR 75.31 (initial), 75.32 (availability), 75.33(b) and 75.35(d) (SO2, and so CO2, concentration). Bands
   and look-back seen; the low-is-conservative form for O2 and moisture and flow without load bins are recalled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from calibration.conservative import Direction
from calibration.substitution.series import Codes, Filled, Hours, extreme, percentile, stricter
from protocols.records import Float64, Int64

AVAILABILITY_HOURS = 8760
"""Unit operating hours over which availability is reckoned."""

OLDEST_HOURS = 26_280
"""Clock hours (three years) beyond which nothing is looked back to."""


class Method(IntEnum):
    """Which value an hour has."""

    MEASURED = 0
    HOUR_BEFORE_AND_AFTER = 1
    PERCENTILE_90 = 2
    PERCENTILE_95 = 3
    EXTREME = 4
    POTENTIAL = 5


METHODS = ("measured", "hour before and after", "90th percentile", "95th percentile", "maximum", "maximum potential")
"""By ``Method``; for a low-is-conservative parameter read 10th, 5th, minimum."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a parameter's substitution depends on.

    Attributes
    ----------
    potential : float
        Maximum potential value, or minimum where low is conservative. [unit of the hours]
    direction : Direction
    look_back : int
        Quality-assured hours looked back to, 720 for concentrations and 2,160 for flow; as many have to exist
        before the bands apply. [h]
    """

    potential: float
    direction: Direction = Direction.HIGH
    look_back: int = 720


def availability(hours: Hours) -> tuple[Int64, Int64]:
    """Monitor availability hour by hour, as two counts.

    Returns
    -------
    good, operating : ndarray of int64, shape (hours,)
        Quality-assured and unit operating hours among the last 8,760 operating hours up to and with each hour, or
        since the first where there are fewer (equations 8 and 9 of 75.32). Percent availability is 100 good /
        operating; two counts compare exactly. [h]
    """
    operating = np.cumsum(hours.operating)
    good = np.cumsum(hours.good)
    places = np.flatnonzero(hours.operating)
    left = np.maximum(operating - AVAILABILITY_HOURS, 0)
    dropped = np.zeros_like(good)
    some = left > 0
    dropped[some] = good[places[left[some] - 1]]
    return good - dropped, operating - left


def substitute(hours: Hours, rule: Rule) -> Filled:
    """Fill the missing operating hours of one parameter.

    Parameters
    ----------
    hours : Hours
        Since certification, or with enough history before the period asked for.
    rule : Rule

    Returns
    -------
    Filled
        Every operating hour has a value.

    Notes
    -----
    Hour by hour with PMA the availability, N the operating hours of the gap, HB/HA the average of the good hours
    before and after it, and the look-back the last 720 good hours before it [1]_:

    - PMA >= 95 %: N <= 24 HB/HA, else the greater of the 90th percentile and HB/HA;
    - 90 <= PMA < 95 %: N <= 8 HB/HA, else the greater of the 95th percentile and HB/HA;
    - 80 <= PMA < 90 %: the maximum of the look-back; below 80 %: the maximum potential value;
    - before the first 720 good hours (or three years): HB/HA, or the maximum potential where nothing was before.

    A gap at the end of the series has no hour after it yet; the hour before stands alone until there is one.
    """
    value = hours.value.copy()
    value[~hours.operating] = np.nan
    method = np.zeros(value.shape, dtype=np.int8)
    good, operating = availability(hours)
    places = np.flatnonzero(hours.good)
    for gap in hours.gaps():
        first = int(gap[0])
        before = places[: int(np.searchsorted(places, first))]
        after = places[before.size : before.size + 1]
        beside = _beside(hours.value, before, after) if before.size else rule.potential
        recent = before[-rule.look_back :]
        history = hours.value[recent[recent >= first - OLDEST_HOURS]]
        started = before.size >= rule.look_back or (before.size and first - int(places[0]) >= OLDEST_HOURS)
        if not started or not history.size:
            value[gap] = beside
            method[gap] = Method.HOUR_BEFORE_AND_AFTER if before.size else Method.POTENTIAL
            continue
        _fill(value, method, gap, 100 * good[gap], operating[gap], beside, history, rule)
    return Filled(value, method, METHODS)


def _beside(value: Float64, before: Int64, after: Int64) -> float:
    """Average of the hours before and after; the one before where there is none after yet."""
    last = float(value[before[-1]])
    return (last + float(value[after[0]])) / 2 if after.size else last


def _fill(
    value: Float64,
    method: Codes,
    gap: Int64,
    good: Int64,
    operating: Int64,
    beside: float,
    history: Float64,
    rule: Rule,
) -> None:
    """One gap by the bands; ``good`` is a hundred times the count, so that bands compare in integers."""
    way = rule.direction
    for lowest, longest, percent, how in ((95, 24, 90, Method.PERCENTILE_90), (90, 8, 95, Method.PERCENTILE_95)):
        band = gap[(good >= lowest * operating) & (good < _above(lowest) * operating)]
        if gap.size <= longest:
            value[band], method[band] = beside, Method.HOUR_BEFORE_AND_AFTER
        else:
            ranked = percentile(history, percent, way)
            chosen = stricter(ranked, beside, way)
            value[band] = chosen
            method[band] = how if chosen == ranked else Method.HOUR_BEFORE_AND_AFTER
    middle = gap[(good >= 80 * operating) & (good < 90 * operating)]
    value[middle], method[middle] = extreme(history, way), Method.EXTREME
    low = gap[good < 80 * operating]
    value[low], method[low] = rule.potential, Method.POTENTIAL


def _above(lowest: int) -> int:
    """Upper bound of a band: 95 % for the one from 90 %, none for the one from 95 %."""
    return 95 if lowest == 90 else 101
