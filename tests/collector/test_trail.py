from __future__ import annotations

import json
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from collector.api.trails import trail
from collector.books import Books
from collector.hours.calendar import By, span_of
from collector.store.explain_window import ExplainedWindow, explain_window
from collector.store.hours import windows_stated
from collector.store.knowledge import KnownAt
from collector.store.refresh import refresh_hours
from collector.store.schema import items
from collector.store.trail import read_trail
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.modbus.decode import exact_value
from protocols.transparency.proofs import inclusion_root
from protocols.wire.codec import item_digest
from protocols.wire.errors import WireError
from tests.collector.edge import SPAN_MS, START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


@pytest.fixture
def edge(books: Books, register: Register, ingest: Ingest) -> Edge:
    """Four minutes of the small plan, the last one beginning with timeouts; hours made."""
    edge = stream(3, window_s=60)
    edge.add_batch(missing_slots=20)
    edge.add_batch()
    register(edge)
    ingest(edge, *range(len(edge.items)))
    refresh_hours(books.database, books.plans, books.hour_rule)
    return edge


def every_window(books: Books, edge: Edge) -> list[ExplainedWindow]:
    """Every window of the books taken apart."""
    with books.database.reading() as connection:
        stated = windows_stated(connection, edge.agent_id, START_MS, START_MS + 10 * SPAN_MS)
        sources = edge.plan.sources
        return [
            explain_window(
                connection, books.plans, edge.agent_id, sources[w.source].id, sources[w.source].gases[w.gas],
                w.from_ms, w.input,
            )
            for _, _, w in stated
        ]  # fmt: skip


def test_every_formula_gives_the_stated_mass(books: Books, edge: Edge) -> None:
    """What is shown of a window leads to its mass, to the milligram, and its batches' leaves to the log's root."""
    found = every_window(books, edge)

    assert {one.source for one in found} == {"grid", "boiler", "stack"}
    for one in found:
        assert (one.counted is None) != (one.held is None)
        if one.counted is not None:
            begin, end = one.counted.begin, one.counted.end
            assert begin is not None
            assert end is not None
            assert one.window.activity == end.index - begin.index
            assert one.window.mass_mg == one.counted.sign * round(one.window.activity * one.counted.coefficient)
        else:
            assert one.held is not None
            assert one.held.agrees
            assert (one.window.from_ms, one.window.to_ms) == (
                one.held.stretches[0].from_ms, one.held.stretches[-1].to_ms
            )  # fmt: skip
        for batch in one.batches:
            assert () == batch.differences
            assert batch.root == inclusion_root(batch.leaf_hash, batch.leaf, batch.tree_size, batch.path)


def test_words_registers_and_requests_are_those_of_the_signed_batch(books: Books, edge: Edge) -> None:
    """Each reading's hex words are the batch's word, read by the register's row, and its request is the plan's."""
    for one in every_window(books, edge):
        assert item_digest(edge.items[one.batches[0].sequence]) == one.batches[0].digest
        for point in one.points:
            assert point.readings
            for shown in point.readings:
                if shown.reading.word is None:
                    assert () == shown.registers
                    continue
                assert int("".join(shown.registers), 16) == shown.reading.word
                exact = exact_value(shown.reading.word, point.point.register)
                assert exact is not None
                assert float(exact) == float(shown.value or "nan")
            request = point.request
            assert request.address <= point.point.register.address < request.address + request.count


def test_a_trail_goes_from_a_year_to_words(books: Books, edge: Edge) -> None:
    """Year, month, day, hour and window hang together: each level's parts add up and one of them is the next level."""
    zone = ZoneInfo(edge.plan.plan.facility.time_zone)
    with books.database.reading() as connection:
        found = read_trail(connection, books.plans, edge.agent_id, "grid", "CO2", span_of(START_MS, By.YEAR, zone))
        document = trail(found, KnownAt("emitrace/test", 7))

    assert [By.MONTH, By.DAY, By.HOUR] == [level.by for level in found.levels]
    assert all(level.adds_up for level in found.levels)
    masses = {level.total.mass_mg for level in found.levels if level.total}
    assert found.hour is not None
    assert found.hour.row is not None
    assert {found.hour.row.row.mass_mg} == masses
    assert found.window is not None
    assert found.window.window in [one.window for one in found.hour.windows]
    assert document == json.loads(json.dumps(document, allow_nan=False))


def test_a_batch_changed_on_disk_explains_nothing(books: Books, edge: Edge) -> None:
    """Bytes that the agent's key has not signed are not shown as evidence of anything."""
    with books.database.writing() as connection:
        kept = connection.execute(select(items.c.id, items.c.bytes).where(items.c.kind == "batch")).all()
        for row in kept:
            changed = row.bytes[:-1] + bytes([row.bytes[-1] ^ 1])
            connection.execute(update(items).where(items.c.id == row.id).values(bytes=changed))

    with pytest.raises(WireError, match="signature"):
        every_window(books, edge)


def test_a_window_that_is_not_there_is_an_error(books: Books, edge: Edge) -> None:
    """It names what was asked for and where to begin."""
    with books.database.reading() as connection, pytest.raises(EmitraceError, match="hour"):
        explain_window(connection, books.plans, edge.agent_id, "grid", "CO2", START_MS + 1)
