"""How much of a category rests on which calibration status, from entered records to the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from calibration.events import Event, What
from calibration.status import STATES
from collector.accounts.register import Register as Accounts
from collector.accounts.roles import Role
from collector.app import create_app
from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.inventory.model import InventoryRow
from collector.inventory.statuses import by_category
from collector.store.calibration import add_record
from collector.store.refresh import refresh_hours
from protocols.messages import Ack
from tests.calibration.happenings import happened
from tests.collector.edge import START_MS, Edge, stream

PASSWORD = "a password for tests"


async def asked(books: Books, **wanted: str | int) -> dict[str, Any]:
    """What the API answers an administrator."""
    transport = httpx.ASGITransport(app=create_app(books))
    async with httpx.AsyncClient(transport=transport, base_url="http://x", auth=("admin", PASSWORD)) as client:
        period = {"from_ms": START_MS, "to_ms": START_MS + HOUR_MS}
        answer = await client.get("/api/v1/calibration/shares", params={**period, **wanted})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_share_of_a_category_on_overdue_instruments(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """The electricity meter went overdue in September; it is taken out of use in the middle of the stream's time."""
    edge = stream(3, window_s=60)
    Accounts(books.database).add("admin", Role.ADMIN, PASSWORD, by="test")
    register(edge)
    ingest(edge, *range(4))
    passed = happened("v", "2024-10-01", valid_until=date(2025, 9, 30))
    out = happened("out", None, What.OUT_OF_USE, at_ms=START_MS + 90_000)

    def enter(event: Event) -> None:
        of_meter = replace(event, instrument="em-1", serial="E1")
        with books.database.writing() as connection:
            assert add_record(connection, books.plans, of_meter, START_MS, "li")
        refresh_hours(books.database, books.plans, books.hour_rule)

    enter(passed)
    whole = await asked(books)
    overdue = await asked(books, category=2, state="overdue")
    enter(out)
    later = await asked(books, category=2)

    by = {one["category"]: one for one in whole["categories"]}
    assert {1: {"unknown": 1.0}, 2: {"overdue": 1.0}} == {
        number: {one["state"]: one["share"] for one in found["states"]} for number, found in by.items()
    }
    assert [{"state": "overdue", "co2e_mg": by[2]["co2e_mg"], "share": 1.0}] == overdue["categories"][0]["states"]
    assert ["overdue", "suspended"] == [one["state"] for one in later["categories"][0]["states"]]
    assert by[2]["co2e_mg"] == sum(one["co2e_mg"] for one in later["categories"][0]["states"])
    assert later["as_known_at"]["tree_size"] > whole["as_known_at"]["tree_size"]
    assert 0 == later["dirty"]


ROWS = st.builds(
    lambda category, parts, weight: InventoryRow(
        "a", "s", "s", "s", category, "combustion", "CO2", "CO2", sum(mass for _, mass in parts), 0,
        sum(mass for _, mass in parts) * weight, 1, 1, (), tuple((state.value, mass) for state, mass in parts), (), 0.0,
        0.0,
    ),
    st.integers(1, 6),
    st.lists(st.tuples(st.sampled_from(STATES), st.integers(-(10**12), 10**15)), unique_by=lambda one: one[0]),
    st.integers(1, 28),
)  # fmt: skip


@given(st.lists(ROWS, max_size=8))
def test_the_statuses_of_a_category_add_to_its_total(rows: list[InventoryRow]) -> None:
    """To the milligram, of rows that have a mass; best status first."""
    whole = [row for row in rows if row.mass_mg]

    for one in by_category(whole):
        assert one.co2e_mg == sum(mass for _, mass in one.status_co2e_mg)
        assert sum(row.co2e_mg for row in whole if row.category == one.category) == one.co2e_mg
        order = [state.value for state in STATES]
        assert sorted((name for name, _ in one.status_co2e_mg), key=order.index) == [
            name for name, _ in one.status_co2e_mg
        ]
