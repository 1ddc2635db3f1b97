"""Windows on the wire, in columns per run of equal (source, input, gas); slot counts beside them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from protocols.records import SlotCount, Window
from protocols.wire import limits
from protocols.wire.columns import (
    list_deltas,
    list_float32,
    list_signed,
    list_unsigned,
    pack_deltas,
    pack_float32,
    pack_signed,
    pack_unsigned,
)
from protocols.wire.fields import array, refuse, uint

_ITEMS = 15
_MILLISECONDS = ("operating_ms", "measured_ms", "stopped_ms")


def window_groups(windows: tuple[Window, ...], origin_ms: int) -> list[list[Any]]:
    """Windows in their order, one array of columns per run of equal (source, input, gas)."""
    return [
        _group(key, tuple(run), origin_ms)
        for key, run in groupby(windows, key=lambda w: (w.source, w.input, w.gas, len(w.u_shared)))
    ]


def read_windows(value: object, origin_ms: int, where: str) -> tuple[Window, ...]:
    """The windows in their groups, in order."""
    windows: list[Window] = []
    before = None
    for group in array(value, where, limits.WINDOWS):
        parts = array(group, where, _ITEMS, _ITEMS)
        key = (
            uint(parts[0], f"{where}.source", limits.INDEX),
            uint(parts[1], f"{where}.input", limits.INDEX),
            uint(parts[2], f"{where}.gas", limits.INDEX),
            uint(parts[3], f"{where}.causes", limits.CAUSES + 1),
        )
        if key == before:
            refuse(where, "two groups of the same source, input and gas side by side")
        before = key
        count = uint(parts[4], f"{where}.count", limits.WINDOWS + 1 - len(windows), 1)
        windows.extend(_read_group(key, count, parts, origin_ms, where))
    return tuple(windows)


def slot_columns(slots: tuple[SlotCount, ...]) -> list[Any]:
    """Slot counts as columns."""
    return [
        len(slots),
        pack_deltas([s.point for s in slots]),
        pack_unsigned([s.fate for s in slots]),
        pack_unsigned([s.count for s in slots]),
    ]


def read_slots(value: object, points: int, where: str) -> tuple[SlotCount, ...]:
    """The slot counts in columns."""
    parts = array(value, where, 4, 4)
    n = uint(parts[0], f"{where}.count", limits.SLOT_COUNTS + 1)
    if n and not points:
        refuse(f"{where}.point", "points that the opening state does not have")
    return tuple(
        map(
            SlotCount,
            list_deltas(parts[1], n, f"{where}.point", below=max(points, 1)),
            list_unsigned(parts[2], n, f"{where}.fate", 65536),
            list_unsigned(parts[3], n, f"{where}.count", limits.SLOTS + 1),
        )
    )


def _group(key: tuple[int, int, int, int], windows: tuple[Window, ...], origin_ms: int) -> list[Any]:
    return [
        *key,
        len(windows),
        pack_deltas([w.from_ms for w in windows], origin_ms),
        pack_unsigned([w.to_ms - w.from_ms for w in windows]),
        pack_signed([w.activity for w in windows]),
        pack_signed([w.mass_mg for w in windows]),
        *(pack_unsigned([getattr(w, name) for w in windows]) for name in _MILLISECONDS),
        pack_unsigned([w.flags for w in windows]),
        pack_float32([u for w in windows for u in (w.u_independent, w.u_end)], "windows.u"),
        pack_float32([u for w in windows for u in w.u_shared], "windows.u_shared"),
    ]


def _read_group(key: tuple[int, int, int, int], n: int, parts: list[Any], origin_ms: int, where: str) -> list[Window]:
    source, input_, gas, causes = key
    starts = list_deltas(parts[5], n, f"{where}.from_ms", origin_ms, below=limits.TIME_MS)
    lengths = list_unsigned(parts[6], n, f"{where}.length_ms", limits.TIME_MS)
    if not all(lengths):
        refuse(f"{where}.length_ms", "a window of no length")
    activity = list_signed(parts[7], n, f"{where}.activity", limits.AMOUNT)
    mass = list_signed(parts[8], n, f"{where}.mass_mg", limits.AMOUNT)
    operating, measured, stopped = (
        list_unsigned(parts[9 + i], n, f"{where}.{name}", limits.TIME_MS) for i, name in enumerate(_MILLISECONDS)
    )
    flags = list_unsigned(parts[12], n, f"{where}.flags", 65536)
    own = list_float32(parts[13], 2 * n, f"{where}.u")
    shared = list_float32(parts[14], n * causes, f"{where}.u_shared")
    return [
        Window(
            source, input_, gas, start, start + lengths[i], activity[i], mass[i], operating[i], measured[i],
            stopped[i], flags[i], own[2 * i], tuple(shared[i * causes : (i + 1) * causes]), own[2 * i + 1],
        )
        for i, start in enumerate(starts)
    ]  # fmt: skip
