"""Watch and live: the way to bytes and strictly back."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.messages import Live, LiveReading, Watch
from protocols.records import Clock, ClockState, Fate
from protocols.wire import cbor, limits
from protocols.wire.codec import encode_live, read_live, read_resend, read_watch, seal_resend, seal_watch
from protocols.wire.errors import Reason, WireError
from protocols.wire.live import live_map, watch_map
from tests.protocols.wire.examples import KEY, LIVE, OTHER_KEY, PUBLIC, RESEND, STREAM, WATCH

pycddl = pytest.importorskip("pycddl", reason="pycddl has wheels for x86-64 only")
CDDL = (resources.files("protocols.wire") / "schema.cddl").read_text(encoding="utf-8")
PLAN = b"p" * 32
_points = st.sets(st.integers(0, limits.POINTS - 1), min_size=1, max_size=8).map(lambda found: tuple(sorted(found)))


def conforms(rule: str, data: bytes) -> None:
    """Raise unless the data conforms to a rule of schema.cddl."""
    pycddl.Schema(f"start = {rule}\n{CDDL}").validate_cbor(data)


@st.composite
def lives(draw: st.DrawFn) -> Live:
    """Any live message the schema allows, small."""
    at_ms = draw(st.integers(0, limits.TIME_MS - 1))
    left = list(draw(_points))
    readings = []
    while left:
        points = tuple(left[: draw(st.integers(1, len(left)))])
        left = left[len(points) :]
        fate = draw(st.sampled_from([int(Fate.GOOD), int(Fate.TIMEOUT), int(Fate.EXCEPTION) | 2 << 8]))
        words = tuple(draw(st.integers(0, 2**64 - 1)) for _ in points) if fate == Fate.GOOD else ()
        due_ms, delay_ms = draw(st.integers(0, at_ms)), draw(st.integers(0, 2**31 - 1))
        readings.append(LiveReading(due_ms, delay_ms, fate, points, words))
    clock = Clock(draw(st.binary(min_size=16, max_size=16)), draw(st.integers(1 - 2**48, 2**48 - 1)),
                  draw(st.sampled_from(ClockState)), draw(st.integers(0, 2**40)))  # fmt: skip
    return Live(STREAM, PLAN, clock, at_ms, tuple(readings))


@given(lives())
def test_a_live_message_comes_back_equal(live: Live) -> None:
    """Read as it was shown, one encoding only, and as the schema says."""
    data = encode_live(live)

    conforms("live", data)
    assert live == read_live(data)
    assert data == encode_live(read_live(data))


@given(st.integers(0, limits.TIME_MS - 1), st.integers(1, limits.WATCH_S), _points)
def test_a_watch_comes_back_equal(issued_ms: int, for_s: int, points: tuple[int, ...]) -> None:
    """Read as it was signed, and as the schema says."""
    watch = Watch(STREAM, PLAN, issued_ms, for_s, points)

    conforms("watch", cbor.encode(watch_map(watch)))
    assert watch == read_watch(seal_watch(watch, KEY), PUBLIC)


def test_a_watch_of_another_key_or_kind_is_refused() -> None:
    """Only the collector's signature over a watch makes one."""
    with pytest.raises(WireError) as refused:
        read_watch(seal_watch(WATCH, OTHER_KEY), PUBLIC)
    assert Reason.UNKNOWN_KEY is refused.value.reason
    for read, data in ((read_watch, seal_resend(RESEND, KEY)), (read_resend, seal_watch(WATCH, KEY))):
        with pytest.raises(WireError) as refused:
            read(data, PUBLIC)
        assert Reason.WRONG_CONTENT_TYPE is refused.value.reason


@pytest.mark.parametrize(
    "wrong",
    [{"for_s": 0}, {"for_s": limits.WATCH_S + 1}, {"points": ()}, {"points": (3, 3)}, {"points": (4, 3)},
     {"points": (limits.POINTS,)}, {"points": tuple(range(limits.LIVE_POINTS + 1))}, {"issued_ms": limits.TIME_MS},
     {"plan": b"short"}, {"stream_id": b"short"}],
    ids=str,
)  # fmt: skip
def test_a_watch_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    """No watch lasts longer than a minute, asks for too much, for nothing, or for a point twice."""
    with pytest.raises(WireError, match="watch") as refused:
        read_watch(seal_watch(replace(WATCH, **wrong), KEY), PUBLIC)
    assert Reason.SCHEMA is refused.value.reason


@pytest.mark.parametrize("key", range(1, 7))
@pytest.mark.parametrize("rule", ["watch", "live"])
def test_every_field_is_required(rule: str, key: int) -> None:
    """The schema is no rubber stamp: it wants every field."""
    fields = watch_map(WATCH) if rule == "watch" else live_map(LIVE)
    del fields[key]

    with pytest.raises(pycddl.ValidationError):
        conforms(rule, cbor.encode(fields))
    if rule == "live":
        with pytest.raises(WireError):
            read_live(cbor.encode(fields))


@pytest.mark.parametrize(
    ("path", "value"),
    [((1,), 2), ((2,), b""), ((3,), b""), ((4,), []), ((4, 2), 3), ((5,), -1), ((6,), {}), ((6, 0), []),
     ((6, 0, 0), -1), ((6, 0, 0), 2**48), ((6, 0, 1), 2**31), ((6, 0, 2), 99), ((6, 0, 2), 0x0100), ((6, 0, 2), 2**16),
     ((6, 0, 3), []), ((6, 0, 3), [2, 0]), ((6, 0, 3), [0, 1]), ((6, 0, 3), [0, limits.POINTS]), ((6, 0, 4), [1]),
     ((6, 0, 4), [1, 2**64 - 1, 3]), ((6, 0, 4), [1, -1]), ((6, 1, 4), [0, 0])],
    ids=str,
)  # fmt: skip
def test_a_live_message_with_one_wrong_field_is_refused(path: tuple[int, ...], value: object) -> None:
    """Every position, age, fate and word is checked; a missing slot has no words."""
    fields = live_map(LIVE)
    place: Any = fields
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(WireError):
        read_live(cbor.encode(fields))


def test_a_live_message_is_small_and_bounded() -> None:
    """A point of two registers costs few bytes; more than the bound is neither sent nor read."""
    points = tuple(range(50))
    reading = LiveReading(1000, 35, int(Fate.GOOD), points, tuple(0x43670000 + point for point in points))
    most = LiveReading(0, 2**31 - 1, 0, tuple(range(limits.POINTS - limits.LIVE_POINTS, limits.POINTS)),
                       (2**64 - 1,) * limits.LIVE_POINTS)  # fmt: skip

    assert len(encode_live(replace(LIVE, at_ms=1400, readings=(reading,)))) < 50 * 7 + 120
    assert len(encode_live(replace(LIVE, readings=(most,)))) < limits.LIVE_BYTES
    with pytest.raises(WireError) as refused:
        read_live(bytes(limits.LIVE_BYTES + 1))
    assert Reason.TOO_LARGE is refused.value.reason
