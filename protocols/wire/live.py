"""Watch and live as maps, and strictly back: what pages want to see now, and what an agent shows them.

A live message is not signed and never becomes evidence. It travels bare, without envelope and compression: a
few bytes per point, raw words undecoded, so that one decoder serves batches and live values alike.
"""

from __future__ import annotations

from typing import Any

from protocols.messages import Live, LiveReading, Watch
from protocols.records import Fate
from protocols.wire import limits
from protocols.wire.fields import array, record, refuse, uint
from protocols.wire.items import (
    STREAM,
    VERSION,
    VERSION_NOW,
    check_version,
    clock_row,
    digest,
    read_clock,
    stream_id,
)

PLAN, ISSUED, FOR_S, POINTS = range(3, 7)
CLOCK, AT, READINGS = range(4, 7)
_DELAY_MS = 2**31
_FATES = frozenset(Fate)


def watch_map(watch: Watch) -> dict[int, Any]:
    """The map of a watch."""
    return {
        VERSION: VERSION_NOW,
        STREAM: watch.stream_id,
        PLAN: watch.plan,
        ISSUED: watch.issued_ms,
        FOR_S: watch.for_s,
        POINTS: list(watch.points),
    }


def read_watch_map(value: object) -> Watch:
    """The watch in a decoded map."""
    check_version(value, "watch")
    fields = record(value, "watch", range(VERSION, POINTS + 1))
    return Watch(
        stream_id(fields[STREAM], "watch.stream_id"),
        digest(fields[PLAN], "watch.plan"),
        uint(fields[ISSUED], "watch.issued_ms", limits.TIME_MS),
        uint(fields[FOR_S], "watch.for_s", limits.WATCH_S + 1, 1),
        _read_points(fields[POINTS], limits.LIVE_POINTS, "watch.points"),
    )


def live_map(live: Live) -> dict[int, Any]:
    """The map of a live message."""
    return {
        VERSION: VERSION_NOW,
        STREAM: live.stream_id,
        PLAN: live.plan,
        CLOCK: clock_row(live.clock),
        AT: live.at_ms,
        READINGS: [
            [live.at_ms - one.due_ms, one.delay_ms, int(one.fate), list(one.points), list(one.words)]
            for one in live.readings
        ],
    }


def read_live_map(value: object) -> Live:
    """The live message in a decoded map; every point stands in it once."""
    check_version(value, "live")
    fields = record(value, "live", range(VERSION, READINGS + 1))
    at_ms = uint(fields[AT], "live.at_ms", limits.TIME_MS)
    readings: list[LiveReading] = []
    seen: set[int] = set()
    for i, row in enumerate(array(fields[READINGS], "live.readings", limits.LIVE_POINTS)):
        where = f"live.readings[{i}]"
        one = _read_reading(row, at_ms, limits.LIVE_POINTS - len(seen), where)
        if not seen.isdisjoint(one.points):
            refuse(where, "a point that another reading has")
        seen.update(one.points)
        readings.append(one)
    return Live(
        stream_id(fields[STREAM], "live.stream_id"),
        digest(fields[PLAN], "live.plan"),
        read_clock(fields[CLOCK], "live.clock"),
        at_ms,
        tuple(readings),
    )


def _read_reading(row: object, at_ms: int, most: int, where: str) -> LiveReading:
    ago_ms, delay_ms, fate, points, words = array(row, where, 5, 5)
    detail, code = divmod(uint(fate, f"{where}.fate", 2**16), 2**8)
    if code not in _FATES or (detail and code != Fate.EXCEPTION):
        refuse(f"{where}.fate", f"{fate} is not a fate code")
    chosen = _read_points(points, most, f"{where}.points")
    answered = len(chosen) if fate == Fate.GOOD else 0
    return LiveReading(
        at_ms - uint(ago_ms, f"{where}.ago_ms", at_ms + 1),
        uint(delay_ms, f"{where}.delay_ms", _DELAY_MS),
        fate,
        chosen,
        tuple(uint(word, f"{where}.words", 2**64) for word in array(words, f"{where}.words", answered, answered)),
    )


def _read_points(value: object, most: int, where: str) -> tuple[int, ...]:
    """Positions of points, ascending; at least one."""
    points: list[int] = []
    for point in array(value, where, most):
        points.append(uint(point, where, limits.POINTS, points[-1] + 1 if points else 0))
    if not points:
        refuse(where, "no point")
    return tuple(points)
