"""What the books need to know about a source: its place in the inventory and the instruments behind it."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.plan.bound import BoundPlan, BoundSource


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source as its monitoring plan states it; ``category`` is the ISO 14064-1 category, 1 to 6."""

    agent: str
    source: str
    name_zh: str
    name_en: str
    category: int
    method: str
    primary: bool
    instruments: tuple[str, ...]
    gases: tuple[str, ...]


def instruments_of(plan: BoundPlan, source: BoundSource) -> tuple[str, ...]:
    """Ids of the instruments whose readings enter the source's mass, in the plan's order."""
    points: set[int] = {series.point for series in source.counters}
    for series in source.cems:
        optional = (series.temperature, series.pressure, series.moisture)
        points |= {series.flow, series.concentration} | {point for point in optional if point is not None}
    used = {plan.points[point].instrument for point in points}
    return tuple(plan.plan.instruments[index].id for index in sorted(used))


def source_facts(agent: str, plan: BoundPlan) -> tuple[SourceFacts, ...]:
    """Every source of an agent's plan, in the plan's order."""
    return tuple(
        SourceFacts(
            agent, bound.id, stated.name.zh, stated.name.en, bound.category, bound.method.value,
            bound.role.value == "primary", instruments_of(plan, bound), bound.gases,
        )
        for bound, stated in zip(plan.sources, plan.plan.sources, strict=True)
    )  # fmt: skip
