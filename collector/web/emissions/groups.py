"""What a page shows of the lines: put together by source, gas or both, with the addresses that open them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from collector.hours.calendar import By, Span
from collector.web.addresses import hour_address
from collector.web.emissions.gather import Explored, Line
from collector.web.frame import View
from collector.web.period import Period
from protocols.exact import sum_exact

MOST_GROUPS = 8
K = 2
"""Coverage factor of the uncertainties shown."""
LABELS = {By.HOUR: "%Y-%m-%d %H:%M", By.DAY: "%Y-%m-%d", By.MONTH: "%Y-%m", By.YEAR: "%Y"}


class Split(Enum):
    """By what the lines are put together."""

    SOURCE = "source"
    GAS = "gas"
    BOTH = "both"

    @classmethod
    def of(cls, text: str | None) -> Split:
        """The one of that name, else by source."""
        return next((one for one in cls if one.value == text), cls.SOURCE)


@dataclass(frozen=True, slots=True)
class Group:
    """Lines shown as one series; ``filters`` are the parameters that show it alone, None where it is many."""

    name: str
    lines: tuple[Line, ...]
    filters: tuple[tuple[str, str], ...] | None

    def value(self, place: int) -> int | None:
        """CO2e in one bucket; None where nothing is known. [mg]"""
        shares = [share for line in self.lines if (share := line.co2e[place]) is not None]
        return sum_exact(shares) if shares else None

    @property
    def co2e_mg(self) -> int:
        """CO2e over the period. [mg]"""
        return sum_exact(line.co2e_mg for line in self.lines)


def groups_of(found: Explored, split: Split, view: View) -> tuple[Group, ...]:
    """The lines by source, gas or both, in the plans' order; the smallest of many together as the last."""
    gathered: dict[tuple[tuple[str, str], ...], list[Line]] = {}
    for line in found.lines:
        source = (("source", line.fact.source), ("agent", line.fact.agent))
        gas = (("gas", line.gas),)
        key = {Split.SOURCE: source, Split.GAS: gas, Split.BOTH: (*source, *gas)}[split]
        gathered.setdefault(key, []).append(line)
    groups = [Group(_name(split, lines[0], view), tuple(lines), key) for key, lines in gathered.items()]
    if len(groups) <= MOST_GROUPS:
        return tuple(groups)
    kept = sorted(groups, key=lambda group: -abs(group.co2e_mg))[: MOST_GROUPS - 1]
    rest = tuple(line for group in groups if group not in kept for line in group.lines)
    return (*(group for group in groups if group in kept), Group(view.words("emissions.rest"), rest, None))


def period_text(period: Period, view: View) -> str:
    """A period for people: a day, a month or a year by its name, else from its first to its last day or hour."""
    if period.unit is not None:
        return view.local(period.from_ms, LABELS[period.unit])
    first, last = (view.local(at_ms, "%H:%M") for at_ms in (period.from_ms, period.to_ms))
    if first == last == "00:00":
        return f"{view.local(period.from_ms, LABELS[By.DAY])} \u2013 {view.local(period.to_ms - 1, LABELS[By.DAY])}"
    return f"{view.local(period.from_ms, LABELS[By.HOUR])} \u2013 {view.local(period.to_ms, LABELS[By.HOUR])}"


def label_of(span: Span, period: Period, view: View) -> str:
    """A bucket's name: its hour, day, month or year in the facility's zone, or its two ends where it is cut short."""
    return view.local(span[0], LABELS[period.by])


def opened(found: Explored, span: Span, group: Group | None, view: View) -> str | None:
    """Where a figure of a bucket leads: one step finer, its sources alone; an hour of one source and gas to its row."""
    filters = dict(group.filters or ()) if group else {}
    if group is not None and found.period.by is By.HOUR and len(group.lines) == 1:
        (line,) = group.lines
        return hour_address(line.fact.agent, line.fact.source, line.gas, span[0])
    inside = found.period.opened(span)
    if inside is None:
        inside = Period(*span, By.HOUR, found.period.zone)
        if group is None and span == (found.period.from_ms, found.period.to_ms):
            return None
        filters = {**filters, "split": Split.BOTH.value}
    return view.address(**inside.query, **filters)


def known(lines: Sequence[Line]) -> bool:
    """Whether anything is known of these lines."""
    return any(share is not None for line in lines for share in line.co2e)


def largest(found: Explored) -> int:
    """The largest size of a bucket's CO2e, by which the unit is chosen. [mg]"""
    return max((abs(step.co2e_mg or 0) for step in found.steps), default=0)


def expanded(u_mg: float | None) -> float | None:
    """Expanded uncertainty, k = 2. [mg]"""
    return None if u_mg is None else K * u_mg


def _name(split: Split, line: Line, view: View) -> str:
    if split is Split.GAS:
        return line.gas
    name = view.named(line.fact)
    return name if split is Split.SOURCE else f"{name} \u00b7 {line.gas}"
