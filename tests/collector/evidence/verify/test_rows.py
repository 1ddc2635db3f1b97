"""Recomputed hour rows wait on disk: they come back in the ledger's order, and memory holds sums alone."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

from collector.evidence.layout import encode_hour
from collector.evidence.verify.rows import Rows
from collector.hours.model import HourRow
from collector.hours.sums import add_up, sum_of
from tests.collector.evidence.site import Site, together

FIRST: HourRow = next(iter(together(Site().make(dropped=None)).hours))
HOUR_MS = 3_600_000


def row(hour: int, agent: str = "a", source: str = "s") -> HourRow:
    """A row of an hour."""
    start = FIRST.from_ms + hour * HOUR_MS
    return replace(FIRST, from_ms=start, to_ms=start + HOUR_MS, agent=agent, source=source, mass_mg=1 + hour)


def test_rows_of_several_agents_come_back_in_the_ledgers_order() -> None:
    """Added agent by agent, read by hour, agent and source, byte for byte."""
    rows = Rows()
    given = [row(hour, agent, source) for agent in ("a", "b", "c") for hour in range(5) for source in ("s", "t")]
    assert all(rows.add(one) for one in given)
    expected = sorted(given, key=lambda one: (one.from_ms, one.agent, one.source, one.gas))
    read = list(rows.in_order())
    rows.close()

    assert [encode_hour(one) for one in expected] == [line for _, line in read]
    assert [json.loads(line)["from_ms"] for _, line in read] == [key[0] for key, _ in read]


def test_a_row_that_comes_too_late_is_not_taken() -> None:
    """Neither the same hour again nor an earlier one of that agent."""
    rows = Rows()

    assert [True, False, False, True, True] == [
        rows.add(row(3)), rows.add(row(3)), rows.add(row(2)), rows.add(row(4)), rows.add(row(0, "b")),
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_rows() -> None:
    """Thousands of hours, one sum; it is that of all rows."""
    peaks, sums = [], []
    for count in (500, 5000):
        tracemalloc.start()
        rows = Rows()
        for hour in range(count):
            rows.add(row(hour))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sums.append(add_up(list(rows.sums())))
        rows.close()

    assert peaks[1] < 1 << 20  # the rows themselves would be some megabytes
    assert sum(1 + hour for hour in range(5000)) == sums[1].mass_mg
    assert add_up([sum_of(row(hour)) for hour in range(500)]).mass_mg == sums[0].mass_mg
