"""What every fault has in common: its texts, when and where it acts, how likely, and what it may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field, field_validator

from protocols.modbus.registermap import Register
from simulators import draws
from simulators.modbus.delivery import Delivery
from simulators.modbus.pdu import registers_of
from simulators.tables import Table
from simulators.timeline import milliseconds

Shown: TypeAlias = Callable[[int], Decimal]
"""What a register shows, in its unit, as a function of UTC ms."""
Words: TypeAlias = Callable[[int], tuple[int, ...]]
"""The words it stands in."""
When: TypeAlias = float | datetime


class LineKind(Enum):
    """How a line carries frames."""

    TCP = "tcp"
    RTU = "rtu"
    RTU_OVER_TCP = "rtu-over-tcp"


ANY = frozenset(LineKind)
SERIAL = frozenset({LineKind.RTU, LineKind.RTU_OVER_TCP})


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request that a fault meets.

    Attributes
    ----------
    seed, fault, unit, request : int
        The plant's seed, the fault's place in the list, who was asked and for the how manieth time: they decide
        every draw, so the same requests in the same order meet the same faults.
    begins_ms : int
        When the fault begins. [UTC ms]
    """

    seed: int
    fault: int
    unit: int
    request: int
    begins_ms: int

    def draw(self, name: str) -> float:
        """A draw from the open interval (0, 1)."""
        return draws.uniform(self.seed, "fault", self.fault, self.unit, self.request, name)

    def below(self, end: int, name: str) -> int:
        """A drawn whole number from 0 to ``end`` - 1."""
        return int(self.draw(name) * end)


class Fault(Table):
    """A fault.

    ``from`` and ``to`` are seconds since the plant's start or instants; without ``to`` it lasts. ``unit`` is whom
    it meets, without it everybody. ``probability`` is that of each request it could meet. ``function``, ``first``
    and ``last`` narrow it to registers: to the requests that touch them, or to the registers that lie in them.
    """

    zh: ClassVar[str]
    en: ClassVar[str]
    lines: ClassVar[frozenset[LineKind]] = ANY

    begins: When = Field(default=0.0, alias="from")
    ends: When | None = Field(default=None, alias="to")
    unit: Annotated[int, Field(ge=1, le=247)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    function: Annotated[int, Field(ge=3, le=4)] | None = None
    first: Annotated[int, Field(ge=0, le=65535)] = 0
    last: Annotated[int, Field(ge=0, le=65535)] = 65535

    @field_validator("begins", "ends")
    @classmethod
    def _has_an_offset(cls, at: When | None) -> When | None:
        if isinstance(at, datetime) and at.tzinfo is None:
            raise ValueError(f"{at} has no UTC offset: add one, for example +08:00")
        return at

    def begins_ms(self, start_ms: int) -> int:
        """When it begins. [UTC ms]"""
        return instant_ms(self.begins, start_ms)

    def ends_ms(self, start_ms: int) -> int | None:
        """When it is over; None where it lasts. [UTC ms]"""
        return None if self.ends is None else instant_ms(self.ends, start_ms)

    def holds(self, at_ms: int, start_ms: int) -> bool:
        """Whether it acts at an instant."""
        end = self.ends_ms(start_ms)
        return self.begins_ms(start_ms) <= at_ms and (end is None or at_ms < end)

    def is_of(self, unit: int) -> bool:
        """Whether it is a fault of this unit."""
        return self.unit in (None, unit)

    def meets(self, unit: int, pdu: bytes) -> bool:
        """Whether it can meet a request."""
        if not self.is_of(unit):
            return False
        if self.function is None and (self.first, self.last) == (0, 65535):
            return True
        asked = registers_of(pdu)
        if asked is None or self.function not in (None, pdu[0]):
            return False
        address, count = asked
        return address <= self.last and address + count > self.first

    def covers(self, register: Register) -> bool:
        """Whether it can meet a register."""
        if self.function not in (None, register.function):
            return False
        return any(self.first <= place <= self.last for place in register.places)

    # What a fault may change. Each does nothing here.

    def serial(self, number: str) -> str:
        """The serial number the instrument gives."""
        return number

    def value(self, register: Register, shown: Shown, occasion: Occasion) -> Shown:  # noqa: ARG002
        """What a register shows."""
        return shown

    def words(self, register: Register, words: Words, occasion: Occasion) -> Words:  # noqa: ARG002
        """The words a register stands in."""
        return words

    def refuses(self, pdu: bytes, occasion: Occasion) -> bytes | None:  # noqa: ARG002
        """What is answered instead; None where the request is answered as it should be."""
        return None

    def deliver(self, delivery: Delivery, occasion: Occasion) -> Delivery:  # noqa: ARG002
        """How the answer travels."""
        return delivery


def instant_ms(at: When, start_ms: int) -> int:
    """An instant, or seconds since the plant's start, as UTC. [ms]"""
    if isinstance(at, datetime):
        return milliseconds(at)
    return start_ms + round(1000 * at)
