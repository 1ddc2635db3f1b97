"""A bundle from the books holds all that its period needs to be re-performed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from collector.books import Books
from collector.evidence.verify.report import Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.recompute import Recomputer
from protocols.records import Ack
from protocols.wire.keys import fingerprint
from tests.collector.edge import START_MS, Edge, stream

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
