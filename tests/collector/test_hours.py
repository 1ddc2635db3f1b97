from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.certificates import Certificate
from calibration.events import from_certificate
from collector.hours.assemble import HourRule, WindowSpan, assemble
from collector.hours.cells import HOUR_MS, cell_of, cells_between
from collector.hours.lives import Lives, Trust
from collector.hours.model import RULES, HourRow
from protocols.records import Window
from tests.collector.edge import START_MS, Edge, stream
from tests.plans import PLAN as PLAN_TEXT
from tests.plans import small_plan

RULE = HourRule(Fraction(3, 4))
PLAN = small_plan(60)
GRID, STACK = 0, 2
MINUTE_MS = 60_000


SECOND_METER = """
[[instruments]]
id = "em-2"
name = { zh = "电能表二", en = "Electricity meter 2" }
serial = "E2"
map = "test-rig"
bus = "line-a"
unit = 4
regime = "mandatory-periodic"
registers = "primary"
accuracy = { class = "1", percent_of_reading = 1.0 }

[[points]]
id = "em-2.energy"
instrument = "em-2"
register = "energy"
scan_class = "meters"
max_rate = 1000
max_rate_unit = "kWh/h"

"""


def window(source: int, minute: int, mass: int, operating: int = 60_000, measured: int = 60_000, **more: int) -> Window:
    """A minute's window of the small plan."""
    series = PLAN.sources[source].counters or PLAN.sources[source].rates
    from_ms = START_MS + minute * MINUTE_MS
    return Window(
        source, 0, 0, from_ms, from_ms + MINUTE_MS, more.get("activity", 0), mass, operating, measured,
        more.get("stopped", 0), 0, 3.0, tuple(2.0 for _ in series[0].causes), 1.5,
    )  # fmt: skip


def lives(certificates: Sequence[tuple[Certificate, int]] = (), rules: int = RULES) -> Lives:
    """What these certificates make of the instruments."""
    return Lives(Trust([(from_certificate(one), known) for one, known in certificates]), rules=rules)


def rows(windows: Sequence[Window], certificates: Sequence[tuple[Certificate, int]] = ()) -> tuple[HourRow, ...]:
    """Hour rows of windows under the small plan."""
    return assemble("a" * 64, [WindowSpan(PLAN, windows)], RULE, lives(certificates))


def certificate(instrument: str, serial: str, performed: str, until: str) -> Certificate:
    """A passed verification."""
    return Certificate.model_validate({
        "id": f"{instrument}-{performed}", "instrument": instrument, "serial": serial, "number": "1",
        "kind": "verification-certificate", "laboratory": "lab", "performed_on": performed, "valid_until": until,
        "result": "pass",
    })  # fmt: skip


def instant(text: str, zone: str = "UTC") -> int:
    """ISO time to UTC ms."""
    at = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000


@pytest.mark.parametrize(
    ("zone", "at", "expected"),
    [
        ("Asia/Shanghai", "2026-03-01T16:20:00", ("2026-03-01T16:00:00", "2026-03-01T17:00:00")),
        ("Asia/Kolkata", "2026-03-01T18:20:00", ("2026-03-01T18:00:00", "2026-03-01T18:30:00")),
        ("Asia/Kolkata", "2026-03-01T18:30:00", ("2026-03-01T18:30:00", "2026-03-01T19:00:00")),
        ("Asia/Kathmandu", "2026-03-01T18:16:00", ("2026-03-01T18:15:00", "2026-03-01T19:00:00")),
        ("America/Santiago", "2026-09-06T04:10:00", ("2026-09-06T04:00:00", "2026-09-06T05:00:00")),
    ],
)
def test_cells_end_at_hours_and_at_midnight(zone: str, at: str, expected: tuple[str, str]) -> None:
    """A cell is a UTC hour, cut where the facility's day turns inside it."""
    assert tuple(map(instant, expected)) == cell_of(instant(at), ZoneInfo(zone))


@given(st.integers(0, 2**41), st.sampled_from(["Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC"]))
def test_cells_tile_the_time_line(at_ms: int, name: str) -> None:
    """Every instant lies in exactly one cell, and a day's cells follow each other without a hole."""
    zone = ZoneInfo(name)
    cells = cells_between(at_ms, at_ms + 24 * HOUR_MS, zone)

    assert cells[0][0] <= at_ms < cells[0][1]
    assert all(a[1] == b[0] for a, b in pairwise(cells))
    assert all(cell == cell_of(cell[1] - 1, zone) for cell in cells)


def test_a_counter_hour_is_the_sum_and_never_scales() -> None:
    """Half an hour of a meter is half an hour: nothing is added, completeness says the rest."""
    row = rows([window(GRID, n, 1000, activity=7) for n in range(30)])[0]

    assert ("measured", 30_000, 0, 210) == (row.method, row.mass_mg, row.added_mg, row.activity)
    assert (30 * MINUTE_MS, 30 * MINUTE_MS, 0, 30) == (row.measured_ms, row.operating_ms, row.stopped_ms, row.windows)


def test_a_qualifying_hour_of_a_stack_is_scaled_once() -> None:
    """Mass = measured x operating / measured time, half to even, and the added part is its own integer."""
    row = rows([window(STACK, 0, 100, 60_000, 48_000), window(STACK, 1, 101, 60_000, 60_000)])[0]

    assert ("scaled", 223, 22) == (row.method, row.mass_mg, row.added_mg)  # 201 x 120 / 108 = 223.33
    assert 3.0 * 2**0.5 * 120 / 108 == pytest.approx(row.u_independent)


def test_an_hour_below_the_share_is_incomplete() -> None:
    """With less than three quarters of operating time measured nothing is added."""
    row = rows([window(STACK, 0, 100, 60_000, 44_999)])[0]

    assert ("incomplete", 100, 0) == (row.method, row.mass_mg, row.added_mg)


def test_stopped_time_is_zero_by_evidence() -> None:
    """A stopped hour is measured as zero; an unknown one is incomplete."""
    stopped, unknown = (
        rows([window(STACK, 0, 0, 0, 0, stopped=60_000)])[0],
        rows([window(STACK, 0, 0, 60_000, 0)])[0],
    )

    assert ("measured", 0, 60_000) == (stopped.method, stopped.mass_mg, stopped.stopped_ms)
    assert "incomplete" == unknown.method


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 60_000)), min_size=1, max_size=60))
def test_mass_per_status_adds_to_the_row(parts: list[tuple[int, int]]) -> None:
    """Scaled or not, masses per calibration status add to the row's mass to the milligram, times likewise."""
    change = datetime.fromtimestamp(START_MS / 1000, ZoneInfo("Asia/Shanghai")).date().isoformat()
    known = [(certificate("stack-1", "S1", "2020-01-01", change), 1)]
    row = rows([window(STACK, n, mass, 60_000, measured) for n, (mass, measured) in enumerate(parts)], known)[0]

    assert row.mass_mg == sum(mass for _, mass in row.status_mg)
    assert row.measured_ms + row.stopped_ms == sum(ms for _, ms in row.status_ms)
    assert row.added_mg == row.mass_mg - sum(mass for mass, _ in parts)


def test_a_status_change_splits_the_row_by_window() -> None:
    """Windows before the certificate's end are due soon, those behind it overdue."""
    midnight = instant("2026-03-02T00:00:00", "Asia/Shanghai")
    known = [(certificate("em-1", "E1", "2025-03-02", "2026-03-01"), 1)]
    before = replace(window(GRID, 0, 10), from_ms=midnight - MINUTE_MS, to_ms=midnight)
    after = replace(window(GRID, 0, 20), from_ms=midnight, to_ms=midnight + MINUTE_MS)

    found = rows([before, after], known)

    assert [(("due-soon", 10),), (("overdue", 20),)] == [row.status_mg for row in found]


def test_uncertainty_parts_combine_by_their_rules() -> None:
    """Independent in quadrature, shared linearly, ends only at the first and last window."""
    row = rows([window(GRID, n, 100) for n in range(4)])[0]

    assert 6.0 == pytest.approx(row.u_independent)
    assert {8.0} == {u for _, u in row.u_shared}
    assert (1.5, 1.5) == (row.u_end_first, row.u_end_last)


def test_a_hole_gives_each_stretch_its_own_ends() -> None:
    """Two stretches of windows have two first and two last ends."""
    row = rows([window(GRID, 0, 100), window(GRID, 2, 100)])[0]

    assert [1.5 * 2**0.5] * 2 == pytest.approx([row.u_end_first, row.u_end_last])


def test_the_order_and_grouping_of_windows_changes_nothing() -> None:
    """The rows of a real stream are the same from any order and any grouping of its windows."""
    edge: Edge = stream(3, window_s=60)
    whole = [window for batch in edge.batches for window in batch.windows]
    grouped = [WindowSpan(edge.plan, batch.windows) for batch in reversed(edge.batches)]

    one = assemble(edge.agent_id, [WindowSpan(edge.plan, whole)], RULE, lives())

    assert one == assemble(edge.agent_id, grouped, RULE, lives())
    assert sum(w.mass_mg for w in whole) == sum(row.mass_mg - row.added_mg for row in one)


def test_each_input_carries_the_status_of_its_own_meter() -> None:
    """An overdue second meter marks its own share of the mass; common time counts as the worse of the two."""
    text = PLAN_TEXT.replace('add = ["em-1.energy"]', 'add = ["em-1.energy", "em-2.energy"]')
    text = text.replace('[[instruments]]\nid = "gm-1"', SECOND_METER + '[[instruments]]\nid = "gm-1"')
    plan = small_plan(60, text)
    causes = tuple(1.0 for _ in plan.sources[GRID].counters[0].causes)
    windows = [
        replace(window(GRID, 0, mass), input=number, u_shared=causes)
        for number, mass in ((0, 700), (1, 300))
    ]
    known = [
        (certificate("em-1", "E1", "2025-06-01", "2027-06-01"), 1),
        (certificate("em-2", "E2", "2020-06-01", "2021-06-01"), 2),
    ]
    (row,) = assemble("a" * 64, [WindowSpan(plan, windows)], RULE, lives(known))

    assert (("in-interval", 700), ("overdue", 300)) == row.status_mg
    assert (("overdue", MINUTE_MS),) == row.status_ms


def test_a_moment_stated_twice_is_refused() -> None:
    """Two windows of one input over the same time make no row, whoever stated them."""
    with pytest.raises(ValueError, match="is stated twice"):
        rows([window(GRID, 0, 700), replace(window(GRID, 0, 700), from_ms=START_MS + 30_000)])
