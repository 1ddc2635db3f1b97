"""Relative accuracy of a CEMS against a reference method, and the bias of one that reads low.

References
----------
.. [1] 40 CFR Part 75, Appendix A 7.3 to 7.6: relative accuracy, confidence coefficient, bias adjustment factor.
   Confidence: recalled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.errors import CalibrationError

_T = {
    7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262, 11: 2.228, 12: 2.201, 13: 2.179, 14: 2.160, 15: 2.145, 16: 2.131,
}  # fmt: skip
"""Student's t for a two-sided 95 %, by the number of runs."""

FEWEST_RUNS, MOST_RUNS = 9, 16
"""Runs of a test; of up to twelve, at most three may have been left out."""


@dataclass(frozen=True, slots=True)
class RelativeAccuracy:
    """Result of a relative accuracy test.

    Attributes
    ----------
    difference : float
        Mean of reference less CEMS; positive where the CEMS reads low. [unit of the runs]
    confidence : float
        Confidence coefficient cc. [same unit]
    percent : float
        Relative accuracy. [%]
    bias_factor : float
        What later readings of a CEMS that reads low are multiplied by; never below 1. [1]
    """

    difference: float
    confidence: float
    percent: float
    bias_factor: float


def relative_accuracy(reference: Sequence[float], cems: Sequence[float]) -> RelativeAccuracy:
    """Relative accuracy of paired runs.

    Parameters
    ----------
    reference, cems : sequence of float
        9 to 16 runs each. [any unit]

    Notes
    -----
    RA = (|d| + |cc|) / mean reference x 100, cc = t s_d / sqrt(n) [1]_. Where d > |cc| the CEMS reads low and
    the factor is 1 + |d| / mean CEMS. It is not applied to CO2 or O2.
    """
    n = len(reference)
    if n != len(cems) or not FEWEST_RUNS <= n <= MOST_RUNS:
        raise CalibrationError(
            "relative accuracy test", f"{n} and {len(cems)} runs", f"{FEWEST_RUNS} to {MOST_RUNS} pairs"
        )
    differences = [r - c for r, c in zip(reference, cems, strict=True)]
    d = math.fsum(differences) / n
    s = math.sqrt(math.fsum((one - d) * (one - d) for one in differences) / (n - 1))
    cc = _T[n] * s / math.sqrt(n)
    level, shown = math.fsum(reference) / n, math.fsum(cems) / n
    if level <= 0 or shown <= 0:
        raise CalibrationError(
            "relative accuracy test", "a mean that is not above zero", "check the runs and their unit"
        )
    factor = 1 + abs(d) / shown if d > abs(cc) else 1.0
    return RelativeAccuracy(d, cc, (abs(d) + abs(cc)) / level * 100, factor)
