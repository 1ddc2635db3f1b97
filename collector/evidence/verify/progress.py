"""How far a long verification is: one plain line on the terminal, drawn again a few times a second."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

_EVERY_S = 0.25
PASSES = 3
"""A bundle is read at most so often: once as a container, its items for tombstones and then one by one."""


class Watched(io.BufferedReader):
    """A file that says how much of it was read."""

    def __init__(self, path: Path, out: TextIO) -> None:
        super().__init__(io.FileIO(path))
        self._out = out
        self._whole = max(1, path.stat().st_size * PASSES)
        self._done = 0
        self._next = time.monotonic() + _EVERY_S

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        data = super().read(size)
        self._done += len(data)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            share = min(99, self._done * 100 // self._whole)
            bar = "#" * (share // 5)
            self._out.write(f"\r[{bar:<20}] {share:2d} %  {self._done / 1e6:,.0f} MB read")
            self._out.flush()
        return data

    def clear(self) -> None:
        """Leave an empty line."""
        self._out.write("\r" + " " * 60 + "\r")
        self._out.flush()


@contextmanager
def opened(path: Path, out: TextIO) -> Iterator[BinaryIO]:
    """A bundle's file; with a line of progress where ``out`` is a terminal, and not a byte where it is none."""
    if not out.isatty():
        with path.open("rb") as file:
            yield file
        return
    with Watched(path, out) as watched:
        try:
            yield cast(BinaryIO, watched)
        finally:
            watched.clear()
