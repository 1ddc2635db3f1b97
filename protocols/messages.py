"""What goes beside the stream: the back path from the collector to an agent, and live values. Never evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.records import Clock


@dataclass(frozen=True, slots=True)
class OriginProof:
    """The record of a new origin (``protocols.transparency.succession``), its leaf's position and audit path."""

    record: bytes
    position: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """What the collector has committed of a stream: every item up to ``contiguous`` and the ranges beyond.

    ``contiguous`` is -1 when the first item has not arrived. An agent that keeps checkpoints gets the newest one of the
    evidence log, where it does not hold it: ``consistency`` proves that it follows from the one of ``base`` leaves, and
    ``log_key`` is the raw public key that signed it. To one that holds a checkpoint of an earlier origin ``origin``
    proves what the new one went on from.
    """

    stream_id: bytes
    contiguous: int
    beyond: tuple[tuple[int, int], ...] = ()
    checkpoint: bytes = b""
    consistency: tuple[bytes, ...] = ()
    log_key: bytes = b""
    base: int = 0
    origin: OriginProof | None = None


@dataclass(frozen=True, slots=True)
class Resend:
    """Ranges of a stream the collector asks for again; the stored bytes go out as they are."""

    stream_id: bytes
    ranges: tuple[tuple[int, int], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PlanPush:
    """A plan document that the collector asks an agent to go on with.

    ``replaces`` is the digest of the plan it was made to follow: while another one is in force it is refused, so
    that an old message sent again changes nothing.
    """

    stream_id: bytes
    replaces: bytes
    document: bytes


@dataclass(frozen=True, slots=True)
class Watch:
    """Points of a plan that a page wants live, for ``for_s`` seconds from when the agent hears of it.

    ``issued_ms`` is the collector's clock and grows with every watch: one heard twice is not taken twice.
    ``points`` ascend.
    """

    stream_id: bytes
    plan: bytes
    issued_ms: int
    for_s: int
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Noticed:
    """What the central team knows of one instrument's calibration.

    ``state`` is a word of ``calibration.status.State``. ``until_ms`` is the end of its validity, 0 where there
    is none. [UTC ms]
    """

    instrument: str
    serial: str
    state: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Notice:
    """The calibration status of an agent's instruments, for the technician beside them; it changes no figure.

    ``issued_ms`` is the collector's clock and grows with every notice: an older one heard again is not taken.
    ``zone`` is the facility's IANA name.
    """

    stream_id: bytes
    issued_ms: int
    zone: str
    instruments: tuple[Noticed, ...]


@dataclass(frozen=True, slots=True)
class LiveReading:
    """The newest slot of one request, for the watched ones of its points.

    Attributes
    ----------
    due_ms : int
        When the slot was due. [UTC ms]
    delay_ms : int
        From due to the last byte of the answer; 0 where there is none. [ms]
    fate : int
        Fate code of the request: GOOD (answered) or a missing reason.
    points : tuple of int
        Ascending.
    words : tuple of int
        One unsigned integer per point, as in ``Samples``; empty where the fate is not GOOD.
    """

    due_ms: int
    delay_ms: int
    fate: int
    points: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """What a watched agent shows while it is watched: unsigned, never evidence. ``at_ms`` is when it was sent."""

    stream_id: bytes
    plan: bytes
    clock: Clock
    at_ms: int
    readings: tuple[LiveReading, ...]
