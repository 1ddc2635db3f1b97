"""The item by which an agent takes on another key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyChange:
    """From the next item of its stream on the agent signs with ``public_key``; this one is signed by the key before.

    ``proof`` is the new key's own signature over the item's place: nobody can take on a key that he does not hold.
    """

    stream_id: bytes
    sequence: int
    previous: bytes
    public_key: bytes
    proof: bytes
