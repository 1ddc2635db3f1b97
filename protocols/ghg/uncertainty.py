"""Standard uncertainty in three parts, and how they combine over a period and over sources.

- *independent*: new in every row (repeatability of a reading); adds in quadrature.
- *shared*: one draw for the whole period per cause (a meter's calibration, a factor); adds linearly within a
  cause, with the sign of the mass it acts on, and in quadrature between causes.
- *ends*: of the first and the last counter reading (resolution, read time). Inside a period every reading ends
  one row and begins the next with the opposite sign, so only the two outermost count.

Sums use ``math.fsum``: the result does not depend on the order of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_SQRT3 = math.sqrt(3.0)
_SQRT12 = math.sqrt(12.0)


@dataclass(frozen=True, slots=True)
class Parts:
    """Standard uncertainty of a mass (or any additive amount), k = 1, part by part.

    Attributes
    ----------
    independent : float
        [unit of the amount, e.g. mg]
    shared : mapping of str to float
        By cause; negative where the cause acts on an exported (negative) amount. [same unit]
    end_first, end_last : float
        Of the first and the last instant. [same unit]
    """

    independent: float = 0.0
    shared: Mapping[str, float] = field(default_factory=dict)
    end_first: float = 0.0
    end_last: float = 0.0

    @property
    def standard(self) -> float:
        """Combined standard uncertainty, k = 1: all parts in quadrature. [unit of the amount]"""
        return quadrature((self.independent, *self.shared.values(), self.end_first, self.end_last))


def combine(rows: Sequence[Parts]) -> Parts:
    """Uncertainty of the sum of consecutive rows of one source and gas.

    Parameters
    ----------
    rows : sequence of Parts
        In time order, each beginning where the one before ends. Across a hole in time, combine the pieces
        apart and join them with ``across``.

    Returns
    -------
    Parts
        ``combine`` of combined pieces equals ``combine`` of all rows, up to the last bits.

    Notes
    -----
    u_i = sqrt(sum u_i,r^2); u_s,c = sum u_s,c,r; ends of the first and the last row [1]_.

    References
    ----------
    .. [1] JCGM 100:2008 (GUM), 5.1 and 5.2: uncorrelated and fully correlated input quantities.
       Confidence: high.
    """
    if not rows:
        return Parts()
    return Parts(quadrature(r.independent for r in rows), _shared(rows), rows[0].end_first, rows[-1].end_last)


def across(parts: Iterable[Parts]) -> Parts:
    """Uncertainty of a sum over different sources, gases in CO2e, or separate stretches of time.

    A cause that several have in common (one grid factor, one meter) still adds linearly; everything else
    in quadrature.
    """
    items = list(parts)
    return Parts(
        quadrature(p.independent for p in items),
        _shared(items),
        quadrature(p.end_first for p in items),
        quadrature(p.end_last for p in items),
    )


def scaled(parts: Parts, factor: float) -> Parts:
    """Uncertainty of a multiple of the amount, for example of CO2e = mass x potential."""
    size = abs(factor)
    shared = {cause: u * factor for cause, u in parts.shared.items()}
    return Parts(parts.independent * size, shared, parts.end_first * size, parts.end_last * size)


def quadrature(values: Iterable[float]) -> float:
    """Square root of the sum of squares."""
    return math.sqrt(math.fsum(v * v for v in values))


def quadrature_of_two(first: float, second: float) -> float:
    """The same to the bit as ``quadrature`` of two: one sum of two is rounded once, as ``fsum`` rounds it."""
    return math.sqrt(first * first + second * second)


def rectangular(half_width: float) -> float:
    """Standard uncertainty of a rectangular distribution: u = a / sqrt(3). [unit of a]

    For a limit of error with nothing else known (GUM 4.3.7; confidence high).
    """
    return half_width / _SQRT3


def resolution(step: float) -> float:
    """Standard uncertainty of an indication in steps of q: u = q / sqrt(12). [unit of q]

    GUM F.2.2.1; confidence high.
    """
    return step / _SQRT12


def expanded(half_width: float, k: float = 2.0) -> float:
    """Standard uncertainty from an expanded one, U = k u; k = 2 is about 95 %. [unit of U]"""
    return half_width / k


def limit_of_error(reading: float, percent_of_reading: float, percent_of_span: float, span: float) -> float:
    """Half-width of the limits of error at a reading. [unit of the reading]

    a = percent_of_reading / 100 * abs(reading) + percent_of_span / 100 * span.
    """
    return percent_of_reading / 100.0 * abs(reading) + percent_of_span / 100.0 * span


def product(relatives: Iterable[float]) -> float:
    """Relative uncertainty of a product of independent inputs (IPCC 2006, Vol. 1, Ch. 3, eq. 3.1). [1]

    Valid for independent, roughly normal inputs below about 30 %. Confidence: high for the form.
    """
    return quadrature(relatives)


def _shared(items: Sequence[Parts]) -> dict[str, float]:
    """Linear sums per cause, in order of first appearance."""
    by_cause: dict[str, list[float]] = {}
    for item in items:
        for cause, u in item.shared.items():
            by_cause.setdefault(cause, []).append(u)
    return {cause: math.fsum(shares) for cause, shares in by_cause.items()}
