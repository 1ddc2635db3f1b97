"""Room in a full outbox: acknowledged items go first, then the oldest whole batches, with a signed tombstone.

What counters measured over dropped batches is still bounded by the indexes of later ones; what rates measured is
lost, and the tombstone says from when to when. Plans and tombstones are small and stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.outbox import Outbox, Standing, Waiting
from agent.spans import SealedItem, seal_tombstone

REASON = "the outbox was full: [outbox] max_bytes"


@dataclass(frozen=True, slots=True)
class Made:
    """What making room cost: items the collector has, salvaged ones (a damaged file holds them still), batches nobody
    has, and the tombstones that stand for these.
    """

    standing: Standing
    acknowledged: int = 0
    salvaged: int = 0
    dropped: tuple[Waiting, ...] = ()
    stones: tuple[SealedItem, ...] = ()


def make_room(outbox: Outbox, standing: Standing, key: Ed25519PrivateKey) -> Made:
    """Bring an outbox that is nearly full well under its cap; runs in the outbox's thread."""
    acknowledged = 0
    while (excess := outbox.excess()) and (gone := outbox.give_up_acknowledged(excess)):
        acknowledged += gone
    salvaged = 0
    while (excess := outbox.excess()) and (gone := outbox.old_streams.give_up(excess)):
        salvaged += gone
    dropped: list[Waiting] = []
    stones: list[SealedItem] = []
    while (excess := outbox.excess()) and (oldest := outbox.oldest_waiting(excess)):
        tail, marked = standing.tail, []
        for run in runs(oldest):
            ends = run[0].sequence, run[-1].sequence
            span_ms = run[0].from_ms, run[-1].to_ms
            stone, tail = seal_tombstone(tail, ends, run[-1].digest, span_ms, REASON, key)
            marked.append((*ends, stone))
        standing = replace(standing, tail=tail)
        outbox.bury(oldest, marked, standing)
        dropped += oldest
        stones += [stone for _, _, stone in marked]
    return Made(standing, acknowledged, salvaged, tuple(dropped), tuple(stones))


def runs(items: Sequence[Waiting]) -> list[list[Waiting]]:
    """Items in stream order, cut where their sequences do not follow each other."""
    found: list[list[Waiting]] = []
    for item in items:
        if found and found[-1][-1].sequence + 1 == item.sequence:
            found[-1].append(item)
        else:
            found.append([item])
    return found
