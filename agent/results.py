"""What became of one slot of a request, and its place in the journal.

A journal entry holds what was gathered between two commits: results and events, as deterministic CBOR
``[1, [[request, slot, fate code, delay ms, registers], ...], [[kind, at ms, subject, [[key, value], ...]], ...]]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from protocols.records import Event, EventKind
from protocols.wire import cbor

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One slot's outcome.

    Attributes
    ----------
    request, slot : int
        Position in the read plan; slot index k, due at k x interval.
    fate : int
        Fate code: GOOD or a missing reason.
    delay_ms : int
        From due to the last byte of the answer; 0 where there is none. [ms]
    registers : bytes
        The answer's registers, two bytes each, high byte first; empty where there is none.
    """

    request: int
    slot: int
    fate: int
    delay_ms: int = 0
    registers: bytes = b""


def encode_entry(results: Sequence[Result], events: Sequence[Event]) -> bytes:
    """A journal entry."""
    return cbor.encode(
        [
            _VERSION,
            [[r.request, r.slot, int(r.fate), r.delay_ms, r.registers] for r in results],
            [[int(e.kind), e.at_ms, e.subject, [list(pair) for pair in e.details]] for e in events],
        ]
    )


def decode_entry(data: bytes) -> tuple[list[Result], list[Event]]:
    """Results and events of a journal entry; ValueError where it is of another version."""
    version, results, events = cast("list[Any]", cbor.decode(data))
    if version != _VERSION:
        raise ValueError(f"journal entry of version {version}, this agent writes {_VERSION}")
    return (
        [Result(*row) for row in results],
        [
            Event(EventKind(kind), at_ms, subject, tuple((name, value) for name, value in details))
            for kind, at_ms, subject, details in events
        ],
    )
