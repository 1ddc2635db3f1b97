"""Two methods for one source: only what both know is compared, what they share cancels; and an agent's events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.hours.cells import HOUR_MS
from collector.hours.sources import source_facts
from collector.inventory.crosscheck import discrepancies
from tests.collector.running import Collector
from tests.collector.test_inventory import facts, hour
from tests.collector.web.conftest import NOW_MS
from tests.plans import small_plan

DAY_MS = 24 * HOUR_MS
BOILER = facts("boiler", 1, gases=("CO2", "CH4"))
STACK = replace(facts("stack", 1, primary=False), checks="boiler")


def test_the_difference_is_over_the_hours_that_both_know_in_full() -> None:
    """Of four hours one is partial, one incomplete and one missing: one is left, three are counted as left out."""
    boiler = [hour("boiler", place, 1000) for place in range(4)]
    stack = [hour("stack", place, 1100) for place in range(3)]
    boiler[1] = replace(boiler[1], operating_ms=HOUR_MS - 1)
    stack[2] = replace(stack[2], method="incomplete")
    (found,) = discrepancies([*boiler, *stack], [BOILER, STACK])

    assert ("stack", "boiler", "CO2", 1, 3) == (found.source, found.checks, found.gas, found.hours, found.left_out)
    assert (1100, 1000, 100) == (found.mass_mg, found.checked_mg, found.difference_mg)
    assert (3**2 * 2 + 4**2 * 4) ** 0.5 == pytest.approx(found.u_mg)
    assert found.u_mg is not None
    assert 100 / found.u_mg == pytest.approx(found.in_u)


def test_a_cause_that_both_have_in_common_cancels() -> None:
    """A factor of 50 in both is in neither's favour."""
    (found,) = discrepancies([hour("boiler", 0, 9, shared=50.0), hour("stack", 0, 9, shared=50.0)], [BOILER, STACK])

    assert (3**2 * 2 + 4**2 * 4) ** 0.5 == pytest.approx(found.u_mg)


def test_without_a_common_hour_nothing_is_said() -> None:
    """No difference of zero, no agreement."""
    (found,) = discrepancies([hour("boiler", 0, 9), hour("stack", 1, 9)], [BOILER, STACK])

    assert (0, 2, None, None) == (found.hours, found.left_out, found.u_mg, found.in_u)


def test_the_plan_says_what_checks_what() -> None:
    """The small plan's stack checks its boiler."""
    assert {"grid": "", "boiler": "", "stack": "boiler"} == {
        one.source: one.checks for one in source_facts("a", small_plan())
    }


def test_the_api_answers_with_every_cross_check(filled: Collector) -> None:
    """A few minutes of an agent: nothing is known in full, and the answer says so."""
    found = filled.get(f"cross-checks?from_ms={NOW_MS - DAY_MS}&to_ms={NOW_MS + DAY_MS}")["cross_checks"]

    assert [("stack", "boiler", "CO2", 0, None)] == [
        (one["source"], one["checks"], one["gas"], one["hours"], one["in_u"]) for one in found
    ]
    assert found[0]["left_out"] >= 1


def test_the_api_lists_the_events_of_an_agent(filled: Collector) -> None:
    """That agent's batches state none; the answer is whole."""
    (agent,) = filled.get("agents")["agents"]

    assert {"events": [], "next_from_ms": None} == filled.get(f"events?agent={agent['agent']}")
