"""One window taken apart: its formula with the values in it, the readings, their words, and the signed batches.

The batch that states the window is folded again, so that what is shown is what the edge computed, not a likeness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.store.explain_formula import Counted, Held, counted_by, held_by
from collector.store.explain_readings import PointTrail, point_trail
from collector.store.explain_signed import SignedBatch, signed_batch
from collector.store.hours import windows_stated
from collector.store.plans import PlanBook
from collector.store.readings import items_holding, open_batch
from protocols.errors import EmitraceError
from protocols.plan.bound import BoundPlan, BoundSource, CounterSeries, RateSeries
from protocols.plan.model import FactorRecord
from protocols.records import Window


@dataclass(frozen=True, slots=True)
class ExplainedWindow:
    """A window from its formula down to signed words.

    ``counted`` is there for a counter, ``held`` for a rate; ``batches`` begin with the one that states the window.
    """

    agent: str
    source: str
    gas: str
    window: Window
    causes: tuple[str, ...]
    plan: BoundPlan
    factors: tuple[FactorRecord, ...]
    counted: Counted | None
    held: Held | None
    points: tuple[PointTrail, ...]
    batches: tuple[SignedBatch, ...]


def explain_window(
    connection: Connection, book: PlanBook, agent: str, source: str, gas: str, from_ms: int, counter_input: int = 0
) -> ExplainedWindow:
    """The window of a source, gas and input that begins at an instant.

    Raises
    ------
    EmitraceError
        There is none.
    """
    found = _find(connection, book, agent, (source, gas, counter_input), from_ms)
    if found is None:
        raise EmitraceError(
            f"window of {source} {gas}, input {counter_input + 1}, from {from_ms}", "is not in the books",
            "Open it from its hour.",
        )  # fmt: skip
    item, window = found
    stating = open_batch(connection, book, item)
    plan = stating.plan
    bound = plan.sources[window.source]
    series = _series(bound, window)
    named = _inputs(bound, series)
    margin_ms = max(plan.points[place].hold_ms for place in named.values())
    reach = items_holding(connection, agent, window.from_ms - margin_ms, window.to_ms + margin_ms)
    around = [stating if one == item else open_batch(connection, book, one) for one in sorted({item, *reach})]
    around = [one for one in around if one.plan.digest == plan.digest]
    around.sort(key=lambda one: one.batch.from_ms)
    counted, held, ends = None, None, dict[int, Mapping[int, int]]()
    if isinstance(series, CounterSeries):
        counted = counted_by(series, window, plan.points[series.point], around)
    else:
        held, ends = held_by(stating, bound, series, window)
    points = tuple(point_trail(name, place, around, window, ends.get(place, {})) for name, place in named.items())
    used = {item} | {one.reading.item for point in points for one in point.readings}
    batches = [stating, *(one for one in around if one.item in used and one.item != item)]
    stated = plan.plan.sources[window.source]
    records = {record.id: record for record in plan.plan.factors}
    return ExplainedWindow(
        agent=agent, source=source, gas=gas, window=window, causes=tuple(cause.name for cause in series.causes),
        plan=plan, factors=tuple(records[name] for name in stated.factors.get(gas, ())), counted=counted, held=held,
        points=points, batches=tuple(signed_batch(connection, one) for one in batches),
    )  # fmt: skip


def _find(
    connection: Connection, book: PlanBook, agent: str, wanted: tuple[str, str, int], from_ms: int
) -> tuple[int, Window] | None:
    for item, digest, window in windows_stated(connection, agent, from_ms, from_ms + 1):
        plan = book.of(connection, agent, digest)
        if plan is None:
            continue
        bound = plan.sources[window.source]
        if (bound.id, bound.gases[window.gas], window.input) == wanted:
            return item, window
    return None


def _series(bound: BoundSource, window: Window) -> CounterSeries | RateSeries:
    for counter in bound.counters:
        if (counter.input, counter.gas) == (window.input, window.gas):
            return counter
    return next(rate for rate in bound.rates if rate.gas == window.gas)


def _inputs(bound: BoundSource, series: CounterSeries | RateSeries) -> dict[str, int]:
    """Positions of the points behind a series, by what they are to it."""
    if isinstance(series, CounterSeries):
        return {"counter": series.point} | dict(zip(("temperature", "pressure"), series.conditions, strict=False))
    state = {} if bound.operating is None else {"state": bound.operating.point}
    return dict(series.inputs) | state
