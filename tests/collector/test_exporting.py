"""A bundle from the books holds all that its period needs to be re-performed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from collector.books import Books
from collector.evidence.verify.report import Report, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import Wanted, export, export_bundle, scope_of
from collector.hours.cells import HOUR_MS
from collector.inventory.document import encode_inventory
from collector.recompute import Recomputer
from collector.store.inventories import build_inventory, seal_inventory
from collector.store.schema import inventories
from protocols.messages import Ack
from protocols.plan.bound import BoundPlan
from protocols.records import Fate, ReadRequest, Samples
from protocols.wire.keys import fingerprint
from tests.collector.edge import START_MS, Edge, stream
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
    while Recomputer(books).step():
        pass
    path = tmp_path / "bundle.zip"
    export(books, Wanted(START_MS + HOUR_MS, START_MS + 2 * HOUR_MS, scope_of((), ("grid",), ("CO2",))), path)
    with path.open("rb") as file:
        report = verify_bundle(file, {edge.agent_id, books.collector_id})

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert (1, 4) == (report.counts["hour rows"], report.counts["batches"])
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
