"""What a batch must satisfy before its figures enter the books: its plan's series, whole cells, no time twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import Connection, select

from collector.hours.cells import HOUR_MS
from collector.store.plans import PlanBook, site_of
from collector.store.schema import plans, windows
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Window
from protocols.wire.errors import Reason, WireError

_Series = tuple[str, int, str]
_Spans = dict[_Series, list[tuple[int, int]]]


Stated = tuple[str, BoundPlan, Batch]
"""A batch with its agent's id and the plan it goes by."""


def check_batch(connection: Connection, book: PlanBook, agent_id: str, plan: BoundPlan, batch: Batch) -> None:
    """WireError where the batch's windows or slots cannot be counted under its plan."""
    check_batch_alone(plan, batch)
    check_overlaps(connection, book, site_of(plan), [(agent_id, plan, batch)])


def check_batch_alone(plan: BoundPlan, batch: Batch) -> None:
    """WireError where its windows or slots are none of its plan, or a window reaches across an hour."""
    _check_series(plan, batch)
    _check_cells(batch)


def _check_series(plan: BoundPlan, batch: Batch) -> None:
    series = {
        (position, one.input, one.gas): len(one.causes)
        for position, source in enumerate(plan.sources) for one in source.counters
    } | {
        (position, 0, one.gas): len(one.causes) for position, source in enumerate(plan.sources) for one in source.rates
    }  # fmt: skip
    for window in batch.windows:
        if series.get((window.source, window.input, window.gas)) != len(window.u_shared):
            raise WireError(
                Reason.SCHEMA, f"batch {batch.sequence}",
                f"a window of source {window.source}, input {window.input}, gas {window.gas} with "
                f"{len(window.u_shared)} causes, which its plan does not have",
            )  # fmt: skip
    for slot in batch.slots:
        if slot.point >= len(plan.points):
            raise WireError(
                Reason.SCHEMA, f"batch {batch.sequence}",
                f"slots of point {slot.point}, the plan has {len(plan.points)}",
            )  # fmt: skip


def _check_cells(batch: Batch) -> None:
    for window in batch.windows:
        if window.from_ms // HOUR_MS != (window.to_ms - 1) // HOUR_MS:
            raise WireError(
                Reason.SCHEMA, f"batch {batch.sequence}", f"a window {window.from_ms} to {window.to_ms} across an hour"
            )


def check_overlaps(connection: Connection, book: PlanBook, site: str, stated: Sequence[Stated]) -> None:
    """No series of an agent or of a site may state a moment twice, whoever states it: it would count twice.

    ``stated`` are new batches under plans of this site; WireError names the first where there are several.
    """
    spans: _Spans = defaultdict(list)
    for _, plan, batch in stated:
        for window in batch.windows:
            spans[_series(plan, window)].append((window.from_ms, window.to_ms))
    if not spans:
        return
    low = min(start for own in spans.values() for start, _ in own)
    high = max(end for own in spans.values() for _, end in own)
    agents = {agent_id for agent_id, _, _ in stated}
    sharing = select(plans.c.agent_id).where(plans.c.site == site)  # this agent is one of them
    known = connection.execute(
        select(windows.c.agent_id, windows.c.plan, windows.c.source, windows.c.input, windows.c.gas,
               windows.c.from_ms, windows.c.to_ms)
        .where(windows.c.agent_id.in_(sharing), windows.c.from_ms > low - HOUR_MS, windows.c.from_ms < high,
               windows.c.to_ms > low)
    )  # fmt: skip
    for row in known:
        old = book.of(connection, row.agent_id, row.plan)
        if old is not None and (row.agent_id in agents or site_of(old) == site):
            source = old.sources[row.source]
            key = (source.id, row.input, source.gases[row.gas])
            if key in spans:
                spans[key].append((row.from_ms, row.to_ms))
    for (source_id, number, gas), own in spans.items():
        for (_, end), (start, _) in pairwise(sorted(own)):
            if start < end:
                raise WireError(
                    Reason.OVERLAP, f"batch {stated[0][2].sequence}",
                    f"source {source_id}, input {number}, {gas}: the time from {start} to {end} is stated twice",
                    "Figures for that time are in the books already: the agent's clock or outbox went back, or another"
                    " agent reads the same source.",
                )  # fmt: skip


def _series(plan: BoundPlan, window: Window) -> _Series:
    source = plan.sources[window.source]
    return source.id, window.input, source.gases[window.gas]
