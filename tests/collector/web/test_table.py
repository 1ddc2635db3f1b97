from __future__ import annotations

import csv
import io

import openpyxl
import pytest

from collector.web.table import Cell, Column, Kind, Table, to_csv, to_xlsx

BASIS = (("Period", "2026-01"), ("=evil", "=1+1"))


def table(*masses: int | None, name: str = "rows") -> Table:
    """A table of a name, a mass, an uncertainty and a share."""
    kinds = {"Mass": Kind.MASS, "U": Kind.UNCERTAINTY, "Complete": Kind.SHARE}
    columns = [Column("源"), *(Column(title, kind) for title, kind in kinds.items())]
    rows = [[Cell(f"row {n}", "/open"), Cell(mass), Cell(0.25), Cell(None)] for n, mass in enumerate(masses)]
    footer = [Cell("Total"), Cell(sum(mass or 0 for mass in masses)), Cell(1.5), Cell(1.0)]
    return Table(name, "Figures", columns, rows, footer)


def read_csv(data: bytes) -> list[list[str]]:
    """Lines of a CSV as Excel reads them."""
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_a_csv_has_exact_integers_and_what_they_rest_on() -> None:
    """Excel finds Chinese by the BOM; masses are whole mg whatever the page shows; unknown is empty, not 0."""
    data = to_csv(table(1_234_567_890_123, None), BASIS[:1])

    assert b"\xef\xbb\xbf" == data[:3]
    assert [
        ["# Period", "2026-01"], ["源", "Mass [mg]", "U [mg]", "Complete [1]"],
        ["row 0", "1234567890123", "0.25", ""], ["row 1", "", "0.25", ""], ["Total", "1234567890123", "1.5", "1.0"],
    ] == read_csv(data)  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_becomes_a_formula(text: str) -> None:
    """Names come from plans, plans from outside; numbers keep their sign."""
    one = Table("t", "", [Column(text), Column("n", Kind.COUNT)], [[Cell(text), Cell(-5)]])
    head, row = read_csv(to_csv(one, ()))
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx([one], BASIS, "basis")))

    assert (f"'{text}", [f"'{text}", "-5"]) == (head[0], row)
    assert ("s", -5) == (book["t"]["A2"].data_type, book["t"]["B2"].value)
    assert ("s", "=1+1") == (book["basis"]["B2"].data_type, book["basis"]["B2"].value)


def test_masses_above_1e15_split_into_tonnes_and_the_rest() -> None:
    """A spreadsheet's float would lose digits: both parts are exact and carry the sign."""
    big = -(9 * 10**18 + 7)
    split = to_xlsx([table(big, 5, None)], BASIS, "basis")
    sheet = openpyxl.load_workbook(io.BytesIO(split))["rows"]
    head, *rows = list(sheet.iter_rows(values_only=True))

    assert ("源", "Mass [t]", "Mass [+ mg]") == head[:3]
    assert [(-9 * 10**9, -7), (0, 5), (None, None), (-9 * 10**9, -2)] == [row[1:3] for row in rows]
    assert big == rows[0][1] * 10**9 + rows[0][2]


def test_an_xlsx_has_a_sheet_per_table_and_one_of_what_they_rest_on() -> None:
    """Numbers are numbers, headings stay in sight."""
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx([table(7, name="a"), table(8, name="b")], BASIS[:1], "依据")))

    assert ["a", "b", "依据"] == book.sheetnames
    assert ("n", 7, "B2") == (book["a"]["B2"].data_type, book["a"]["B2"].value, book["a"].freeze_panes)
    assert ("Period", "2026-01") == (book["依据"]["A1"].value, book["依据"]["B1"].value)
