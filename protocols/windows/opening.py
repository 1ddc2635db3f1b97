"""The state a stream opens with, and what of it survives a change of the plan."""

from __future__ import annotations

from protocols.plan.bound import BoundPlan, BoundPoint
from protocols.records import FoldState, PointState


def initial_state(bound: BoundPlan, at_ms: int) -> FoldState:
    """State of a stream that has seen nothing, at the begin of its first span."""
    return FoldState(at_ms, tuple(PointState() for _ in bound.points))


def migrate(state: FoldState, old: BoundPlan, new: BoundPlan) -> FoldState:
    """The state under a new plan: kept for points whose id, instrument and register stayed the same."""
    kept = {point.id: (_identity(old, point), carried) for point, carried in zip(old.points, state.points, strict=True)}
    nothing = (None, PointState())
    points = []
    for point in new.points:
        identity, carried = kept.get(point.id, nothing)
        points.append(carried if identity == _identity(new, point) else PointState())
    return FoldState(state.at_ms, tuple(points))


def _identity(bound: BoundPlan, point: BoundPoint) -> tuple[object, ...]:
    """What must not change for a point's state to stay meaningful."""
    instrument = bound.plan.instruments[point.instrument]
    status = point.status
    judged = (point.plausible, None if status is None else (bound.points[status.point].id, status.phases))
    return (instrument.id, instrument.serial, point.register, point.ratio, judged, _conditions(bound, point))


def _conditions(bound: BoundPlan, point: BoundPoint) -> tuple[object, ...]:
    """What a converted counter's pending amount rests on."""
    own = point.conversion
    if own is None:
        return ()
    return (bound.points[own.temperature].id, bound.points[own.pressure].id, own.to, own.compressibility)
