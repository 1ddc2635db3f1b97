"""A table that a page shows and that leaves it as CSV or XLSX: the same rows, the exact integers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

LARGEST_JSON = 10**15
"""Above this, spreadsheets would show a float: the column splits into t and mg."""
TONNE_MG = 10**9
BOM = "\ufeff"
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Value = str | int | float | None
"""None is unknown: a dash on the page, an empty cell in a file, never zero."""


class Kind(Enum):
    """What a column holds; decides how it is shown and written."""

    TEXT = "text"
    MASS = "mass"  # int, mg
    UNCERTAINTY = "uncertainty"  # float, mg
    SHARE = "share"  # float, 0 to 1
    COUNT = "count"  # int


NUMBERS = frozenset(Kind) - {Kind.TEXT}
EXACT_UNITS = {Kind.MASS: "mg", Kind.UNCERTAINTY: "mg", Kind.SHARE: "1"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what it holds, how a value of it reads on the page, and the unit it is shown in there."""

    title: str
    kind: Kind = Kind.TEXT
    shown: Callable[[Value], str] = field(default=lambda value: "\u2013" if value is None else str(value))
    unit: str = ""

    @property
    def heading(self) -> str:
        """What stands above it on the page."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def numeric(self) -> bool:
        """Whether it is set flush right."""
        return self.kind in NUMBERS


@dataclass(frozen=True, slots=True)
class Cell:
    """A value; ``href`` opens it, ``state`` is its class (part: known in part)."""

    value: Value
    href: str | None = None
    state: str | None = None


Line = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, rows, and a last row that adds them up; the first cell of each row is its heading."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Line]
    footer: Line | None = None

    @property
    def lines(self) -> list[Line]:
        """Rows and footer."""
        return [*self.rows, *([self.footer] if self.footer else [])]


Provenance = Sequence[tuple[str, str]]
"""What an exported table rests on: label and value."""


def to_csv(table: Table, provenance: Provenance) -> bytes:
    """Provenance in lines that begin with #, headings with their exact unit, rows; UTF-8 with BOM, as Excel needs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for label, value in provenance:
        writer.writerow([f"# {label}", _inert(value)])
    writer.writerows(_grid(table))
    return (BOM + text.getvalue()).encode("utf-8")


def to_xlsx(tables: Sequence[Table], provenance: Provenance, basis: str) -> bytes:
    """A sheet per table, numbers as numbers, and last a sheet of that name with what they rest on."""
    from xlsxwriter import Workbook

    file = io.BytesIO()
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(file, plain) as book:
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        for table in tables:
            sheet = book.add_worksheet(table.name)
            grid = list(_grid(table))
            for row, line in enumerate(grid):
                for column, value in enumerate(line):
                    if value is not None:
                        sheet.write(row, column, value, head if row == 0 else None)
            sheet.freeze_panes(1, 1)
            sheet.set_column(0, len(grid[0]) - 1, 18)
        last = book.add_worksheet(basis)
        for row, (label, value) in enumerate(provenance):
            last.write_string(row, 0, label)
            last.write_string(row, 1, value)
        last.set_column(0, 0, 24)
        last.set_column(1, 1, 80)
    return file.getvalue()


def _grid(table: Table) -> Iterator[list[Value]]:
    """Headings, then lines, in exact units; a mass column with a value above 1e15 becomes one of t and one of mg."""
    split = {
        place
        for place, column in enumerate(table.columns)
        if column.kind is Kind.MASS and any(abs(int(line[place].value or 0)) > LARGEST_JSON for line in table.lines)
    }
    yield [heading for place, column in enumerate(table.columns) for heading in _headings(column, place in split)]
    for line in table.lines:
        yield [part for place, cell in enumerate(line) for part in _parts(cell.value, place in split)]


def _headings(column: Column, split: bool) -> list[Value]:
    title = _inert(column.title)
    if split:
        return [f"{title} [t]", f"{title} [+ mg]"]
    unit = EXACT_UNITS.get(column.kind)
    return [f"{title} [{unit}]" if unit else title]


def _parts(value: Value, split: bool) -> list[Value]:
    if isinstance(value, str):
        return [_inert(value)]
    if not split:
        return [value]
    if value is None:
        return [None, None]
    sign = -1 if value < 0 else 1
    tonnes, rest = divmod(abs(int(value)), TONNE_MG)
    return [sign * tonnes, sign * rest]


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) else text
