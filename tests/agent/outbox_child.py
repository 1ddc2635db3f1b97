"""A process to be killed: journals slots one by one and seals every few, telling each after its commit."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from agent.gather import Gathering
from agent.outbox import Outbox, Standing
from agent.results import Result, decode_entry, encode_entry
from agent.site import open_reading
from agent.spans import NO_PREVIOUS, Tail, next_edge, seal_plan, seal_span
from protocols.modbus.maps import load_map
from protocols.plan.document import encode_document
from protocols.records import Clock, ClockState, Fate
from protocols.windows.opening import initial_state
from protocols.wire.keys import load_key
from tests.agent.rig import PLAN

START_MS = 1_800_000_000_000
INTERVAL_MS = 200
SLOTS_PER_SPAN = 5
FIRST_SLOT = START_MS // INTERVAL_MS


def document() -> bytes:
    """The plan document of the rig."""
    return encode_document(PLAN, {"eastron-sdm630": load_map("eastron-sdm630")[1]})


def registers(slot: int, count: int) -> bytes:
    """Words that tell which slot they are of."""
    return (slot - FIRST_SLOT).to_bytes(4, "big") + bytes(2 * count - 4)


def main(path: Path, key_file: Path) -> None:
    """Work until killed."""
    key, outbox, reading = load_key(key_file), Outbox(path), open_reading(document())
    clock = Clock(bytes(16), 0, ClockState.SYNCED, 1)
    standing = outbox.standing()
    if standing is None:
        tail = Tail(bytes(16), 0, NO_PREVIOUS, START_MS, b"", initial_state(reading.bound, START_MS))
        item, tail = seal_plan(tail, document(), reading.bound.digest, tail.fold, key)
        standing = Standing(tail, clock, clean=False)
        outbox.append_plan(item, document(), standing)
    gathering = Gathering(reading.requests, reading.bound.intervals_ms)
    for entry in outbox.journalled():
        for result in decode_entry(entry)[0]:
            gathering.add(result)
    count = reading.requests[0].count
    slot = max(gathering.last_stamp_ms() or 0, standing.tail.span_end_ms - 1) // INTERVAL_MS + 1
    while True:
        edge_ms = next_edge(standing.tail.span_end_ms, reading.bound.batch_ms)
        if slot * INTERVAL_MS >= edge_ms:
            samples = gathering.samples(standing.tail.span_end_ms, edge_ms)
            item, tail = seal_span(reading.bound, standing.tail, clock, "child", samples, (), edge_ms, key)
            standing = replace(standing, tail=tail)
            outbox.seal(item, standing, edge_ms)
            gathering.drop(edge_ms)
            sys.stdout.write(f"sealed {item.sequence}\n")
            sys.stdout.flush()
            continue
        result = Result(0, slot, Fate.GOOD, 3, registers(slot, count))
        gathering.add(result)
        outbox.journal([(edge_ms, encode_entry([result], ()))])
        sys.stdout.write(f"slot {slot}\n")
        sys.stdout.flush()
        slot += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
