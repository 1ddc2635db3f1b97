"""The last known values of a site, from committed batches only."""

from __future__ import annotations

from collections.abc import Callable

from collector.books import Books
from collector.live.latest import Latest, phase_of
from collector.live.point import AgentNow, text_of
from collector.store.agents import add_agent
from protocols.messages import Ack
from protocols.records import Fate
from tests.collector.edge import SPAN_MS, START_MS, Edge, stream

SITE = "org/site"


def now(books: Books, site: str = SITE) -> tuple[AgentNow, ...]:
    with books.database.reading() as connection:
        return Latest(books.plans).of_site(connection, site)


def shown(agent: AgentNow) -> dict[str, str | None]:
    """Point id -> the newest value as text."""
    values = {agent.plan.points[index].id: one.newest.value for index, one in agent.points.items()}
    return {name: None if value is None else text_of(value) for name, value in values.items()}


def test_the_newest_batch_says_what_every_point_showed_last(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """Values in the register's unit, of the last slot of the newest batch, with due time and answer time."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 1, 2)
    (agent,) = now(books)
    values = shown(agent)
    energy = agent.points[next(i for i, p in enumerate(agent.plan.points) if p.id == "em-1.energy")]
    seconds = (energy.newest.due_ms - START_MS) // 1000

    assert (edge.agent_id, "boiler house", edge.stream_id) == (agent.agent_id, agent.name, agent.stream_id)
    assert START_MS + 2 * SPAN_MS == agent.batch_to_ms
    assert {point.id for point in agent.plan.points} == set(values)
    assert str(1_000_000 + seconds) == values["em-1.energy"]
    assert "12000" == values["stack-1.flow"]
    assert energy.newest.due_ms + 7 == energy.newest.at_ms
    assert START_MS + SPAN_MS <= energy.newest.due_ms < START_MS + 2 * SPAN_MS
    assert energy.last is energy.newest
    assert not energy.live


def test_a_missing_slot_has_no_value_and_the_last_value_stands_beside_it(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """The newest batch brought timeouts only: the reason, and the value of the batch before with its time."""
    edge = stream(1)
    edge.add_batch(missing_slots=10**6)
    register(edge)
    ingest(edge, 0, 1, 2)
    (agent,) = now(books)

    assert {None} == set(shown(agent).values())
    assert {int(Fate.TIMEOUT)} == {one.newest.fate for one in agent.points.values()}
    assert all(one.last is not None and one.last.due_ms < START_MS + SPAN_MS for one in agent.points.values())


def test_a_batch_that_waits_behind_a_gap_is_not_shown(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """Only what is committed in its place counts; when the gap closes the newer batch is seen."""
    edge = stream(2)
    register(edge)
    ingest(edge, 0, 2)
    latest = Latest(books.plans)
    with books.database.reading() as connection:
        (before,) = latest.of_site(connection, SITE)
    ingest(edge, 1)
    with books.database.reading() as connection:
        (after,) = latest.of_site(connection, SITE)

    assert (None, {}) == (before.batch_to_ms, before.points)
    assert START_MS + 2 * SPAN_MS == after.batch_to_ms


def test_sites_are_kept_apart(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """An agent without a plan belongs nowhere; an unknown site has nobody."""
    edge = stream(1)
    register(edge)
    with books.database.writing() as connection:
        add_agent(connection, bytes(32), "silent", START_MS)
    assert () == now(books)
    ingest(edge, 0, 1)

    assert [edge.agent_id] == [one.agent_id for one in now(books)]
    assert () == now(books, "org/elsewhere")


def test_an_agents_own_word_is_never_trusted_to_be_well_formed() -> None:
    """The phase of an unsigned status, or nothing."""
    assert "running" == phase_of('{"phase": "running"}')
    assert ["", "", "", ""] == [phase_of(text) for text in (None, "{}", "[]", '{"phase": 5}')]
