"""Bytes on the wire per reading: complete signed batches of 50 points at 1 s, windows and opening state included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.bench.field import PANEL, Stream
from tests.bench.figures import Figure


def run() -> Iterator[Figure]:
    """Batches of 60 s and of 3,600 s, for values of 0.1 resolution and of full mantissa."""
    for name, decimal in (("decimal", True), ("float", False)):
        for suffix, size, batches in (("", PANEL, 20), ("_3600", replace(PANEL, batch_s=3600), 2)):
            stream = Stream(size, decimal).more(batches)
            value = stream.batch_bytes / stream.readings
            key = f"agent.wire_bytes_per_reading.{name}{suffix}"
            yield Figure(key, value, "B", f"{batches} batches, MQTT not counted")
