"""Which notice goes to which agent: what is known now, once, and again while the agent does not hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date

from calibration.events import Event
from calibration.evidence import Result
from collector.books import Books
from collector.ingest.notices import LOOK_S, Notices
from collector.ingest.statuses import Status as Told
from collector.store.calibration import add_record
from protocols.messages import Ack, Notice
from tests.calibration.happenings import happened
from tests.collector.edge import START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


class Turns:
    """Notices on a clock that a test sets."""

    def __init__(self, books: Books) -> None:
        self.now_s = 0.0
        self.now_ms = START_MS
        self.notices = Notices(books, lambda: self.now_s, lambda: self.now_ms)

    def after(self, seconds: float, statuses: Mapping[str, Told] | None = None) -> dict[str, Notice]:
        """What goes out after a while, and what agents say then."""
        self.now_s += seconds
        self.now_ms += int(1000 * seconds)
        self.notices.note(statuses or {})
        return self.notices.due()


def holding(edge: Edge, issued_ms: int) -> dict[str, Told]:
    return {edge.agent_id: Told("{}", notice=(edge.stream_id, issued_ms))}


def enter(books: Books, event: Event) -> None:
    with books.database.writing() as connection:
        add_record(connection, books.plans, event, START_MS, "li")


def test_an_agent_is_told_what_changes_and_nothing_else(books: Books, register: Register, ingest: Ingest) -> None:
    """Once at first, again while it does not hold it, anew when something else is known."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    meant = edge.plan.plan.instruments[0]
    turns = Turns(books)

    def state(sent: Mapping[str, Notice]) -> str:
        return {one.instrument: one.state for one in sent[edge.agent_id].instruments}[meant.id]

    first = turns.after(1, holding(edge, 0))
    again = turns.after(LOOK_S)
    quiet = turns.after(LOOK_S, holding(edge, again[edge.agent_id].issued_ms))
    assert ("unknown", first, {}) == (state(first), again, quiet)
    told = {one.instrument for one in first[edge.agent_id].instruments}
    assert {one.id for one in edge.plan.plan.instruments} == told

    passed = happened("v-1", "2025-01-01", instrument=meant.id, serial=meant.serial, valid_until=date(2099, 1, 1))
    enter(books, passed)
    assert {} == turns.after(LOOK_S / 2)
    second = turns.after(LOOK_S)
    assert "in-interval" == state(second)
    assert second[edge.agent_id].issued_ms > first[edge.agent_id].issued_ms

    enter(books, replace(passed, id="v-2", supersedes="v-1", result=Result.FAIL, valid_until=None))
    assert "failed" == state(turns.after(LOOK_S))


def test_an_agent_that_holds_a_later_one_gets_one_that_is_later_still(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """Also where this collector's clock went back: else it would be refused for ever. A new stream is told at once."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    later_ms = START_MS + 10**9
    turns = Turns(books)

    sent = turns.after(1, holding(edge, later_ms))
    fresh = turns.after(1, {edge.agent_id: Told("{}", notice=(b"n" * 16, 0))})

    assert later_ms + 1 == sent[edge.agent_id].issued_ms
    assert b"n" * 16 == fresh[edge.agent_id].stream_id


def test_who_takes_no_notice_or_has_no_plan_gets_none(books: Books, register: Register) -> None:
    """An agent of before says nothing of notices; one without a plan has no instruments."""
    edge = stream(1)
    register(edge)
    turns = Turns(books)

    assert {} == turns.after(1, {edge.agent_id: Told("{}")})
    assert {} == turns.after(LOOK_S, holding(edge, 0))
