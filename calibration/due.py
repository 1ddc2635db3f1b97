"""What has to be tested next: a list of subjects by how soon, or how long ago, their interval ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from zoneinfo import ZoneInfo

from calibration.days import day_of
from calibration.many import Book, answers_at
from calibration.status import STATES, State


class Bucket(Enum):
    """How urgent; in the order of the list."""

    NOW = "now"
    OVERDUE = "overdue"
    WITHIN_30 = "within-30-days"
    WITHIN_60 = "within-60-days"
    WITHIN_90 = "within-90-days"


_WITHIN = ((30, Bucket.WITHIN_30), (60, Bucket.WITHIN_60), (90, Bucket.WITHIN_90))
_ORDER = {bucket: place for place, bucket in enumerate(Bucket)}
_NOW = frozenset({State.FAILED, State.UNKNOWN})
_OVERDUE = frozenset({State.OVERDUE, State.OVERDUE_JUSTIFIED})


@dataclass(frozen=True, slots=True)
class Due:
    """One line of the list.

    Attributes
    ----------
    subject : int
        Position in the book.
    state : State
    last_day : date or None
        Last valid day in the facility's zone; None where nothing was ever passed.
    days : int or None
        From the day asked for to the last valid day; negative when it is over.
    bucket : Bucket
    """

    subject: int
    state: State
    last_day: date | None
    days: int | None
    bucket: Bucket


def due_list(book: Book, t_ms: int, as_known_at: int | None, zone: str) -> tuple[Due, ...]:
    """What is due within 90 days, overdue, or has to be tested before it can be relied on; most urgent first.

    Parameters
    ----------
    book : Book
    t_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log. None: all that is given.
    zone : str
        IANA name of the facility's zone.

    Notes
    -----
    Failed and unknown instruments stand first, exempt and suspended ones are left out.
    """
    at = ZoneInfo(zone)
    today = day_of(t_ms, at)
    answers = answers_at(book, t_ms, as_known_at)
    found = []
    for subject, (code, until) in enumerate(zip(answers.state.tolist(), answers.until_ms.tolist(), strict=True)):
        state = STATES[code]
        last = day_of(until - 1, at) if until else None
        days = None if last is None else (last - today).days
        bucket = bucket_of(state, days)
        if bucket is not None:
            found.append(Due(subject, state, last, days, bucket))
    found.sort(key=lambda one: (_ORDER[one.bucket], one.last_day or date.min, one.subject))
    return tuple(found)


def count(due: Sequence[Due]) -> dict[Bucket, int]:
    """How many lines each bucket has, in the order of the list."""
    return {bucket: sum(one.bucket is bucket for one in due) for bucket in Bucket}


def bucket_of(state: State, days: int | None) -> Bucket | None:
    """How urgent a state is, so many days before the last valid one; None where nobody has to do anything yet."""
    if state in _NOW:
        return Bucket.NOW
    if state in _OVERDUE:
        return Bucket.OVERDUE
    if state in (State.EXEMPT, State.SUSPENDED) or days is None:
        return None
    return next((bucket for longest, bucket in _WITHIN if days < longest), None)
