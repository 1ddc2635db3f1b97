from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ghg.uncertainty import (
    Parts,
    across,
    combine,
    expanded,
    limit_of_error,
    product,
    rectangular,
    resolution,
    scaled,
)

SIZES = st.floats(0.0, 1e9)
CAUSES = st.dictionaries(st.sampled_from(["meter", "factor", "grid"]), st.floats(-1e9, 1e9), max_size=3)
PARTS = st.builds(Parts, SIZES, CAUSES, SIZES, SIZES)


def _close(a: Parts, b: Parts) -> bool:
    names = a.shared.keys() | b.shared.keys()
    pairs = [
        (a.independent, b.independent),
        (a.end_first, b.end_first),
        (a.end_last, b.end_last),
        *((a.shared.get(n, 0.0), b.shared.get(n, 0.0)) for n in names),
    ]
    return all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-3) for x, y in pairs)


def test_the_three_parts_grow_differently() -> None:
    """Over 100 equal rows: independent x 10, shared x 100, ends not at all."""
    hour = Parts(independent=3.0, shared={"meter": 2.0}, end_first=1.0, end_last=1.0)

    period = combine([hour] * 100)

    assert Parts(30.0, {"meter": 200.0}, 1.0, 1.0) == period
    assert math.sqrt(30.0**2 + 200.0**2 + 2.0) == pytest.approx(period.standard)


def test_only_the_outermost_readings_count() -> None:
    """Ends inside the period cancel: the last of one row is the first of the next."""
    rows = [Parts(end_first=1.0, end_last=7.0), Parts(end_first=7.0, end_last=9.0), Parts(end_first=9.0, end_last=2.0)]

    assert Parts(0.0, {}, 1.0, 2.0) == combine(rows)
    assert math.sqrt(5.0) == combine(rows).standard


def test_different_causes_add_in_quadrature() -> None:
    """Linear within a cause, then the root of the sum of squares."""
    rows = [Parts(shared={"meter": 1.0, "factor": 2.0}), Parts(shared={"meter": 2.0, "factor": 2.0})]

    assert 5.0 == combine(rows).standard


def test_a_factor_common_to_import_and_export_cancels() -> None:
    """A shared part carries the sign of its mass: the same factor errs in both directions at once."""
    bought = Parts(shared={"factor:grid": 10.0, "instrument:in": 3.0})
    sold = Parts(shared={"factor:grid": -10.0, "instrument:out": -4.0})

    assert 5.0 == across([bought, sold]).standard


def test_sources_add_their_ends_in_quadrature() -> None:
    """Different counters have different ends."""
    total = across([Parts(3.0, {}, 3.0, 6.0), Parts(4.0, {}, 4.0, 8.0)])

    assert Parts(5.0, {}, 5.0, 10.0) == total


def test_nothing_has_no_uncertainty() -> None:
    """No rows, no sources."""
    assert 0.0 == combine([]).standard == across([]).standard


@given(st.lists(PARTS, min_size=1, max_size=12), st.integers(0, 12))
def test_pieces_combine_to_the_whole(rows: list[Parts], cut: int) -> None:
    """Days made of hours and months made of days agree with the month made of hours."""
    first, second = rows[:cut], rows[cut:]
    pieces = [combine(part) for part in (first, second) if part]

    assert _close(combine(rows), combine(pieces))


@given(st.lists(PARTS, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_sources_does_not_matter(parts: list[Parts], chance: Random) -> None:
    """Bit for bit, because sums are correctly rounded."""
    shuffled = parts[:]
    chance.shuffle(shuffled)

    one, other = across(parts), across(shuffled)

    assert (one.independent, dict(one.shared), one.end_first, one.end_last) == (
        other.independent, dict(other.shared), other.end_first, other.end_last,
    )  # fmt: skip


def test_scaling_keeps_signs_of_shared_parts() -> None:
    """CO2e = mass x potential scales every part."""
    assert Parts(6.0, {"meter": -8.0}, 2.0, 4.0) == scaled(Parts(3.0, {"meter": -4.0}, 1.0, 2.0), 2.0)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (rectangular(3.0), math.sqrt(3.0)),
        (resolution(12.0), math.sqrt(12.0)),
        (expanded(5.0), 2.5),
        (expanded(5.0, 2.5), 2.0),
        (limit_of_error(-200.0, 0.5, 0.0, 0.0), 1.0),
        (limit_of_error(10.0, 0.5, 1.0, 50.0), 0.55),
        (product([3.0, 4.0]), 5.0),
    ],
)
def test_standard_uncertainties_of_known_shapes(seen: float, expected: float) -> None:
    """Rectangle a / sqrt(3), step q / sqrt(12), expanded U / k, class limits."""
    assert pytest.approx(expected, rel=1e-15) == seen
