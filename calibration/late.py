"""Late and out-of-limit tests: over which time, and what is made of the readings there, by policy.

Corrections are exact rationals; a mass is multiplied and rounded half-even once. Nothing here changes a reading:
the result is a proposal for an overlay, which a person decides on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from zoneinfo import ZoneInfo

from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.events import TESTS, Known, found_outside
from calibration.instruments import Instrument
from calibration.intervals import OperatingTime
from calibration.reach_back import evidence_of, largest_error
from calibration.requirements import TRACEABILITY, Requirement
from calibration.status import State, timeline
from protocols.exact import half_even

LARGEST_RELATIVE_ERROR = Decimal("0.5")
"""A relative limit or error from here on is taken for a slip of units (0.2 for 0.2 %)."""

_LATE = frozenset({State.OVERDUE, State.OVERDUE_JUSTIFIED})


@dataclass(frozen=True, slots=True)
class Late:
    """A stretch without validity that a test came too late for.

    Attributes
    ----------
    from_ms, to_ms : int
        From the end of the interval to the test. [UTC ms]
    event : str
        The test.
    outside : bool
        Whether it found the instrument out of its limits.
    error : Decimal or None
        Largest relative error found, with its sign. [1]
    """

    from_ms: int
    to_ms: int
    event: str
    outside: bool
    error: Decimal | None


def late_tests(
    instrument: Instrument,
    events: Iterable[Known],
    as_known_at: int | None,
    zone: str,
    requirement: Requirement = TRACEABILITY,
    operating: OperatingTime | None = None,
) -> tuple[Late, ...]:
    """Tests that came after their interval had ended, ascending; parameters as of ``calibration.status.status``."""
    known = list(events)
    life = timeline(instrument, as_known_at, known, zone, requirement, operating)
    at = ZoneInfo(zone)
    tests = sorted(
        (event.start_ms(at), event.id, event)
        for event, _ in evidence_of(instrument, known, as_known_at)
        if event.what in TESTS and event.what in requirement.meets | requirement.breaks
    )
    found: list[Late] = []
    begin: int | None = None
    for start, status in zip(life.starts, life.statuses[1:], strict=True):
        if status.state not in _LATE:
            begin = None
            continue
        begin = start if begin is None else begin
        end = status.until_ms
        late = [event for t_ms, _, event in tests if t_ms == end]
        if end is None or not late:
            continue
        worst = max(late, key=lambda event: (found_outside(event, instrument.mpe), event.id))
        outside = found_outside(worst, instrument.mpe)
        found.append(Late(begin, end, worst.id, outside, largest_error(worst, instrument.mpe)))
    return tuple(found)


class Policy(Enum):
    """What is made of readings in a window."""

    KEEP = "keep"
    LARGER_OF_LIMIT_AND_ERROR = "limit-or-error"
    CONSTANT_ERROR = "constant-error"
    LINEAR_DRIFT = "linear-drift"
    LATER_HALF = "later-half"
    ONE_SIDED = "one-sided"


@dataclass(frozen=True, slots=True)
class Correction:
    """A policy over a window [from, to), as a factor on what was computed from the readings.

    Attributes
    ----------
    policy : Policy
    from_ms, to_ms : int
        [UTC ms]
    direction : Direction
        Which way is conservative.
    limit : Decimal
        Maximum permissible error as a fraction: 0.2 % is 0.002. [1]
    error_found : Decimal or None
        Relative error at the end, with its sign; positive reads too high. [1]
    error_left : Decimal
        Relative error at the beginning, as the instrument was left then. [1]

    Notes
    -----
    With e the relative error, (indication - reference) / reference:

    - limit-or-error: 1 + s times the larger of MPE and the size of e, s = +1 where high is conservative, else -1 [1]_;
    - constant-error: 1 / (1 + e);
    - linear-drift: 1 / (1 + e(t)), e(t) linear from ``error_left`` to ``error_found``;
    - later-half: as constant-error in the second half of the window, 1 in the first;
    - one-sided: as constant-error where that moves the figure in the conservative direction, else 1 [2]_.

    References
    ----------
    .. [1] CDM validation and verification standard for project activities, delayed calibration (para. 369 of
       version 2, 366 of version 3). Confidence: seen in published reviews.
    .. [2] Quebec, Q-2 r. 35.3.01, s. 36, there for credits. Confidence: seen in part.
    """

    policy: Policy
    from_ms: int
    to_ms: int
    direction: Direction
    limit: Decimal
    error_found: Decimal | None = None
    error_left: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        subject = f"correction {self.policy.value}"
        if self.from_ms >= self.to_ms:
            raise CalibrationError(subject, "an empty window", "give [from, to)")
        if not 0 <= self.limit < LARGEST_RELATIVE_ERROR:
            raise CalibrationError(
                subject,
                f"a limit of {self.limit}, that is {self.limit * 100} %",
                "give it as a fraction: 0.2 % is 0.002",
            )
        for error in (self.error_found, self.error_left):
            if error is not None and abs(error) >= LARGEST_RELATIVE_ERROR:
                raise CalibrationError(
                    subject,
                    f"an error of {error}, that is {error * 100} %",
                    "give it as a fraction, or substitute instead",
                )
        if self.error_found is None and self.policy is not Policy.KEEP:
            raise CalibrationError(subject, "no error found", "it needs the result of the test; substitute until then")

    def factor(self, t_ms: int) -> Fraction:
        """What a figure at an instant is multiplied by. [1]

        Raises
        ------
        CalibrationError
            The instant is outside the window.
        """
        if not self.from_ms <= t_ms < self.to_ms:
            raise CalibrationError(f"correction {self.policy.value}", "an instant outside its window", "ask inside it")
        if self.error_found is None:
            return Fraction(1)
        found, left = Fraction(self.error_found), Fraction(self.error_left)
        constant = 1 / (1 + found)
        match self.policy:
            case Policy.LARGER_OF_LIMIT_AND_ERROR:
                return 1 + self.direction.sign * max(Fraction(self.limit), abs(found))
            case Policy.CONSTANT_ERROR:
                return constant
            case Policy.LINEAR_DRIFT:
                return 1 / (1 + left + (found - left) * Fraction(t_ms - self.from_ms, self.to_ms - self.from_ms))
            case Policy.LATER_HALF:
                return constant if 2 * t_ms >= self.from_ms + self.to_ms else Fraction(1)
            case Policy.ONE_SIDED:
                return constant if (constant - 1) * self.direction.sign > 0 else Fraction(1)
            case _:
                return Fraction(1)

    def adjust(self, mass_mg: int, t_ms: int) -> int:
        """A mass at an instant as corrected, rounded half-even once. [mg]"""
        factor = self.factor(t_ms)
        return half_even(mass_mg * factor.numerator, factor.denominator)
