"""What a batch may open with: the rules by which state follows state along a stream."""

from __future__ import annotations

from protocols.ghg.volume import MOST_FACTOR
from protocols.plan.bound import BoundPlan, BoundPoint
from protocols.records import Batch, FoldState
from protocols.windows.counters import HOUR_MS
from protocols.windows.opening import initial_state, migrate


def invented(batch: Batch, plan: BoundPlan) -> str:
    """Why a stream's first batch cannot open as it does; empty where it has seen nothing."""
    if batch.opening == initial_state(plan, batch.from_ms):
        return ""
    return "opens the stream with a state that nothing before it yields"


def discontinuity(yielded: FoldState, old: BoundPlan, batch: Batch, new: BoundPlan) -> str:
    """Why a batch does not continue what the batch before it in the stream yielded; empty where it does.

    Parameters
    ----------
    yielded, old : FoldState, BoundPlan
        Closing state of the batch before, and the plan it was under.
    batch, new : Batch, BoundPlan
        The batch and the plan it names.
    """
    state = yielded if old.digest == new.digest else migrate(yielded, old, new)
    if state.at_ms != batch.from_ms:
        return f"begins at {batch.from_ms}, the batch before it ended at {state.at_ms}"
    for point, own, stated in zip(new.points, state.points, batch.opening.points, strict=False):
        if own != stated:
            what = f"point {point.id} {stated} instead of {own}"
            return f"opens with another state than the batch before it yields: {what}"
    if state != batch.opening:
        count = len(batch.opening.points)
        return f"opens with another state than the batch before it yields: {count} points at {batch.opening.at_ms}"
    return ""


def implausible(opening: FoldState, plan: BoundPlan) -> str:
    """Why an opening state whose batch before is not here cannot be; empty where it can.

    Growth is accepted sample by sample up to the stated rate and one step of the indication, so what waits to
    be counted can be no more than that.
    """
    for point, carried in zip(plan.points, opening.points, strict=False):
        counter = carried.counter
        if counter is None or point.max_per_hour is None:
            continue
        time_ms = counter.last_ms - counter.emitted_to_ms
        steps = time_ms // point.interval_ms + 2
        most = _at_most(point, point.max_per_hour * time_ms // HOUR_MS + steps * (int(point.resolution) + 1))
        if not 0 <= counter.pending <= most:
            seen = f"{counter.pending} of counter {point.id} still to be counted"
            return f"opens with {seen}, where its greatest rate allows {most} in {time_ms} ms"
    return ""


def _at_most(point: BoundPoint, grown: int) -> int:
    """The most that a growth of the index can count: as much, or where volumes are converted the greatest factor."""
    return grown if point.conversion is None else grown * int(MOST_FACTOR)


def leap(state: FoldState, old: BoundPlan, batch: Batch, new: BoundPlan) -> str:
    """Why a batch behind dropped ones cannot follow the last one before them; empty where it can.

    What the dropped batches yielded is the agent's word alone. But time never goes back, and what a counter
    carries on as not yet counted is at most what it had so before and what it has counted since.
    """
    if batch.from_ms < state.at_ms:
        return f"begins at {batch.from_ms}, the last batch before the dropped ones ended at {state.at_ms}"
    kept = state if old.digest == new.digest else migrate(state, old, new)
    for point, before, after in zip(new.points, kept.points, batch.opening.points, strict=False):
        earlier, later = before.counter, after.counter
        if earlier is None or later is None:
            continue
        if later.last_ms < earlier.last_ms or later.emitted_to_ms < earlier.emitted_to_ms:
            return f"opens with counter {point.id} at {later}, earlier than {earlier} before the dropped items"
        grown = later.last_index - earlier.last_index
        most = earlier.pending + _at_most(point, grown if grown >= 0 else later.last_index + (point.modulus or 0))
        if not 0 <= later.pending <= most:
            return f"opens with {later.pending} of counter {point.id} still to be counted, where at most {most} can be"
    return ""
