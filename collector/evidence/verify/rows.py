"""Recomputed hour rows on their way to the comparison: written aside by agent, read back in the ledger's order."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, BinaryIO

from collector.evidence.layout import encode_hour
from collector.hours.model import HourRow
from collector.hours.sums import HourSum, add_up, sum_of

Key = tuple[int, str, str, str]
"""(start [UTC ms], agent, source, gas): the order of the hourly ledger."""

_CHUNK = 1 << 16
_TOGETHER = 64


def key_of(stated: Any) -> Key:
    """The place of a row in its JSON form."""
    return int(stated["from_ms"]), str(stated["agent"]), str(stated["source"]), str(stated["gas"])


@dataclass(slots=True)
class Rows:
    """Rows added agent by agent, each agent's in order; memory holds one sum per source and gas."""

    _file: BinaryIO = field(default_factory=tempfile.TemporaryFile)
    _parts: list[list[int]] = field(default_factory=list)
    _last: Key | None = None
    _sums: dict[tuple[str, str, str], list[HourSum]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: HourRow) -> bool:
        """Keep a row; False where it does not come after the agent's rows so far."""
        key = (row.from_ms, row.agent, row.source, row.gas)
        if self._last is not None and self._last[1] == row.agent and key <= self._last:
            return False
        start = self._file.tell()
        if self._last is None or self._last[1] != row.agent:
            self._parts.append([start, start])
        self._parts[-1][1] += self._file.write(encode_hour(row))
        self._last = key
        sums = self._sums[row.agent, row.source, row.gas]
        sums.append(sum_of(row))
        if len(sums) >= _TOGETHER:
            sums[:] = [add_up(sums)]
        return True

    def sums(self) -> Iterator[HourSum]:
        """The rows added up as far as was handy, of every agent, source and gas."""
        for sums in self._sums.values():
            yield from sums

    def in_order(self) -> Iterator[tuple[Key, bytes]]:
        """(place, JSON line) of every row in the order of the ledger."""
        return merge(*(self._read(start, end) for start, end in self._parts))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, start: int, end: int) -> Iterator[tuple[Key, bytes]]:
        held = b""
        while start < end:
            self._file.seek(start)
            chunk = self._file.read(min(_CHUNK, end - start))
            start += len(chunk)
            *lines, held = (held + chunk).split(b"\n")
            for line in lines:
                yield key_of(json.loads(line)), line + b"\n"
