"""What the books need to know about a source: its place in the inventory and the instruments behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.plan.bound import BoundPlan, BoundSource, Cause
from protocols.records import Window


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source as its monitoring plan states it; ``category`` is the ISO 14064-1 category, 1 to 6.

    ``checks`` is the primary source that a cross-check checks, empty for a primary one.
    """

    agent: str
    source: str
    name_zh: str
    name_en: str
    category: int
    method: str
    primary: bool
    instruments: tuple[str, ...]
    gases: tuple[str, ...]
    checks: str = ""


def points_of(source: BoundSource, counter_input: int, gas: int) -> frozenset[int]:
    """Positions of the points behind one input and gas of a source."""
    counters = [one for one in source.counters if (one.input, one.gas) == (counter_input, gas)]
    points = {point for one in counters for point in (one.point, *one.conditions)}
    for one in source.rates:
        if one.gas == gas:
            points |= set(one.inputs.values())
    return frozenset(points)


def series_of(source: BoundSource, window: Window) -> tuple[tuple[Cause, ...], int]:
    """Causes of the shared uncertainty of a window, in their order, and its sign; ValueError for a foreign window."""
    for counter in source.counters:
        if counter.input == window.input and counter.gas == window.gas:
            return counter.causes, counter.sign
    for rate in source.rates:
        if rate.gas == window.gas:
            return rate.causes, 1
    raise ValueError(
        f"source {source.id}: a window names input {window.input} and gas {window.gas}, which the plan does not have"
    )


def instruments_behind(plan: BoundPlan, points: Iterable[int]) -> tuple[str, ...]:
    """Ids of the instruments that carry these points, in the plan's order."""
    used = {plan.points[point].instrument for point in points}
    return tuple(plan.plan.instruments[index].id for index in sorted(used))


def _all_points(source: BoundSource) -> frozenset[int]:
    series = {(one.input, one.gas) for one in source.counters} | {(0, one.gas) for one in source.rates}
    return frozenset().union(*(points_of(source, counter_input, gas) for counter_input, gas in series))


def source_facts(agent: str, plan: BoundPlan) -> tuple[SourceFacts, ...]:
    """Every source of an agent's plan, in the plan's order."""
    return tuple(
        SourceFacts(
            agent, bound.id, stated.name.zh, stated.name.en, bound.category, bound.method.value,
            bound.role.value == "primary", instruments_behind(plan, _all_points(bound)), bound.gases,
            stated.cross_check_of or "",
        )
        for bound, stated in zip(plan.sources, plan.plan.sources, strict=True)
    )  # fmt: skip
