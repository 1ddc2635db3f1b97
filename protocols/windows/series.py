"""From the answers of one request to the samples of its points, and the due slots of a span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.records import Fate, Int64, Samples, UInt16, UInt64


@dataclass(frozen=True, slots=True, eq=False)
class PointSeries:
    """One point over a span.

    Attributes
    ----------
    fates : ndarray of uint16, shape (slots,)
        Fate code per slot, as the request met it.
    answered : ndarray of int64, shape (answered,)
        Slot positions with words.
    at_ms : ndarray of int64, shape (answered,)
        When the last byte of each answer came. [UTC ms]
    words : ndarray of uint64, shape (answered,)
    """

    fates: UInt16
    answered: Int64
    at_ms: Int64
    words: UInt64


def slot_range(from_ms: int, to_ms: int, interval_ms: int) -> tuple[int, int]:
    """First slot and number of slots due in [from, to): all k with from <= k x interval < to."""
    first = -(-from_ms // interval_ms)
    return first, max(0, -(-to_ms // interval_ms) - first)


def point_series(samples: Samples, interval_ms: int) -> dict[int, PointSeries]:
    """The samples of every point a request carries, by position in the plan."""
    answered = np.flatnonzero(samples.fates == Fate.GOOD).astype(np.int64)
    at_ms = (samples.first_slot + answered) * interval_ms + samples.delay_ms
    return {
        point: PointSeries(samples.fates, answered, at_ms, samples.words[:, column])
        for column, point in enumerate(samples.request.points)
    }
