"""What one request yielded over a span, on the wire: its slots as runs, its delays and its raw blocks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np

from protocols.records import Fate, Int64, ReadRequest, Samples, UInt16, UInt64
from protocols.wire import cbor, limits
from protocols.wire.blocks import WIDTHS, pack_block, unpack_block
from protocols.wire.columns import list_deltas, pack_deltas, pack_signed, unpack_deltas, unpack_signed
from protocols.wire.errors import WireError
from protocols.wire.fields import array, record, refuse, uint

REQUEST, POINTS, OFFSETS, WORD_WIDTHS, FIRST_SLOT, FATES, DELAYS, BLOCKS = range(1, 9)
_DESCRIBES = (REQUEST, POINTS, OFFSETS, WORD_WIDTHS)
_FATE_CODES = frozenset(Fate)
_DELAY_MS = 2**31


def samples_map(samples: Samples, last_words: UInt64, where: str) -> dict[int, Any]:
    """The samples of a request as a map; ``last_words`` are those of all points of the opening state."""
    request = samples.request
    widths = np.array(request.widths, dtype=np.int64)
    opening = last_words[list(request.points)]
    return _request_fields(request) | {
        FIRST_SLOT: samples.first_slot,
        FATES: _runs(samples.fates.astype(np.int64)),
        DELAYS: pack_deltas(samples.delay_ms),
        BLOCKS: [
            pack_block(samples.words[:, widths == width], opening[widths == width], width, f"{where}.blocks")
            for width in WIDTHS
            if (widths == width).any()
        ],
    }


@lru_cache(maxsize=1024)
def _request_fields(request: ReadRequest) -> dict[int, Any]:
    """What describes a request; not to be changed."""
    widths = np.array(request.widths, dtype=np.int64)
    return {
        REQUEST: [request.bus, request.unit, request.function, request.address, request.count, request.scan_class],
        POINTS: [len(request.points), pack_deltas(request.points, -1)],
        OFFSETS: pack_signed(_gaps(np.array(request.offsets, dtype=np.int64), widths)),
        WORD_WIDTHS: _runs(widths),
    }


def read_samples(value: object, last_words: UInt64, slots_left: int, words_left: int, where: str) -> Samples:
    """The samples in a map; ``slots_left`` and ``words_left`` bound what the batch may still hold."""
    fields = record(value, where, range(REQUEST, BLOCKS + 1))
    request, widths = _read_request(fields, where)
    if request.points and max(request.points) >= last_words.size:
        refuse(f"{where}.points", "points that the opening state does not have")
    first_slot = uint(fields[FIRST_SLOT], f"{where}.first_slot", limits.SEQUENCE)
    fates = _read_fates(fields[FATES], slots_left, f"{where}.fates")
    answered = int(np.count_nonzero(fates == Fate.GOOD))
    if answered * len(request.points) > words_left:
        refuse(f"{where}.fates", f"more than {limits.WORDS} words in one batch")
    delays = unpack_deltas(fields[DELAYS], answered, f"{where}.delay_ms", least=1 - _DELAY_MS, below=_DELAY_MS)
    opening = last_words[list(request.points)]
    present = [width for width in WIDTHS if (widths == width).any()]
    blocks = array(fields[BLOCKS], f"{where}.blocks", len(WIDTHS), len(present))
    if len(present) == 1:
        words = unpack_block(blocks[0], opening, answered, present[0], f"{where}.blocks")
        return Samples(request, first_slot, fates, delays, words)
    words = np.empty((answered, widths.size), dtype=np.uint64)
    for width, block in zip(present, blocks, strict=True):
        chosen = widths == width
        words[:, chosen] = unpack_block(block, opening[chosen], answered, width, f"{where}.blocks")
    return Samples(request, first_slot, fates, delays, words)


def _read_request(fields: dict[int, Any], where: str) -> tuple[ReadRequest, Int64]:
    """The request of some samples: the same in every batch under a plan, so the last ones are remembered."""
    stated = cbor.encode([fields[key] for key in _DESCRIBES])
    try:
        return _known_request(stated)
    except WireError as error:
        raise WireError(error.reason, f"{where}.{error.subject}", error.seen, error.hint) from error


@lru_cache(maxsize=1024)
def _known_request(stated: bytes) -> tuple[ReadRequest, Int64]:
    """A request from its four fields, encoded; deterministic CBOR keeps true apart from 1."""
    fields = dict(zip(_DESCRIBES, cast("list[Any]", cbor.decode(stated)), strict=True))
    parts = array(fields[REQUEST], "request", 6, 6)
    bus = uint(parts[0], "bus", limits.INDEX)
    unit = uint(parts[1], "unit", 256)
    function = uint(parts[2], "function", 256)
    address = uint(parts[3], "address", 65536)
    count = uint(parts[4], "count", limits.REGISTERS + 1, 1)
    scan_class = uint(parts[5], "scan_class", limits.INDEX)
    packed = array(fields[POINTS], "points", 2, 2)
    n = uint(packed[0], "points", limits.REGISTERS + 1)
    index = list_deltas(packed[1], n, "points", -1, below=limits.POINTS)
    widths = _unruns(fields[WORD_WIDTHS], n, "widths", WIDTHS[-1] + 1)
    if widths.size != n or not np.isin(widths, WIDTHS).all():
        refuse("widths", f"{widths.size} widths for {n} points, each 1, 2 or 4")
    offsets = _offsets(unpack_signed(fields[OFFSETS], n, "offsets", 65536), widths)
    if not ((offsets >= 0) & (offsets < count)).all():
        refuse("offsets", f"a point outside the answer's {count} registers")
    request = ReadRequest(
        bus, unit, function, address, count, scan_class,
        tuple(index), tuple(offsets.tolist()), tuple(widths.tolist()),
    )  # fmt: skip
    widths.flags.writeable = False
    return request, widths


def _read_fates(value: object, most: int, where: str) -> UInt16:
    counts, codes = _read_runs(value, most, where, 65536)
    for code in codes:
        if code & 0xFF not in _FATE_CODES or (code >> 8 and code & 0xFF != Fate.EXCEPTION):
            refuse(where, f"{code} is not a fate code")
    return np.repeat(np.array(codes, dtype=np.uint16), counts)


def _gaps(offsets: Int64, widths: Int64) -> Int64:
    """Registers left out before each point; 0 where it starts where the one before it ended."""
    ends = np.zeros_like(offsets)
    ends[1:] = (offsets + widths)[:-1]
    return offsets - ends


def _offsets(gaps: Int64, widths: Int64) -> Int64:
    return np.add.accumulate(gaps) + np.add.accumulate(widths) - widths


def _runs(values: Int64) -> list[list[int]]:
    """Values as [count, value], [count, value] ..."""
    if not values.size:
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1))
    counts = np.diff(np.concatenate((starts, [values.size])))
    return [[count, value] for count, value in zip(counts.tolist(), values[starts].tolist(), strict=True)]


def _unruns(value: object, most: int, where: str, below: int) -> Int64:
    counts, values = _read_runs(value, most, where, below)
    return np.repeat(np.array(values, dtype=np.int64), counts)


def _read_runs(value: object, most: int, where: str, below: int) -> tuple[list[int], list[int]]:
    left, before = most, -1
    counts: list[int] = []
    values: list[int] = []
    for run in array(value, where, most):
        count, code = array(run, where, 2, 2)
        counts.append(uint(count, where, left + 1, 1))
        values.append(uint(code, where, below))
        left -= count
        if code == before:
            refuse(where, "two runs of the same value side by side")
        before = code
    return counts, values
