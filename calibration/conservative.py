"""Which way a figure has to err when the truth is not known."""

from __future__ import annotations

from enum import Enum


class Direction(Enum):
    """Which way a substituted or corrected value must err.

    Emissions are never understated: a reading that raises them errs high, and one that lowers them, such as the
    oxygen or moisture of a flue gas, errs low. A quantity that earns credits errs low.
    """

    HIGH = "high"
    LOW = "low"

    @property
    def sign(self) -> int:
        """+1 for high, -1 for low."""
        return 1 if self is Direction.HIGH else -1
