from __future__ import annotations

from datetime import date

from hypothesis import given, settings

from calibration.due import Bucket, Due, count, due_list
from calibration.events import Known, What
from calibration.instruments import Instrument
from calibration.many import Book, answers_at, statuses_at
from calibration.status import State, status
from tests.calibration.happenings import (
    KNOWN_AT,
    SPANS,
    SUBJECTS,
    YEARLY,
    failed,
    granted,
    happened,
    histories,
    known,
    meter,
)
from tests.calibration.records import ZONE, at

TODAY = at("2024-06-01T09:00")


def book(*histories_of: list[Known]) -> Book:
    """One meter under the yearly requirement for each history."""
    return Book.of([(meter(), YEARLY, history) for history in histories_of], ZONE)


def test_the_list_is_by_urgency_and_then_by_day() -> None:
    """Unknown and failed first, overdue, within 30, 60 and 90 days; what is later or excused is left out."""
    days = ["2023-08-15", "2023-07-01", "2023-06-02", "2023-06-01", "2022-01-01", "2023-09-01"]
    lines = due_list(
        book(
            *(known(happened("v", day)) for day in days),
            known(failed("f", "2024-05-01")),
            [],
            known(granted("e", "2024-01-01", "2024-12-31", What.EXEMPTION)),
            known(happened("v", "2020-01-01"), happened("o", "2024-01-01", What.OUT_OF_USE)),
        ),
        TODAY, None, ZONE,
    )  # fmt: skip

    assert [
        (6, Bucket.NOW), (7, Bucket.NOW), (4, Bucket.OVERDUE), (3, Bucket.OVERDUE), (2, Bucket.WITHIN_30),
        (1, Bucket.WITHIN_30), (0, Bucket.WITHIN_90),
    ] == [(one.subject, one.bucket) for one in lines]  # fmt: skip
    assert {Bucket.NOW: 2, Bucket.OVERDUE: 2, Bucket.WITHIN_30: 2, Bucket.WITHIN_60: 0, Bucket.WITHIN_90: 1} == count(
        lines
    )


def test_a_line_says_the_last_day_and_how_far_it_is() -> None:
    """The last valid day in the facility's zone; today itself is no days away."""
    (tomorrow,) = due_list(book(known(happened("v", "2023-06-03"))), TODAY, None, ZONE)
    (today,) = due_list(book(known(happened("v", "2023-06-02"))), TODAY, None, ZONE)
    (over,) = due_list(book(known(happened("v", "2023-06-01"))), TODAY, None, ZONE)
    (never,) = due_list(book([]), TODAY, None, ZONE)

    assert Due(0, State.DUE_SOON, date(2024, 6, 2), 1, Bucket.WITHIN_30) == tomorrow
    assert (date(2024, 6, 1), 0) == (today.last_day, today.days)
    assert Due(0, State.OVERDUE, date(2024, 5, 31), -1, Bucket.OVERDUE) == over
    assert Due(0, State.UNKNOWN, None, None, Bucket.NOW) == never


def test_an_extension_in_force_moves_the_end() -> None:
    """As known at the size asked for."""
    history = [
        (happened("v", "2023-06-02"), 1),
        (granted("x", "2024-05-01", "2024-07-31", What.EXTENSION, official=True), 7),
    ]

    assert [date(2024, 6, 1)] == [one.last_day for one in due_list(book(history), TODAY, 6, ZONE)]
    assert [date(2024, 7, 31)] == [one.last_day for one in due_list(book(history), TODAY, 7, ZONE)]


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, histories(), KNOWN_AT, SPANS)
def test_every_instrument_that_needs_somebody_is_on_the_list(
    subject: Instrument, events: list[Known], size: int | None, span: tuple[int, int]
) -> None:
    """Once, with the state that ``status`` says; the answers agree with the states alone."""
    one = Book.of([(subject, YEARLY, events)], ZONE)
    state = status(subject, span[0], size, events, ZONE, YEARLY).state
    lines = due_list(one, span[0], size, ZONE)

    assert answers_at(one, span[0], size).state.tolist() == statuses_at(one, span[0], size).tolist()
    if state in (State.FAILED, State.UNKNOWN, State.OVERDUE, State.OVERDUE_JUSTIFIED, State.DUE_SOON):
        assert [state] == [line.state for line in lines]
    elif state in (State.EXEMPT, State.SUSPENDED):
        assert () == lines
