"""What an instrument has to pass, how long a pass stands, and from when a failure counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from calibration.errors import CalibrationError
from calibration.events import TESTS, What
from calibration.intervals import Interval

DAY_MS = 86_400_000

DEFAULT_LEAD_MS = 30 * DAY_MS
"""How long before its end an interval is due soon, where nothing else is set."""


class Onset(Enum):
    """From when a failed test speaks against the readings."""

    AT_TEST = "at-test"
    SINCE_LAST_GOOD = "since-last-good"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One test that an instrument has to pass again and again, or once.

    Attributes
    ----------
    id : str
    meets : frozenset of What
        A pass of any of these opens a new interval.
    breaks : frozenset of What
        A failure of any of these ends it; those of ``meets`` always do.
    interval : Interval or None
        Where neither the document nor the event says otherwise. None: they have to.
    grace : Interval or None
        After the interval; never under mandatory verification.
    lead_ms : int
        How long before its end it is due soon, at most half of the interval. [ms]
    onset : Onset
    documented : bool
        Whether a pass needs a document that supports the instrument's regime; a drift check of an analyzer does not.
    cap_months : int or None
        Longest interval the regulation allows; a site may set a shorter one.
    """

    id: str
    meets: frozenset[What] = frozenset({What.VERIFICATION, What.CALIBRATION})
    breaks: frozenset[What] = frozenset({What.VERIFICATION, What.CALIBRATION, What.IN_SERVICE_CHECK})
    interval: Interval | None = None
    grace: Interval | None = None
    lead_ms: int = DEFAULT_LEAD_MS
    onset: Onset = Onset.SINCE_LAST_GOOD
    documented: bool = True
    cap_months: int | None = None
    zh: str = ""
    en: str = ""

    def __post_init__(self) -> None:
        if not self.meets or not (self.meets | self.breaks) <= TESTS:
            raise CalibrationError(
                f"requirement {self.id}",
                "tests that are none",
                f"choose from {', '.join(sorted(t.value for t in TESTS))}",
            )
        if self.lead_ms < 0:
            raise CalibrationError(f"requirement {self.id}", f"a lead of {self.lead_ms} ms", "0 or more")
        if self.cap_months is not None and self.interval is not None and (self.interval.months or 0) > self.cap_months:
            raise CalibrationError(
                f"requirement {self.id}", f"{self.interval.months} months, above the regulation's {self.cap_months}",
                "a site may set a shorter interval, never a longer one",
            )  # fmt: skip


TRACEABILITY = Requirement("traceability", zh="量值溯源", en="traceability")
"""Verification or calibration as documented: what every instrument has to keep (clause 7.6)."""
