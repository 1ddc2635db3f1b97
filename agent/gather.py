"""Results of a span, slot by slot, until the span is sealed; bounded, for a disk may refuse for days.

Where the bound is passed the oldest span goes, whole: its slots become *dropped by cap*, kept as one range and
not slot by slot, so that what is held stays bounded however long it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agent.results import Result
from agent.spans import next_edge
from protocols.modbus.decode import join_words
from protocols.records import Fate, ReadRequest, Samples
from protocols.windows.series import slot_range

HELD_BYTES = 32 * 2**20
"""Least bound on results in memory, by the estimate of ``RESULT_BYTES``; two batch spans where that is more. [bytes]"""
RESULT_BYTES = 320
"""What one result takes beside its registers: the object, two integers, its place in a dict (measured: 310). [bytes]"""


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
        self._requests = tuple(requests)
        self._intervals_ms = tuple(intervals_ms)
        self._results: list[dict[int, Result]] = [{} for _ in requests]
        self._dropped = (0, 0)
        self._least_bytes = least_bytes
        self.held_bytes = 0

    def add(self, result: Result) -> bool:
        """Keep a slot's result; False where the slot has one already, which then stands."""
        known = self._results[result.request]
        if result.slot in known or self.is_dropped(self.due_ms(result)):
            return False
        known[result.slot] = result
        self.held_bytes += _size(result)
        return True

    def newest(self, request: int) -> Result | None:
        """The result that a request brought last; None where a batch holds all there were."""
        known = self._results[request]
        return known[next(reversed(known))] if known else None

    def bound_bytes(self, batch_ms: int) -> int:
        """What may be held where batches have this span. [bytes]"""
        per_batch = sum(
            -(-batch_ms // self._intervals_ms[request.scan_class]) * (RESULT_BYTES + 2 * request.count)
            for request in self._requests
        )
        return max(self._least_bytes, 2 * per_batch)

    def shed(self, batch_ms: int) -> tuple[int, int] | None:
        """Where more is held than may be: give up the oldest batch span; the span [from, to) given up now."""
        if self.held_bytes <= self._least_bytes or self.held_bytes <= self.bound_bytes(batch_ms):
            return None
        from_ms = min(self.due_ms(next(iter(known.values()))) for known in self._results if known)
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
            known[slot] for known in self._results for slot in sorted(known)
            if from_ms <= self.due_ms(known[slot]) < to_ms
        ]

    def due_ms(self, result: Result) -> int:
        """When the result's slot was due. [UTC ms]"""
        return result.slot * self._intervals_ms[self._requests[result.request].scan_class]

    def samples(self, from_ms: int, to_ms: int) -> tuple[Samples, ...]:
        """Every request over exactly the slots due in [from, to); a slot without a result was missed while down."""
        return tuple(
            self._samples(request, known, from_ms, to_ms)
            for request, known in zip(self._requests, self._results, strict=True)
        )

    def drop(self, before_ms: int) -> None:
        """Forget the slots due before an instant: a batch holds them."""
        for request, known in zip(self._requests, self._results, strict=True):
            limit = -(-before_ms // self._intervals_ms[request.scan_class])
            for slot in [slot for slot in known if slot < limit]:
                self.held_bytes -= _size(known.pop(slot))

    def last_stamp_ms(self) -> int | None:
        """The latest instant any result speaks of: an answer's stamp or a missed slot's due time. [UTC ms]"""
        stamps = [self.due_ms(result) + result.delay_ms for known in self._results for result in known.values()]
        return max(stamps, default=None)

    def _samples(self, request: ReadRequest, known: Mapping[int, Result], from_ms: int, to_ms: int) -> Samples:
        """One request over the slots due in a span."""
        interval_ms = self._intervals_ms[request.scan_class]
        first_slot, count = slot_range(from_ms, to_ms, interval_ms)
        fates = np.full(count, Fate.AGENT_DOWN, dtype=np.uint16)
        dropped = self.given_up(from_ms, to_ms)
        if dropped is not None:
            start, length = slot_range(*dropped, interval_ms)
            fates[start - first_slot : start - first_slot + length] = Fate.DROPPED_BY_CAP
        delays: list[int] = []
        registers: list[bytes] = []
        for slot in sorted(slot for slot in known if first_slot <= slot < first_slot + count):
            result = known[slot]
            fates[slot - first_slot] = result.fate
            if result.fate == Fate.GOOD:
                delays.append(result.delay_ms)
                registers.append(result.registers)
        block = np.frombuffer(b"".join(registers), dtype=">u2").astype(np.uint16).reshape(len(registers), request.count)
        return Samples(
            request, first_slot, fates, np.array(delays, dtype=np.int64), join_words(block, request)
        )


def _size(result: Result) -> int:
    return RESULT_BYTES + len(result.registers)
