"""What arrives, and the rows it becomes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocols.records import Batch, StreamItem, Tombstone, Window
from protocols.wire.items import kind_of


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item whose signature and schema hold, with its bytes as they came in."""

    topic: str
    agent_id: str
    item: StreamItem
    data: bytes
    at_ms: int


def item_row(arrival: Arrival, digest: bytes, leaf: int) -> dict[str, object]:
    """An arrival as its row, but for its state."""
    item = arrival.item
    span = (item.from_ms, item.to_ms) if isinstance(item, Batch | Tombstone) else (None, None)
    return {
        "agent_id": arrival.agent_id, "stream_id": item.stream_id, "sequence": item.sequence,
        "kind": kind_of(item).value,
        "digest": digest, "previous": item.previous, "plan": item.plan if isinstance(item, Batch) else None,
        "from_ms": span[0], "to_ms": span[1], "received_ms": arrival.at_ms, "leaf": leaf, "bytes": arrival.data,
    }  # fmt: skip


def window_row(agent_id: str, key: int, batch: Batch, window: Window) -> dict[str, object]:
    """A stated window as its row; ``key`` is its batch's item."""
    fields = ("source", "input", "gas", "from_ms", "to_ms", "activity", "mass_mg", "operating_ms", "measured_ms",
              "stopped_ms", "flags", "u_independent", "u_end")  # fmt: skip
    row: dict[str, object] = {name: getattr(window, name) for name in fields}
    shared = window.u_shared
    return row | {
        "item": key, "agent_id": agent_id, "plan": batch.plan, "u_shared": struct.pack(f"<{len(shared)}f", *shared),
    }  # fmt: skip
