"""Status of many instruments at one instant: the rules of ``calibration.status`` over columns.

A ``Book`` is built once from events; asking it is a few passes over integer arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from calibration.effects import NEVER, Does, effects
from calibration.events import Known
from calibration.instruments import Instrument
from calibration.intervals import OperatingTime
from calibration.requirements import Requirement
from calibration.status import BADNESS, State
from protocols.plan.model import Regime
from protocols.records import Int64

Codes: TypeAlias = NDArray[np.int8]
Subject: TypeAlias = tuple[Instrument, Requirement, Sequence[Known]]
"""One instrument under one requirement, with the events to look for its own in."""


@dataclass(frozen=True, slots=True)
class Book:
    """Effects of many subjects as columns, rows in the order of subjects and, within one, in which they act.

    Attributes
    ----------
    subjects : int
        How many.
    subject, does, from_ms, due_soon_ms, until_ms, grace_ms, known_from, known_until : ndarray, shape (effects,)
        As of ``Effect``.
    first_only : ndarray of bool, shape (subjects,)
    """

    subjects: int
    subject: Int64
    does: Codes
    from_ms: Int64
    due_soon_ms: Int64
    until_ms: Int64
    grace_ms: Int64
    known_from: Int64
    known_until: Int64
    first_only: NDArray[np.bool_]

    @classmethod
    def of(cls, subjects: Iterable[Subject], zone: str, operating: OperatingTime | None = None) -> Book:
        """Compile the events of many subjects."""
        at = ZoneInfo(zone)
        cells = array("q")
        first_only = []
        for place, (instrument, requirement, events) in enumerate(subjects):
            first_only.append(instrument.regime is Regime.FIRST_ONLY)
            for e in effects(instrument, requirement, events, at, operating):
                cells.extend(
                    (place, e.does, e.from_ms, e.due_soon_ms, e.until_ms, e.grace_ms, e.known_from, e.known_until)
                )
        table = np.frombuffer(cells, dtype=np.int64).reshape(-1, 8).T if cells else np.zeros((8, 0), dtype=np.int64)
        columns = [np.ascontiguousarray(column) for column in table]
        return cls(
            len(first_only), columns[0], columns[1].astype(np.int8), columns[2], columns[3], columns[4], columns[5],
            columns[6], columns[7], np.array(first_only, dtype=np.bool_),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """What every subject is at one instant.

    Attributes
    ----------
    state : ndarray of int8, shape (subjects,)
        Positions in ``calibration.status.STATES``; each what ``calibration.status.status`` says.
    until_ms : ndarray of int64, shape (subjects,)
        End of the last interval as known, with an extension in force; 0 where nothing was ever passed. [UTC ms]
    """

    state: Codes
    until_ms: Int64


def statuses_at(book: Book, t_ms: int, as_known_at: int | None) -> Codes:
    """State of every subject at one instant, as of ``answers_at``."""
    return answers_at(book, t_ms, as_known_at).state


def answers_at(book: Book, t_ms: int, as_known_at: int | None) -> Answers:
    """State and end of interval of every subject at one instant.

    Parameters
    ----------
    book : Book
    t_ms : int
        [UTC ms]
    as_known_at : int or None
        Size of the evidence log. None: all that is given.
    """
    if as_known_at is None:
        known = book.known_until == NEVER
    else:
        known = (book.known_from <= as_known_at) & (as_known_at < book.known_until)
    passes = known & (book.does == Does.PASS)
    if bool(book.first_only.any()):
        places = np.flatnonzero(passes)
        first = np.full(book.subjects, len(book.does), dtype=np.int64)
        np.minimum.at(first, book.subject[places], places)
        passes[places[book.first_only[book.subject[places]] & (places != first[book.subject[places]])]] = False
    begun = known & (book.from_ms <= t_ms)

    def last(which: NDArray[np.bool_]) -> Int64:
        places = np.flatnonzero(which)
        found = np.full(book.subjects, -1, dtype=np.int64)
        found[book.subject[places]] = places  # ascending: the last assignment stands
        return found

    active = begun & (t_ms < book.until_ms)
    passed = last(begun & passes)
    row = np.maximum(passed, 0)
    some = passed >= 0
    if not book.does.size:
        nothing = np.full(book.subjects, BADNESS[State.UNKNOWN], dtype=np.int8)
        return Answers(nothing, np.zeros(book.subjects, dtype=np.int64))
    until = book.until_ms[row].copy()
    lead = until - book.due_soon_ms[row]
    extended = np.flatnonzero(active & (book.does == Does.EXTEND))
    np.maximum.at(until, book.subject[extended], book.until_ms[extended])
    exempt = last(active & (book.does == Does.EXEMPT)) >= 0
    postponed = last(active & (book.does == Does.POSTPONE)) >= 0
    disturbed = last(begun & (book.does == Does.DISTURB)) > passed
    failed = last(begun & (book.does == Does.FAIL)) > passed
    out = last(begun & (book.does == Does.OUT)) > last(begun & (book.does == Does.BACK))
    conditions = [
        (out, State.SUSPENDED),
        (failed, State.FAILED),
        (disturbed, State.UNKNOWN),
        (exempt, State.EXEMPT),
        (~some, State.UNKNOWN),
        (t_ms < until - lead, State.IN_INTERVAL),
        ((t_ms < until) | (t_ms < book.grace_ms[row]), State.DUE_SOON),
        (postponed, State.OVERDUE_JUSTIFIED),
    ]
    codes = np.select([c for c, _ in conditions], [BADNESS[s] for _, s in conditions], BADNESS[State.OVERDUE])
    return Answers(np.asarray(codes, dtype=np.int8), np.where(some, until, 0))
