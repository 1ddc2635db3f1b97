"""A bundle from the books holds all that its period needs to be re-performed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from calibration.certificates import parse_certificates
from calibration.events import Event, What
from collector.books import Books
from collector.evidence.verify.report import Report, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import Wanted, export, export_bundle, scope_of
from collector.hours.cells import HOUR_MS
from collector.hours.model import COARSE, RULES
from collector.inventory.document import encode_inventory
from collector.recompute import Recomputer
from collector.store.as_sealed import hours_as_sealed
from collector.store.calibration import add_record
from collector.store.certificates import add_certificate
from collector.store.hours import read_hours
from collector.store.inventories import build_inventory, read_inventory, seal_inventory
from collector.store.schema import inventories
from protocols.messages import Ack
from protocols.plan.bound import BoundPlan
from protocols.records import Fate, ReadRequest, Samples
from protocols.wire.keys import fingerprint
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_inventory import CERTIFICATE
from tests.plans import Answer, sample

Register = Callable[[Edge], None]
Ingest = Callable[..., Ack | None]


def test_a_tombstone_behind_the_period_comes_with_what_it_stands_for(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path
) -> None:
    """Items dropped inside the period are explained although their tombstone was written hours later."""
    edge = stream(0, window_s=60)
    for _ in range(12):
        edge.add_batch(span_ms=20 * 60_000)
    edge.drop(2, 3)
    register(edge)
    ingest(edge, 0, 1, *range(4, 14))
    while Recomputer(books).step():
        pass
    first_hour = START_MS - START_MS % HOUR_MS
    path = tmp_path / "bundle.zip"

    export_bundle(books, first_hour, first_hour + HOUR_MS, path)
    with path.open("rb") as file:
        report = verify_bundle(file, {edge.agent_id, fingerprint(books.key.public_key().public_bytes_raw())})

    assert Verdict.CONSISTENT is report.verdict
    assert 2 == report.counts["dropped items"]


def _report(books: Books, edges: list[Edge], from_ms: int, path: Path) -> Report:
    while Recomputer(books).step():
        pass
    export_bundle(books, from_ms, from_ms + HOUR_MS, path)
    with path.open("rb") as file:
        return verify_bundle(file, {*(edge.agent_id for edge in edges), books.collector_id})


def test_a_stream_outside_the_period_comes_with_the_proof_that_it_is(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path
) -> None:
    """The bundles of the hour before, of each hour of the stream and of a later hour all hold."""
    edge = stream(0, window_s=60)
    for _ in range(6):
        edge.add_batch(span_ms=20 * 60_000)
    register(edge)
    ingest(edge, *range(7))
    first_hour = START_MS - START_MS % HOUR_MS

    for hour in (-3, 0, 1, 2, 7):
        report = _report(books, [edge], first_hour + hour * HOUR_MS, tmp_path / "bundle.zip")
        assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
        assert 1 == len(report.extents)


def test_windows_that_come_hours_after_their_time_are_in_the_bundle(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counter that was silent over the end of the period is read again three batches later."""
    edge = stream(0, window_s=60)
    silent_from, silent_to = START_MS + 40 * 60_000, START_MS + 130 * 60_000

    def gagged(plan: BoundPlan, from_ms: int, to_ms: int, answer: Answer) -> tuple[Samples, ...]:
        def quiet(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
            silent = request.unit == 2 and silent_from <= due_ms < silent_to
            return Fate.TIMEOUT if silent else answer(request, slot, due_ms)

        return sample(plan, from_ms, to_ms, quiet)

    monkeypatch.setattr("tests.collector.edge.sample", gagged)
    for _ in range(9):
        edge.add_batch(span_ms=20 * 60_000)
    register(edge)
    ingest(edge, *range(10))

    report = _report(books, [edge], START_MS, tmp_path / "bundle.zip")

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)


@pytest.mark.backends
def test_one_source_of_one_hour_leaves_as_a_bundle(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path
) -> None:
    """With its own row and its agent's items of that hour alone, whichever database the books are in."""
    edge = stream(0, window_s=60)
    for _ in range(6):
        edge.add_batch(span_ms=30 * 60_000)
    register(edge)
    ingest(edge, *range(7))
    with books.database.writing() as connection:
        add_record(connection, books.plans, Event("out", "em-1", "E1", What.OUT_OF_USE, at_ms=START_MS), START_MS, "li")
    while Recomputer(books).step():
        pass
    path = tmp_path / "bundle.zip"
    export(books, Wanted(START_MS + HOUR_MS, START_MS + 2 * HOUR_MS, scope_of((), ("grid",), ("CO2",))), path)
    with path.open("rb") as file:
        report = verify_bundle(file, {edge.agent_id, books.collector_id})

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert (1, 4) == (report.counts["hour rows"], report.counts["batches"])
    assert 1 == report.counts["calibration records"]
    assert {"leaves", "hour rows"} <= set(report.left_out)
    assert report.stated is not None
    assert [report.stated.tree_size] == [one.size for one in report.checkpoints]


def test_a_sealed_inventory_leaves_with_the_checkpoint_of_its_seal(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path
) -> None:
    """And with the newest one, which the export makes; so does a version sealed before logs had names."""
    edge = stream(0, window_s=60)
    for _ in range(6):
        edge.add_batch(span_ms=20 * 60_000)
    register(edge)
    ingest(edge, *range(5))
    built = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", START_MS)
    before = replace(built.inventory, pinned=replace(built.inventory.pinned, origin=books.collector_id))
    document = encode_inventory(before)
    with books.database.writing() as connection:
        own = update(inventories).where(inventories.c.id == built.version)
        connection.execute(own.values(document=document, digest=hashlib.sha256(document).digest()))
        sealed = seal_inventory(connection, books.log_key, built.version, START_MS)
    ingest(edge, 5, 6)
    export_bundle(books, START_MS, START_MS + HOUR_MS, tmp_path / "bundle.zip")
    with (tmp_path / "bundle.zip").open("rb") as file:
        report = verify_bundle(file, {edge.agent_id, books.collector_id})

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert sealed.leaf is not None
    assert report.stated is not None
    assert [sealed.leaf + 1, report.stated.tree_size] == [one.size for one in report.checkpoints]
    assert any(f"as known at leaf {before.pinned.tree_size}" in note for note in report.notes)


@pytest.mark.parametrize("rules", [COARSE, RULES])
def test_a_sealed_inventory_leaves_as_it_was_made_whatever_is_known_since(
    books: Books, register: Register, ingest: Ingest, tmp_path: Path, rules: int
) -> None:
    """By the rules of hours of then and as known then, while the ledger of today says another thing."""
    edge = stream(0, window_s=60)
    for _ in range(7):
        edge.add_batch(span_ms=20 * 60_000)
    register(edge)
    ingest(edge, *range(5))
    entered = parse_certificates(CERTIFICATE, "c.toml")[0]
    with books.database.writing() as connection:
        add_certificate(connection, books.plans, entered, START_MS)
    built = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", START_MS).version
    with books.database.writing() as connection:
        first = read_inventory(connection, built).inventory
        before = replace(first, pinned=replace(first.pinned, hour_rules=rules))
        document = encode_inventory(before)
        own = update(inventories).where(inventories.c.id == built)
        connection.execute(own.values(document=document, digest=hashlib.sha256(document).digest()))
        sealed = seal_inventory(connection, books.log_key, built, START_MS)
        out = Event("out", "em-1", "E1", What.OUT_OF_USE, at_ms=START_MS)
        add_record(connection, books.plans, out, START_MS, "li")

    report = _report(books, [edge], START_MS, tmp_path / "bundle.zip")

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert sealed.leaf is not None
    assert sealed.leaf + 1 in [one.size for one in report.checkpoints]
    with books.database.reading() as connection:
        again = list(hours_as_sealed(connection, books.plans, books.hour_rule, before))
        now = [one.row for one in read_hours(connection, START_MS, START_MS + HOUR_MS)]
    assert [row.mass_mg for row in again] == [row.mass_mg for row in now]
    assert {"in-interval"} == {name for row in again if row.source == "grid" for name, _ in row.status_mg}
    assert {"suspended"} == {name for row in now if row.source == "grid" for name, _ in row.status_mg}
