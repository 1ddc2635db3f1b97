"""What comes of one request."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """Outcome of one request.

    Attributes
    ----------
    fate : int
        Fate code: GOOD, or why there is no value.
    at_ms : int
        Monotonic time of the last byte of the answer; of giving up where there is none. [ms]
    registers : bytes
        Two bytes each, high byte first; of another request than for registers what follows the function code.
        Empty unless GOOD.
    """

    fate: int
    at_ms: int
    registers: bytes = b""


class Question(NamedTuple):
    """One request: to which unit, the function code with what follows it, and how its answer is known.

    ``size`` is how many bytes of registers or bits must come; -1 where only the answer itself says.
    """

    unit: int
    pdu: bytes
    size: int = -1
