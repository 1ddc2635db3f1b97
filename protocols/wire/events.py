"""Typed events on the wire."""

from __future__ import annotations

import math
from typing import Any

from protocols.records import Event, EventKind, Scalar
from protocols.wire import limits
from protocols.wire.fields import array, refuse, text, uint

_KINDS = frozenset(EventKind)
_DETAILS = 32


def event_row(event: Event) -> list[Any]:
    """An event as [kind, at_ms, subject, [[name, value] ...]]."""
    return [int(event.kind), event.at_ms, event.subject, list(map(list, event.details))]


def read_events(value: object, where: str) -> tuple[Event, ...]:
    """The events in their rows."""
    return tuple(_read_event(row, where) for row in array(value, where, limits.EVENTS))


def _read_event(row: object, where: str) -> Event:
    kind, at_ms, subject, details = array(row, where, 4, 4)
    code = uint(kind, f"{where}.kind", 256)
    if code not in _KINDS:
        refuse(f"{where}.kind", f"{code} is not an event kind")
    return Event(
        EventKind(code),
        uint(at_ms, f"{where}.at_ms", limits.TIME_MS),
        text(subject, f"{where}.subject", limits.TEXT),
        tuple(_read_detail(pair, f"{where}.details") for pair in array(details, f"{where}.details", _DETAILS)),
    )


def _read_detail(pair: object, where: str) -> tuple[str, Scalar]:
    name, value = array(pair, where, 2, 2)
    return text(name, where, 64), _scalar(value, where)


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        refuse(where, "a number that is not finite")
    if isinstance(value, str | bytes) and len(value) > limits.TEXT:
        refuse(where, f"{len(value)} characters or bytes, at most {limits.TEXT} are allowed")
    if not isinstance(value, bool | int | float | str | bytes):
        refuse(where, f"{type(value).__name__} instead of a number, text, bytes or a truth value")
    return value
