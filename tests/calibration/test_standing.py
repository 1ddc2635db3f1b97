from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.certificates import Certificate
from calibration.days import add_months, last_day_of_interval
from calibration.standing import Known, status, status_intervals
from calibration.status import State, Status, worst
from protocols.plan.model import Instrument, Regime
from tests.calibration.records import ZONE, at, certificate, failure, instrument

DAY_MS = 86_400_000
IN, OVERDUE, UNKNOWN = State.IN_INTERVAL, State.OVERDUE, State.UNKNOWN
STATED = {"uncertainty": Decimal(1), "uncertainty_unit": "%", "k": Decimal(2)}


def _days(known: list[Certificate], subject: Instrument | None = None) -> list[tuple[str, State, str]]:
    """Local start days of the stretches of 2020 to 2030, with their state and deciding record."""
    pairs = [(c, 1) for c in known]
    stretches = status_intervals(subject or instrument(), at("2020-01-01"), at("2030-01-01"), None, pairs, ZONE)
    origin = at("2020-01-01")
    assert all((begin - origin) % DAY_MS == 0 for begin, _, _ in stretches)
    return [
        ((date(2020, 1, 1) + timedelta(days=(begin - origin) // DAY_MS)).isoformat(), s.state, s.cause)
        for begin, _, s in stretches
    ]


def test_without_a_certificate_everything_is_unknown() -> None:
    """No evidence never means good."""
    assert Status(UNKNOWN, "", None) == status(instrument(), 0, None, [], ZONE)


def test_the_printed_last_day_counts_in_full() -> None:
    """Until 24:00 in the facility's zone, and the next millisecond is overdue."""
    known = [(certificate("c", "2024-03-05", "2026-03-04"), 1)]
    begin, end = at("2024-03-05T00:00"), at("2026-03-05T00:00")

    def seen(t_ms: int) -> Status:
        return status(instrument(), t_ms, None, known, ZONE)

    assert Status(UNKNOWN, "", begin) == seen(begin - 1)
    assert Status(IN, "c", end) == seen(begin) == seen(end - 1)
    assert Status(OVERDUE, "c", None) == seen(end)


def test_the_zone_decides_when_a_day_ends() -> None:
    """The same certificate ends at another instant in another zone."""
    known = [(certificate("c", "2024-03-05", "2026-03-04"), 1)]

    utc = status(instrument(), at("2025-01-01"), None, known, "UTC").until_ms
    shanghai = status(instrument(), at("2025-01-01"), None, known, ZONE).until_ms

    assert utc is not None
    assert shanghai is not None
    assert 8 * 3_600_000 == utc - shanghai


@pytest.mark.parametrize(
    ("performed", "months", "last"),
    [
        ("2024-03-05", 12, "2025-03-04"),
        ("2024-01-31", 1, "2024-02-28"),
        ("2023-01-31", 1, "2023-02-27"),
        ("2024-02-29", 12, "2025-02-27"),
        ("2024-02-29", 48, "2028-02-28"),
        ("2023-12-31", 2, "2024-02-28"),
        ("2024-01-01", 12, "2024-12-31"),
    ],
)
def test_an_interval_ends_one_day_before_the_same_day(performed: str, months: int, last: str) -> None:
    """Month ends are clamped first, then one day is taken off."""
    assert date.fromisoformat(last) == last_day_of_interval(date.fromisoformat(performed), months)
    assert (
        at(last) + DAY_MS
        == status(
            instrument(), at(performed), None, [(certificate("c", performed, interval_months=months), 1)], ZONE
        ).until_ms
    )


def test_a_test_report_without_validity_has_no_last_day() -> None:
    """It may be entered, and gives nothing."""
    report = certificate("r", "2021-01-01", kind="test-report")

    assert [("2020-01-01", UNKNOWN, "")] == _days([report])


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1950, 1, 1), date(2150, 1, 1)), st.integers(1, 600))
def test_months_are_added_by_the_calendar(day: date, months: int) -> None:
    """The month is right and the day is the same or the last there is."""
    later = add_months(day, months)

    assert day.year * 12 + day.month + months == later.year * 12 + later.month
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


def test_the_printed_day_wins_over_the_interval() -> None:
    """Where both are stated, what is printed on the document counts."""
    both = certificate("c", "2024-03-05", "2024-12-31", interval_months=24)

    assert at("2025-01-01") == status(instrument(), at("2024-06-01"), None, [(both, 1)], ZONE).until_ms


def test_a_later_certificate_decides_even_over_a_longer_one() -> None:
    """The later performance date wins from its day on."""
    known = [certificate("long", "2021-01-01", "2028-12-31"), certificate("short", "2022-01-01", "2023-12-31")]

    assert [
        ("2020-01-01", UNKNOWN, ""),
        ("2021-01-01", IN, "long"),
        ("2022-01-01", IN, "short"),
        ("2024-01-01", OVERDUE, "short"),
    ] == _days(known)


def test_a_late_certificate_leaves_the_gap_overdue() -> None:
    """A pass does not reach back over the time without validity."""
    known = [certificate("a", "2021-01-01", "2021-12-31"), certificate("b", "2022-06-01", "2023-05-31")]

    assert [
        ("2020-01-01", UNKNOWN, ""),
        ("2021-01-01", IN, "a"),
        ("2022-01-01", OVERDUE, "a"),
        ("2022-06-01", IN, "b"),
        ("2023-06-01", OVERDUE, "b"),
    ] == _days(known)


def test_a_failure_is_overdue_from_its_day_and_reaches_back() -> None:
    """Since the day after the last pass nobody can tell when the instrument left its limits."""
    known = [
        certificate("a", "2021-01-01", "2022-12-31"),
        failure("bad", "2022-03-01"),
        certificate("b", "2022-05-01", "2023-04-30"),
    ]

    assert [
        ("2020-01-01", UNKNOWN, ""),
        ("2021-01-01", IN, "a"),
        ("2021-01-02", UNKNOWN, "bad"),
        ("2022-03-01", OVERDUE, "bad"),
        ("2022-05-01", IN, "b"),
        ("2023-05-01", OVERDUE, "b"),
    ] == _days(known)


def test_a_failure_after_the_interval_leaves_the_overdue_time_overdue() -> None:
    """Only what was in interval turns unknown."""
    known = [certificate("a", "2021-01-01", "2021-12-31"), failure("bad", "2022-03-01")]

    assert [
        ("2020-01-01", UNKNOWN, ""),
        ("2021-01-01", IN, "a"),
        ("2021-01-02", UNKNOWN, "bad"),
        ("2022-01-01", OVERDUE, "a"),
        ("2022-03-01", OVERDUE, "bad"),
    ] == _days(known)


def test_a_first_document_that_is_a_failure_is_overdue() -> None:
    """Never in interval, but not unknown any more."""
    assert [("2020-01-01", UNKNOWN, ""), ("2021-01-01", OVERDUE, "bad")] == _days([failure("bad", "2021-01-01")])


def test_a_failure_decides_over_a_pass_of_the_same_day() -> None:
    """Documents state days, not hours: the worse one counts until a later day."""
    known = [certificate("good", "2021-01-01", "2021-12-31"), failure("bad", "2021-01-01")]

    assert [("2020-01-01", UNKNOWN, ""), ("2021-01-01", OVERDUE, "bad")] == _days(known)


def test_of_two_passes_of_a_day_the_shorter_validity_counts() -> None:
    """Conservative, and independent of the order of entry."""
    known = [certificate("long", "2021-01-01", "2022-12-31"), certificate("short", "2021-01-01", "2021-12-31")]

    assert [("2021-01-01", IN, "short"), ("2022-01-01", OVERDUE, "short")] == _days(known)[1:]


def test_a_certificate_for_another_serial_or_instrument_is_no_evidence() -> None:
    """A meter does not inherit the papers of another one."""
    known = [
        certificate("other", "2021-01-01", "2025-12-31", serial="B-2"),
        certificate("stray", "2021-01-01", "2025-12-31", instrument="gas"),
    ]

    assert [("2020-01-01", UNKNOWN, "")] == _days(known)


@pytest.mark.parametrize(
    ("regime", "kind", "expected"),
    [
        (Regime.MANDATORY_PERIODIC, "verification-certificate", IN),
        (Regime.MANDATORY_PERIODIC, "calibration-certificate", UNKNOWN),
        (Regime.FIRST_ONLY, "calibration-certificate", UNKNOWN),
        (Regime.USER_DEFINED, "verification-certificate", IN),
        (Regime.USER_DEFINED, "calibration-certificate", IN),
        (Regime.USER_DEFINED, "test-report", UNKNOWN),
    ],
)
def test_the_kind_has_to_fit_the_regime(regime: Regime, kind: str, expected: State) -> None:
    """A calibration does not stand in for a mandatory verification; a test report is no traceability."""
    known = [(certificate("c", "2021-01-01", "2025-12-31", kind=kind, **STATED), 1)]

    assert expected is status(instrument(regime), at("2022-01-01"), None, known, ZONE).state


def test_a_calibration_without_uncertainty_is_no_traceability() -> None:
    """Errors without U and k show nothing about the instrument."""
    known = [(certificate("c", "2021-01-01", "2025-12-31", kind="calibration-certificate"), 1)]

    assert UNKNOWN is status(instrument(), at("2022-01-01"), None, known, ZONE).state


def test_a_failed_calibration_counts_under_any_regime() -> None:
    """Bad news is evidence from any laboratory."""
    bad = failure("bad", "2022-01-01", kind="calibration-certificate")
    known = [(certificate("c", "2021-01-01", "2025-12-31"), 1), (bad, 2)]

    assert OVERDUE is status(instrument(Regime.MANDATORY_PERIODIC), at("2022-06-01"), None, known, ZONE).state


def test_under_first_verification_only_the_first_pass_is_the_life() -> None:
    """A second verification extends nothing and repairs nothing."""
    subject = instrument(Regime.FIRST_ONLY)
    again = certificate("again", "2023-01-01", "2029-12-31")
    first = certificate("first", "2021-01-01", "2024-12-31")

    assert [("2021-01-01", IN, "first"), ("2025-01-01", OVERDUE, "first")] == _days([again, first], subject)[1:]
    assert ("2022-01-01", OVERDUE, "bad") == _days([first, failure("bad", "2022-01-01"), again], subject)[-1]


def test_a_superseded_record_is_replaced_from_the_day_that_is_known() -> None:
    """A slip at entry is corrected by another record, and the earlier answer stands as it was given."""
    wrong = (certificate("wrong", "2021-01-01", "2027-12-31"), 5)
    right = (certificate("right", "2021-01-01", "2021-12-31", supersedes="wrong"), 9)
    t_ms = at("2023-01-01")

    assert (IN, "wrong") == _seen(status(instrument(), t_ms, 8, [wrong, right], ZONE))
    assert (OVERDUE, "right") == _seen(status(instrument(), t_ms, 9, [wrong, right], ZONE))


def _seen(found: Status) -> tuple[State, str]:
    return found.state, found.cause


def test_a_late_entry_is_not_known_before_its_leaf() -> None:
    """The tree size decides what was known, the performance date what held."""
    known = [(certificate("c", "2021-01-01", "2025-12-31"), 40)]
    t_ms = at("2022-01-01")

    assert UNKNOWN is status(instrument(), t_ms, 39, known, ZONE).state
    assert IN is status(instrument(), t_ms, 40, known, ZONE).state
    assert IN is status(instrument(), t_ms, None, known, ZONE).state


def test_a_chain_is_as_good_as_its_worst_member() -> None:
    """In interval, then overdue, then unknown; nothing at all is unknown."""
    assert IN is worst([IN, IN])
    assert OVERDUE is worst([IN, OVERDUE])
    assert UNKNOWN is worst([OVERDUE, UNKNOWN, IN])
    assert UNKNOWN is worst([])


def test_an_empty_span_has_no_stretches() -> None:
    """From after to: nothing to say."""
    assert [] == status_intervals(instrument(), 5, 5, None, [], ZONE)


DAYS = st.dates(date(2021, 1, 1), date(2022, 12, 31))


@st.composite
def knowledge(draw: st.DrawFn) -> list[Known]:
    """A history of up to eight documents, entered at any time and in any order."""
    found: list[Known] = []
    for place in range(draw(st.integers(0, 8))):
        day = draw(DAYS)
        kind = draw(st.sampled_from(["verification-certificate", "calibration-certificate", "test-report", "fail"]))
        more: dict[str, object] = dict(STATED)
        if draw(st.booleans()):
            more["supersedes"] = f"c{draw(st.integers(8, 12) | st.integers(0, place - 1) if place else st.just(9))}"
        name = f"c{place}"
        if kind == "fail":
            record = failure(name, day.isoformat(), **more)
        else:
            until = (day + timedelta(days=draw(st.integers(0, 400)))).isoformat()
            record = certificate(name, day.isoformat(), until, kind=kind, **more)
        if draw(st.integers(0, 9)) == 0:
            record = record.model_copy(update={"serial": "B-2"})
        found.append((record, draw(st.integers(1, 20))))
    return found


SUBJECTS = st.sampled_from([instrument(regime) for regime in Regime])
SPANS = st.tuples(st.integers(0, 900 * 24), st.integers(1, 2000)).map(
    lambda p: (at("2020-10-01") + p[0] * 3_600_000, at("2020-10-01") + (p[0] + p[1]) * 3_600_000)
)
KNOWN_AT = st.none() | st.integers(0, 21)


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, knowledge(), KNOWN_AT, SPANS, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=9))
def test_every_instant_has_exactly_one_status(
    subject: Instrument, known: list[Known], known_at: int | None, span: tuple[int, int], places: list[float]
) -> None:
    """Stretches tile the span without hole or overlap and say what ``status`` says at each instant."""
    begin, end = span
    stretches = status_intervals(subject, begin, end, known_at, known, ZONE)

    assert [begin, *(to for _, to, _ in stretches)] == [*(f for f, _, _ in stretches), end]
    assert all(a[2] != b[2] for a, b in pairwise(stretches))
    edges = [f for f, _, _ in stretches] + [t - 1 for _, t, _ in stretches]
    for t_ms in (*edges, *(begin + int(place * (end - begin)) for place in places)):
        holding = [s for f, t, s in stretches if f <= t_ms < t]
        assert [status(subject, t_ms, known_at, known, ZONE)] == holding


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, knowledge(), knowledge(), st.integers(0, 20), SPANS)
def test_later_knowledge_never_changes_an_earlier_answer(
    subject: Instrument, known: list[Known], more: list[Known], known_at: int, span: tuple[int, int]
) -> None:
    """What becomes known from a greater tree size is not seen at a smaller one."""
    later = [
        (record.model_copy(update={"id": f"later-{place}"}), known_at + size)
        for place, (record, size) in enumerate(more)
    ]

    before = status_intervals(subject, *span, known_at, known, ZONE)

    assert before == status_intervals(subject, *span, known_at, [*known, *later], ZONE)


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, knowledge(), KNOWN_AT, SPANS, st.randoms(use_true_random=False))
def test_the_order_of_entry_does_not_matter(
    subject: Instrument, known: list[Known], known_at: int | None, span: tuple[int, int], chance: Random
) -> None:
    """The same records in any order give the same stretches."""
    shuffled = known[:]
    chance.shuffle(shuffled)

    assert status_intervals(subject, *span, known_at, known, ZONE) == status_intervals(
        subject, *span, known_at, shuffled, ZONE
    )


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, knowledge(), DAYS, SPANS)
def test_a_failure_never_improves_a_status(
    subject: Instrument, known: list[Known], day: date, span: tuple[int, int]
) -> None:
    """Bad news makes no instant better, unless it displaces what came after it."""
    bad = (failure("bad", day.isoformat()), 1)
    order = list(State)

    for begin, _, found in status_intervals(subject, *span, None, [*known, bad], ZONE):
        was = status(subject, begin, None, known, ZONE)
        assert found.state is not State.IN_INTERVAL or order.index(was.state) == 0
