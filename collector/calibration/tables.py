"""Records of calibration from CSV and XLSX: a row per record, a column per field.

A column is named as the field, one inside another with a point between: ``document.number``,
``mpe.percent_of_reading``, ``as_found.1.nominal`` for the first point. An empty cell says nothing of its field.
A CSV file holds events where it has a column ``what``, else instruments; a workbook has sheets of these names.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from calibration.encoding import Kept
from collector.calibration.reading import TABLES, Complain, read_record
from protocols.errors import InputError, InputErrors
from protocols.toml import nearest

MOST_ROWS = 100_000
DEEPEST = 4
BROKEN = (
    AttributeError, BadZipFile, EOFError, KeyError, IndexError, LookupError, NotImplementedError, OSError,
    OverflowError, ParseError, RuntimeError, TypeError, ValueError, zlib.error,
)  # fmt: skip
"""What a damaged workbook raises while it is read."""
_LISTS = frozenset({"uses"})
_SPLIT = ";"


def read_csv(data: bytes, file: str) -> tuple[Kept, ...]:
    """Records of a CSV file in UTF-8; InputErrors with file, row and column of every problem."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        seen = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputErrors([InputError(file, line, "", seen, "save it as CSV UTF-8")]) from error
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InputErrors([InputError(file, 0, "", str(error), "save it as CSV with commas")]) from error
    table = "events" if rows and "what" in (cell.strip() for cell in rows[0]) else "instruments"
    return _records({table: rows}, lambda _: file)


def read_xlsx(data: bytes, file: str) -> tuple[Kept, ...]:
    """Records of a workbook; InputErrors with file, sheet, row and column of every problem."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        named = list(book.sheetnames)
        sheets = {
            name: [list(map(_cell, row)) for row in islice(book[name].iter_rows(values_only=True), MOST_ROWS + 2)]
            for name in TABLES
            if name in named
        }
    except BROKEN as error:
        seen = f"no workbook: {type(error).__name__} {error}"[:200]
        raise InputErrors([InputError(file, 0, "", seen, "save it as .xlsx")]) from error
    if not sheets:
        seen = f"sheets {', '.join(named)}"
        raise InputErrors([InputError(file, 0, "", seen, f"name them {', '.join(TABLES)}")])
    return _records(sheets, lambda sheet: f"{file} [{sheet}]")


def template() -> bytes:
    """A workbook with the columns that most certificates need, and a row of each as an example."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, row in _EXAMPLES.items():
        sheet = book.create_sheet(name)
        sheet.append(list(row))
        sheet.append(list(row.values()))
        sheet.freeze_panes = "A2"
    into = io.BytesIO()
    book.save(into)
    return into.getvalue()


_EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "instruments": {
        "id": "em-1", "serial": "20230001", "regime": "mandatory-periodic", "regime_basis": "", "name_zh": "总电表",
        "name_en": "main meter", "model": "", "maker": "", "class_name": "0.5S", "mpe.percent_of_reading": "0.5",
        "range.low": "0", "range.high": "5000", "range.unit": "kW", "type_code": "", "uses": "trade",
        "level": "organisation", "location": "", "duty_holder": "",
    },
    "events": {
        "id": "em-1-2026", "instrument": "em-1", "serial": "20230001", "what": "verification",
        "performed_on": "2026-03-15", "result": "pass", "valid_until": "2028-03-14",
        "document.kind": "verification-certificate", "document.number": "DN2026-0315", "document.laboratory": "",
        "document.authorization": "", "document.regulation": "JJG 596-2012", "uncertainty.expanded": "",
        "uncertainty.k": "", "uncertainty.unit": "", "as_found.1.nominal": "", "as_found.1.error": "",
        "as_found.1.unit": "", "approver": "", "basis": "", "supersedes": "", "note": "",
    },
}  # fmt: skip


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _records(sheets: Mapping[str, Sequence[Sequence[str]]], named: Any) -> tuple[Kept, ...]:
    found: list[Kept] = []
    faults: list[InputError] = []
    for table in (one for one in TABLES if one in sheets):
        file, rows = named(table), sheets[table]
        head = [cell.strip() for cell in rows[0]] if rows else []
        wrong_head = _fault_of(head)
        if wrong_head:
            faults.append(InputError(file, 1, "", wrong_head, "the first row names the columns, each once"))
            continue
        if len(rows) > MOST_ROWS + 1:
            faults.append(InputError(file, 0, "", f"more than {MOST_ROWS} rows", "split it"))
            continue
        for line, row in enumerate(rows[1:], 2):
            if not any(cell.strip() for cell in row):
                continue
            if any(cell.strip() for cell in row[len(head) :]):
                seen = "a cell without a named column"
                faults.append(InputError(file, line, "", seen, "see whether the row is shifted"))
                continue
            record, wrong = read_record(table, nested(head, row), (), _complainer(file, line))
            faults += wrong
            if record is not None:
                found.append(record)
    if not faults and not found:
        faults.append(InputError(named(next(iter(sheets), "")), 0, "", "no row in it", "a row per record"))
    if faults:
        raise InputErrors(faults)
    return tuple(found)


def _fault_of(head: Sequence[str]) -> str:
    """What is wrong with the names of the columns; empty where nothing is."""
    names = [name for name in head if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"column {', '.join(twice)} stands twice"[:200]
    whole = sorted(name for name in names if any(other.startswith(f"{name}.") for other in names))
    if whole:
        return f"column {whole[0]} beside columns inside it"[:200]
    deep = [name for name in names if name.count(".") >= DEEPEST]
    if deep:
        return f"column {deep[0][:80]} goes too deep"
    return "" if names else "no names of columns"


def _complainer(file: str, line: int) -> Complain:
    def complain(path: Sequence[str | int], seen: str, hint: str, valid: Sequence[str]) -> InputError:
        column = ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
        return InputError(file, line, column, seen, hint, nearest(str(path[-1]), valid) if path else "")

    return complain


def nested(head: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """A row's cells as a table of fields; lists by their numbers."""
    found: dict[str, Any] = {}
    for name, cell in zip(head, row, strict=False):
        text = cell.strip()
        if not name or not text:
            continue
        *outer, last = name.split(".")
        here = found
        for part in outer:
            here = here.setdefault(part, {})
        here[last] = [one.strip() for one in text.split(_SPLIT)] if name in _LISTS else text
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    """A table whose keys are all numbers is a list, in their order."""
    if not isinstance(value, dict):
        return value
    inside = {name: _listed(part) for name, part in value.items()}
    if inside and all(name.isascii() and name.isdigit() for name in inside):
        return [inside[name] for name in sorted(inside, key=int)]
    return inside
