"""An analyzer's check cycle: zero gas, then span gas, at the end of every cycle."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from simulators.tables import Table


class Doing(IntEnum):
    """What the analyzer's status register shows."""

    MEASURING = 0
    ZERO = 1
    SPAN = 2


class CheckCycle(Table):
    """An analyzer that looks at zero gas and then at span gas in the last seconds of every cycle. [s]

    ``status`` is the register that says so (codes as in ``Doing``); ``span_gas`` is, per register that
    sees the gases, what the span gas truly is, in the register's unit.
    """

    every_s: Annotated[int, Field(gt=0)]
    zero_s: Annotated[int, Field(gt=0)]
    span_s: Annotated[int, Field(gt=0)]
    status: str
    span_gas: Annotated[dict[str, Decimal], Field(min_length=1)]

    @model_validator(mode="after")
    def _leaves_time_to_measure(self) -> Self:
        if self.zero_s + self.span_s >= self.every_s:
            raise ValueError(f"zero_s + span_s = {self.zero_s + self.span_s} leave no time of every_s = {self.every_s}")
        return self


def doing(cycle: CheckCycle, since_start_ms: int) -> Doing:
    """What the analyzer is doing so long after the cycles began."""
    left_ms = 1000 * cycle.every_s - since_start_ms % (1000 * cycle.every_s)
    if left_ms <= 1000 * cycle.span_s:
        return Doing.SPAN
    return Doing.ZERO if left_ms <= 1000 * (cycle.zero_s + cycle.span_s) else Doing.MEASURING
