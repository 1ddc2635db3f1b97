"""Records of calibration from TOML or JSON: instruments, chains and events, with every fault of a file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from calibration.encoding import FIELDS, INSIDE, Kept
from calibration.errors import CalibrationError
from calibration.events import Event
from calibration.instruments import Chain, Instrument
from protocols.errors import InputError, InputErrors
from protocols.toml import Document, nearest, shown

TABLES: Mapping[str, type[Kept]] = {"instruments": Instrument, "chains": Chain, "events": Event}
"""Names of the tables, in the order in which records are entered."""

LONGEST_ID = 128
_READERS: Mapping[str, TypeAdapter[Any]] = {name: TypeAdapter(type_) for name, type_ in TABLES.items()}
Complain: TypeAlias = Callable[[Sequence[str | int], str, str, Sequence[str]], InputError]
"""(path, what was seen, what to do, valid names) -> the error at that place of the file."""


def read_records(document: Document) -> tuple[Kept, ...]:
    """Records of a TOML document: ``schema = 1``, then ``[[instruments]]``, ``[[chains]]`` and ``[[events]]``.

    Fields are those of ``calibration.instruments.Instrument`` and ``Chain`` and of ``calibration.events.Event``.

    Raises
    ------
    InputErrors
        All problems; each names file, line, field, what was seen and what is expected.
    """
    return records_of(document.data, document.error)


def records_of(data: Mapping[str, Any], complain: Complain) -> tuple[Kept, ...]:
    """Records in tables by name; InputErrors with all problems, made by ``complain``."""
    faults: list[InputError] = []
    if data.get("schema") != 1:
        faults.append(complain(("schema",), shown(data.get("schema")), "write schema = 1", ()))
    unknown = sorted(data.keys() - {"schema", *TABLES})
    faults += [complain((name,), "unknown", f"one of {', '.join(TABLES)}", tuple(TABLES)) for name in unknown]
    found: list[Kept] = []
    for name in TABLES:
        rows = data.get(name, [])
        if not isinstance(rows, list):
            faults.append(complain((name,), shown(rows), f"write [[{name}]]", ()))
            continue
        for place, row in enumerate(rows):
            one, wrong = read_record(name, row, (name, place), complain)
            faults += wrong
            if one is not None:
                found.append(one)
    if not faults and not found:
        faults.append(complain((), "no record in it", f"write [[{']] or [['.join(TABLES)}]]", ()))
    if faults:
        raise InputErrors(faults)
    return tuple(found)


def read_record(
    table: str, row: object, path: Sequence[str | int], complain: Complain
) -> tuple[Kept | None, list[InputError]]:
    """One record, or what is wrong with it."""
    wrong = list(_unknown(TABLES[table], row, path, complain))
    if wrong:
        return None, wrong
    try:
        record: Kept = _READERS[table].validate_python(row)
    except ValidationError as error:
        return None, [_problem(problem, path, complain) for problem in error.errors(include_url=False)]
    except CalibrationError as error:
        return None, [complain(path, f"{error.subject}: {error.seen}", error.hint, ())]
    if len(record.id) > LONGEST_ID:
        return None, [complain((*path, "id"), f"{len(record.id)} characters", f"at most {LONGEST_ID}", ())]
    return record, []


def _unknown(type_: type[Any], row: object, path: Sequence[str | int], complain: Complain) -> Iterator[InputError]:
    """What is no field of a record or of the records inside it, and what is missing."""
    if not isinstance(row, Mapping):
        yield complain(path, shown(row), "a table of fields", ())
        return
    names = FIELDS[type_]
    for key in sorted(map(str, row.keys() - set(names))):
        near = nearest(key, names)
        hint = f"did you mean {near}?" if near else f"the fields are {', '.join(names)}"
        yield complain((*path, key), "no such field", hint, ())
    for one in fields(type_):
        if one.default is MISSING and one.default_factory is MISSING and one.name not in row:
            yield complain((*path, one.name), "missing", "every record needs it", ())
    for name, value in row.items():
        inside = INSIDE.get((type_, name))
        if inside is None:
            continue
        parts = value if isinstance(value, list) else [value]
        for place, part in enumerate(parts):
            yield from _unknown(
                inside, part, (*path, name, *([place] if isinstance(value, list) else [])), complain
            )


def _problem(problem: Any, path: Sequence[str | int], complain: Complain) -> InputError:
    seen = problem.get("input")
    message = str(problem["msg"]).removeprefix("Input should be ")
    return complain((*path, *problem["loc"]), shown(seen), message, ())
