from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.events import Event, Known, What
from calibration.evidence import Document, Kind, Result
from calibration.instruments import Chain, Instrument, Member, Part
from calibration.intervals import Interval, OperatingTime
from calibration.many import Book, statuses_at
from calibration.requirements import Requirement
from calibration.status import STATES, Reason, State, Status, Timeline, of_chain, status, timeline, worst, worst_of
from protocols.plan.model import Regime
from tests.calibration.happenings import (
    DAYS,
    KNOWN_AT,
    REQUIREMENTS,
    SPANS,
    SUBJECTS,
    YEARLY,
    failed,
    granted,
    happened,
    histories,
    known,
    meter,
    percent,
)
from tests.calibration.records import ZONE, at

HOUR_MS = 3_600_000
IN, SOON, OVERDUE, UNKNOWN = State.IN_INTERVAL, State.DUE_SOON, State.OVERDUE, State.UNKNOWN


def life(*events: Event, subject: Instrument | None = None, requirement: Requirement = YEARLY) -> Timeline:
    """Status over all time with everything known."""
    return timeline(subject or meter(), None, known(*events), ZONE, requirement)


def days(found: Timeline) -> list[tuple[str, State]]:
    """Local start days of a timeline with the state from then on; the state before comes first."""
    origin = at("2020-01-01")
    assert all((start - origin) % 86_400_000 == 0 for start in found.starts)
    starts = [(date(2020, 1, 1) + timedelta(days=(s - origin) // 86_400_000)).isoformat() for s in found.starts]
    return list(zip(["", *starts], [one.state for one in found.statuses], strict=True))


def test_expiry_is_at_local_midnight_after_the_last_day() -> None:
    """The last day counts to 24:00 in the facility's zone; the next millisecond is overdue."""
    found = life(happened("v", "2024-03-05"))
    end = at("2025-03-05")

    assert (SOON, OVERDUE) == (found.at(end - 1).state, found.at(end).state)
    assert end == found.at(end - 1).until_ms


def test_a_leap_day_and_month_ends_are_clamped() -> None:
    """A year from 29 February ends with 27 February; a month from 31 January with 27 or 28 February."""
    assert at("2025-02-28") == life(happened("v", "2024-02-29")).starts[-1]
    monthly = Requirement("monthly", interval=Interval(months=1))
    assert at("2024-02-29") == life(happened("v", "2024-01-31"), requirement=monthly).starts[-1]
    assert at("2023-02-28") == life(happened("v", "2023-01-31"), requirement=monthly).starts[-1]


def test_due_soon_begins_thirty_days_before_the_end() -> None:
    """In interval, due soon, overdue, in this order and without a hole."""
    assert [
        ("", UNKNOWN), ("2024-03-05", IN), ("2025-02-03", SOON), ("2025-03-05", OVERDUE),
    ] == days(life(happened("v", "2024-03-05")))  # fmt: skip


def test_the_printed_date_wins_over_every_interval() -> None:
    """Longer or shorter than the requirement's and the event's own interval."""
    for printed in ("2024-06-30", "2027-12-31"):
        event = happened("v", "2024-03-05", valid_until=date.fromisoformat(printed), interval=Interval(months=24))

        assert at(printed) + 86_400_000 == life(event).starts[-1]


def test_an_interval_set_for_the_test_stays_when_the_requirement_changes() -> None:
    """What was set when it was tested is not changed by a later rule."""
    event = happened("v", "2024-03-05", interval=Interval(months=6))

    assert at("2024-09-05") == life(event).starts[-1]


def test_a_repair_without_a_test_leaves_the_status_unknown() -> None:
    """Until it passes again; the pass before does not come back."""
    found = life(happened("v", "2024-01-01"), happened("r", "2024-05-01", What.REPAIR), happened("w", "2024-06-01"))

    assert [UNKNOWN, IN, UNKNOWN, IN] == [state for _, state in days(found)][:4]
    assert Status(UNKNOWN, "r", at("2024-06-01"), Reason.DISTURBED) == found.at(at("2024-05-10"))


@pytest.mark.parametrize("what", [What.ADJUSTMENT, What.REPAIR, What.SEAL_BROKEN, What.MOVE])
def test_what_disturbs_ends_the_interval(what: What) -> None:
    """Adjustment, repair, broken seal and move alike."""
    assert UNKNOWN is life(happened("v", "2024-01-01"), happened("x", "2024-02-01", what)).at(at("2024-03-01")).state


def test_a_repair_and_its_verification_on_one_day_are_in_this_order() -> None:
    """Documents state days: a repair is followed by its test, unless a time says otherwise."""
    repair = happened("r", "2024-05-01", What.REPAIR)
    later = happened("r", "2024-05-01", What.REPAIR, at_ms=at("2024-05-01T16:00"))

    assert IN is life(repair, happened("v", "2024-05-01")).at(at("2024-05-02")).state
    assert UNKNOWN is life(later, happened("v", "2024-05-01")).at(at("2024-05-02")).state


def test_contradictory_certificates_of_one_day_count_as_a_failure() -> None:
    """The worse one counts until a later test, in whatever order they are entered."""
    for events in (
        (happened("good", "2024-01-01"), failed("bad", "2024-01-01")),
        (failed("a", "2024-01-01"), happened("b", "2024-01-01")),
    ):
        assert State.FAILED is life(*events).at(at("2024-01-02")).state


def test_a_failure_is_failed_until_the_next_pass() -> None:
    """Repair does not clear it, a pass does."""
    found = life(
        happened("v", "2024-01-01"), failed("f", "2024-03-01"), happened("r", "2024-04-01", What.REPAIR),
        happened("w", "2024-05-01"),
    )  # fmt: skip

    assert [UNKNOWN, IN, State.FAILED, IN] == [state for _, state in days(found)][:4]


def test_a_verdict_is_not_believed_against_its_own_points() -> None:
    """Reported as a pass, but 1.5 % at a class 1 meter: failed."""
    event = happened("v", "2024-01-01", as_found=(percent("100", "1.5"),))

    assert State.FAILED is life(event).at(at("2024-02-01")).state


def test_adjusted_and_left_good_is_a_pass() -> None:
    """Found outside, left inside: valid from then on."""
    event = happened("v", "2024-01-01", as_found=(percent("100", "1.5"),), as_left=(percent("100", "0.1"),))

    assert IN is life(event).at(at("2024-02-01")).state


def test_out_of_use_is_suspended_until_back() -> None:
    """Over everything else."""
    found = life(
        failed("f", "2024-01-01"),
        happened("o", "2024-02-01", What.OUT_OF_USE),
        happened("b", "2024-03-01", What.BACK_IN_USE),
    )

    assert [UNKNOWN, State.FAILED, State.SUSPENDED, State.FAILED] == [state for _, state in days(found)]


def test_an_exemption_ends_on_its_last_day() -> None:
    """Exempt while it holds, then what it would have been."""
    found = life(happened("v", "2023-01-01"), granted("e", "2024-02-01", "2024-04-30", What.EXEMPTION))

    assert [("2024-01-01", OVERDUE), ("2024-02-01", State.EXEMPT), ("2024-05-01", OVERDUE)] == days(found)[-3:]


def test_an_exemption_excuses_what_was_never_tested_but_no_failure() -> None:
    """A billing meter that is another party's duty; a failed one is failed all the same."""
    exempt = granted("e", "2024-01-01", "2024-12-31", What.EXEMPTION)

    assert State.EXEMPT is life(exempt).at(at("2024-06-01")).state
    assert State.FAILED is life(exempt, failed("f", "2024-02-01")).at(at("2024-06-01")).state


def test_an_exemption_may_be_for_one_requirement_only() -> None:
    """Exempt from the yearly test, not from another one."""
    exempt = granted("e", "2024-01-01", "2024-12-31", What.EXEMPTION, requirements=frozenset({"yearly"}))
    other = Requirement("other", interval=Interval(months=12))

    assert State.EXEMPT is life(exempt).at(at("2024-06-01")).state
    assert UNKNOWN is life(exempt, requirement=other).at(at("2024-06-01")).state


def test_a_postponement_is_justified_overdue_while_it_holds() -> None:
    """Not before the end of the interval, and not after its own."""
    found = life(happened("v", "2023-01-01"), granted("p", "2023-11-01", "2024-03-31", What.EXTENSION))

    assert [("2024-01-01", State.OVERDUE_JUSTIFIED), ("2024-04-01", OVERDUE)] == days(found)[-2:]


def test_only_the_authority_extends_a_mandatory_verification() -> None:
    """A user's own postponement gives nothing; an official batch extension keeps it in interval."""
    subject = meter(Regime.MANDATORY_PERIODIC)
    own = granted("p", "2023-11-01", "2024-12-31", What.EXTENSION)
    official = granted("x", "2023-11-01", "2024-12-31", What.EXTENSION, official=True)
    base = happened("v", "2023-01-01")

    assert OVERDUE is life(base, own, subject=subject).at(at("2024-02-01")).state
    assert Status(IN, "x", at("2024-12-02"), Reason.EXTENDED) == life(base, official, subject=subject).at(
        at("2024-02-01")
    )
    assert OVERDUE is life(base, official, subject=subject).at(at("2025-01-01")).state


def test_there_is_no_grace_under_mandatory_verification() -> None:
    """Grace is a scheme's for instruments whose interval the user sets."""
    graced = Requirement("g", interval=Interval(months=12), grace=Interval(months=1))
    base, t_ms = happened("v", "2023-01-01"), at("2024-01-10")

    assert Status(SOON, "v", at("2024-02-01"), Reason.GRACE) == life(base, requirement=graced).at(t_ms)
    assert OVERDUE is life(base, subject=meter(Regime.MANDATORY_PERIODIC), requirement=graced).at(t_ms).state


def test_a_calibration_certificate_never_satisfies_mandatory_verification() -> None:
    """It does for an instrument whose interval the user sets."""
    event = happened("c", "2024-01-01", What.CALIBRATION)

    assert UNKNOWN is life(event, subject=meter(Regime.MANDATORY_PERIODIC)).at(at("2024-02-01")).state
    assert IN is life(event).at(at("2024-02-01")).state


def test_a_duty_holders_statement_serves_for_another_partys_meter_only() -> None:
    """The grid company's billing meter, but not one's own."""
    event = happened("s", "2024-01-01", document=Document(Kind.STATEMENT, "No. 1"))
    grid = meter(Regime.MANDATORY_PERIODIC, duty_holder="a grid company")

    assert IN is life(event, subject=grid).at(at("2024-02-01")).state
    assert UNKNOWN is life(event, subject=meter(Regime.MANDATORY_PERIODIC)).at(at("2024-02-01")).state


def test_under_first_verification_only_the_first_pass_is_the_life() -> None:
    """A later verification extends nothing."""
    subject = meter(Regime.FIRST_ONLY)
    ten_years = Requirement("life", interval=Interval(months=120))
    found = life(happened("a", "2021-01-01"), happened("b", "2025-01-01"), subject=subject, requirement=ten_years)

    assert ("2031-01-01", OVERDUE) == days(found)[-1]


def test_operating_hours_or_months_whichever_first() -> None:
    """1,000 operating hours end it in a year of steady operation; standing still, twelve months do."""
    both = Requirement("both", interval=Interval(months=12, operating_hours=1000))
    start = at("2024-01-01")
    busy = OperatingTime.of([(start, start + 5000 * HOUR_MS)], start + 5000 * HOUR_MS)
    idle = OperatingTime.of([], at("2030-01-01"))
    event = known(happened("v", "2024-01-01"))

    assert start + 1000 * HOUR_MS == timeline(meter(), None, event, ZONE, both, busy).starts[-1]
    assert at("2025-01-01") == timeline(meter(), None, event, ZONE, both, idle).starts[-1]
    assert at("2025-01-01") == timeline(meter(), None, event, ZONE, both).starts[-1]


def test_a_superseded_certificate_counts_until_its_correction_is_known() -> None:
    """The earlier answer stands as it was given."""
    wrong = (happened("wrong", "2021-01-01", valid_until=date(2027, 12, 31)), 5)
    right = (happened("right", "2021-01-01", valid_until=date(2021, 12, 31), supersedes="wrong"), 9)
    t_ms = at("2023-01-01")

    assert (IN, "wrong") == _said(status(meter(), t_ms, 8, [wrong, right], ZONE))
    assert (OVERDUE, "right") == _said(status(meter(), t_ms, 9, [wrong, right], ZONE))
    assert UNKNOWN is status(meter(), t_ms, 4, [wrong, right], ZONE).state


def _said(found: Status) -> tuple[State, str]:
    return found.state, found.cause


def test_a_failed_drift_check_is_over_with_the_next_good_one() -> None:
    """A requirement of its own: it neither meets nor breaks traceability."""
    drift = Requirement(
        "drift",
        meets=frozenset({What.DRIFT_CHECK}),
        breaks=frozenset(),
        interval=Interval(clock_hours=26),
        documented=False,
    )
    bad = happened("bad", None, What.DRIFT_CHECK, at_ms=at("2024-01-02T08:00"), result=Result.FAIL)
    good = happened("good", None, What.DRIFT_CHECK, at_ms=at("2024-01-02T09:30"), result=Result.PASS)
    paper = happened("v", "2024-01-01")

    found = life(paper, bad, good, requirement=drift)

    assert [State.FAILED, IN, SOON, OVERDUE] == [found.at(at(t)).state for t in (
        "2024-01-02T09:29", "2024-01-02T09:30", "2024-01-03T11:29", "2024-01-03T11:30",
    )]  # fmt: skip
    assert IN is life(paper, bad).at(at("2024-01-03")).state


def test_a_chain_is_as_good_as_its_worst_member_in_place() -> None:
    """A current transformer overdue makes the chain overdue; a swap in mid-hour changes it in mid-hour."""
    fine, overdue = life(happened("v", "2024-01-01")), life(happened("w", "2022-01-01"))
    swap = at("2024-06-01T10:17")
    chain = Chain("feeder", (Member(Part.METER, "meter"), Member(Part.CURRENT_TRANSFORMER, "ct-old")))
    found = of_chain(
        chain.swapped(Part.CURRENT_TRANSFORMER, "ct-old", "ct-new", swap),
        {"meter": fine, "ct-old": overdue, "ct-new": fine},
    )

    assert (OVERDUE, "w") == _said(found.at(swap - 1))
    assert (IN, "v") == _said(found.at(swap))
    assert worst([IN, OVERDUE]) is OVERDUE
    assert worst([]) is UNKNOWN


def test_a_chain_with_a_part_out_of_its_place_is_broken() -> None:
    """Between the old transformer and the new one nothing is measured."""
    fine = life(happened("v", "2024-01-01"))
    chain = Chain("feeder", (
        Member(Part.CURRENT_TRANSFORMER, "ct-1", None, at("2024-06-01")),
        Member(Part.CURRENT_TRANSFORMER, "ct-2", at("2024-06-03"), None),
    ))  # fmt: skip
    found = of_chain(chain, {"ct-1": fine, "ct-2": fine})

    assert [IN, State.SUSPENDED, IN] == [found.at(at(f"2024-0{d}")).state for d in ("5-31", "6-02", "6-03")]
    assert Reason.NOT_IN_PLACE is found.at(at("2024-06-02")).reason


def test_of_several_requirements_the_worst_counts() -> None:
    """And of none it is unknown."""
    a, b = life(happened("v", "2024-01-01")), life(failed("f", "2024-02-01"))

    found = worst_of([a, b])

    assert [UNKNOWN, State.FAILED] == [found.at(at(t)).state for t in ("2024-01-10", "2024-02-10")]
    assert UNKNOWN is worst_of([]).at(0).state


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, REQUIREMENTS, histories(), KNOWN_AT, SPANS, st.lists(st.floats(0, 1, exclude_max=True), max_size=5))
def test_every_instant_has_exactly_one_status_per_requirement(
    subject: Instrument, requirement: Requirement, events: list[Known], size: int | None, span: tuple[int, int],
    places: list[float],
) -> None:  # fmt: skip
    """Stretches tile the span without hole or overlap; the form for many instruments says the same."""
    begin, end = span
    found = timeline(subject, size, events, ZONE, requirement)
    stretches = found.between(begin, end)
    book = Book.of([(subject, requirement, events)], ZONE)

    assert [begin, *(b for _, b, _ in stretches)] == [*(a for a, _, _ in stretches), end]
    assert all(x != y for x, y in pairwise(found.statuses))
    edges = {t for a, b, _ in stretches for t in (a, b - 1)} | {begin + int(place * (end - begin)) for place in places}
    for t_ms in edges:
        holding = [one for a, b, one in stretches if a <= t_ms < b]
        assert [status(subject, t_ms, size, events, ZONE, requirement)] == holding
        assert [holding[0].state] == [STATES[code] for code in statuses_at(book, t_ms, size)]


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, REQUIREMENTS, histories(), histories(), st.integers(0, 20))
def test_knowledge_added_later_never_changes_an_earlier_answer(
    subject: Instrument, requirement: Requirement, events: list[Known], more: list[Known], size: int
) -> None:
    """What becomes known from a greater size of the log is not seen at a smaller one."""
    later = [(replace(event, id=f"later-{n}"), size + known_from) for n, (event, known_from) in enumerate(more)]
    both = [*events, *later]

    assert timeline(subject, size, events, ZONE, requirement) == timeline(subject, size, both, ZONE, requirement)


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, REQUIREMENTS, histories(), KNOWN_AT, st.randoms(use_true_random=False))
def test_neither_order_of_entry_nor_a_second_run_matters(
    subject: Instrument, requirement: Requirement, events: list[Known], size: int | None, chance: Random
) -> None:
    """The same events in any order, entered once, give the same status over all time, again and again."""
    shuffled = events[:]
    chance.shuffle(shuffled)
    first = timeline(subject, size, events, ZONE, requirement)

    assert first == timeline(subject, size, shuffled, ZONE, requirement)
    assert first == timeline(subject, size, events, ZONE, requirement)


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, histories(), DAYS)
def test_a_failure_never_makes_an_instant_better(subject: Instrument, events: list[Known], day: date) -> None:
    """Added bad news leaves every instant as bad or makes it worse, but for the suspended ones."""
    worse = timeline(subject, None, [*events, (failed("zz", day.isoformat()), 1)], ZONE, YEARLY)
    before = timeline(subject, None, events, ZONE, YEARLY)

    for t_ms in {*worse.starts, *before.starts}:
        assert STATES.index(worse.at(t_ms).state) >= STATES.index(before.at(t_ms).state)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SUBJECTS, REQUIREMENTS, histories()), max_size=3), KNOWN_AT, SPANS)
def test_many_instruments_at_once_are_as_one_by_one(
    subjects: list[tuple[Instrument, Requirement, list[Known]]], size: int | None, span: tuple[int, int]
) -> None:
    """No subject's events leak into another's answer."""
    found = statuses_at(Book.of(subjects, ZONE), span[0], size)

    assert [STATES[code] for code in found] == [status(i, span[0], size, e, ZONE, r).state for i, r, e in subjects]


def test_the_end_of_a_validity_is_the_one_that_counts_now() -> None:
    """Due soon is valid; of what is over the last end is told, and of what never was there is none."""
    states = [State.UNKNOWN, State.IN_INTERVAL, State.DUE_SOON, State.OVERDUE, State.SUSPENDED, State.IN_INTERVAL]
    before, *after = (Status(state, "v", None) for state in states)
    life = Timeline.of(before, zip((100, 200, 300, 400, 500), after, strict=True))

    assert [None, 300, 300, 300, 300, None] == [life.valid_until(at_ms) for at_ms in (50, 150, 250, 350, 450, 550)]
