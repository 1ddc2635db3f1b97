"""An agent takes on another key in the middle of its stream: what each key signs counts in its place, and no other."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from collector.books import Books
from collector.evidence.verify.report import Report, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import Wanted, export, export_bundle, scope_of
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.recompute import Recomputer
from collector.store import quarantine
from collector.store.agents import all_agents, find_agent
from collector.store.comparisons import verdicts
from collector.store.endings import Ending, end_service
from collector.store.schema import audit, items
from protocols.keyring import Keyring
from protocols.messages import Ack
from protocols.wire.cose import key_id
from protocols.wire.keys import public_bytes
from tests.collector.edge import START_MS, Edge
from tests.collector.evidence.forging import members_of, reforged

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]
NEW, THIRD = b"n" * 32, b"t" * 32
PROGRAM = Path(__file__).parents[2] / "docs" / "second_verifier.py"


def changing() -> Edge:
    """Plan, batch, change, batch, change, batch: items 0 to 5."""
    edge = Edge(window_s=60)
    edge.add_plan()
    for seed in (NEW, THIRD):
        edge.add_batch()
        edge.change_key(seed)
    edge.add_batch()
    return edge


def reasons(books: Books) -> dict[str, int]:
    with books.database.reading() as connection:
        return quarantine.count_by_reason(connection)


@pytest.fixture(scope="module")
def second() -> ModuleType:
    """docs/second_verifier.py."""
    spec = importlib.util.spec_from_file_location("second_verifier_of_keys", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.backends
@pytest.mark.parametrize("together", [True, False], ids=["one group", "one by one"])
def test_the_stream_goes_on(books: Books, register: Register, ingest: Ingest, together: bool) -> None:
    """Every item is taken, in one transaction or in several; the ring, the audit trail and recomputation follow."""
    edge = changing()
    register(edge)
    ack = ingest(edge, *range(6)) if together else [ingest(edge, one) for one in range(6)][-1]
    while Recomputer(books).step():
        pass

    assert ack is not None
    assert (5, {}) == (ack.contiguous, reasons(books))
    with books.database.reading() as connection:
        agent = find_agent(connection, edge.agent_id)
        assert agent is not None
        seeds = (edge.seed, NEW, THIRD)
        assert [public_bytes(Ed25519PrivateKey.from_private_bytes(one)) for one in seeds] == list(agent.ring.keys)
        assert (3, 0) == ((found := verdicts(connection)).equal, found.different)
        assert 2 == len(connection.scalars(select(audit.c.id).where(audit.c.action == "agent-key-changed")).all())


def test_what_comes_before_its_key_comes_again(books: Books, register: Register, ingest: Ingest) -> None:
    """A batch overtakes the change: its key is not known yet, it is not acknowledged, and taken when it is resent."""
    edge = changing()
    register(edge)
    assert ingest(edge, 0, 1, 3) is not None
    assert {"unknown-key": 1} == reasons(books)
    ack = ingest(edge, 2, 3, 4, 5)

    assert ack is not None
    assert 5 == ack.contiguous


def test_the_old_key_counts_for_what_it_signed_before_and_for_nothing_else(
    books: Books, register: Register, ingest: Ingest
) -> None:
    """Late items of before are taken; its next item, and a stream of its own with the clock set back, are not."""
    edge = changing()
    register(edge)
    ingest(edge, 0, 2, 3)  # the change is ahead of a batch that the old key signed
    late = ingest(edge, 1)
    thief = Edge(window_s=60)
    thief.items, thief.kinds = edge.items[:3], edge.kinds[:3]
    thief.at_ms, thief.state = edge.batches[0].to_ms, None
    thief.add_batch()
    elsewhere = Edge(window_s=60, stream_id=b"\x09" * 16, at_ms=START_MS - 10 * HOUR_MS)
    elsewhere.add_plan()

    assert late is not None
    assert 3 == late.contiguous
    assert {} == commit_group(books, [thief.message(3), elsewhere.message(0)], START_MS + 9)
    assert {"replaced-key": 2} == reasons(books)


def test_revoked_is_the_agent_with_all_its_keys(books: Books, register: Register, ingest: Ingest) -> None:
    """Neither the old nor the new one is believed any more."""
    edge = changing()
    register(edge)
    ingest(edge, 0, 1, 2, 3)
    with books.database.writing() as connection:
        end_service(connection, all_agents(connection)[0], Ending.REVOKED, "stolen", "li.wei", START_MS)
    assert ingest(edge, 4, 5) is None
    assert {"revoked": 2} == reasons(books)


def exported(books: Books, path: Path, *, partly: str = "") -> bytes:
    """A bundle of everything, or of one agent."""
    if partly:
        export(books, Wanted(START_MS, START_MS + HOUR_MS, scope_of(agents=[partly])), path)
    else:
        export_bundle(books, START_MS, START_MS + HOUR_MS, path)
    return path.read_bytes()


def test_both_verifiers_follow_and_say_which_key_signed_what(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, second: ModuleType
) -> None:
    """The first key is the anchor; whole and in part, and where the period begins behind the changes."""
    edge = changing()
    register(edge)
    ingest(edge, *range(6))
    trusted = {edge.agent_id, books.collector_id}
    for partly in ("", edge.agent_id):
        data = exported(books, tmp_path / "b.zip", partly=partly)
        report = verify_bundle(io.BytesIO(data), trusted)

        assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
        assert 2 == len([note for note in report.notes if "signs from item" in note])
        assert ([], trusted) == second.verify(io.BytesIO(data))[:2]


def test_a_bundle_without_a_change_or_with_another_ones_is_refused(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, second: ModuleType
) -> None:
    """Left out, exchanged, or signed by a key that was never the agent's: by both."""
    edge = changing()
    register(edge)
    ingest(edge, *range(6))
    data = exported(books, tmp_path / "b.zip")
    first, last = sorted(name for name in members_of(data) if name.startswith("changes/"))
    content = members_of(data)
    for changes in ({first: None}, {last: None}, {first: content[last], last: content[first]}, {first: b"rubbish"}):
        forged = reforged(data, books.key, changes)
        report = verify_bundle(io.BytesIO(forged), {edge.agent_id})

        assert Verdict.CONTRADICTS is report.verdict
        assert second.verify(io.BytesIO(forged))[0]


def test_a_collector_that_takes_a_replaced_key_contradicts_itself(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, second: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A stream begun with the old key after the change was logged."""
    edge = changing()
    register(edge)
    ingest(edge, *range(6))
    thief = Edge(window_s=60, stream_id=b"\x09" * 16, at_ms=edge.at_ms)
    thief.add_plan()
    thief.add_batch()
    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "fault", lambda *_: "")
        commit_group(books, [thief.message(0), thief.message(1)], START_MS + 9)
    with books.database.reading() as connection:
        assert 8 == len(connection.execute(select(items.c.id)).all())
    data = exported(books, tmp_path / "b.zip")
    report: Report = verify_bundle(io.BytesIO(data), {edge.agent_id})

    assert Verdict.CONTRADICTS is report.verdict
    assert any(f"key {key_id(edge.public).hex()} was replaced" in one.seen for one in report.findings)
    assert any("was replaced before" in one for one in second.verify(io.BytesIO(data))[0])
