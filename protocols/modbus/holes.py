"""What to ask when a device refuses a request because a register in it does not exist (exception 2).

The request is halved until what is refused is a single value: that value is not supported, all others are read. A
value is never split, and the unused registers between two halves are given up.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeAlias

from protocols.records import ReadRequest

Cutting: TypeAlias = "Generator[ReadRequest, bool, tuple[tuple[ReadRequest, ...], tuple[int, ...]]]"

RETRY_AFTER_MS = 86_400_000
"""A value found not supported is asked for again after a day: a firmware may have changed."""


def halves(request: ReadRequest) -> tuple[ReadRequest, ReadRequest] | None:
    """Two requests that together read the values of one; None where it reads a single value."""
    count = len(request.points)
    if count < 2:
        return None
    order = sorted(range(count), key=lambda column: _span(request, column))
    return part_of(request, order[: count // 2]), part_of(request, order[count // 2 :])


def cutting(request: ReadRequest) -> Cutting:
    """Halve a request until each part is answered or reads a single value.

    Yields
    ------
    ReadRequest
        What to ask the device next.

    Receives
    --------
    bool
        Whether it was answered; False where the device answered exception 2.

    Returns
    -------
    tuple of (tuple of ReadRequest, tuple of int)
        The requests that are answered, by address; the points whose registers the device does not have.
    """
    answered: list[ReadRequest] = []
    unsupported: list[int] = []
    waiting = [request]
    while waiting:
        part = waiting.pop()
        if (yield part):
            answered.append(part)
        elif (parts := halves(part)) is not None:
            waiting.extend(parts)
        else:
            unsupported.extend(part.points)
    return tuple(sorted(answered, key=lambda part: part.address)), tuple(sorted(unsupported))


def _span(request: ReadRequest, column: int) -> tuple[int, int]:
    """First register of a value inside the answer, and the one behind its last."""
    places = dict(request.scattered).get(column)
    if places is not None:
        return min(places), max(places) + 1
    return request.offsets[column], request.offsets[column] + request.widths[column]


def part_of(request: ReadRequest, columns: Sequence[int]) -> ReadRequest:
    """The request for some of the values, no longer than they are."""
    spans = [_span(request, column) for column in columns]
    start, end = min(first for first, _ in spans), max(last for _, last in spans)
    scattered = dict(request.scattered)
    return replace(
        request,
        address=request.address + start,
        count=end - start,
        points=tuple(request.points[column] for column in columns),
        offsets=tuple(request.offsets[column] - start for column in columns),
        widths=tuple(request.widths[column] for column in columns),
        scattered=tuple(
            (position, tuple(place - start for place in scattered[column]))
            for position, column in enumerate(columns)
            if column in scattered
        ),
    )
