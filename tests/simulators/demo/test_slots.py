import pytest

from simulators.demo.slots import account, due_slots


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "slots"),
    [(0, 1000, 1), (0, 1001, 2), (1, 1000, 0), (1, 1001, 1), (999, 3000, 2), (1000, 1000, 0)],
)
def test_slots_are_counted_from_included_to_excluded(from_ms: int, to_ms: int, slots: int) -> None:
    """A slot is due at each multiple of the interval in [from, to)."""
    assert slots == due_slots(1000, from_ms, to_ms)


def test_all_slots_accounted_for() -> None:
    """Fates that add up leave nothing unaccounted for."""
    found = account({"kwh": 1000}, [(0, 4000)], [("kwh", "good", 3), ("kwh", "timeout", 1)])

    assert (4, {"good": 3, "timeout": 1}, {}) == (found.expected, found.fates, found.unaccounted)


def test_a_slot_without_a_fate_is_named() -> None:
    """Too few, too many, and a point the plan does not know are all reported."""
    found = account(
        {"kwh": 1000, "volt": 500}, [(0, 2000), (5000, 6000)],
        [("kwh", "good", 2), ("volt", "good", 7), ("ghost", "good", 1)],
    )  # fmt: skip

    assert {"kwh": 1, "volt": -1, "ghost": -1} == found.unaccounted
