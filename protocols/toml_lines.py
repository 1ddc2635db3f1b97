"""Where everything stands in a TOML text.

The text is known to be valid: ``tomllib`` has read it. So this walk only needs to know where keys and values
begin and end; it follows arrays of tables, dotted keys, inline tables and strings over several lines.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import TypeAlias

TomlPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def find_lines(text: str) -> dict[TomlPath, int]:
    """The line, counted from 1, of every table, key and list element of a valid TOML text.

    A table of which only parts are written (``[a.b]`` without ``[a]``) stands where its first part does.
    """
    return _Walk(text).run()


class _Walk:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[TomlPath, int] = {}
        self._tables: dict[TomlPath, int] = {}  # tables so far of each array of tables

    def run(self) -> dict[TomlPath, int]:
        table: TomlPath = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._lines
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _note(self, path: TomlPath, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _header(self) -> TomlPath:
        """``[table]`` or ``[[array of tables]]``; parts before the last lead into an array's newest table."""
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        path: TomlPath = ()
        keys = self._keys()
        for position, key in enumerate(keys):
            path = (*path, key)
            if is_array and position == len(keys) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        self._at += 2 if is_array else 1
        self._note(path, line)
        return path

    def _keys(self) -> TomlPath:
        """A dotted key, up to what follows it."""
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                keys.append(tomllib.loads(f"key = {self._string()}")["key"])
            else:
                keys.append(self._skip(_BARE_KEY))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            taken = self._skip(pattern)
            if taken:
                return taken
        raise ValueError(f"no string at line {self._line()}")

    def _pair(self, table: TomlPath) -> None:
        line = self._line()
        path = (*table, *self._keys())
        self._at += 1  # the equals sign
        self._note(path, line)
        self._value(path)

    def _value(self, path: TomlPath) -> None:
        self._skip(_SPACE)
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: TomlPath) -> None:
        self._at += 1
        position = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._note((*path, position), self._line())
            self._value((*path, position))
            position += 1

    def _inline_table(self, path: TomlPath) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)
