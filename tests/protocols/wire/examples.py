"""Messages of every kind, small and odd ones by hypothesis, and one of realistic size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from protocols.messages import Ack, Live, LiveReading, Notice, Noticed, OriginProof, PlanPush, Resend, Watch
from protocols.records import (
    Batch,
    Clock,
    ClockState,
    CounterState,
    Event,
    EventKind,
    Fate,
    FoldState,
    HeldSample,
    InstantState,
    Phase,
    PlanItem,
    PointState,
    ReadRequest,
    Samples,
    SlotCount,
    StreamItem,
    Tombstone,
    UInt64,
    Window,
)
from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.succession import Predecessor, Succession, encode_succession
from protocols.wire.key_changes import make_key_change

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
STREAM = bytes(range(16))
BEGIN = 1_790_000_000_000
PLAN = PlanItem(STREAM, 0, bytes(32), b"a plan document")
NEW_KEY = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
KEY_CHANGE = make_key_change(STREAM, 9, b"p" * 32, NEW_KEY)
TOMBSTONE = Tombstone(STREAM, 9, b"p" * 32, 3, 5, b"l" * 32, BEGIN, BEGIN + 60_000, "disk full")
ACK = Ack(STREAM, 41, ((43, 43), (50, 60)))
SUCCESSION = Succession("emitrace/b", (Predecessor(Checkpoint("emitrace/a", 20, b"\x07" * 32), 15),))
RENAMED = Ack(
    STREAM, 41, (), b"a note", (b"\x01" * 32,), b"\x02" * 32, 15,
    OriginProof(encode_succession(SUCCESSION), 15, (bytes(32),)),
)  # fmt: skip
PUSH = PlanPush(STREAM, bytes(range(32)), b"a plan document")
RESEND = Resend(STREAM, ((42, 42), (44, 49)))
WATCH = Watch(STREAM, b"d" * 32, BEGIN, 60, (0, 3, 700))
NOTICE = Notice(
    STREAM, BEGIN, "Asia/Shanghai",
    (Noticed("em-1", "A-1", "in-interval", BEGIN + 86_400_000), Noticed("流量计", "A-2", "unknown", 0)),
)
LIVE = Live(
    STREAM, b"d" * 32, Clock(b"b" * 16, BEGIN - 123_456, ClockState.SYNCED, 12), BEGIN,
    (
        LiveReading(BEGIN - 400, 35, int(Fate.GOOD), (0, 2), (0x43670000, 2**64 - 1)),
        LiveReading(BEGIN - 60_400, 0, int(Fate.EXCEPTION) | 4 << 8, (1, 16_383), ()),
    ),
)  # fmt: skip


def words_of(values: np.ndarray) -> UInt64:
    """Float32 registers of values, shape kept."""
    words: UInt64 = values.astype("<f4").view("<u4").astype(np.uint64)
    return words


def minute(*, times: int = 60, requests: int = 1, noise: float = 0.0, seed: int = 7) -> Batch:
    """50 points once a second: 38 gauges and 12 counters as float32, with 12 series of windows of a minute.

    Values have a resolution of 0.1; with ``noise`` the gauges have full mantissas and that relative noise.
    """
    rng = np.random.default_rng(seed)
    shown = np.empty((50, times + 1))
    for point in range(38):
        base = rng.choice([2300, 4000, 500, 12000, 150000, 9500])
        step = max(1, base // 1000)
        walk = np.cumsum(rng.integers(-step, step + 1, times + 1) * (rng.random(times + 1) < 0.6))
        shown[point] = base / 10 * (1 + noise * rng.standard_normal(times + 1)) if noise else (base + walk) / 10
    for point in range(38, 50):
        shown[point] = (rng.integers(10**5, 5 * 10**7) + np.cumsum(rng.integers(0, 8, times + 1))) / 10
    words = words_of(shown).T
    share = 50 // requests
    samples = []
    for number in range(requests):
        points = tuple(range(number * share, (number + 1) * share))
        request = ReadRequest(0, 1 + number, 4, 0, 2 * share, 0, points, tuple(range(0, 2 * share, 2)), (2,) * share)
        delays = rng.integers(30, 40, times).astype(np.int64)
        samples.append(Samples(request, BEGIN // 1000, np.zeros(times, np.uint16), delays, words[1:, list(points)]))
    state = FoldState(BEGIN, tuple(_carried(rng, int(words[0, p]), counter=p >= 38) for p in range(50)))
    windows = tuple(
        _window(rng, series, BEGIN + 60_000 * k) for series in range(12) for k in range(max(1, times // 60))
    )
    return Batch(
        STREAM, 17, rng.bytes(32), rng.bytes(32), BEGIN, BEGIN + 1000 * times,
        Clock(rng.bytes(16), BEGIN - 123_456, ClockState.SYNCED, 12), "emitrace-agent 0.1.0",
        state, tuple(samples), (Event(EventKind.GAP, BEGIN + 5, "em-1", (("seconds", 1.5), ("first", True))),),
        windows, tuple(SlotCount(point, int(Fate.GOOD), times) for point in range(50)),
    )  # fmt: skip


def _carried(rng: np.random.Generator, words: int, *, counter: bool) -> PointState:
    if not counter:
        return PointState(words, None, (HeldSample(BEGIN - 965, words),))
    index, pending = int(rng.integers(10**9, 5 * 10**12)), int(rng.integers(0, 5 * 10**6))
    return PointState(words, CounterState(BEGIN - 965, index, BEGIN - 60_000, pending))


def _window(rng: np.random.Generator, series: int, from_ms: int) -> Window:
    mass = int(rng.integers(10**5, 10**9))
    own, shared, end = (float(np.float32(mass * share)) for share in (0.003, 0.01, 0.0007))
    return Window(
        series, 0, 0, from_ms, from_ms + 60_000, mass // 500, mass, 60_000, 60_000, 0, 0, own, (shared, own), end
    )


def same_samples(one: Sequence[Samples], other: Sequence[Samples]) -> bool:
    """Whether samples are equal to the last word."""
    return len(one) == len(other) and all(
        a.request == b.request and a.first_slot == b.first_slot and np.array_equal(a.fates, b.fates)
        and np.array_equal(a.delay_ms, b.delay_ms) and np.array_equal(a.words, b.words)
        for a, b in zip(one, other, strict=True)
    )  # fmt: skip


_u63 = st.integers(0, 2**63 - 1)
_time = st.integers(0, 2**48 - 1)
_amount = st.integers(1 - 2**62, 2**62 - 1)
_digest = st.binary(min_size=32, max_size=32)
_stream = st.binary(min_size=16, max_size=16)
_u = st.floats(0, 2.0**120, width=32).map(abs)
_text = st.text(max_size=12)
_fates = st.sampled_from([*(int(f) for f in Fate), int(Fate.EXCEPTION) | 4 << 8])
_details = st.lists(
    st.tuples(_text, st.one_of(st.booleans(), st.integers(-(2**64), 2**64 - 1), _text, st.binary(max_size=9),
                               st.floats(allow_nan=False, allow_infinity=False))),
    max_size=3,
).map(tuple)  # fmt: skip
_events = st.builds(Event, st.sampled_from(EventKind), _time, _text, _details)


@st.composite
def _states(draw: st.DrawFn, points: int, bits: list[int]) -> FoldState:
    counter = st.builds(
        CounterState, _time, st.integers(0, 2**62), _time, _amount, st.booleans(),
        st.lists(st.tuples(_time, st.integers(0, 2**62)), max_size=2).map(tuple),
    )  # fmt: skip
    held = st.lists(st.builds(HeldSample, _time, st.integers(0, 2**64 - 1), _fates), max_size=3).map(tuple)
    instant = st.builds(InstantState, _time, st.integers(0, 2**40), st.sampled_from(Phase), _time)
    carried = [
        draw(st.builds(PointState, st.integers(0, 2 ** bits[p] - 1), st.none() | counter, held, st.none() | instant))
        for p in range(points)
    ]
    return FoldState(draw(_time), tuple(carried))


@st.composite
def _samples(draw: st.DrawFn, points: list[int], widths: list[int]) -> Samples:
    fates = np.array(draw(st.lists(_fates, max_size=12)), dtype=np.uint16)
    answered = int((fates == Fate.GOOD).sum())
    gaps = draw(st.lists(st.integers(0, 3), min_size=len(points), max_size=len(points)))
    offsets, end = [], 0
    for gap, width in zip(gaps, widths, strict=True):
        offsets.append(end + gap)
        end += gap + width
    rows = [[draw(st.integers(0, 2 ** (16 * width) - 1)) for width in widths] for _ in range(answered)]
    delays = draw(st.lists(st.integers(-5, 2**31 - 1), min_size=answered, max_size=answered))
    request = ReadRequest(
        draw(st.integers(0, 65535)), draw(st.integers(0, 255)), 3, draw(st.integers(0, 65535)), max(end, 1),
        draw(st.integers(0, 65535)), tuple(points), tuple(offsets), tuple(widths),
    )  # fmt: skip
    words = np.array(rows, dtype=np.uint64).reshape(answered, len(points))
    return Samples(request, draw(_u63), fates, np.array(delays, dtype=np.int64), words)


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    from_ms = draw(st.integers(0, 2**47))
    ms = st.integers(0, 2**40)
    index = st.integers(0, 3)
    return Window(
        draw(index), draw(index), draw(index), from_ms, from_ms + draw(st.integers(1, 2**40)), draw(_amount),
        draw(_amount), draw(ms), draw(ms), draw(ms), draw(st.integers(0, 3)), draw(_u),
        tuple(draw(st.lists(_u, max_size=3))), draw(_u),
    )  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Any batch the schema allows, small."""
    points = draw(st.integers(1, 6))
    widths = [draw(st.sampled_from([1, 2, 4])) for _ in range(points)]
    order = draw(st.permutations(range(points)))
    cut = draw(st.integers(0, points))
    parts = [part for part in (list(order[:cut]), list(order[cut:])) if part]
    from_ms = draw(_time)
    slots = st.builds(SlotCount, st.integers(0, points - 1), _fates, st.integers(0, 2**23))
    return Batch(
        draw(_stream), draw(_u63), draw(_digest), draw(_digest), from_ms, draw(st.integers(from_ms, 2**48 - 1)),
        Clock(draw(st.binary(min_size=16, max_size=16)), draw(st.integers(1 - 2**48, 2**48 - 1)),
              draw(st.sampled_from(ClockState)), draw(_time)),
        draw(_text), draw(_states(points, [16 * width for width in widths])),
        tuple(draw(_samples(part, [widths[p] for p in part])) for part in parts),
        tuple(draw(st.lists(_events, max_size=3))), tuple(draw(st.lists(_windows(), max_size=4))),
        tuple(draw(st.lists(slots, max_size=4))),
    )  # fmt: skip


@st.composite
def _tombstones(draw: st.DrawFn) -> Tombstone:
    first, last = sorted((draw(_u63), draw(_u63)))
    from_ms, to_ms = sorted((draw(_time), draw(_time)))
    return Tombstone(draw(_stream), draw(_u63), draw(_digest), first, last, draw(_digest), from_ms, to_ms, draw(_text))


items: st.SearchStrategy[StreamItem] = st.one_of(
    batches(), st.builds(PlanItem, _stream, _u63, _digest, st.binary(max_size=99)), _tombstones(),
    st.builds(lambda stream, sequence, previous: make_key_change(stream, sequence, previous, NEW_KEY),
              _stream, _u63, _digest),
)  # fmt: skip
