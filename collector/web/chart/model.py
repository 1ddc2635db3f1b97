"""What charts are drawn from, and what a drawn one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from markupsafe import Markup

from collector.web.table import Table

WHOLE = 0.999
"""From this share on a bucket counts as complete; clocks and window edges cost a few milliseconds."""


class Unit(Protocol):
    """What values are shown in."""

    @property
    def name(self) -> str:
        """Its sign, for example kg."""

    @property
    def size(self) -> float:
        """How much of the values' own unit it is."""

    def text(self, value: float) -> str:
        """A value in this unit, rounded for display."""


class State(Enum):
    """How much of a bucket is known; the value is its class in the style sheet and its key in the words."""

    WHOLE = "whole"
    PART = "part"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One step of the time axis.

    Attributes
    ----------
    label, tick : str
        The time in full, and the short form under the axis.
    covered : float or None
        Share of it that is known, 0 to 1; None where it has not begun or nothing was expected.
    href : str or None
        Where it opens.
    """

    label: str
    tick: str
    covered: float | None = 1.0
    href: str | None = None

    @property
    def state(self) -> State:
        """Complete, known in part, or without data."""
        if not self.covered:
            return State.NONE
        return State.WHOLE if self.covered >= WHOLE else State.PART


@dataclass(frozen=True, slots=True)
class Row:
    """One series over the buckets; None where nothing is known. ``u`` is the half-width of its band."""

    name: str
    values: Sequence[float | None]
    u: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend: a swatch and what it means."""

    swatch: Markup
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart: ``name`` is its id in the page."""

    name: str
    title: str
    svg: Markup
    legend: tuple[Key, ...]
    table: Table
