"""An answer on its way to whoever asked: what faults of the line change of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Edit = Callable[[bytes], bytes]
"""What becomes of a frame's bytes on the line."""


class Way(Enum):
    """How an answer ends."""

    SENT = "sent"
    HELD = "held until the next request has come"
    LOST = "nobody answers"
    RESET = "the connection is cut instead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer and how it travels.

    Attributes
    ----------
    transaction, unit, pdu : int, int, bytes
        As they stand in the frame.
    delay_s : float
        From the end of the request to the beginning of the answer, beyond what the line itself needs. [s]
    way : Way
    echo : bool
        The request comes back in front of the answer, as from a two-wire adapter that hears itself.
    edits : tuple of callable
        What the line does to the bytes of the frame, in this order.
    """

    transaction: int
    unit: int
    pdu: bytes
    delay_s: float = 0.0
    way: Way = Way.SENT
    echo: bool = False
    edits: tuple[Edit, ...] = ()

    def edited(self, frame: bytes) -> bytes:
        """The frame as it arrives."""
        for edit in self.edits:
            frame = edit(frame)
        return frame
