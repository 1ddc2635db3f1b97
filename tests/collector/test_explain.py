from __future__ import annotations

from collections.abc import Callable

import pytest

from calibration.certificates import parse_certificates
from calibration.events import Event, What
from calibration.instruments import Chain, Member, Part
from calibration.status import State
from collector.books import Books
from collector.hours.cells import HOUR_MS
from collector.recompute import Recomputer
from collector.store.calibration import add_record
from collector.store.certificates import add_certificate
from collector.store.explain import ExplainedHour, explain_hour
from collector.store.explain_instruments import InstrumentBehind
from collector.store.refresh import refresh_hours
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.records import Fate
from protocols.wire.codec import item_digest
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_inventory import CERTIFICATE

pytestmark = pytest.mark.backends

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


@pytest.fixture
def edge(books: Books, register: Register, ingest: Ingest) -> Edge:
    """Three minutes of the small plan and one that begins with timeouts; hours made."""
    edge = stream(3)
    edge.add_batch(missing_slots=2)
    register(edge)
    ingest(edge, *range(len(edge.items)))
    refresh_hours(books.database, books.plans, books.hour_rule)
    return edge


def explain(books: Books, edge: Edge, source: str, gas: str = "CO2", at_ms: int = START_MS) -> ExplainedHour:
    """One hour, read in a snapshot."""
    with books.database.reading() as connection:
        return explain_hour(connection, books.plans, edge.agent_id, source, gas, at_ms)


@pytest.mark.parametrize("source", ["grid", "boiler", "stack"])
def test_an_hour_is_its_windows(books: Books, edge: Edge, source: str) -> None:
    """The windows are all and only this source's, and with what was added they make the row's mass."""
    found = explain(books, edge, source)
    stated = [w for batch in edge.batches for w in batch.windows if edge.plan.sources[w.source].id == source]
    gas = [one for one in stated if edge.plan.sources[one.source].gases[one.gas] == "CO2"]

    assert found.row is not None
    assert sorted(gas, key=lambda w: w.from_ms) == [one.window for one in found.windows]
    assert found.row.row.mass_mg == sum(w.mass_mg for w in gas) + found.row.row.added_mg
    assert found.row.row.windows == len(found.windows)


def test_the_batches_are_those_that_were_signed(books: Books, edge: Edge) -> None:
    """Each batch behind the hour is named by its sequence and digest, and its verdict follows the recomputation."""
    before = explain(books, edge, "grid").batches
    recomputer = Recomputer(books)
    while recomputer.step():
        pass
    after = explain(books, edge, "grid").batches

    assert {(n, item_digest(edge.items[n])) for n in range(1, 5)} >= {(one.sequence, one.digest) for one in before}
    assert {one.item for one in before} == {one.item for one in explain(books, edge, "grid").windows}
    assert ({None}, {True}) == ({one.equal for one in before}, {one.equal for one in after})


def test_time_without_a_window_is_a_hole(books: Books, edge: Edge) -> None:
    """The holes are what the windows leave of the hour, and the day's slots say why values are missing."""
    found = explain(books, edge, "stack")
    spans = sorted([(one.window.from_ms, one.window.to_ms) for one in found.windows] + list(found.holes))

    assert (found.cell[0], found.cell[1]) == (spans[0][0], spans[-1][1])
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert found.holes
    assert {Fate.TIMEOUT} < {Fate(fate & 0xFF) for _, fate, _ in found.slots}
    assert {point for point, _, _ in found.slots} == {p for one in found.instruments for p in one.points}


def test_an_hour_of_which_nothing_is_known_has_no_row(books: Books, edge: Edge) -> None:
    """No row, no windows, the whole hour a hole, and the way to the nearest hour that has something."""
    found = explain(books, edge, "grid", at_ms=START_MS + 5 * HOUR_MS)

    assert (None, ()) == (found.row, found.windows)
    assert (found.cell,) == found.holes
    assert (START_MS, None) == (found.earlier, found.later)
    assert found.plans
    assert found.instruments


def test_the_instruments_status_then_names_its_certificate(books: Books, edge: Edge) -> None:
    """Without a certificate unknown; with one in interval, and the hour waits to be made anew."""
    without = explain(books, edge, "grid")
    with books.database.writing() as connection:
        add_certificate(connection, books.plans, parse_certificates(CERTIFICATE, "c.toml")[0], START_MS)
    having = explain(books, edge, "grid")

    def stand(found: ExplainedHour) -> list[tuple[str, State, str]]:
        return [
            (one.instrument.id, one.stretches[0][2].state, _number(one))
            for one in found.instruments
        ]

    assert [("em-1", State.UNKNOWN, "")] == stand(without)
    assert [("em-1", State.IN_INTERVAL, "N 1")] == stand(having)
    assert (False, True) == (without.waiting, having.waiting)


def _number(one: InstrumentBehind) -> str:
    return one.deciding.certificate.number if one.deciding and one.deciding.certificate else ""


def test_a_chains_other_members_stand_beside_the_instrument(books: Books, edge: Edge) -> None:
    """Each with its own status while it is in its place; an event decides like a certificate."""
    half_ms = START_MS + HOUR_MS // 2
    out = Event("out", "em-1", "E1", What.OUT_OF_USE, at_ms=START_MS - HOUR_MS)
    first, second = (
        Member(Part.CURRENT_TRANSFORMER, name, from_ms, to_ms)
        for name, from_ms, to_ms in (("ct-1", None, half_ms), ("ct-2", half_ms, None))
    )
    gone = Member(Part.VOLTAGE_TRANSFORMER, "pt-1", None, START_MS)
    with books.database.writing() as connection:
        for record in (out, Chain("feeder", (Member(Part.METER, "em-1"), first, second, gone))):
            add_record(connection, books.plans, record, START_MS, "li")

    (one,) = explain(books, edge, "grid").instruments

    assert one.deciding is not None
    assert (out, None) == (one.deciding.event, one.deciding.certificate)
    assert [("ct", "ct-1", half_ms), ("ct", "ct-2", START_MS + HOUR_MS)] == [
        (other.part, other.instrument, other.stretches[-1][1]) for other in one.members
    ]


@pytest.mark.parametrize(("source", "gas"), [("nothing", "CO2"), ("grid", "SF6")])
def test_what_no_plan_has_is_refused_with_what_there_is(books: Books, edge: Edge, source: str, gas: str) -> None:
    """The hint names the sources and gases of the agent's plans."""
    with pytest.raises(EmitraceError, match="no monitoring plan") as refused:
        explain(books, edge, source, gas)

    assert "grid CO2" in refused.value.hint
