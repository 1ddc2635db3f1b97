"""What each unit of a bus answered since the start, and how fast: the evidence of a good or a bad cable. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate

from protocols.records import Fate, fate_of

BOUNDS_MS = tuple(round(0.1 * 1.2**step, 3) for step in range(74))
"""Upper ends of the classes that turnarounds are counted in: 0.1 ms to a minute, each a fifth above the one before."""


@dataclass(slots=True)
class UnitTally:
    """Counts of one unit.

    Attributes
    ----------
    requests : int
        Sent, and one that could not be, for want of a connection.
    fates : Counter
        Outcomes by fate code; an exception's number is in its high byte.
    bad_checksums, strays : int
        Frames whose checksum did not fit; bytes or frames that nobody had asked for.
    turnarounds : list of int
        Answers by class of ``BOUNDS_MS``, and one class above.
    """

    requests: int = 0
    fates: Counter[int] = field(default_factory=Counter)
    bad_checksums: int = 0
    strays: int = 0
    turnarounds: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add(self, fate: int, turnaround_ms: float) -> None:
        """One more request met its fate; the time counts where the device answered, with an exception too."""
        self.requests += 1
        self.fates[fate] += 1
        if fate == Fate.GOOD or fate & 0xFF == Fate.EXCEPTION:
            self.turnarounds[bisect_left(BOUNDS_MS, turnaround_ms)] += 1

    @property
    def answers(self) -> int:
        """Requests that the device answered, with registers or an exception."""
        return sum(self.turnarounds)

    def percentile_ms(self, percent: float) -> float | None:
        """The time within which so many of a hundred answers came, to a fifth; None before the first. [ms]"""
        wanted = self.answers * percent / 100
        for place, total in enumerate(accumulate(self.turnarounds)):
            if total and total >= wanted:
                return BOUNDS_MS[min(place, len(BOUNDS_MS) - 1)]
        return None

    def shown(self) -> dict[str, object]:
        """All of it, ready for JSON; fates by name, exceptions by number."""
        names = {
            f"{fate_of(code).name.lower()} {code >> 8}" if code >> 8 else fate_of(code).name.lower(): count
            for code, count in sorted(self.fates.items())
        }
        return {
            "requests": self.requests, "answers": self.answers, "fates": names, "bad_checksums": self.bad_checksums,
            "strays": self.strays,
            "turnaround_ms": {f"p{percent}": self.percentile_ms(percent) for percent in (50, 95, 99, 100)},
        }  # fmt: skip


class Tally:
    """Counts of every unit that was asked on one bus."""

    def __init__(self) -> None:
        self.units: dict[int, UnitTally] = {}

    def of(self, unit: int) -> UnitTally:
        """The counts of a unit, made where there are none."""
        found = self.units.get(unit)
        if found is None:
            found = self.units[unit] = UnitTally()
        return found

    def shown(self) -> dict[str, object]:
        """All of it by unit, ready for JSON."""
        return {str(unit): self.units[unit].shown() for unit in sorted(self.units)}
