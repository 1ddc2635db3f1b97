"""The end of an agent's service: nothing logged later is believed, whatever the thief's clock says; for ever."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from collector.alerts.conditions import conditions
from collector.alerts.model import Kind
from collector.books import Books
from collector.commands import app
from collector.config import AlertsTable
from collector.evidence.verify.report import Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.ingest.again import may_be_tried
from collector.store import quarantine
from collector.store.agents import all_agents
from collector.store.endings import Ending, end_service, endings
from collector.store.log import tree_size
from collector.store.schema import agent_endings, audit, items, leaves
from protocols.errors import EmitraceError
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]
backends = pytest.mark.backends


def end(books: Books, ending: Ending = Ending.REVOKED, reason: str = "stolen from its cabinet") -> int:
    """End the service of the only agent; the position of the leaf."""
    with books.database.writing() as connection:
        (agent,) = all_agents(connection)
        return end_service(connection, agent, ending, reason, "li.wei", START_MS + 5).position


def reasons(books: Books) -> dict[str, int]:
    with books.database.reading() as connection:
        return quarantine.count_by_reason(connection)


@backends
def test_what_was_not_in_the_log_by_then_is_quarantined(books: Books, register: Register, ingest: Ingest) -> None:
    """The next batch, one with a clock set back to before all others in a new stream, and one that waited elsewhere."""
    edge = stream(3)
    register(edge)
    ingest(edge, 0, 1)
    position = end(books)
    back = Edge(stream_id=b"\x08" * 16, at_ms=START_MS - 10 * HOUR_MS)
    back.add_plan()
    back.add_batch()

    assert ingest(edge, 2, 3) is None
    assert ingest(back, 0, 1) is None
    assert {"revoked": 4} == reasons(books)
    assert not may_be_tried("revoked")
    with books.database.reading() as connection:
        assert 2 == len(connection.execute(select(items.c.id)).all())
        assert position + 1 < tree_size(connection)  # its entry of the audit trail follows it
        assert "agent-revoked" == connection.scalar(select(leaves.c.kind).where(leaves.c.position == position))
        assert "agent-revoked" in connection.scalars(select(audit.c.action)).all()


@backends
def test_what_was_in_the_log_stays_and_is_acknowledged_again(books: Books, register: Register, ingest: Ingest) -> None:
    """A duplicate of a logged batch is no news: it is acknowledged, not quarantined."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0, 1)
    end(books)
    ack = ingest(edge, 1)

    assert ack is not None
    assert 1 == ack.contiguous
    assert {} == reasons(books)


@backends
def test_a_retired_agents_last_items_are_taken_and_nobody_waits_for_it(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """It is out of service, not distrusted; its silence is no alert."""
    edge = stream(1)
    register(edge)
    ingest(edge, 0)
    late_ms = START_MS + 86_400_000

    def silent() -> bool:
        with books.database.reading() as connection:
            return Kind.AGENT_SILENT in {one.kind for one in conditions(connection, AlertsTable(), late_ms)}

    assert silent()
    end(books, Ending.RETIRED)
    assert not silent()
    assert ingest(edge, 1) is not None
    end(books)  # and it can still be revoked
    with books.database.reading() as connection:
        assert Ending.REVOKED is endings(connection)[edge.agent_id].ending


@backends
def test_it_needs_a_reason_and_is_never_taken_back(books: Books, register: Register) -> None:
    """Not by the program, and not by the database."""
    register(stream(0))
    with pytest.raises(EmitraceError, match="no reason"):
        end(books, reason="  ")
    end(books)
    for again in Ending:
        with pytest.raises(EmitraceError, match="is revoked already, by li"):
            end(books, again)
    for change in (delete(agent_endings), update(agent_endings).values(ending="retired")):
        with pytest.raises(IntegrityError, match="never taken back"), books.database.writing() as connection:
            connection.execute(change)


@backends
def test_the_verifier_holds_the_collector_to_it(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of before and after is consistent; one whose collector took a batch in later contradicts itself."""
    edge = stream(2, window_s=60)
    register(edge)
    ingest(edge, 0, 1)
    end(books)
    found = []
    for forgets in (False, True):
        if forgets:
            monkeypatch.setattr("collector.store.placing.revoked_agents", lambda _: frozenset())
        ingest(edge, 2)
        export_bundle(books, START_MS, START_MS + HOUR_MS, tmp_path / "b.zip")
        report = verify_bundle(io.BytesIO((tmp_path / "b.zip").read_bytes()), {edge.agent_id, books.collector_id})
        found.append((report.verdict, [one.seen for one in report.findings]))

    assert (Verdict.CONSISTENT, []) == found[0]
    assert Verdict.CONTRADICTS is found[1][0]
    assert "which revoked the agent at leaf" in found[1][1][0]


def test_by_command(books: Books, register: Register) -> None:
    """Named by name or id; a reason is asked for; the list says it."""
    edge = stream(0)
    register(edge)
    books.config.file.write_text("")
    config = ["--config", str(books.config.file)]
    run = CliRunner()

    def said(*arguments: str) -> tuple[int, str]:
        result = run.invoke(app, ["agents", *arguments, *config])
        return result.exit_code, result.output

    assert 2 == said("revoke", "boiler house")[0]
    code, output = said("revoke", "boiler house", "--reason", "cabinet broken open")
    assert (0, True) == (code, f"agent {edge.agent_id} is revoked" in output)
    assert "revoked" in said("list")[1]
    assert (2, True) == ((again := said("retire", edge.agent_id[:12], "--reason", "x"))[0], "already" in again[1])
