"""From events to tonnes: what a year's mass rests on, as known then and as known later."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.charts import cusum
from calibration.conservative import Direction
from calibration.errors import CalibrationError
from calibration.events import Event, Known, What
from calibration.evidence import Result
from calibration.instruments import Chain, Instrument, Member, Part
from calibration.intervals import Interval
from calibration.late import Correction, Policy, late_tests
from calibration.reach_back import changes, suspect_windows
from calibration.requirements import Onset, Requirement
from calibration.schemes.catalogue import Verdict, scheme
from calibration.shares import mass_by_state, total_by_state
from calibration.status import State, Status, Timeline, of_chain, timeline, worst_of
from protocols.plan.model import Regime
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
    percent,
)
from tests.calibration.records import ZONE, at

HOUR_MS = 3_600_000
TONNE_MG = 10**9
IN, SOON, OVERDUE, FAILED = State.IN_INTERVAL, State.DUE_SOON, State.OVERDUE, State.FAILED
SHORT = Requirement("short", interval=Interval(months=12), lead_ms=0)


def tonnes(life: Timeline, begin: str, end: str) -> dict[State, float]:
    """Tonnes by state of a source that emits one tonne an hour, hour by hour."""
    return {
        state: mass / TONNE_MG
        for state, mass in total_by_state(
            mass_by_state(TONNE_MG, life.between(t_ms, t_ms + HOUR_MS)) for t_ms in range(at(begin), at(end), HOUR_MS)
        ).items()
    }


def life(*events: Event, size: int | None = None, subject: Instrument | None = None) -> Timeline:
    """Status with no lead before the end, so that in interval and overdue are all there is."""
    return timeline(subject or meter(), size, known(*events), ZONE, SHORT)


def test_expiry_at_local_midnight() -> None:
    """Two days around the end: 24 tonnes in interval, 24 overdue; not a minute of UTC's midnight."""
    assert {IN: 24, OVERDUE: 24} == tonnes(life(happened("v", "2023-03-05")), "2024-03-04", "2024-03-06")


def test_leap_day() -> None:
    """A year from 29 February 2024 ends with 27 February 2025; the leap day itself has 24 hours in interval."""
    found = life(happened("v", "2024-02-29"))

    assert {IN: 24} == tonnes(found, "2024-02-29", "2024-03-01")
    assert {IN: 24, OVERDUE: 24} == tonnes(found, "2025-02-27", "2025-03-01")


def test_repair_without_recalibration() -> None:
    """From 10:15 on nobody knows; the hour of the repair is split by time."""
    repair = happened("r", "2024-06-01", What.REPAIR, at_ms=at("2024-06-01T10:15"))

    assert {IN: 10.25, State.UNKNOWN: 13.75} == tonnes(
        life(happened("v", "2024-01-01"), repair), "2024-06-01", "2024-06-02"
    )


def test_fail_at_year_end_after_sealing() -> None:
    """As sealed everything was in interval; today two days failed and the rest of the year is suspect."""
    events: list[Known] = [
        (happened("v", "2023-01-01"), 10),
        (failed("f", "2023-12-30", as_found=(percent("100", "3"),)), 90),
    ]
    sealed, today = (timeline(meter(), size, events, ZONE, SHORT) for size in (89, 90))
    span = at("2023-01-01"), at("2024-01-01")

    assert {IN: 8760} == tonnes(sealed, "2023-01-01", "2024-01-01")
    assert {IN: 363 * 24, FAILED: 48} == tonnes(today, "2023-01-01", "2024-01-01")
    assert [(at("2023-12-30"), at("2024-01-01"), IN, FAILED)] == [
        (c.from_ms, c.to_ms, c.before, c.after) for c in changes(sealed, today, span)
    ]
    (window,) = suspect_windows(meter(), events, 90, ZONE, SHORT)
    assert (at("2023-01-02"), at("2023-12-30"), Decimal("0.03")) == (window.from_ms, window.to_ms, window.error)


def test_late_then_pass() -> None:
    """Nineteen days overdue; by CDM the limits of error are added to what was measured then."""
    events = (happened("v", "2023-01-01"), happened("w", "2024-01-20", as_found=(percent("100", "0.4"),)))
    (late,) = late_tests(meter(), known(*events), None, ZONE, SHORT)
    correction = Correction(
        Policy.LARGER_OF_LIMIT_AND_ERROR, late.from_ms, late.to_ms, Direction.HIGH, Decimal("0.01"), late.error
    )

    assert {IN: 288, OVERDUE: 456} == tonnes(life(*events), "2024-01-01", "2024-02-01")
    assert not late.outside
    assert 1_010_000_000 == correction.adjust(TONNE_MG, at("2024-01-10"))


def test_late_then_out_of_limits() -> None:
    """By CDM the error found is added instead, for it is larger; and the window reaches back to the last good test."""
    events = (happened("v", "2023-01-01"), failed("f", "2024-01-20", as_found=(percent("100", "-2.5"),)))
    (late,) = late_tests(meter(), known(*events), None, ZONE, SHORT)
    (window,) = suspect_windows(meter(), known(*events), None, ZONE, SHORT)
    correction = Correction(
        Policy.LARGER_OF_LIMIT_AND_ERROR, late.from_ms, late.to_ms, Direction.HIGH, Decimal("0.01"), late.error
    )

    assert {OVERDUE: 456, FAILED: 288} == tonnes(life(*events), "2024-01-01", "2024-02-01")
    assert 1_025_000_000 == correction.adjust(TONNE_MG, at("2024-01-10"))
    assert (at("2023-01-02"), at("2024-01-20")) == (window.from_ms, window.to_ms)


def test_ct_overdue_in_a_chain() -> None:
    """The meter is fine and its current transformer is not: the figure is not."""
    chain = Chain("feeder", (Member(Part.METER, "meter"), Member(Part.CURRENT_TRANSFORMER, "ct")))
    found = of_chain(chain, {"meter": life(happened("v", "2024-01-01")), "ct": life(happened("w", "2023-02-01"))})

    assert {IN: 744, OVERDUE: 696} == tonnes(found, "2024-01-01", "2024-03-01")


def test_swap_in_mid_hour() -> None:
    """The hour belongs to both instruments, by time."""
    swap = at("2024-06-01T10:45")
    chain = Chain("feeder", (Member(Part.METER, "old"),)).swapped(Part.METER, "old", "new", swap)
    found = of_chain(chain, {"old": life(happened("v", "2022-01-01")), "new": life(happened("w", "2024-05-01"))})

    assert {IN: 0.25, OVERDUE: 0.75} == tonnes(found, "2024-06-01T10:00", "2024-06-01T11:00")


def test_exemption_ending() -> None:
    """Its last day counts; then the meter was never tested."""
    found = life(granted("e", "2024-01-01", "2024-01-31", What.EXEMPTION))

    assert {State.EXEMPT: 24, State.UNKNOWN: 24} == tonnes(found, "2024-01-31", "2024-02-02")


def test_superseded_certificate() -> None:
    """A wrong end of validity corrected later: the month is overdue from then on, and was not before."""
    events: list[Known] = [
        (happened("wrong", "2023-01-01", valid_until=date(2029, 1, 1)), 5),
        (happened("right", "2023-01-01", valid_until=date(2024, 1, 1), supersedes="wrong"), 9),
    ]

    assert {IN: 744} == tonnes(timeline(meter(), 8, events, ZONE, SHORT), "2024-01-01", "2024-02-01")
    assert {IN: 24, OVERDUE: 720} == tonnes(timeline(meter(), 9, events, ZONE, SHORT), "2024-01-01", "2024-02-01")


def test_contradictory_certificate() -> None:
    """Pass and failure of one day: the failure counts until the next pass."""
    found = life(happened("good", "2024-01-10"), failed("bad", "2024-01-10"), happened("again", "2024-01-20"))

    assert {IN: 288, FAILED: 240} == tonnes(found, "2024-01-10", "2024-02-01")


@settings(max_examples=60, deadline=None)
@given(SUBJECTS, histories(), KNOWN_AT, SPANS, st.integers(-(10**12), 10**12))
def test_masses_by_status_add_up_to_the_mass(
    subject: Instrument, events: list[Known], size: int | None, span: tuple[int, int], mass_mg: int
) -> None:
    """To the milligram, whatever the history; nothing is of the other sign."""
    parts = mass_by_state(mass_mg, timeline(subject, size, events, ZONE, YEARLY).between(*span))

    assert mass_mg == sum(parts.values())
    assert all(part * mass_mg >= 0 for part in parts.values())


def test_a_mass_needs_stretches_without_a_hole() -> None:
    """Nothing is silently left out."""
    one = Status(IN, "", None)
    for stretches in ([], [(0, 5, one), (6, 9, one)]):
        with pytest.raises(CalibrationError):
            mass_by_state(1, stretches)


def test_a_drifting_analyzer_is_caught_and_the_policy_brings_the_figure_nearer_the_truth() -> None:
    """CO2 of 12 %, span gas of 18 %, a span drift of -0.02 % CO2 a day from the twentieth day of ninety on.

    Daily checks after Canada's CO2 method lose control at 0.5 % on the 48th day; the chart notices the drift on the
    24th. As measured the mass up to then is 0.86 % short; with the drift since the chart's alarm taken out as linear
    it is 0.03 % off.
    """
    check = scheme("canada-co2").check("co2-daily")
    noise = np.random.default_rng(2026).normal(0.0, 0.03, 90)
    gain = 1 - 0.02 / 18 * np.maximum(0, np.arange(91) - 20)
    requirement = Requirement(
        "co2-daily", meets=frozenset({What.DRIFT_CHECK}), breaks=frozenset(), interval=Interval(clock_hours=24),
        documented=False, onset=Onset.SINCE_LAST_GOOD, lead_ms=0,
    )  # fmt: skip
    analyzer = Instrument("co2", "C-1", Regime.USER_DEFINED)
    start, day_ms = at("2026-01-01"), 24 * HOUR_MS
    paper = happened("v", "2025-12-31", instrument="co2", serial="C-1")
    events, deviations = [paper], []
    caught = None
    for day in range(90):
        deviations.append(18 * gain[day] - 18 + noise[day])
        verdict = check.verdict(Decimal(0), Decimal(str(round(deviations[-1], 4))), Decimal(20), Decimal(18))
        lost = verdict is Verdict.OUT_OF_CONTROL
        events.append(
            Event(
                f"d{day:02}", "co2", "C-1", What.DRIFT_CHECK, at_ms=start + day * day_ms,
                result=Result.FAIL if lost else Result.PASS,
            )
        )  # fmt: skip
        if lost:
            caught = day
            break
    assert caught is not None
    alarm = int(np.flatnonzero(cusum(np.array(deviations), 0.03).drift_alarm)[0])
    life_of_checks = timeline(analyzer, None, known(*events), ZONE, requirement)
    (window,) = suspect_windows(analyzer, known(*events), None, ZONE, requirement)
    error = Decimal(str(round(deviations[-1] / 18, 6)))
    drift_from = start + alarm * day_ms
    drift = Correction(
        Policy.LINEAR_DRIFT, drift_from, window.to_ms, Direction.HIGH, Decimal("0.05"), error,
        Decimal(str(round(deviations[alarm] / 18, 6))),
    )  # fmt: skip

    hours = range(start, window.to_ms, HOUR_MS)
    truth = [TONNE_MG] * len(hours)
    measured = [round(TONNE_MG * float(np.interp((t - start) / day_ms, np.arange(91), gain))) for t in hours]
    corrected = [drift.adjust(m, t) if t >= drift_from else m for m, t in zip(measured, hours, strict=True)]
    before, after = (abs(sum(masses) / sum(truth) - 1) for masses in (measured, corrected))

    assert (23, 47) == (alarm, caught)
    assert State.FAILED is life_of_checks.at(window.to_ms).state
    assert f"d{caught:02}" == window.event
    assert pytest.approx((0.0086, 0.0003), abs=5e-5) == (before, after)


def test_the_worst_requirement_speaks_for_the_instrument() -> None:
    """Papers in order and a lost check: a day's tonnes are failed from the check on."""
    drift = scheme("canada-co2").check("co2-daily").requirement
    bad = happened("d", None, What.DRIFT_CHECK, at_ms=at("2024-06-01T06:00"), result=Result.FAIL)
    good = happened("c", None, What.DRIFT_CHECK, at_ms=at("2024-05-31T18:00"), result=Result.PASS)
    events = known(happened("v", "2024-01-01"), good, bad)

    both = worst_of([timeline(meter(), None, events, ZONE, requirement) for requirement in (SHORT, drift)])

    assert {IN: 6, FAILED: 18} == tonnes(both, "2024-06-01", "2024-06-02")
