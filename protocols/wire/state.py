"""The opening state of a batch on the wire, in columns over the plan's points.

What only some plans need (fates of held samples, judged instants) is left out where there is none of it, so that
every state has one form.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from protocols.records import CounterState, FoldState, HeldSample, InstantState, Phase, PointState, UInt64
from protocols.wire import limits
from protocols.wire.columns import (
    list_deltas,
    list_signed,
    list_unsigned,
    pack_deltas,
    pack_signed,
    pack_unsigned,
    unpack_signed,
    unpack_unsigned,
)
from protocols.wire.fields import array, record, refuse, uint

AT, POINTS, LAST_WORDS, COUNTERS, HELD, CANDIDATES, INSTANTS, HELD_FATES = range(1, 9)
C_POINTS, C_LAST_MS, C_INDEX, C_EMITTED_MS, C_PENDING, C_GAP = range(1, 7)
H_POINTS, H_AT_MS, H_WORDS = range(1, 4)
I_POINTS, I_LAST_MS, I_RUN, I_PHASE, I_SINCE_MS = range(1, 6)
FATES = 2**16
RUNS = 2**48


def last_words(state: FoldState) -> UInt64:
    """The last words of every point, shape (points,)."""
    return np.array([point.last_words for point in state.points], dtype=np.uint64)


def state_map(state: FoldState) -> dict[int, Any]:
    """The state as a map of columns; times relative to ``at_ms``."""
    words = last_words(state)
    counters = [(i, point.counter) for i, point in enumerate(state.points) if point.counter is not None]
    held = [(i, sample) for i, point in enumerate(state.points) for sample in point.held]
    held_points = [i for i, _ in held]
    held_words = np.array([sample.words for _, sample in held], dtype=np.uint64)
    fates = [sample.fate for _, sample in held]
    instants = [(i, point.instant) for i, point in enumerate(state.points) if point.instant is not None]
    fields: dict[int, Any] = {
        AT: state.at_ms,
        POINTS: len(state.points),
        LAST_WORDS: pack_unsigned(words),
        COUNTERS: [
            len(counters),
            pack_deltas([i for i, _ in counters], -1),
            pack_signed([state.at_ms - c.last_ms for _, c in counters]),
            pack_unsigned([c.last_index for _, c in counters]),
            pack_signed([state.at_ms - c.emitted_to_ms for _, c in counters]),
            pack_signed([c.pending for _, c in counters]),
            pack_unsigned([c.gap for _, c in counters]),
        ],
        HELD: [
            len(held),
            pack_deltas(held_points),
            pack_signed([state.at_ms - sample.at_ms for _, sample in held]),
            pack_signed((held_words - words[held_points] if held else held_words).view(np.int64)),
        ],
        CANDIDATES: [[i, list(map(list, c.candidates))] for i, (_, c) in enumerate(counters) if c.candidates],
    }
    if instants:
        fields[INSTANTS] = [
            len(instants),
            pack_deltas([i for i, _ in instants], -1),
            pack_signed([state.at_ms - one.last_ms for _, one in instants]),
            pack_unsigned([one.run for _, one in instants]),
            pack_unsigned([int(one.phase) for _, one in instants]),
            pack_signed([state.at_ms - one.since_ms for _, one in instants]),
        ]
    if any(fates):
        fields[HELD_FATES] = pack_unsigned(fates)
    return fields


def read_state(value: object, where: str) -> FoldState:
    """The state in a map, every index and time in range."""
    extra = {INSTANTS, HELD_FATES} & value.keys() if type(value) is dict else set()
    fields = record(value, where, {*range(AT, CANDIDATES + 1), *extra})
    at_ms = uint(fields[AT], f"{where}.at_ms", limits.TIME_MS)
    count = uint(fields[POINTS], f"{where}.points", limits.POINTS + 1)
    words = unpack_unsigned(fields[LAST_WORDS], count, f"{where}.last_words")
    counters = _read_counters(fields, at_ms, count, where)
    held = _read_held(fields[HELD], fields.get(HELD_FATES), at_ms, words, f"{where}.held")
    instants = _read_instants(fields[INSTANTS], at_ms, count, f"{where}.instants") if INSTANTS in extra else {}
    return FoldState(
        at_ms,
        tuple(
            PointState(word, counters.get(i), tuple(held.get(i, ())), instants.get(i))
            for i, word in enumerate(words.tolist())
        ),
    )


def _read_counters(fields: dict[int, Any], at_ms: int, points: int, where: str) -> dict[int, CounterState]:
    here = f"{where}.counters"
    parts = array(fields[COUNTERS], here, 7, 7)
    n = uint(parts[0], f"{here}.count", points + 1)
    index = list_deltas(parts[C_POINTS], n, f"{here}.point", -1, below=max(points, 1))
    if any(b <= a for a, b in pairwise(index)):
        refuse(f"{here}.point", "points that do not ascend")
    last = _times(parts[C_LAST_MS], n, at_ms, f"{here}.last_ms")
    totals = list_unsigned(parts[C_INDEX], n, f"{here}.last_index", limits.AMOUNT + 1)
    emitted = _times(parts[C_EMITTED_MS], n, at_ms, f"{here}.emitted_to_ms")
    pending = list_signed(parts[C_PENDING], n, f"{here}.pending", limits.AMOUNT)
    gap = list_unsigned(parts[C_GAP], n, f"{here}.gap", limits.AMOUNT)
    waiting = _read_candidates(fields[CANDIDATES], n, f"{where}.candidates")
    return {
        point: CounterState(last[i], totals[i], emitted[i], pending[i], gap[i], waiting.get(i, ()))
        for i, point in enumerate(index)
    }


def _read_candidates(value: object, counters: int, where: str) -> dict[int, tuple[tuple[int, int], ...]]:
    waiting: dict[int, tuple[tuple[int, int], ...]] = {}
    before = -1
    for row in array(value, where, counters):
        counter, pairs = array(row, where, 2, 2)
        before = uint(counter, where, counters, before + 1)
        if not array(pairs, where, limits.STATE_ITEMS):
            refuse(where, "a counter without candidates")
        waiting[before] = tuple(_read_candidate(pair, where) for pair in pairs)
    return waiting


def _read_candidate(value: object, where: str) -> tuple[int, int]:
    at_ms, index = array(value, where, 2, 2)
    return uint(at_ms, f"{where}.at_ms", limits.TIME_MS), uint(index, f"{where}.index", limits.AMOUNT + 1)


def _read_held(
    value: object, fate_column: object, at_ms: int, words: UInt64, where: str
) -> dict[int, list[HeldSample]]:
    parts = array(value, where, 4, 4)
    n = uint(parts[0], f"{where}.count", limits.STATE_ITEMS + 1)
    index = list_deltas(parts[H_POINTS], n, f"{where}.point", below=max(words.size, 1))
    if n and (not words.size or any(b < a for a, b in pairwise(index))):
        refuse(f"{where}.point", "points that do not ascend")
    times = _times(parts[H_AT_MS], n, at_ms, f"{where}.at_ms")
    steps = unpack_signed(parts[H_WORDS], n, f"{where}.words", 2**63 + 1).view(np.uint64)
    values = ((words[index] + steps) if n else steps).tolist()
    fates = [0] * n
    if fate_column is not None:
        fates = list_unsigned(fate_column, n, f"{where}.fate", FATES)
        if not any(fates):
            refuse(f"{where}.fate", "a column where every sample is good")
    held: dict[int, list[HeldSample]] = {}
    for i, point in enumerate(index):
        held.setdefault(point, []).append(HeldSample(times[i], values[i], fates[i]))
    return held


def _read_instants(value: object, at_ms: int, points: int, where: str) -> dict[int, InstantState]:
    parts = array(value, where, 6, 6)
    n = uint(parts[0], f"{where}.count", points + 1, 1)
    index = list_deltas(parts[I_POINTS], n, f"{where}.point", -1, below=max(points, 1))
    if any(b <= a for a, b in pairwise(index)):
        refuse(f"{where}.point", "points that do not ascend")
    last = _times(parts[I_LAST_MS], n, at_ms, f"{where}.last_ms")
    runs = list_unsigned(parts[I_RUN], n, f"{where}.run", RUNS)
    phases = list_unsigned(parts[I_PHASE], n, f"{where}.phase", len(Phase))
    since = _times(parts[I_SINCE_MS], n, at_ms, f"{where}.since_ms")
    return {point: InstantState(last[i], runs[i], Phase(phases[i]), since[i]) for i, point in enumerate(index)}


def _times(data: object, count: int, at_ms: int, where: str) -> list[int]:
    times = [at_ms - back for back in list_signed(data, count, where, limits.TIME_MS)]
    for time in times:
        uint(time, where, limits.TIME_MS)
    return times
