"""Register against display and clamp meter: what goes wrong when a meter is put in, and how it shows. Pure.

A ratio that is applied twice or not at all, a decimal point, reversed or swapped phases, a wrong meter clock: each
makes a quotient or a pattern that chance does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from math import fsum, log10
from typing import Literal

DISPLAY_TOLERANCE = 0.01
"""Of a quotient between register and display: they are read seconds apart."""
CLAMP_TOLERANCE = 0.10
"""Of a quotient between register and clamp meter, whose own limits of error are some percent."""
CLOCK_TOLERANCE_S = 60
MOST_DECADES = 6

Verdict = Literal[
    "agrees", "ratio_not_applied", "ratio_applied_twice", "decimal_point", "reversed", "swapped", "clock", "differs"
]


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: its name, what it tells, and what was seen."""

    name: str
    verdict: Verdict
    seen: str

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict == "agrees"


def check_display(register: Decimal, display: Decimal, ratio: Decimal, name: str = "display") -> Check:
    """A value as the plan takes it, against the display.

    Parameters
    ----------
    register : Decimal
        Primary value as the plan computes it from the register, in the display's unit.
    display : Decimal
        Primary value that the display shows, or that follows from it.
    ratio : Decimal
        Product of the transformer ratios of the instrument; 1 where it has none.
    """
    return _compare(name, register, display, ratio, DISPLAY_TOLERANCE)


def check_clamp(register: Decimal, clamp: Decimal, ratio: Decimal, name: str = "clamp") -> Check:
    """Power or current against a clamp meter on the primary side; the sign tells a reversed transformer."""
    return _compare(name, register, clamp, ratio, CLAMP_TOLERANCE)


def check_phases(register: Sequence[float], clamp: Sequence[float]) -> Check:
    """Three phase currents or powers against those of a clamp meter.

    Parameters
    ----------
    register, clamp : sequence of float, length 3
        In the same unit, phases 1 to 3.

    Returns
    -------
    Check
        ``reversed`` where a phase has the other sign, ``swapped`` where another order fits and this one does not.
    """
    seen = f"meter {_list(register)}, clamp {_list(clamp)}"
    if _near(register, clamp):
        return Check("phases", "agrees", seen)
    if _near([abs(one) for one in register], [abs(one) for one in clamp]):
        wrong = [str(place) for place, (a, b) in enumerate(zip(register, clamp, strict=True), 1) if a * b < 0]
        return Check("phases", "reversed", f"{seen}; phase {', '.join(wrong)}")
    for order in permutations(range(3)):
        if _near([abs(register[place]) for place in order], [abs(one) for one in clamp]):
            names = ", ".join(str(place + 1) for place in order)
            return Check("phases", "swapped", f"{seen}; the meter's phases are in the order {names}")
    return Check("phases", "differs", seen)


def check_clock(meter_ms: int, now_ms: int) -> Check:
    """The meter's own clock, where it has one: tariffs and load profiles hang on it."""
    off_s = (meter_ms - now_ms) / 1000
    return Check("clock", "agrees" if abs(off_s) <= CLOCK_TOLERANCE_S else "clock", f"{off_s:+.0f} s")


def _compare(name: str, register: Decimal, truth: Decimal, ratio: Decimal, tolerance: float) -> Check:
    seen = f"register {register}, {name} {truth}"
    if truth == 0:
        return Check(name, "agrees" if register == 0 else "differs", seen)
    quotient = float(register / truth)
    own = float(ratio)
    told = f"{seen}, quotient {quotient:.4g}"
    if _is(quotient, 1, tolerance):
        return Check(name, "agrees", told)
    if quotient < 0:
        return Check(name, "reversed", told)
    if ratio != 1 and _is(quotient, own, tolerance):
        return Check(name, "ratio_applied_twice", told)
    if ratio != 1 and _is(quotient, 1 / own, tolerance):
        return Check(name, "ratio_not_applied", told)
    decades = round(log10(quotient)) if quotient > 0 else 0
    if 0 < abs(decades) <= MOST_DECADES and _is(quotient, 10.0**decades, tolerance):
        return Check(name, "decimal_point", told)
    return Check(name, "differs", told)


def _is(quotient: float, expected: float, tolerance: float) -> bool:
    return abs(quotient / expected - 1) <= tolerance


def _near(some: Sequence[float], others: Sequence[float]) -> bool:
    """Each within the clamp meter's tolerance of the other, or of a hundredth of the largest."""
    least = 0.01 * fsum(abs(one) for one in others)
    return all(abs(a - b) <= max(CLAMP_TOLERANCE * abs(b), least) for a, b in zip(some, others, strict=True))


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in numbers)
