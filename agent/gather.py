"""Results of a span, request by request in columns, until the span is sealed; bounded, for a disk may refuse for days.

Where the bound is passed the oldest span goes, whole: its slots become *dropped by cap*, kept as one range and
not slot by slot, so that what is held stays bounded however long it lasts.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from agent.results import Result
from agent.spans import next_edge
from protocols.modbus.decode import join_words
from protocols.records import Fate, Int64, ReadRequest, Samples, UInt16
from protocols.windows.series import slot_range

HELD_BYTES = 32 * 2**20
"""Least bound on results in memory; two batch spans where that is more. [bytes]"""
SLOT_BYTES = 10
"""What a slot takes beside its registers: a fate and a delay. [bytes]"""

_NONE = 0xFFFF
"""Stands in the fates for a slot without a result; no fate code reaches it."""


class Gathering:
    """What the bus has answered and no batch holds yet.

    Parameters
    ----------
    requests : sequence of ReadRequest
        The read plan.
    intervals_ms : sequence of int
        Interval of each scan class. [ms]
    least_bytes : int
        Bound on what is held, unless two batch spans need more. [bytes]
    """

    def __init__(
        self, requests: Sequence[ReadRequest], intervals_ms: Sequence[int], least_bytes: int = HELD_BYTES
    ) -> None:
        self._columns = [_Columns(one, intervals_ms[one.scan_class]) for one in requests]
        self._dropped = (0, 0)
        self._least_bytes = least_bytes
        self._bounds: dict[int, int] = {}
        self.held_bytes = 0

    def add(self, result: Result) -> bool:
        """Keep a slot's result; False where the slot has one already, which then stands, or was given up."""
        columns = self._columns[result.request]
        if self._dropped[0] <= result.slot * columns.interval_ms < self._dropped[1]:
            return False
        grown = columns.put(result)
        self.held_bytes += grown * columns.slot_bytes
        return grown >= 0

    def newest(self, request: int) -> Result | None:
        """The result that a request brought last, in a batch already or not; None where there was none yet."""
        return self._columns[request].newest

    def bound_bytes(self, batch_ms: int) -> int:
        """What may be held where batches have this span. [bytes]"""
        bound = self._bounds.get(batch_ms)
        if bound is None:
            per_batch = sum(-(-batch_ms // one.interval_ms) * one.slot_bytes for one in self._columns)
            bound = self._bounds[batch_ms] = max(self._least_bytes, 2 * per_batch)
        return bound

    def shed(self, batch_ms: int) -> tuple[int, int] | None:
        """Where more is held than may be: give up the oldest batch span; the span [from, to) given up now."""
        if self.held_bytes <= self._least_bytes or self.held_bytes <= self.bound_bytes(batch_ms):
            return None
        from_ms = min(one.first * one.interval_ms for one in self._columns if one.fates)
        to_ms = next_edge(from_ms, batch_ms)
        begin_ms = self._dropped[0] if self._dropped[1] else from_ms
        self.drop(to_ms)
        self._dropped = (begin_ms, to_ms)
        return from_ms, to_ms

    def is_dropped(self, due_ms: int) -> bool:
        """Whether the slots due at an instant were given up."""
        return self._dropped[0] <= due_ms < self._dropped[1]

    def given_up(self, from_ms: int, to_ms: int) -> tuple[int, int] | None:
        """What part of a span was given up; None where nothing was."""
        begin_ms, end_ms = max(from_ms, self._dropped[0]), min(to_ms, self._dropped[1])
        return (begin_ms, end_ms) if begin_ms < end_ms else None

    def results(self, from_ms: int, to_ms: int) -> list[Result]:
        """Every result of the slots due in [from, to), request by request."""
        return [
            result
            for position, columns in enumerate(self._columns)
            for result in columns.results(position, *slot_range(from_ms, to_ms, columns.interval_ms))
        ]

    def due_ms(self, result: Result) -> int:
        """When the result's slot was due. [UTC ms]"""
        return result.slot * self._columns[result.request].interval_ms

    def samples(self, from_ms: int, to_ms: int) -> tuple[Samples, ...]:
        """Every request over exactly the slots due in [from, to); a slot without a result was missed while down."""
        dropped = self.given_up(from_ms, to_ms)
        return tuple(self._samples(columns, from_ms, to_ms, dropped) for columns in self._columns)

    def drop(self, before_ms: int) -> None:
        """Forget the slots due before an instant: a batch holds them."""
        for columns in self._columns:
            self.held_bytes -= columns.forget(-(-before_ms // columns.interval_ms)) * columns.slot_bytes

    def last_stamp_ms(self) -> int | None:
        """The latest instant any result speaks of: an answer's stamp or a missed slot's due time. [UTC ms]"""
        return max((stamp for one in self._columns if (stamp := one.last_stamp_ms()) is not None), default=None)

    @staticmethod
    def _samples(columns: _Columns, from_ms: int, to_ms: int, dropped: tuple[int, int] | None) -> Samples:
        """One request over the slots due in a span."""
        first_slot, count = slot_range(from_ms, to_ms, columns.interval_ms)
        fates, delays, block = columns.cut(first_slot, count)
        if dropped is not None:
            start, length = slot_range(*dropped, columns.interval_ms)
            fates[start - first_slot : start - first_slot + length] = Fate.DROPPED_BY_CAP
        request = columns.request
        return Samples(request, first_slot, fates, delays, join_words(block, request))


class _Columns:
    """Neighbouring slots of one request, the first one ``first``: fates, delays [ms] and registers."""

    __slots__ = ("delays", "fates", "first", "interval_ms", "newest", "registers", "request", "slot_bytes", "width")

    def __init__(self, request: ReadRequest, interval_ms: int) -> None:
        self.request = request
        self.interval_ms = interval_ms
        self.width = 2 * request.count
        self.slot_bytes = SLOT_BYTES + self.width
        self.first = 0
        self.fates = array("H")
        self.delays = array("q")
        self.registers = bytearray()
        self.newest: Result | None = None

    def put(self, result: Result) -> int:
        """Take a result; by how many slots that made the columns longer, -1 where its slot has one already."""
        before = len(self.fates)
        if not before:
            self.first = result.slot
        place = result.slot - self.first
        if place < 0:
            self._insert(-place, 0)
            self.first, place = result.slot, 0
        elif place < before:
            if self.fates[place] != _NONE:
                return -1
        else:
            if place > before:
                self._insert(place - before, before)
            self.fates.append(_NONE)
            self.delays.append(0)
            self.registers += result.registers or bytes(self.width)
        self.fates[place] = result.fate
        self.delays[place] = result.delay_ms
        if place < before and result.registers:
            self.registers[place * self.width : (place + 1) * self.width] = result.registers
        self.newest = result
        return len(self.fates) - before

    def forget(self, before_slot: int) -> int:
        """Give up the slots before one; how many that were."""
        gone = min(max(before_slot - self.first, 0), len(self.fates))
        del self.fates[:gone], self.delays[:gone], self.registers[: gone * self.width]
        self.first += gone
        return gone

    def cut(self, first_slot: int, count: int) -> tuple[UInt16, Int64, UInt16]:
        """Fates of so many slots, and of the answered ones the delays and registers; without a result *agent down*."""
        fates = np.full(count, Fate.AGENT_DOWN, dtype=np.uint16)
        begin, end = max(first_slot, self.first), min(first_slot + count, self.first + len(self.fates))
        if begin >= end:
            return fates, np.zeros(0, np.int64), np.zeros((0, self.request.count), np.uint16)
        places = slice(begin - self.first, end - self.first)
        held = np.array(self.fates[places], dtype=np.uint16)
        fates[begin - first_slot : end - first_slot] = np.where(held == _NONE, np.uint16(Fate.AGENT_DOWN), held)
        good = held == Fate.GOOD
        octets = self.registers[places.start * self.width : places.stop * self.width]
        block = np.frombuffer(octets, dtype=">u2").reshape(-1, self.request.count)[good].astype(np.uint16)
        return fates, np.array(self.delays[places], dtype=np.int64)[good], block

    def results(self, position: int, first_slot: int, count: int) -> list[Result]:
        """The results of so many slots, in order."""
        begin, end = max(first_slot, self.first), min(first_slot + count, self.first + len(self.fates))
        return [self._result(position, slot) for slot in range(begin, end) if self.fates[slot - self.first] != _NONE]

    def last_stamp_ms(self) -> int | None:
        """The latest instant a result speaks of. [UTC ms]"""
        fates = np.array(self.fates, dtype=np.uint16)
        stamps = (self.first + np.arange(fates.size)) * self.interval_ms + np.array(self.delays, dtype=np.int64)
        return int(stamps[fates != _NONE].max()) if np.any(fates != _NONE) else None

    def _result(self, position: int, slot: int) -> Result:
        place = slot - self.first
        fate = self.fates[place]
        octets = self.registers[place * self.width : (place + 1) * self.width] if fate == Fate.GOOD else b""
        return Result(position, slot, fate, self.delays[place], bytes(octets))

    def _insert(self, slots: int, place: int) -> None:
        """Room for so many slots without a result, before the one at a place or behind the last."""
        self.fates[place:place] = array("H", [_NONE]) * slots
        self.delays[place:place] = array("q", [0]) * slots
        self.registers[place * self.width : place * self.width] = bytes(slots * self.width)
