import math

from simulators.demo.compare import Comparison, WindowRow, compare, joined, standard_uncertainty, table


def window(from_s: int, to_s: int, mass_mg: int, **changes: object) -> WindowRow:
    """A window of an electricity source, fully measured unless told otherwise."""
    fields: dict[str, object] = {
        "source": "grid", "input": 0, "gas": "CO2", "from_ms": from_s * 1000, "to_ms": to_s * 1000,
        "mass_mg": mass_mg, "measured_ms": (to_s - from_s) * 1000, "stopped_ms": 0,
        "u_independent": 3.0, "u_shared": {"instrument:em-1": 4.0}, "u_end": 6.0,
    }  # fmt: skip
    return WindowRow(**{**fields, **changes})  # type: ignore[arg-type]


def true_mg(source: str, gas: str, from_ms: int, to_ms: int) -> int:
    """A source that truly emits 2 mg per second."""
    return (to_ms - from_ms) // 500


def test_touching_spans_become_one() -> None:
    """Spans that touch or overlap are joined; a gap stays a gap."""
    assert [(0, 3), (4, 5)] == joined([(2, 3), (0, 2), (4, 5), (1, 2)])


def test_uncertainty_counts_ends_once_per_unbroken_stretch() -> None:
    """Independent parts add in quadrature, shared linearly, ends only at either end of the stretch."""
    rows = [window(0, 5, 10), window(5, 10, 10)]

    assert math.isclose(math.sqrt(2 * 9 + 8 * 8 + 2 * 36 + 1 / 3), standard_uncertainty(rows))


def test_a_gap_makes_two_more_ends() -> None:
    """Two stretches have four ends."""
    rows = [window(0, 5, 10), window(6, 10, 10)]

    assert math.isclose(math.sqrt(2 * 9 + 8 * 8 + 4 * 36 + 1 / 3), standard_uncertainty(rows))


def test_whole_milligrams_are_known_to_half_of_one() -> None:
    """A gas of 0.4 mg per window is 0 mg in each of twenty: not measured well, but not at odds with the truth."""
    rows = [window(at, at + 1, 0, u_independent=1e-3, u_shared={}, u_end=0.0) for at in range(20)]

    (found,) = compare(rows, lambda *_: 8)

    assert (0, 8, True) == (found.measured_mg, found.true_mg, found.within_95_percent)


def test_the_truth_is_taken_over_the_covered_time_only() -> None:
    """A window that knows only part of its span is left out, of the measured mass and of the truth."""
    rows = [window(0, 5, 10), window(5, 10, 7, measured_ms=4000), window(10, 15, 11)]

    (found,) = compare(rows, true_mg)

    assert (10_000, 1, 21, 20) == (found.covered_ms, found.partial, found.measured_mg, found.true_mg)


def test_time_stopped_by_evidence_counts_as_covered() -> None:
    """A stopped source is known to emit nothing."""
    (found,) = compare([window(0, 5, 0, measured_ms=0, stopped_ms=5000)], lambda *_: 0)

    assert (5000, 0, 0.0, True) == (found.covered_ms, found.partial, found.deviation, found.within_95_percent)


def test_windows_that_only_one_input_covers_are_left_out() -> None:
    """A source of two meters is compared where both of them speak."""
    rows = [window(0, 5, 10), window(5, 10, 10), window(5, 10, 5, input=1), window(10, 15, 5, input=1)]

    (found,) = compare(rows, true_mg)

    assert (5_000, 2, 15) == (found.covered_ms, found.partial, found.measured_mg)


def test_verdict_is_by_two_standard_uncertainties() -> None:
    """The 95 % verdict holds up to twice the standard uncertainty; without any, only equality agrees."""
    verdicts = [
        Comparison("grid", "CO2", 1, 0, measured, 100, u).within_95_percent
        for measured, u in ((120, 10.0), (121, 10.0), (80, 10.0), (79, 10.0), (100, 0.0), (101, 0.0))
    ]

    assert [True, False, True, False, True, False] == verdicts


def test_table_shows_a_row_per_source_and_gas() -> None:
    """The printed table has a heading and one line per comparison, all of one width."""
    lines = table([Comparison("grid", "CO2", 5000, 0, 1234567, 1234000, 300.0)])

    assert 2 == len(lines)
    assert len(lines[0]) == len(lines[1])
    assert "1234.567" in lines[1]
    assert "agrees" in lines[1]
