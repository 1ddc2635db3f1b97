"""Results of a span, slot by slot, until the span is sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agent.results import Result
from protocols.modbus.decode import join_words
from protocols.records import Fate, ReadRequest, Samples
from protocols.windows.series import slot_range


class Gathering:
    """What the bus has answered and no batch holds yet.

    Parameters
    ----------
    requests : sequence of ReadRequest
        The read plan.
    intervals_ms : sequence of int
        Interval of each scan class. [ms]
    """

    def __init__(self, requests: Sequence[ReadRequest], intervals_ms: Sequence[int]) -> None:
        self._requests = tuple(requests)
        self._intervals_ms = tuple(intervals_ms)
        self._results: list[dict[int, Result]] = [{} for _ in requests]

    def add(self, result: Result) -> bool:
        """Keep a slot's result; False where the slot has one already, which then stands."""
        known = self._results[result.request]
        if result.slot in known:
            return False
        known[result.slot] = result
        return True

    def due_ms(self, result: Result) -> int:
        """When the result's slot was due. [UTC ms]"""
        return result.slot * self._intervals_ms[self._requests[result.request].scan_class]

    def samples(self, from_ms: int, to_ms: int) -> tuple[Samples, ...]:
        """Every request over exactly the slots due in [from, to); a slot without a result was missed while down."""
        return tuple(
            _samples(request, known, *slot_range(from_ms, to_ms, self._intervals_ms[request.scan_class]))
            for request, known in zip(self._requests, self._results, strict=True)
        )

    def drop(self, before_ms: int) -> None:
        """Forget the slots due before an instant: a batch holds them."""
        for request, known in zip(self._requests, self._results, strict=True):
            limit = -(-before_ms // self._intervals_ms[request.scan_class])
            for slot in [slot for slot in known if slot < limit]:
                del known[slot]

    def last_stamp_ms(self) -> int | None:
        """The latest instant any result speaks of: an answer's stamp or a missed slot's due time. [UTC ms]"""
        stamps = [self.due_ms(result) + result.delay_ms for known in self._results for result in known.values()]
        return max(stamps, default=None)


def _samples(request: ReadRequest, known: Mapping[int, Result], first_slot: int, count: int) -> Samples:
    """One request over a run of slots."""
    fates = np.full(count, Fate.AGENT_DOWN, dtype=np.uint16)
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
