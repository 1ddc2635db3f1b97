"""Proposals for the interval of an instrument whose user sets it: staircase, control chart, pass rate.

A proposal is never a change: a person accepts it. Under mandatory verification the regulation's interval is the
cap and none of this applies.

References
----------
.. [1] ILAC-G24 / OIML D 10 (2022) names the methods and says that none is best. The figures below are this
   program's, not the guide's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import Enum

from calibration.errors import CalibrationError
from protocols.plan.model import Regime

_HALVE, _SHORTEN, _LENGTHEN = Decimal("0.5"), Decimal("0.8"), Decimal("1.25")
_GOOD, _CLOSE = Decimal("0.5"), Decimal("0.8")
_STEADY = 3
_FEWEST_POINTS = 4


class Why(Enum):
    """What a proposal rests on."""

    OUTSIDE = "outside"
    CLOSE = "close"
    STEADY = "steady"
    KEEP = "keep"
    UNCERTAIN = "uncertain"
    TREND = "trend"


WORDS = {
    Why.OUTSIDE: ("上次超出最大允许误差：间隔减半", "found outside its limits: the interval is halved"),
    Why.CLOSE: ("误差已超过限值的 80 %：缩短间隔", "more than 80 % of the limits used: the interval is shortened"),
    Why.STEADY: (
        "连续三次不超过限值的一半：可延长间隔",
        "at most half of the limits used three times in a row: it may be longer",
    ),
    Why.KEEP: ("维持现有间隔", "the interval stays"),
    Why.UNCERTAIN: (
        "不确定度大于限值的三分之一：不延长",
        "the uncertainty is above a third of the limits: it is not lengthened",
    ),
    Why.TREND: ("按漂移趋势预测", "as the trend of the errors predicts"),
}
"""The same in Chinese and English."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what an interval may be set. [months]"""

    shortest: int = 1
    longest: int = 60

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest:
            raise CalibrationError(
                "interval", f"from {self.shortest} to {self.longest} months", "1 or more, the shortest first"
            )

    def within(self, months: Decimal) -> int:
        """Whole months, rounded down, inside the bounds."""
        return max(self.shortest, min(self.longest, int(months.to_integral_value(ROUND_FLOOR))))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed interval and what it rests on. [months]"""

    months: int
    why: Why

    def say(self, language: str) -> str:
        """The reason in words, "zh" or "en"."""
        return WORDS[self.why][0 if language.startswith("zh") else 1]


def staircase(
    months: int,
    base: int,
    ratios: Sequence[Decimal],
    bounds: Bounds,
    *,
    regime: Regime = Regime.USER_DEFINED,
    uncertainty_ratio: Decimal | None = None,
) -> Proposal:
    """Staircase method (calendar time).

    Parameters
    ----------
    months, base : int
        The interval as it is, and as it first was; it grows to twice the base at most. [months]
    ratios : sequence of Decimal
        Largest |error as found| / limit of each test after a full interval, the latest last; never as left. [1]
    bounds : Bounds
    regime : Regime
    uncertainty_ratio : Decimal or None
        U / limit of the last test; above a third the interval is not lengthened. [1]

    Notes
    -----
    r > 1: halved; r > 0.8: times 0.8; the last three r <= 0.5: times 1.25, at most twice the base; else kept. Whole
    months, rounded down, within the bounds.
    """
    _only_of_the_user(regime)
    if not ratios:
        return Proposal(bounds.within(Decimal(months)), Why.KEEP)
    last, now = ratios[-1], Decimal(months)
    if last > 1:
        return Proposal(bounds.within(now * _HALVE), Why.OUTSIDE)
    if last > _CLOSE:
        return Proposal(bounds.within(now * _SHORTEN), Why.CLOSE)
    if len(ratios) >= _STEADY and max(ratios[-_STEADY:]) <= _GOOD:
        if uncertainty_ratio is not None and uncertainty_ratio * 3 > 1:
            return Proposal(bounds.within(now), Why.UNCERTAIN)
        return Proposal(bounds.within(max(now, min(now * _LENGTHEN, Decimal(2 * base)))), Why.STEADY)
    return Proposal(bounds.within(now), Why.KEEP)


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the errors of one test point.

    Attributes
    ----------
    level, slope : float
        e(t) = level + slope t. [unit of the errors, and per month]
    centre, spread : float
        Weighted mean of the times, and weighted sum of squares about it. [months, months^2 x weight]
    weight, typical : float
        Sum of the weights, and weight of a typical test.
    scatter : float
        Residual variance per unit weight.
    """

    level: float
    slope: float
    centre: float
    spread: float
    weight: float
    typical: float
    scatter: float

    def reach(self, month: float) -> float:
        """|e(t)| + 2 s of a prediction at a time. [unit of the errors]"""
        away = month - self.centre
        variance = self.scatter * (1 / self.typical + 1 / self.weight + away * away / self.spread)
        return abs(self.level + self.slope * month) + 2 * math.sqrt(variance)


def trend(times: Sequence[float], errors: Sequence[float], expanded: Sequence[float] | None = None) -> Trend:
    """Weighted least squares of the errors of one point over time.

    Parameters
    ----------
    times : sequence of float
        At least four, not all the same. [months]
    errors : sequence of float
        As found. [any unit]
    expanded : sequence of float or None
        U of each, all with the same k; weights are 1 / U^2. None: all weigh alike. [same unit]

    Raises
    ------
    CalibrationError
        Too few tests, or all at one time.
    """
    if (
        len(times) < _FEWEST_POINTS
        or len(times) != len(errors)
        or (expanded is not None and len(expanded) != len(times))
    ):
        raise CalibrationError(
            "control chart", f"{len(times)} tests of one point", f"it needs {_FEWEST_POINTS} or more"
        )
    weights = [1.0] * len(times) if expanded is None else [1 / (u * u) for u in expanded]
    weight = math.fsum(weights)
    centre = math.fsum(w * t for w, t in zip(weights, times, strict=True)) / weight
    middle = math.fsum(w * e for w, e in zip(weights, errors, strict=True)) / weight
    spread = math.fsum(w * (t - centre) * (t - centre) for w, t in zip(weights, times, strict=True))
    if spread <= 0:
        raise CalibrationError("control chart", "all tests at one time", "it needs tests over time")
    slope = math.fsum(w * (t - centre) * (e - middle) for w, t, e in zip(weights, times, errors, strict=True)) / spread
    level = middle - slope * centre
    left = math.fsum(w * (e - level - slope * t) ** 2 for w, t, e in zip(weights, times, errors, strict=True))
    return Trend(level, slope, centre, spread, weight, weight / len(times), left / (len(times) - 2))


def control_chart(
    line: Trend, last_test: float, limit: float, bounds: Bounds, *, regime: Regime = Regime.USER_DEFINED
) -> Proposal:
    """Control chart method (calendar time): as long as the predicted error and two standard deviations keep the limits.

    Parameters
    ----------
    line : Trend
    last_test : float
        When the instrument was last tested, without adjustment. [months, as in the trend]
    limit : float
        Maximum permissible error. [unit of the errors]
    bounds : Bounds
    regime : Regime

    Returns
    -------
    Proposal
        The most whole months after the last test for which every month keeps |e(t)| + 2 s <= limit.
    """
    _only_of_the_user(regime)
    months = 0
    while months < bounds.longest and line.reach(last_test + months + 1) <= limit:
        months += 1
    if months == 0 and line.reach(last_test) > limit:
        return Proposal(bounds.shortest, Why.OUTSIDE)
    return Proposal(bounds.within(Decimal(months)), Why.TREND)


@dataclass(frozen=True, slots=True)
class PassRate:
    """Result of method A3 of NCSLI RP-1: a new interval, and how confident the change is."""

    days: float
    factor: float
    confidence: float


def pass_rate(
    passes: int,
    tests: int,
    days: float,
    target: float = 0.9,
    *,
    needed: float = 0.5,
    shortest: float = 14,
    longest: float = 1826,
) -> PassRate:
    """Interval test, method A3 of NCSLI RP-1: passes among tests at about one interval.

    Parameters
    ----------
    passes, tests : int
        0 <= passes <= tests, tests > 0.
    days : float
        The interval tested. [d]
    target : float
        Wanted share of passes at its end. [1]
    needed : float
        Confidence from which the interval is changed. [1]
    shortest, longest : float
        [d]

    Notes
    -----
    Q, the confidence that the observed rate R0 differs from the target R, is 1 - pmf for all or none passed,
    1 - 2 cdf(passes) for R0 <= R, 1 - 2 (1 - cdf(passes - 1)) for R0 > R, of a binomial with R; at least 0. Factor
    10^((R0 - R) / (1 - Q)), at most 2, for R0 > R; else 10^((R0 - R) Q), at least 1/2. Changed for Q > needed and by
    five days or more only.
    """
    if not 0 <= passes <= tests or tests < 1 or not 0 < target < 1:
        raise CalibrationError("interval test", f"{passes} of {tests} passed, target {target}", "count again")

    def cdf(most: int) -> float:
        return math.fsum(math.comb(tests, n) * target**n * (1 - target) ** (tests - n) for n in range(most + 1))

    rate = passes / tests
    if passes in (0, tests):
        confidence = 1 - math.comb(tests, passes) * target**passes * (1 - target) ** (tests - passes)
    elif rate <= target:
        confidence = 1 - 2 * cdf(passes)
    else:
        confidence = 1 - 2 * (1 - cdf(passes - 1))
    confidence = max(0.0, confidence)
    if rate > target:
        factor = min(2.0, 10 ** min(9.0, (rate - target) / max(1e-12, 1 - confidence)))
    else:
        factor = max(0.5, 10 ** ((rate - target) * confidence))
    changed = max(shortest, min(longest, days * factor))
    if confidence <= needed or abs(changed - days) < 5:
        return PassRate(days, 1.0, confidence)
    return PassRate(changed, factor, confidence)


def _only_of_the_user(regime: Regime) -> None:
    if regime is not Regime.USER_DEFINED:
        raise CalibrationError(
            "interval",
            f"a review under {regime.value}",
            "the regulation sets it; only a user's own interval is reviewed",
        )
