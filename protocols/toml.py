"""TOML files to checked models, with errors that name file, line, field and the nearest valid name.

Plans, register maps, certificates and the programs' own configuration all come in through ``read_toml`` or
``parse_toml`` and ``validate``. Decimal figures stay exact (``Decimal``); a path such as
``("points", 2, "register")`` finds its line again.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from protocols.errors import InputError, InputErrors
from protocols.toml_lines import TomlPath, find_lines

M = TypeVar("M", bound=BaseModel)
Problem: TypeAlias = Any  # a pydantic ErrorDetails, whose ``ctx`` and ``input`` are untyped

PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "at most 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    r"^[a-z0-9][a-z0-9_]{0,63}$": "at most 64 of a-z, 0-9 and '_', beginning with a letter or digit",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits in small letters",
    r"^([^\s/:]+|[^\s/]*:[^\s/]*:[^\s/]*)$": "a host name or an address alone, without scheme, path or port",
}
"""What a pattern asks for, in words."""

_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_QUOTED = re.compile(r"'([^']*)'")
_TEXTS = re.compile(r"\"[^\"]*\"|'[^']*'")
_FULL_WIDTH = re.compile("[\u201c\u201d\u2018\u2019\u3001\u3002\u3010\u3011\uff01-\uff5e]")
"""Punctuation, letters and digits as a Chinese keyboard gives them: right in a text, never in TOML itself."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed TOML text that can still say where everything stands; it looks only once an error asks."""

    file: str
    text: str
    data: dict[str, Any]

    @property
    def lines(self) -> Mapping[TomlPath, int]:
        """The line of every table, key and list element, counted from 1."""
        return _lines_of(self.text)

    def known(self, path: Sequence[str | int]) -> TomlPath:
        """The longest beginning of a path that stands in the text."""
        for length in range(len(path), 0, -1):
            if tuple(path[:length]) in self.lines:
                return tuple(path[:length])
        return ()

    def locate(self, path: Sequence[str | int]) -> int:
        """The line of a path, else of the nearest table around it; 0 where neither stands in the text."""
        return self.lines.get(self.known(path), 0)

    def error(self, path: Sequence[str | int], seen: str, hint: str = "", valid: Iterable[str] = ()) -> InputError:
        """An error at a path; the valid name nearest to the value there is named."""
        return InputError(self.file, self.locate(path), written(path), seen, hint, nearest(self.value(path), valid))

    def value(self, path: Sequence[str | int]) -> str:
        """The text at a path; empty where there is none or it is no text."""
        here: Any = self.data
        for part in path:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return ""
        return here if isinstance(here, str) else ""


@lru_cache(maxsize=1)
def _lines_of(text: str) -> dict[TomlPath, int]:
    return find_lines(text)


def read_toml(path: Path) -> Document:
    """Parse a TOML file; InputErrors where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "check the path and who may read it"
        raise InputErrors([InputError(str(path), 0, "", error.strerror or str(error), hint)]) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        seen = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise InputErrors([InputError(str(path), line, "", seen, "save the file as UTF-8")]) from error
    return parse_toml(text, str(path))


def parse_toml(text: str, file: str) -> Document:
    """Parse TOML text; InputErrors with the line where it is not TOML."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
        return Document(file, text, data)
    except RecursionError as error:
        raise InputErrors([InputError(file, 0, "", "tables nested too deep to be read", "flatten them")]) from error
    except ValueError as error:  # TOMLDecodeError, and an integer of thousands of digits
        place = _SYNTAX_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1 if place else 0
        message = _SYNTAX_PLACE.sub("", str(error))
        rows = text.splitlines()
        row = rows[line - 1].strip() if 0 < line <= len(rows) else ""
        seen = f"not TOML: {message[:1].lower()}{message[1:]}" + (f" in {shown(row)}" if row else "")
        wide = _FULL_WIDTH.search(_TEXTS.sub("", row))
        hint = f"correct the line; type '{wide[0]}' in half width (半角)" if wide else "correct the line"
        raise InputErrors([InputError(file, line, "", seen, hint)]) from error


def validate(document: Document, model: type[M]) -> M:
    """The document as a model; InputErrors naming every problem of its shape."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found: dict[tuple[int, str], InputError] = {}
        for problem in error.errors(include_url=False):
            one = _shape_error(document, model, problem)
            found.setdefault((one.line, one.field), one)
        raise InputErrors(list(found.values())) from error


def nearest(name: str, valid: Iterable[str]) -> str:
    """The valid name most like ``name``; empty where none is near."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6) if name else []
    return close[0] if close else ""


def written(path: Sequence[str | int]) -> str:
    """A path as a reader of the file would write it: ``points[2].register``, counted from 0."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object) -> str:
    """A value as it is shown in an error: short, tables and lists only named."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _shape_error(document: Document, model: type[BaseModel], problem: Problem) -> InputError:
    """One problem that pydantic saw, in the words of this project."""
    told = tuple(problem["loc"])
    path = _without_kinds(document, told)
    kind = problem["type"]
    if kind == "missing":
        return document.error(path, "the key is missing", "add it")
    path = document.known(path) or path
    if kind == "extra_forbidden":
        names = _keys_at(model, told[:-1])
        name = str(path[-1])
        near = nearest(name, names)
        hint = "" if near else f"known here: {', '.join(names)}"
        return InputError(document.file, document.locate(path), written(path), f"unknown key '{name}'", hint, near)
    if kind == "union_tag_not_found":
        return document.error((*path, "kind"), "the key is missing", "add it")
    if kind == "union_tag_invalid":
        valid = _QUOTED.findall(str(problem["ctx"]["expected_tags"]))
        return document.error((*path, "kind"), shown(problem["ctx"]["tag"]), f"one of {', '.join(valid)}", valid)
    seen = shown(problem["input"])
    if kind in {"literal_error", "enum"}:
        expected = str(problem["ctx"]["expected"])
        valid = _QUOTED.findall(expected)
        return document.error(path, seen, f"one of {', '.join(valid)}" if valid else f"write {expected}", valid)
    if kind == "string_pattern_mismatch":
        pattern = str(problem["ctx"]["pattern"])
        return document.error(path, seen, PATTERNS.get(pattern, f"it must match {pattern}"))
    if kind in {"model_type", "dict_type"}:
        return document.error(path, seen, f"a table is needed, with {', '.join(_keys_at(model, told)) or 'its keys'}")
    if kind.startswith("date"):
        return document.error(path, seen, "write a date without quotes, for example 2026-01-31")
    message = str(problem["msg"]).removeprefix("Value error, ")
    return document.error(path, seen, message[:1].lower() + message[1:])


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys a table at ``path`` may have, as written in the file; a path may name kinds of tables."""
    here = [model]
    for part in path:
        chosen = [one for one in here if len(here) > 1 and part in get_args(one.model_fields["kind"].annotation)]
        inner = [f.annotation for one in here for name, f in one.model_fields.items() if part in {name, f.alias}]
        here = chosen or (_models_in(inner[0]) if inner else here)
    return [f.alias or name for one in here[:1] for name, f in one.model_fields.items()]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """The models inside an annotation such as ``tuple[Point, ...]`` or ``Operating | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _without_kinds(document: Document, path: TomlPath) -> TomlPath:
    """A path as it stands in the file: the kind of a table, which pydantic names on the way, is no part of it."""
    here: TomlPath = ()
    for part in path:
        is_key = (*here, part) in document.lines
        here = here if not is_key and document.value((*here, "kind")) == part else (*here, part)
    return here
