"""Slots expected against slots accounted for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotAccount:
    """Fates of a run's slots.

    Attributes
    ----------
    fates : mapping of fate name to int
        Slots per fate, over all points.
    unaccounted : mapping of point to int
        Expected minus counted, for the points where these differ.
    """

    expected: int
    fates: Mapping[str, int]
    unaccounted: Mapping[str, int]


def due_slots(interval_ms: int, from_ms: int, to_ms: int) -> int:
    """How many due times k x interval lie in [from, to)."""
    return -(-to_ms // interval_ms) - -(-from_ms // interval_ms)


def account(
    intervals_ms: Mapping[str, int], spans: Iterable[tuple[int, int]], counts: Iterable[tuple[str, str, int]]
) -> SlotAccount:
    """Add up slots.

    Parameters
    ----------
    intervals_ms : mapping of point to int
        Scan interval of each point of the plan. [ms]
    spans : iterable of (from_ms, to_ms)
        Spans of the streams, unbroken from first to last batch. [UTC ms]
    counts : iterable of (point, fate name, count)
        Slots as the collector counts them.

    Returns
    -------
    SlotAccount
    """
    stretches = list(spans)
    expected = {p: sum(due_slots(ms, *stretch) for stretch in stretches) for p, ms in intervals_ms.items()}
    fates: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for point, fate, count in counts:
        fates[fate] += count
        counted[point] += count
    names = {*expected, *counted}
    missing = {p: expected.get(p, 0) - counted[p] for p in sorted(names) if expected.get(p, 0) != counted[p]}
    return SlotAccount(sum(expected.values()), dict(fates), missing)
