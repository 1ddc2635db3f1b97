"""How much the outbox may hold, and how much it does. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BYTES = 2 * 2**30
"""Default cap. [bytes]"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How a cap on all files of the outbox is shared out. [bytes]"""

    max_bytes: int = MAX_BYTES

    @property
    def log(self) -> int:
        """For the write-ahead log and its index: a transaction of the largest message, and what is not yet moved."""
        return min(self.max_bytes // 6, 16 * 2**20)

    @property
    def file(self) -> int:
        """For the main file; SQLite refuses to make it longer."""
        return self.max_bytes - self.log

    @property
    def high(self) -> int:
        """From here on room is made; what is left is for the batch and the journal under way."""
        return self.file - min(self.max_bytes // 4, 32 * 2**20)

    @property
    def low(self) -> int:
        """Down to here."""
        return self.high - self.max_bytes // 16

    @property
    def aside(self) -> int:
        """For the bytes of results set aside."""
        return self.max_bytes // 16


DEFAULT = Bounds()


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the outbox is.

    Attributes
    ----------
    size, cap : int
        All its files on the disk, and what they may take. [bytes]
    oldest_ms : int or None
        Begin of the oldest span that waits for the collector. [UTC ms]
    full_in_s : int or None
        When waiting items would have to go, at the pace of the newest batches and with nobody to take any; None
        where no pace is known yet. [s]
    """

    size: int
    cap: int
    oldest_ms: int | None
    full_in_s: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits for the collector: items, bytes, sequence of the stream's oldest (-1 where none).

    Every item up to ``acknowledged`` has been acknowledged (-1 where none has).
    """

    items: int
    size: int
    oldest: int
    acknowledged: int
