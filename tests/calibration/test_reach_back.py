from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings

from calibration.events import Known, What
from calibration.evidence import Result
from calibration.instruments import Instrument
from calibration.intervals import Interval
from calibration.reach_back import Change, changes, suspect_windows, validity_intervals
from calibration.requirements import Onset, Requirement
from calibration.status import State, timeline
from protocols.plan.model import Regime
from tests.calibration.happenings import (
    KNOWN_AT,
    SPANS,
    SUBJECTS,
    YEARLY,
    failed,
    happened,
    histories,
    known,
    meter,
    percent,
)
from tests.calibration.records import ZONE, at

OUT, FINE = (percent("100", "-1.6"), percent("50", "0.4")), (percent("100", "0.1"),)


def test_a_failure_makes_everything_since_the_last_good_evidence_suspect() -> None:
    """From the end of the day of the last pass to the start of the day of the failure."""
    events = known(happened("v", "2023-01-10"), failed("f", "2023-12-31", as_found=OUT))

    (window,) = suspect_windows(meter(), events, None, ZONE, YEARLY)

    assert (at("2023-01-11"), at("2023-12-31"), "f", "v") == (
        window.from_ms,
        window.to_ms,
        window.event,
        window.last_good,
    )
    assert Decimal("-0.016") == window.error


def test_found_outside_and_adjusted_reaches_back_too() -> None:
    """It passed as it was left; the time before is suspect all the same."""
    events = known(happened("v", "2023-01-10"), happened("w", "2024-01-05", as_found=OUT, as_left=FINE))

    (window,) = suspect_windows(meter(), events, None, ZONE, YEARLY)

    assert ("w", at("2024-01-05")) == (window.event, window.to_ms)
    assert State.IN_INTERVAL is timeline(meter(), None, events, ZONE, YEARLY).at(at("2024-01-06")).state


def test_a_passed_check_in_service_narrows_the_window_to_its_instant() -> None:
    """What was good at 10:15 is suspect from 10:15 on."""
    check = happened("c", None, What.IN_SERVICE_CHECK, at_ms=at("2023-10-01T10:15"), result=Result.PASS)
    events = known(happened("v", "2023-01-10"), check, failed("f", "2023-12-31"))

    (window,) = suspect_windows(meter(), events, None, ZONE, YEARLY)

    assert (at("2023-10-01T10:15"), "c", None) == (window.from_ms, window.last_good, window.error)


def test_without_good_evidence_there_is_no_beginning() -> None:
    """Everything before is suspect."""
    (window,) = suspect_windows(meter(), known(failed("f", "2023-12-31")), None, ZONE, YEARLY)

    assert (None, "") == (window.from_ms, window.last_good)


def test_a_scheme_may_count_from_the_test_on() -> None:
    """Part 75 and HJ 75 look no further back than the failed test."""
    events = known(happened("v", "2023-01-10"), failed("f", "2023-12-31"))

    assert () == suspect_windows(meter(), events, None, ZONE, replace(YEARLY, onset=Onset.AT_TEST))


def test_a_late_pass_opens_no_window() -> None:
    """Late but fine is a matter of the late rule."""
    events = known(happened("v", "2022-01-10"), happened("w", "2024-01-05", as_found=FINE))

    assert () == suspect_windows(meter(), events, None, ZONE, YEARLY)


def test_a_failure_of_no_concern_to_a_requirement_opens_no_window() -> None:
    """A drift check neither meets nor breaks traceability."""
    bad = happened("d", None, What.DRIFT_CHECK, at_ms=at("2023-10-01"), result=Result.FAIL)

    assert () == suspect_windows(meter(), known(happened("v", "2023-01-10"), bad), None, ZONE, YEARLY)


def test_a_fail_at_year_end_after_sealing_changes_the_year_from_its_leaf_on() -> None:
    """The answer at sealing stands; the difference is one stretch, and the window lies over the year."""
    events = [(happened("v", "2023-03-01"), 10), (failed("f", "2023-12-30"), 50)]
    span = at("2023-01-01"), at("2024-01-01")

    sealed, today = (timeline(meter(), size, events, ZONE, YEARLY) for size in (49, 50))

    assert () == suspect_windows(meter(), events, 49, ZONE, YEARLY)
    assert [50] == [w.known_from for w in suspect_windows(meter(), events, 50, ZONE, YEARLY)]
    assert (Change(at("2023-12-30"), at("2024-01-01"), State.IN_INTERVAL, State.FAILED),) == changes(
        sealed, today, span
    )


def test_validity_intervals_name_the_test_that_makes_them_suspect() -> None:
    """Cut where the status changes and where suspicion begins and ends."""
    events = known(happened("v", "2023-03-01"), failed("f", "2023-06-01"))
    life, suspects = timeline(meter(), None, events, ZONE, YEARLY), suspect_windows(meter(), events, None, ZONE, YEARLY)

    found = validity_intervals(meter(), YEARLY, life, suspects, (at("2023-02-28"), at("2023-06-02")), 7)

    assert [
        (at("2023-02-28"), State.UNKNOWN, ""), (at("2023-03-01"), State.IN_INTERVAL, ""),
        (at("2023-03-02"), State.IN_INTERVAL, "f"), (at("2023-06-01"), State.FAILED, ""),
    ] == [(one.from_ms, one.status.state, one.suspect) for one in found]  # fmt: skip
    assert {7} == {one.known_from for one in found}


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, histories(), KNOWN_AT, SPANS)
def test_validity_intervals_tile_every_span(
    subject: Instrument, events: list[Known], size: int | None, span: tuple[int, int]
) -> None:
    """Without hole or overlap, and twice the same."""
    life, suspects = timeline(subject, size, events, ZONE, YEARLY), suspect_windows(subject, events, size, ZONE, YEARLY)
    found = validity_intervals(subject, YEARLY, life, suspects, span, 1)

    assert (span[0], span[1]) == (found[0].from_ms, found[-1].to_ms)
    assert all(a.to_ms == b.from_ms for a, b in pairwise(found))
    assert found == validity_intervals(subject, YEARLY, life, suspects, span, 1)


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, histories(), histories(), SPANS)
def test_changes_are_exactly_where_two_answers_differ(
    subject: Instrument, events: list[Known], more: list[Known], span: tuple[int, int]
) -> None:
    """Every instant in a change differs as said, every other one is the same."""
    before, after = (timeline(subject, None, each, ZONE, YEARLY) for each in (events, more))
    found = changes(before, after, span)

    for t_ms in {span[0], span[1] - 1, *before.starts, *after.starts}:
        if span[0] <= t_ms < span[1]:
            said = [(c.before, c.after) for c in found if c.from_ms <= t_ms < c.to_ms]
            was, now = before.at(t_ms).state, after.at(t_ms).state
            assert said == ([] if was is now else [(was, now)])


def test_the_window_of_a_mandatory_instrument_rests_on_verifications_only() -> None:
    """A calibration in between is no good evidence for it."""
    events = known(
        happened("v", "2023-01-10"), happened("c", "2023-06-01", What.CALIBRATION), failed("f", "2023-12-31")
    )
    requirement = Requirement("m", interval=Interval(months=12))

    (mandatory,) = suspect_windows(meter(Regime.MANDATORY_PERIODIC), events, None, ZONE, requirement)
    (own,) = suspect_windows(meter(), events, None, ZONE, requirement)

    assert ("v", "c") == (mandatory.last_good, own.last_good)
