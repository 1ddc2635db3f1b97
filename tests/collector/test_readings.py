"""Raw readings of a bundle as a table: enough to come to the ledger's own integer with a pocket calculator."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

from collector.books import Books
from collector.evidence.layout import HOURS
from collector.evidence.verify.__main__ import main
from collector.evidence.verify.readings import COLUMNS
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.recompute import Recomputer
from protocols.messages import Ack
from protocols.plan.bound import BoundPlan
from protocols.records import Batch, Fate, ReadRequest, Samples
from protocols.wire.codec import seal_item
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.evidence.forging import members_of
from tests.collector.evidence.site import Site, together, with_items
from tests.plans import Answer, sample

HOUR = START_MS + HOUR_MS
SITE = Site().make(dropped=None)


def run(*words: str) -> int:
    """The command's exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["readings", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ms(text: str) -> int:
    """A time of the table. [UTC ms]"""
    return round((datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


@pytest.fixture
def bundle(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """An hour in the middle of a stream whose electricity meter counts unevenly and is silent now and then."""

    def uneven(plan: BoundPlan, from_ms: int, to_ms: int, answer: Answer) -> tuple[Samples, ...]:
        def changed(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
            told = answer(request, slot, due_ms)
            if request.unit == 1 and slot % 23 < 4:
                return Fate.TIMEOUT
            if isinstance(told, Fate):
                return told
            since = (due_ms - START_MS) // 1000
            return told[0] + slot % 13, {**told[1], "em-1.energy": 1_000_000 + since * 7 // 3 + slot % 2}

        return sample(plan, from_ms, to_ms, changed)

    monkeypatch.setattr("tests.collector.edge.sample", uneven)
    edge = stream(0, window_s=60)
    for _ in range(9):
        edge.add_batch(span_ms=20 * 60_000)
    register(edge)
    ingest(edge, *range(10))
    while Recomputer(books).step():
        pass
    path = tmp_path / "bundle.zip"
    export_bundle(books, HOUR, HOUR + HOUR_MS, path)
    return path


def test_an_hour_from_the_table_alone_is_the_ledgers_integer(bundle: Path, tmp_path: Path) -> None:
    """The worked example of docs/verifier.md: two lines at each end of the hour, a proportion, a difference."""
    out = tmp_path / "readings.csv"
    code = run(str(bundle), "--csv", str(out), "--point", "em-1.energy")
    good = [row for row in table(out) if row["fate"] in ("good", "carried")]
    (stated,) = (
        json.loads(line) for line in members_of(bundle.read_bytes())[HOURS].splitlines() if b'"source":"grid"' in line
    )

    def index_at(edge_ms: int) -> Decimal:
        """The index at an instant: on the line between the readings before and after it, in whole mWh."""
        before = [row for row in good if ms(row["answered_utc"]) <= edge_ms][-1]
        after = next(row for row in good if ms(row["answered_utc"]) > edge_ms)
        since, span = edge_ms - ms(before["answered_utc"]), ms(after["answered_utc"]) - ms(before["answered_utc"])
        grown = (Decimal(after["base"]) - Decimal(before["base"])) * since / span
        return Decimal(before["base"]) + grown.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)

    assert 0 == code
    assert Decimal(stated["activity"]) == index_at(HOUR + HOUR_MS) - index_at(HOUR)
    read = [row for row in good if row["fate"] == "good"]
    assert ("carried", True) == (good[0]["fate"], len(read) > 500)
    assert all(Decimal(int(row["words"], 16)) == Decimal(row["value"]) for row in read)
    assert all(Decimal(row["value"]) * 1000 == Decimal(row["base"]) for row in read)
    assert {("Wh", "mWh", "em-1")} == {(row["unit"], row["base_unit"], row["instrument"]) for row in good}


def test_every_slot_has_its_row_and_the_fates_are_those_the_agent_signed(tmp_path: Path) -> None:
    """Counted per point and fate they are the signed counts; digest and leaf lead back to the batch."""
    path, out = tmp_path / "b.zip", tmp_path / "r.csv"
    path.write_bytes(SITE.bundle())
    assert 0 == run(str(path), "--csv", str(out))
    rows = table(out)
    batches = [item for item, _ in SITE.items if isinstance(item, Batch)]
    signed = Counter[tuple[str, str]]()
    for batch in batches:
        for slot in batch.slots:
            signed[SITE.plan.points[slot.point].id, Fate(slot.fate & 0xFF).name.lower()] += slot.count

    assert list(COLUMNS) == list(rows[0])
    assert signed == Counter((row["point"], row["fate"].split()[0]) for row in rows)
    assert {"good", "missing"} == {row["quality"] for row in rows}
    assert all(("" == row["words"]) is (row["quality"] == "missing") for row in rows)
    digests = [leaf.digest.hex() for leaf in SITE.leaves]
    assert all(digests[int(row["leaf"])] == row["batch"] for row in rows)


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    """The same rows, numbers as numbers."""
    path, out, columns = tmp_path / "b.zip", tmp_path / "r.csv", tmp_path / "r.parquet"
    path.write_bytes(SITE.bundle())
    assert 0 == run(str(path), "--csv", str(out), "--parquet", str(columns))
    stored = pyarrow.parquet.read_table(columns).to_pylist()

    assert table(out) == [{name: str(value) for name, value in row.items()} for row in stored]
    assert isinstance(stored[0]["slot"], int)


def test_a_batch_nobody_signed_gives_no_rows(tmp_path: Path) -> None:
    """A changed item is a finding and left out; a bundle whose manifest does not hold gives nothing at all."""
    contents = together(SITE)
    items = list(next(iter(contents.days)).items)
    batch = SITE.items[2][0]
    assert isinstance(batch, Batch)
    items[2] = seal_item(replace(batch, software="forged"), SITE.agent_key)
    items[3] = items[3][:-1] + bytes([items[3][-1] ^ 1])
    path, out = tmp_path / "b.zip", tmp_path / "r.csv"
    path.write_bytes(SITE.bundle(with_items(contents, items)))
    code = run(str(path), "--csv", str(out))
    path.write_bytes(SITE.bundle()[:-1])
    broken = run(str(path), "--csv", str(tmp_path / "none.csv"))

    assert (1, 1) == (code, broken)
    assert {"1", "4", "5"} == {row["sequence"] for row in table(out)}
    assert [] == table(tmp_path / "none.csv")


def test_without_pyarrow_parquet_is_refused_and_csv_goes_on(tmp_path: Path) -> None:
    """The base install has no pyarrow."""
    path = tmp_path / "b.zip"
    path.write_bytes(SITE.bundle())
    code = (
        "import sys; sys.modules['pyarrow'] = None; from collector.evidence.verify.__main__ import main; "
        "main(sys.argv[1:])"
    )
    calls = [
        subprocess.run(
            [sys.executable, "-c", code, "readings", str(path), f"--{form}", str(tmp_path / "out")],
            capture_output=True, text=True, check=False,
        )
        for form in ("parquet", "csv")
    ]  # fmt: skip

    assert [3, 0] == [call.returncode for call in calls]
    assert "emitrace[parquet]" in calls[0].stderr
    assert len(io.StringIO((tmp_path / "out").read_text()).readlines()) > 1000
