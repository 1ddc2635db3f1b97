from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, insert, select
from sqlalchemy.exc import IntegrityError

from calibration.certificates import parse_certificates
from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.hours.model import HourRow
from collector.hours.sources import SourceFacts
from collector.hours.sums import HourSum, sum_of
from collector.inventory.assemble import assemble_inventory
from collector.inventory.document import decode_inventory, encode_inventory, plain
from collector.inventory.matrix import matrix_of
from collector.inventory.model import Pinned
from collector.inventory.profile import load_profile
from collector.store.certificates import add_certificate
from collector.store.checkpoints import current_origin
from collector.store.hours import read_hours
from collector.store.inventories import StoredInventory, build_inventory, read_inventory, seal_inventory
from collector.store.refresh import refresh_hours
from collector.store.schema import inventory_rows, leaves
from protocols.errors import EmitraceError
from protocols.ghg.gwp import gwp_names
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream

pytestmark = pytest.mark.backends

END_MS = START_MS + HOUR_MS
PINNED = Pinned("0" * 64, 7, (), (), "AR6", "iso14064-1-default", "2026-11", "0" * 64)
CERTIFICATE = """
schema = 1
[[certificates]]
id = "c-1"
instrument = "em-1"
serial = "E1"
kind = "verification-certificate"
number = "N 1"
laboratory = "lab"
performed_on = 2025-01-01
valid_until = 2026-12-31
result = "pass"
"""


def facts(source: str, category: int, primary: bool = True, gases: tuple[str, ...] = ("CO2",)) -> SourceFacts:
    """A source of agent a."""
    return SourceFacts("a", source, source, source, category, "combustion", primary, ("em-1",), gases)


def hour(source: str, place: int, mass: int, gas: str = "CO2", shared: float = 0.0) -> HourRow:
    """A fully measured hour."""
    from_ms = START_MS + place * HOUR_MS
    return HourRow(
        "a", source, gas, from_ms, from_ms + HOUR_MS, mass, 0, 0, HOUR_MS, HOUR_MS, 0, "measured",
        (("in-interval", mass),), (("in-interval", HOUR_MS),), 3.0, (("factor:f", shared),), 4.0, 4.0, 60,
    )  # fmt: skip


def hours(*rows: HourRow) -> list[HourSum]:
    """Hour rows as an inventory takes them."""
    return [sum_of(row) for row in rows]


def test_every_table_adds_up_to_the_digit() -> None:
    """Rows round once; gases, sources, categories, statuses and the total add those integers."""
    rows = hours(hour("boiler", 0, 10**18 + 1), hour("boiler", 1, 5), hour("boiler", 0, 7, "CH4"), hour("grid", 0, 3))
    found = assemble_inventory(
        START_MS, START_MS + 2 * HOUR_MS, rows, [facts("boiler", 1, gases=("CO2", "CH4")), facts("grid", 2)], PINNED
    )

    total = sum(row.co2e_mg for row in found.rows)
    assert 10**18 + 6 + 3 + 189 == total  # 7 mg x 27 = 189
    for table in (found.by_gas, found.by_source, found.by_category):
        assert total == sum(one.co2e_mg for one in table)
    assert (total, total) == (found.total.co2e_mg, sum(mg for _, mg in found.status_co2e_mg))


def test_a_source_without_hours_is_there_with_no_cover() -> None:
    """Missing is not zero: the row stands with completeness nothing."""
    found = assemble_inventory(START_MS, END_MS, [], [facts("boiler", 1)], PINNED)

    assert [(0, 0, HOUR_MS)] == [(row.mass_mg, row.covered_ms, row.period_ms) for row in found.rows]


def test_cross_checks_are_listed_and_never_added() -> None:
    """A cross-check's mass is beside the inventory, not in its total."""
    rows = hours(hour("boiler", 0, 5), hour("stack", 0, 1000))
    found = assemble_inventory(START_MS, END_MS, rows, [facts("boiler", 1), facts("stack", 1, primary=False)], PINNED)

    assert (5, ["stack"]) == (found.total.co2e_mg, [row.source for row in found.cross_checks])


def test_a_shared_factor_adds_linearly_over_hours_and_sources() -> None:
    """One factor's uncertainty of 10 in each of four rows is 40, not 20; ends count once per series."""
    rows = hours(*(hour(source, place, 5, shared=10.0) for source in ("a1", "a2") for place in (0, 1)))
    found = assemble_inventory(START_MS, START_MS + 2 * HOUR_MS, rows, [facts("a1", 1), facts("a2", 1)], PINNED)

    assert (4 * 3.0**2 + 40.0**2 + 4 * 4.0**2) ** 0.5 == pytest.approx(found.total.u_co2e_mg)


def test_a_period_that_cuts_an_hour_is_refused() -> None:
    """The error names the row and what to do."""
    with pytest.raises(EmitraceError, match="cuts the hour row"):
        assemble_inventory(START_MS + 1, END_MS, hours(hour("boiler", 0, 5)), [facts("boiler", 1)], PINNED)


def test_the_document_round_trips_and_keeps_large_integers() -> None:
    """Canonical bytes read back to the same value; integers above 1e15 are strings in JSON."""
    found = assemble_inventory(START_MS, END_MS, hours(hour("boiler", 0, 10**16)), [facts("boiler", 1)], PINNED)

    assert found == decode_inventory(encode_inventory(found))
    assert [10**15, str(10**15 + 1)] == plain((10**15, 10**15 + 1))


def test_the_default_profile_says_where_its_rule_comes_from() -> None:
    """min_share is 0.75 with a source, and every GWP set it allows exists."""
    profile, digest = load_profile()

    assert (3, 4) == profile.hour_rule.min_share.as_integer_ratio()
    assert "45 min" in profile.hours.source
    assert set(profile.gwp.allowed) <= set(gwp_names())
    assert 32 == len(digest)


@pytest.fixture
def built(books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack]) -> Callable[[], StoredInventory]:
    """Build an inventory of the hour of a stream of four batches."""
    edge = stream(4, window_s=60)
    register(edge)
    ingest(edge, *range(5))

    def build() -> StoredInventory:
        return build_inventory(books.database, books.plans, START_MS, END_MS, "AR6", START_MS)

    return build


def test_a_version_pins_its_inputs(books: Books, built: Callable[[], StoredInventory]) -> None:
    """Origin, tree size, plan digests, GWP set and profile are in it, and the windows' masses add to its rows."""
    stored = built()

    pinned = stored.inventory.pinned
    with books.database.reading() as connection:
        origin = current_origin(connection).name
    assert (origin, 8, 1, "AR6") == (pinned.origin, pinned.tree_size, len(pinned.plans), pinned.gwp_set)
    assert [("boiler", 1), ("grid", 2)] == [(row.source, row.category) for row in stored.inventory.rows]
    assert all(row.mass_mg > 0 and 0 < row.covered_ms < row.period_ms for row in stored.inventory.rows)


def test_a_late_certificate_changes_statuses_but_no_mass(books: Books, built: Callable[[], StoredInventory]) -> None:
    """Hours are made anew with a higher version; the masses stay, their status is known now."""
    before = built()
    with books.database.writing() as connection:
        for certificate in parse_certificates(CERTIFICATE, "c.toml"):
            assert add_certificate(connection, books.plans, certificate, START_MS)
            assert not add_certificate(connection, books.plans, certificate, START_MS)

    after = built()

    grid = [next(row for row in one.inventory.rows if row.source == "grid") for one in (before, after)]
    assert grid[0].mass_mg == grid[1].mass_mg
    assert ["unknown", "in-interval"] == [row.status_mg[0][0] for row in grid]
    assert 1 == len(after.inventory.pinned.certificates)
    with books.database.reading() as connection:
        assert {2} == {one.version for one in read_hours(connection, START_MS, END_MS)}


def test_clean_hours_are_not_made_anew(books: Books, built: Callable[[], StoredInventory]) -> None:
    """Without a new window or certificate nothing is recomputed."""
    built()

    assert 0 == refresh_hours(books.database, books.plans, books.hour_rule)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE inventories SET gwp_set = 'AR4'",
        "UPDATE inventories SET sealed_ms = NULL",
        "DELETE FROM inventories",
        "INSERT INTO inventories SELECT * FROM inventories WHERE true ON CONFLICT (id) DO UPDATE SET gwp_set = 'AR4'",
        "UPDATE inventory_rows SET co2e_mg = '0'",
        "DELETE FROM inventory_rows",
        "INSERT INTO inventory_rows SELECT inventory, 99, 'a', 's', 1, 'CO2', '0', '0' FROM inventory_rows LIMIT 1",
        "INSERT OR REPLACE INTO inventories SELECT * FROM inventories",
        "INSERT OR REPLACE INTO inventory_rows SELECT * FROM inventory_rows",
        "TRUNCATE inventories CASCADE",
        "TRUNCATE inventory_rows",
    ],
)
def test_a_sealed_version_cannot_change(
    books: Books, built: Callable[[], StoredInventory], statement: str, backend: str
) -> None:
    """The database itself refuses, whoever asks."""
    if statement.startswith("TRUNCATE" if backend == "sqlite" else "INSERT OR REPLACE"):
        pytest.skip("the other database's word")
    version = built().version
    with books.database.writing() as connection:
        sealed = seal_inventory(connection, books.log_key, version, START_MS + 5)
        assert sealed.digest == connection.scalar(
            select(leaves.c.object_digest).where(leaves.c.kind == "inventory-seal")
        )

    raw = create_engine(books.database.engine.url)
    with raw.begin() as connection, pytest.raises(IntegrityError, match="sealed inventory version is immutable"):
        connection.exec_driver_sql(statement)
    raw.dispose()

    with books.database.reading() as connection:
        assert sealed == read_inventory(connection, version)


def test_an_open_version_can_still_be_corrected_by_a_new_one(
    books: Books, built: Callable[[], StoredInventory]
) -> None:
    """Two versions stand side by side; sealing one twice is refused."""
    first, second = built(), built()
    with books.database.writing() as connection:
        seal_inventory(connection, books.log_key, first.version, START_MS)

    assert replace(first.inventory, pinned=PINNED) == replace(second.inventory, pinned=PINNED)
    with pytest.raises(EmitraceError, match="already sealed"), books.database.writing() as connection:
        seal_inventory(connection, books.log_key, first.version, START_MS)
    with books.database.writing() as connection:
        connection.execute(
            insert(inventory_rows).values(
                inventory=second.version, position=99, agent_id="a", source="s", category=1, gas="CO2", mass_mg="0",
                co2e_mg="0",
            )
        )  # fmt: skip


def test_the_matrix_adds_up_to_the_inventorys_own_totals() -> None:
    """Cells of a row or column add to its total; a shared factor adds linearly inside a cell; missing is not known."""
    shared = [hour("a1", 0, 10**18 + 1, shared=10.0), hour("a2", 0, 5, shared=10.0)]
    rows = hours(*shared, hour("a1", 0, 7, "CH4"), hour("grid", 0, 3))
    known = [facts("a1", 1, gases=("CO2", "CH4")), facts("a2", 1), facts("grid", 2), facts("lorries", 3)]
    inventory = assemble_inventory(START_MS, END_MS, rows, known, PINNED)
    found = matrix_of(inventory)

    assert ("CO2", "CH4") == found.gases
    assert {(1, "CO2"), (1, "CH4"), (2, "CO2"), (3, "CO2")} == set(found.cells)
    for category, total in found.by_category.items():
        assert total.co2e_mg == sum(cell.co2e_mg for (own, _), cell in found.cells.items() if own == category)
    for gas, total in found.by_gas.items():
        assert total.mass_mg == sum(cell.mass_mg or 0 for (_, own), cell in found.cells.items() if own == gas)
    assert (2 * 3.0**2 + 20.0**2 + 4 * 4.0**2) ** 0.5 == pytest.approx(found.cells[1, "CO2"].u_co2e_mg)
    assert (True, False) == (found.cells[2, "CO2"].known, found.cells[3, "CO2"].known)


def test_a_document_from_before_cells_were_kept_stays_what_it_was() -> None:
    """It decodes, encodes to the same bytes, and its matrix states uncertainty where one source makes a cell."""
    rows = hours(hour("a1", 0, 5), hour("a2", 0, 6), hour("grid", 0, 3))
    known = [facts("a1", 1), facts("a2", 1), facts("grid", 2)]
    whole = assemble_inventory(START_MS, END_MS, rows, known, PINNED)
    old = encode_inventory(replace(whole, by_cell=()))
    found = matrix_of(decode_inventory(old))

    assert b"by_cell" not in old
    assert old == encode_inventory(decode_inventory(old))
    assert (None, matrix_of(whole).cells[2, "CO2"].u_co2e_mg) == (
        found.cells[1, "CO2"].u_co2e_mg, found.cells[2, "CO2"].u_co2e_mg
    )  # fmt: skip
    assert 11 == found.cells[1, "CO2"].co2e_mg
