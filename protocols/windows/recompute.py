"""The second reading of a batch: fold its raw words again and name every difference."""

from __future__ import annotations

from protocols.plan.bound import BoundPlan
from protocols.records import Batch, FoldState, Window
from protocols.windows.fold import DERIVED, Folded, fold


def refold(bound: BoundPlan, batch: Batch) -> Folded:
    """Run the fold over what a batch carries: its opening state, raw words and stated events."""
    return fold(bound, batch.opening, batch.samples, batch.events, batch.from_ms, batch.to_ms)


def recompute(bound: BoundPlan, batch: Batch) -> tuple[list[str], FoldState | None]:
    """Differences between what a batch states and what its raw words give, and the closing state.

    Returns
    -------
    list of str
        Empty where everything is equal; integers must be equal, uncertainties to one float32 step.
    FoldState or None
        What the next batch must open with; None where the batch does not fold at all.
    """
    if batch.plan != bound.digest:
        return [f"batch {batch.sequence} names plan {batch.plan.hex()}, opened was {bound.digest.hex()}"], None
    if len(batch.opening.points) != len(bound.points):
        return [f"opening state has {len(batch.opening.points)} points, the plan {len(bound.points)}"], None
    if batch.opening.at_ms != batch.from_ms:
        return [f"opening state is of {batch.opening.at_ms}, the span begins at {batch.from_ms}"], None
    try:
        folded = refold(bound, batch)
    except (ValueError, ArithmeticError) as problem:
        return [f"does not fold: {problem}"], None
    differences = _window_differences(batch, folded)
    if folded.slots != batch.slots:
        differences.append("slot counts stated and recomputed differ")
    stated_events = tuple(event for event in batch.events if event.kind in DERIVED)
    if stated_events != folded.derived_events:
        differences.append(f"events stated {stated_events}, recomputed {folded.derived_events}")
    return differences, folded.state


def _window_differences(batch: Batch, folded: Folded) -> list[str]:
    """Windows that are not as the batch states them."""
    differences: list[str] = []
    if len(folded.windows) != len(batch.windows):
        differences.append(f"{len(batch.windows)} windows stated, {len(folded.windows)} recomputed")
    for stated, own in zip(batch.windows, folded.windows, strict=False):
        if stated == own:
            continue
        if _integers(stated) != _integers(own) or not _close(stated, own):
            differences.append(f"window stated {stated}, recomputed {own}")
    return differences


def _integers(window: Window) -> tuple[int, ...]:
    """What must be equal to the last digit."""
    return (
        window.source,
        window.input,
        window.gas,
        window.from_ms,
        window.to_ms,
        window.activity,
        window.mass_mg,
        window.operating_ms,
        window.measured_ms,
        window.stopped_ms,
        window.flags,
    )


def _close(stated: Window, own: Window) -> bool:
    """Whether uncertainties agree to one step of a float32."""
    pairs = [
        (stated.u_independent, own.u_independent),
        (stated.u_end, own.u_end),
        *zip(stated.u_shared, own.u_shared, strict=False),
    ]
    return len(stated.u_shared) == len(own.u_shared) and all(
        abs(a - b) <= 2.4e-7 * max(abs(a), abs(b)) for a, b in pairs
    )
