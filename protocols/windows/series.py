"""From the answers of one request to what its points share, and the due slots of a span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from protocols.plan.bound import BoundPlan
from protocols.records import Fate, Int64, Samples, UInt64


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answered slots of one request over a span, and how often each fate was met.

    Attributes
    ----------
    points : tuple of int
        Positions in the plan, a column of ``words`` each.
    due_ms, at_ms : ndarray of int64, shape (answered,)
        When each answered slot was due, and when the last byte of its answer came. [UTC ms]
    words : ndarray of uint64, shape (answered, points)
    fates : dict of int to int
        Slots per fate code, as the request met them.
    """

    points: tuple[int, ...]
    due_ms: Int64
    at_ms: Int64
    words: UInt64
    fates: dict[int, int]

    def alike(self, kinds: Sequence[int]) -> Iterator[list[int]]:
        """Columns of points of one kind, kind by kind."""
        columns: dict[int, list[int]] = {}
        for column, position in enumerate(self.points):
            columns.setdefault(kinds[position], []).append(column)
        yield from columns.values()


def slot_range(from_ms: int, to_ms: int, interval_ms: int) -> tuple[int, int]:
    """First slot and number of slots due in [from, to): all k with from <= k x interval < to."""
    first = -(-from_ms // interval_ms)
    return first, max(0, -(-to_ms // interval_ms) - first)


def span_answers(bound: BoundPlan, samples: Sequence[Samples], from_ms: int, to_ms: int) -> list[Answers]:
    """Answers request by request, after checking that they are the plan's, over the span's slots, in time order.

    Raises
    ------
    ValueError
        They are not; the text says which request or point, and how.
    """
    answers: list[Answers] = []
    read = [False] * len(bound.points)
    for block in samples:
        request = block.request
        name = f"request {request.address}+{request.count}"
        if not 0 <= request.scan_class < len(bound.intervals_ms):
            raise ValueError(f"request of scan class {request.scan_class}: the plan has {len(bound.intervals_ms)}")
        interval = bound.intervals_ms[request.scan_class]
        expected = slot_range(from_ms, to_ms, interval)
        if (block.first_slot, block.fates.size) != expected:
            raise ValueError(
                f"{name} of unit {request.unit}: slots {block.first_slot}+{block.fates.size}, "
                f"the span has {expected[0]}+{expected[1]}"
            )
        if block.delay_ms.size and int(np.min(block.delay_ms)) < 0:
            raise ValueError(f"{name}: an answer lies before its due instant")
        for position in request.points:
            if not 0 <= position < len(read) or read[position]:
                raise ValueError(f"point {position} is unknown or read twice")
            if bound.points[position].scan_class != request.scan_class:
                raise ValueError(f"point {bound.points[position].id} is read in another scan class than its own")
            read[position] = True
        answered = np.flatnonzero(block.fates == Fate.GOOD).astype(np.int64)
        due_ms = (block.first_slot + answered) * interval
        at_ms = due_ms + block.delay_ms
        if bool(np.any(at_ms[1:] <= at_ms[:-1])):
            raise ValueError(f"{name} of unit {request.unit}: answers are not in time order")
        answers.append(Answers(request.points, due_ms, at_ms, block.words, _fate_counts(block, answered.size)))
    missing = [point.id for point, is_read in zip(bound.points, read, strict=True) if not is_read]
    if missing:
        raise ValueError(f"no request reads {', '.join(missing)}")
    return answers


def _fate_counts(block: Samples, answered: int) -> dict[int, int]:
    """Slots per fate code."""
    if answered == block.fates.size:  # as nearly always; unique() sorts
        return {int(Fate.GOOD): answered} if answered else {}
    codes, counts = np.unique(block.fates, return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))
