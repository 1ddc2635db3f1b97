"""Entering records: every fault of a file at once, what checks found, all or nothing, and the same again is nothing."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from calibration.events import Event
from calibration.instruments import Chain, Instrument
from collector.books import Books, open_books
from collector.calibration import tables
from collector.calibration.entering import enter
from collector.calibration.form import read_event
from collector.calibration.reading import read_records
from collector.calibration.tables import read_csv, read_xlsx, template
from collector.commands import app
from collector.config import Config, Settings
from collector.ingest.worker import commit_group
from collector.store.agents import add_agent
from collector.store.calibration import all_records
from collector.store.log import tree_size
from protocols.errors import InputErrors
from protocols.toml import parse_toml
from tests.collector.edge import START_MS, stream

RECORDS = """
schema = 1

[[instruments]]
id = "em-1"
serial = "A-1"
regime = "user-defined"
mpe = { percent_of_reading = 0.5 }
uses = ["trade"]

[[chains]]
id = "feeder"
members = [{ part = "meter", instrument = "em-1" }, { part = "ct", instrument = "ct-1" }]

[[events]]
id = "v-1"
instrument = "em-1"
serial = "A-1"
what = "verification"
performed_on = 2025-03-15
result = "pass"
valid_until = 2027-03-14
document = { kind = "verification-certificate", number = "N1", laboratory = "Institute" }
as_found = [{ nominal = 5, error = 0.2, unit = "%" }]
"""
HEAD = (
    "id,instrument,serial,what,performed_on,result,valid_until,document.kind,document.number,"
    "as_found.1.nominal,as_found.1.error,as_found.1.unit"
)
EVENTS = f"""{HEAD}
v-1,em-1,A-1,verification,2025-03-15,pass,2027-03-14,verification-certificate,N1,5,0.2,%
,,,,,,,,,,,
v-2,em-1,A-1,verification,2026-03-15,pass,2028-03-14,verification-certificate,N2,5,0.7,%
"""


WORKBOOK = template()
POINTED = {
    "instrument": "em-1", "serial": "A-1", "what": "verification", "performed_on": "2026-01-05", "result": "pass",
    "valid_until": "2027-01-04", "document.kind": "verification-certificate", "document.number": "N1",
}  # fmt: skip


def faults(text: str) -> list[str]:
    with pytest.raises(InputErrors) as refused:
        read_records(parse_toml(text, "records.toml"))
    return [str(error) for error in refused.value.errors]


def test_records_are_read_exactly() -> None:
    """Figures keep their digits, dates are days, words are of the closed lists."""
    instrument, chain, event = read_records(parse_toml(RECORDS, "records.toml"))

    assert isinstance(instrument, Instrument)
    assert isinstance(chain, Chain)
    assert isinstance(event, Event)
    assert (Decimal("0.5"), "em-1", 2) == (instrument.mpe.percent_of_reading, instrument.id, len(chain.members))
    assert (Decimal("0.2"), "N1") == (event.as_found[0].error, event.document and event.document.number)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('serial = "A-1"\nwhat', 'serail = "A-1"\nwhat', "events[0].serail: no such field. did you mean serial?"),
        ('serial = "A-1"\nregime', "regime", "records.toml:4: instruments[0].serial: missing"),
        ('"user-defined"', '"monthly"', 'records.toml:7: instruments[0].regime: "monthly"'),
        ("nominal = 5", 'nominal = "five"', 'events[0].as_found[0].nominal: "five"'),
        ("error = 0.2, ", "", "events[0]: test point 5: neither an error nor reference and indication"),
        ("[[events]]", "[[event]]", "event: unknown"),
        ("schema = 1", "schema = 2", "schema: 2. write schema = 1"),
        ('document = { kind = "verification-certificate", number', "document = { nubmer", "events[0].document.nubmer"),
        ("2027-03-14", '"2027-13-14"', "events[0].valid_until"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place(old: str, new: str, said: str) -> None:
    """File, line, field, what was seen and what to do."""
    assert any(one.startswith(said) or said in one for one in faults(RECORDS.replace(old, new, 1))), faults(
        RECORDS.replace(old, new, 1)
    )


def test_every_fault_is_told_at_once() -> None:
    """A file is not mended one error a run."""
    broken = RECORDS.replace('"user-defined"', '"monthly"').replace('"verification"', '"verifikation"')

    assert len(faults(broken)) == 2


def test_a_table_says_the_same_as_toml() -> None:
    """A row is a record; empty cells and rows say nothing."""
    first, second = read_csv(EVENTS.encode("utf-8-sig"), "events.csv")
    (*_, event) = read_records(parse_toml(RECORDS.replace(', laboratory = "Institute"', ""), "records.toml"))

    assert event == first
    assert second.id == "v-2"
    instrument, example = read_xlsx(template(), "template.xlsx")
    assert isinstance(instrument, Instrument)
    assert isinstance(example, Event)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (EVENTS.replace("2026-03-15", "2026-02-30").encode(), 'events.csv:4: performed_on: "2026-02-30"'),
        (EVENTS.replace("0.7", "0,7").encode(), "events.csv:4: a cell without a named column"),
        (b"id,id\n1,2\n", "events.csv:1: column id stands twice"),
        (b"", "events.csv:1: no names of columns"),
        (b"id,serial,regime\n", "events.csv: no row in it"),
        (b"id,what\n\xff,2\n", "events.csv:2: byte 0xff is not UTF-8"),
        (b"id,wha\n1,2\n", "events.csv:2: wha: no such field"),
        (b"id,mpe,mpe.span\n1,2,3\n", "events.csv:1: column mpe beside columns inside it"),
        (b"id," + b"a." * 5000 + b"b\n1,2\n", "events.csv:1: column a.a."),
        (b"id,serial\n1,2,3\n", "events.csv:2: a cell without a named column"),
    ],
    ids=["day", "comma", "twice", "empty", "no-row", "bytes", "column", "inside", "deep", "shifted"],
)  # fmt: skip
def test_a_fault_of_a_table_names_row_and_column(data: bytes, said: str) -> None:
    """Counted as a spreadsheet counts."""
    with pytest.raises(InputErrors) as refused:
        read_csv(data, "events.csv")
    assert any(str(error).startswith(said) for error in refused.value.errors), refused.value.errors


@pytest.mark.parametrize(
    ("line", "unit", "error"),
    [("5 0.12 %", "%", "0.12"), ("5 0.12%", "%", "0.12"), ("5 0.12 \uff05", "%", "0.12"),
     ("5\uff1b\u22120.3\uff1b%", "%", "-0.3"), ("5 0.002 1", "1", "0.002"), ("5 0.12", "", "0.12"),
     ("5 0.12 - 0.02 2", "", "0.12")],
)  # fmt: skip
def test_a_test_point_is_read_as_it_was_written(line: str, unit: str, error: str) -> None:
    """Also with the signs of a Chinese keyboard."""
    read = read_event(POINTED | {"as_found": line}).record

    assert isinstance(read, Event)
    assert [(Decimal(5), Decimal(error), unit)] == [(one.nominal, one.error, one.unit) for one in read.as_found]


@pytest.mark.parametrize("line", ["5 0.12 kW", "5 2 \u2030", "5 0.12 ppm", "5", "5 0.1 % 0.02 2 7", "five 0.1 %"])
def test_a_test_point_of_another_unit_is_a_fault(line: str) -> None:
    """Nothing is guessed about a figure that decides whether a test was passed."""
    read = read_event(POINTED | {"as_found": line})

    assert read.record is None
    assert read.faults[0][0].startswith("as_found.1")


def test_a_file_needs_a_document_that_names_it() -> None:
    """Else it would be kept and prove nothing."""
    moved = {"instrument": "em-1", "serial": "A-1", "what": "move", "performed_on": "2026-01-05"}

    assert ("document.kind", "\u2013") == read_event(moved, "ab" * 32).faults[0]
    assert read_event(moved).record is not None


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04nonsense", b"id,what\n"], ids=["empty", "half", "csv"])
def test_what_is_no_workbook_is_refused(data: bytes) -> None:
    """Whatever the bytes are."""
    with pytest.raises(InputErrors, match="no workbook"):
        read_xlsx(data, "events.xlsx")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_workbook_is_refused_or_read(data: st.DataObject) -> None:
    """Whatever is flipped in it, there is no other end."""
    damaged = bytearray(WORKBOOK)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(InputErrors):
        read_xlsx(bytes(damaged), "events.xlsx")


def test_more_rows_than_are_taken_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All or none: nothing is cut off."""
    monkeypatch.setattr(tables, "MOST_ROWS", 1)

    with pytest.raises(InputErrors, match="more than 1 rows"):
        read_csv(EVENTS.encode(), "events.csv")
    assert len(read_xlsx(WORKBOOK, "template.xlsx")) == 2, "a row a sheet"


def test_an_event_says_at_once_whether_it_counts(books: Books) -> None:
    """A calibration gives no validity under mandatory verification; it is kept all the same."""
    text = RECORDS.replace('"user-defined"', '"mandatory-periodic"').replace(
        '"verification-certificate"', '"calibration-certificate"'
    )
    with books.database.writing() as connection:
        entered = enter(connection, books.plans, read_records(parse_toml(text, "records.toml")), START_MS, "li")
        event = entered[-1]
        kept = len(all_records(connection))

    assert (3, False) == (kept, event.counts)
    assert {"kind", "no-uncertainty"} <= {finding.code.value for finding in event.findings if finding.blocks}


def run(folder: Path, *words: str) -> Result:
    path = folder / "collector.toml"
    if not path.exists():
        path.write_text("")
    return CliRunner().invoke(app, ["calibration", *words, "--config", str(path)])


def test_from_files_to_what_is_due(tmp_path: Path) -> None:
    """Imported twice is imported once; status and due list say the same, as known then and now."""
    records = tmp_path / "records.toml"
    records.write_text(RECORDS)
    with open_books(Config(tmp_path / "collector.toml", Settings())) as books, books.database.reading() as connection:
        before = tree_size(connection)
    tried, first, again = (
        run(tmp_path, "import", str(records), *more) for more in (["--dry-run"], [], [])
    )
    assert [0, 0, 0] == [tried.exit_code, first.exit_code, again.exit_code], first.output
    assert ["entered", "already here"] == [one.output.splitlines()[-3].split(": ")[1] for one in (first, again)]

    def said(*words: str) -> list[dict[str, object]]:
        done = run(tmp_path, *words, "--json")
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    (now,) = said("status", "em-1", "--at", "2027-02-20")
    assert ("due-soon", "2027-03-14", 22, "within-30-days") == (
        now["state"], now["last_day"], now["days"], now["bucket"],
    )  # fmt: skip
    (over,) = said("due", "--at", "2027-03-15")
    assert ("overdue", -1) == (over["state"], over["days"])
    assert [] == said("status", "--as-known-at", str(before))
    assert run(tmp_path, "due", "--at", "2025-04-01").exit_code == 0
    assert run(tmp_path, "due", "--at", "2027-03-15").exit_code == 1
    assert run(tmp_path, "status", "em-9").exit_code == 2


def test_one_bad_file_keeps_nothing_of_any(tmp_path: Path) -> None:
    """Neither of the good file beside it, nor a part of an event whose id is taken."""
    good, bad, other = tmp_path / "a.toml", tmp_path / "b.csv", tmp_path / "c.toml"
    good.write_text(RECORDS)
    bad.write_text("id,what\n1,2\n")
    other.write_text(RECORDS.replace('"A-1"', '"A-2"', 1).replace('number = "N1"', 'number = "N9"'))

    assert run(tmp_path, "import", str(good), str(bad)).exit_code == 2
    assert "[]" == run(tmp_path, "status", "--json").stdout.strip()
    assert run(tmp_path, "import", str(good)).exit_code == 0
    refused = run(tmp_path, "import", str(other))
    assert (2, True) == (refused.exit_code, "v-1" in refused.output)
    assert ["A-1"] == [one["serial"] for one in json.loads(run(tmp_path, "status", "--json").stdout)]


def test_the_plans_instruments_can_be_registered(tmp_path: Path) -> None:
    """Once; what a technician planned is where the register begins. Files are evidence under their digest."""
    edge = stream(1)
    with open_books(Config(tmp_path / "collector.toml", Settings())) as books:
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)
        commit_group(books, [edge.message(n) for n in range(2)], START_MS)
    planned = {one.id for one in edge.plan.plan.instruments}
    first, again = run(tmp_path, "import", "--plan"), run(tmp_path, "import", "--plan")
    scan, sheet = tmp_path / "scan.pdf", tmp_path / "new.xlsx"
    scan.write_bytes(b"%PDF-1.7")

    assert {f"{name}: entered" for name in planned} == set(first.output.splitlines())
    assert {f"{name}: already here" for name in planned} == set(again.output.splitlines())
    assert len(run(tmp_path, "file", str(scan)).stdout.strip()) == 64
    made = CliRunner().invoke(app, ["calibration", "template", str(sheet)])
    assert (0, 3) == (made.exit_code, CliRunner().invoke(app, ["calibration", "template", str(sheet)]).exit_code)
    assert run(tmp_path, "import").exit_code == 2
    mismatched = run(tmp_path, "import", str(sheet))
    assert (1, True) == (mismatched.exit_code, "does not count: it is for another serial" in mismatched.output)
    sheet.rename(sheet.with_suffix(".ods"))
    assert "TOML, CSV, XLSX or XML" in run(tmp_path, "import", str(sheet.with_suffix(".ods"))).output
