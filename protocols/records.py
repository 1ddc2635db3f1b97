"""The nouns everybody speaks: fates, samples, fold state, events, windows, items of a stream.

Times are integer milliseconds. ``*_ms`` on the UTC time line means monotonic clock plus the offset that the
batch states; the samples themselves never move when the offset is corrected.

All indexes (point, source, gas, bus, scan class) are positions in the monitoring plan that the batch names
by its digest, counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.key_change import KeyChange

Int64: TypeAlias = NDArray[np.int64]
UInt64: TypeAlias = NDArray[np.uint64]
UInt16: TypeAlias = NDArray[np.uint16]
Float64: TypeAlias = NDArray[np.float64]


class Fate(IntEnum):
    """What became of one slot (a point at a due time). Every slot has exactly one.

    The high byte holds a detail: ``EXCEPTION | n << 8`` for Modbus exception code n, a ``Doubt`` with UNCERTAIN,
    an ``Absence`` with NOT_AVAILABLE, a ``Phase`` with IN_CALIBRATION.
    """

    GOOD = 0
    UNCERTAIN = 1
    TIMEOUT = 2
    EXCEPTION = 3
    BUS_BUSY = 4
    DEVICE_DEAD = 5
    IN_CALIBRATION = 6
    CLOCK_UNTRUSTED = 7
    AGENT_DOWN = 8
    DROPPED_BY_CAP = 9
    NOT_AVAILABLE = 10
    BAD_ANSWER = 11
    DISCONNECTED = 12

    @property
    def answered(self) -> bool:
        """Whether register words exist for the slot."""
        return self in (Fate.GOOD, Fate.UNCERTAIN, Fate.NOT_AVAILABLE, Fate.IN_CALIBRATION)

    @property
    def has_value(self) -> bool:
        """Whether the slot gave a value to reckon with, be it a doubtful one."""
        return self in (Fate.GOOD, Fate.UNCERTAIN)


class Doubt(IntEnum):
    """Why a slot is uncertain; 0 is a counter's index that does not fit the ones before it."""

    MISFIT = 0
    RANGE = 1
    STEP = 2
    FROZEN = 3


class Absence(IntEnum):
    """Why an answered slot has no value; 0 is the device's own "not available"."""

    NO_VALUE = 0
    FAULT = 1
    STATUS_UNKNOWN = 2
    NO_CONDITIONS = 3  # of a volume that waits for temperature and pressure to be converted


class Phase(IntEnum):
    """What an analyzer's status register says that it is doing."""

    MEASURE = 0
    ZERO = 1
    SPAN = 2
    MAINTENANCE = 3
    FAULT = 4
    UNKNOWN = 5

    @property
    def is_check(self) -> bool:
        """Whether the analyzer sees something else than the process: its values are a check, never an emission."""
        return self in (Phase.ZERO, Phase.SPAN, Phase.MAINTENANCE)


_DETAILS: dict[Fate, type[IntEnum]] = {
    Fate.UNCERTAIN: Doubt,
    Fate.NOT_AVAILABLE: Absence,
    Fate.IN_CALIBRATION: Phase,
}


def fate_of(code: int) -> Fate:
    """The fate in a fate code; the detail (an exception number, a reason) is ``code >> 8``."""
    return Fate(code & 0xFF)


def fate_code(fate: Fate, detail: int) -> int:
    """A fate and its detail as one code."""
    return int(fate) | detail << 8


def fate_text(code: int) -> str:
    """A fate code in words, such as ``exception 2`` or ``uncertain frozen``."""
    fate, detail = fate_of(code), code >> 8
    name = fate.name.lower()
    if not detail:
        return name
    known = _DETAILS.get(fate)
    if known is None or detail not in known._value2member_map_:
        return f"{name} {detail}"
    return f"{name} {known(detail).name.lower()}"


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One Modbus request of the read plan: the failure domain of the points it carries.

    ``offsets[i]`` is where the registers of ``points[i]`` start inside the answer, ``widths[i]`` how many
    registers its word has (1, 2 or 4). ``scattered`` names the points whose registers are not neighbours in the
    answer or fewer than their word's: position in ``points`` and the place of each register, first one highest. It
    is not on the wire, where words are joined already, and not compared.
    """

    bus: int
    unit: int
    function: int
    address: int
    count: int
    scan_class: int
    points: tuple[int, ...]
    offsets: tuple[int, ...]
    widths: tuple[int, ...]
    scattered: tuple[tuple[int, tuple[int, ...]], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What one request yielded over a span, slot by slot.

    Attributes
    ----------
    request : ReadRequest
    first_slot : int
        Index k of the first slot; slot k is due at ``k * interval_ms``.
    fates : ndarray of uint16, shape (slots,)
        Fate code of the request per slot: GOOD (answered) or a missing reason.
    delay_ms : ndarray of int64, shape (answered,)
        From due instant to the last byte of the answer, for the GOOD slots in order. [ms]
    words : ndarray of uint64, shape (answered, points)
        One unsigned integer per point: its registers in the map's order, first register highest.
    """

    request: ReadRequest
    first_slot: int
    fates: UInt16
    delay_ms: Int64
    words: UInt64


class EventKind(IntEnum):
    """Typed events of a stream."""

    AGENT_START = 1
    AGENT_STOP = 2
    CLOCK_CORRECTION = 3
    GAP = 4
    COUNTER_RESET = 5
    CALIBRATION_CHECK = 6
    COMMISSIONING = 7
    METER_SWAP = 8
    OPERATING_STOP = 9
    PLAN_REFUSED = 10
    NEW_STREAM = 11


Scalar: TypeAlias = int | float | str | bytes | bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, stated by the agent; ``subject`` is an id of the plan or empty."""

    kind: EventKind
    at_ms: int
    subject: str = ""
    details: tuple[tuple[str, Scalar], ...] = ()


class ClockState(IntEnum):
    """How far the agent trusts its wall clock."""

    UNSET = 0
    HOLDOVER = 1
    SYNCED = 2


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock a batch was made under: UTC = monotonic + offset."""

    boot_id: bytes
    offset_ms: int
    state: ClockState
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class CounterState:
    """What a counter carries from one sample to the next.

    ``emitted_to_ms`` is where its windows end so far, ``pending`` the amount between there and
    ``last_ms`` [base unit]. ``gap`` is the largest difference over an outage that reaches into that part:
    an amount known in total and unknown in shape; 0 where there is none [base unit].
    ``candidates`` are (time, index) pairs that did not fit and wait for confirmation.
    """

    last_ms: int
    last_index: int
    emitted_to_ms: int
    pending: int
    gap: int = 0
    candidates: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HeldSample:
    """A sample of an instant that still holds, or is stamped after the span's end: (time, words, fate code)."""

    at_ms: int
    words: int
    fate: int = int(Fate.GOOD)


@dataclass(frozen=True, slots=True)
class InstantState:
    """What an instant with a status register or plausibility rules carries from one sample to the next.

    ``last_ms`` is the time of its newest answered sample. ``run`` counts the equal values up to it, 0 where it is
    no measured value. ``phase`` is what the analyzer was doing then, and since ``since_ms``.
    """

    last_ms: int
    run: int
    phase: Phase
    since_ms: int


@dataclass(frozen=True, slots=True)
class PointState:
    """Everything the fold carries for one point."""

    last_words: int = 0
    counter: CounterState | None = None
    held: tuple[HeldSample, ...] = ()
    instant: InstantState | None = None


@dataclass(frozen=True, slots=True)
class FoldState:
    """Everything the fold carries from one batch to the next: opening state of n+1 = yield of n."""

    at_ms: int
    points: tuple[PointState, ...]


class WindowFlag(IntEnum):
    """Bits of ``Window.flags``."""

    INTERPOLATED = 1  # inside a gap: known in total, unknown in shape
    UNCERTAIN = 2  # rests on a sample marked uncertain


@dataclass(frozen=True, slots=True)
class Window:
    """Emission of one source and gas over [from, to), inside one aligned cell.

    Attributes
    ----------
    source, input, gas : int
        Positions in the plan; ``input`` counts the source's counter inputs (0 for a rate-based source).
    from_ms, to_ms : int
        UTC time line. [ms]
    activity : int
        Counter difference in the counter's base unit (mWh, mL, mg), never negative, whatever the sign of
        its input; 0 for a rate-based source.
    mass_mg : int
        Emitted mass, rounded once half to even; negative only for an exported amount. [mg]
    operating_ms, measured_ms, stopped_ms : int
        Operating time, operating time with valid data, and time stopped by evidence; the rest of the
        window is unknown and never zero. [ms]
    flags : int
        Bits of WindowFlag.
    u_independent : float
        Standard uncertainty that is new in every window, as float32. [mg]
    u_shared : tuple of float
        Standard uncertainty per cause, in the order of the source's causes; adds linearly within a cause
        over time. [mg]
    u_end : float
        Standard uncertainty of one end of the window; counts only at the ends of a period. [mg]
    """

    source: int
    input: int
    gas: int
    from_ms: int
    to_ms: int
    activity: int
    mass_mg: int
    operating_ms: int
    measured_ms: int
    stopped_ms: int
    flags: int
    u_independent: float
    u_shared: tuple[float, ...]
    u_end: float


@dataclass(frozen=True, slots=True)
class SlotCount:
    """How many slots of a point met a fate in a batch; counts of a point add up to its slots."""

    point: int
    fate: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Raw words, windows and events of one span, so that it recomputes alone."""

    stream_id: bytes
    sequence: int
    previous: bytes
    plan: bytes
    from_ms: int
    to_ms: int
    clock: Clock
    software: str
    opening: FoldState
    samples: tuple[Samples, ...]
    events: tuple[Event, ...]
    windows: tuple[Window, ...]
    slots: tuple[SlotCount, ...]


@dataclass(frozen=True, slots=True)
class PlanItem:
    """A monitoring plan taking its place in the stream, before the first batch that names it."""

    stream_id: bytes
    sequence: int
    previous: bytes
    document: bytes


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Stands for items ``first..last`` that the agent had to drop; the contiguous ack passes over them.

    ``last_digest`` is the digest of the last dropped item, which the next kept item names as its previous.
    """

    stream_id: bytes
    sequence: int
    previous: bytes
    first: int
    last: int
    last_digest: bytes
    from_ms: int
    to_ms: int
    reason: str


StreamItem: TypeAlias = Batch | PlanItem | Tombstone | KeyChange


class ItemKind(Enum):
    """Kinds of items in a stream; the value is the content type's last part."""

    BATCH = "batch"
    PLAN = "plan"
    TOMBSTONE = "tombstone"
    KEY_CHANGE = "key-change"
