"""Register tapes: what every request of a plan answered over a long time, as raw registers in one file.

A tape is a CBOR sequence (RFC 8742) of byte strings, each with a four-byte length::

    header    {1: "emitrace-tape", 2: 1, 3: plan document, 4: start, 5: span, 6: number of spans, 7: {text: text}}
    span k    zlib of {1: k, 2: [[fates, delays, registers] for each request of the read plan]}
    ...
    trailer   {1: number of spans, 2: SHA-256 of everything before the trailer}

Span k holds exactly the slots due in [start + k x span, start + (k + 1) x span), times in ms. Fates and delays
are columns (``protocols.wire.columns``), registers a block of single registers (``protocols.wire.blocks``),
the first row against zeros: a span is read alone. Writer and reader hold one span in memory. Nothing on a tape
is signed: whoever replays it signs what follows from it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from protocols.errors import EmitraceError
from protocols.modbus.planner import plan_reads
from protocols.plan.bound import BoundPlan
from protocols.plan.document import open_document
from protocols.records import Fate, Int64, ReadRequest, UInt16
from protocols.windows.series import slot_range
from protocols.wire import cbor, limits
from protocols.wire.blocks import pack_block, unpack_block
from protocols.wire.codec import decompress
from protocols.wire.columns import pack_deltas, pack_unsigned, unpack_deltas, unpack_unsigned
from protocols.wire.errors import WireError
from protocols.wire.fields import array, blob, record, refuse, text, uint

FORMAT = "emitrace-tape"
VERSION = 1
HEAD = b"\x5a"
"""A CBOR byte string whose length follows in four bytes."""
CHUNK_BYTES = limits.MESSAGE_BYTES
SPANS = 2**24
LONGEST_SPAN_MS = 86_400_000
_DELAY_MS = 2**31
_MADE = 64
_CODES = frozenset(Fate)


class TapeError(EmitraceError):
    """A file that is no sound tape, or a tape that cannot be written so."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a tape is.

    Attributes
    ----------
    document : bytes
        The plan document whose read plan was followed.
    start_ms, span_ms : int
        Where the first span begins, and the length of each. [UTC ms, ms]
    spans : int
        How many there are.
    made : dict of str to str
        Where it comes from: scenario, seed and the like.
    """

    document: bytes
    start_ms: int
    span_ms: int
    spans: int
    made: Mapping[str, str]

    @property
    def end_ms(self) -> int:
        """Where the last span ends. [UTC ms]"""
        return self.start_ms + self.spans * self.span_ms

    @property
    def digest(self) -> bytes:
        """SHA-256 of the header: names the tape."""
        return hashlib.sha256(_header_bytes(self)).digest()

    def between(self, index: int) -> tuple[int, int]:
        """From and to of a span. [UTC ms]"""
        return self.start_ms + index * self.span_ms, self.start_ms + (index + 1) * self.span_ms


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One request over one span.

    Attributes
    ----------
    fates : ndarray of uint16, shape (slots,)
        Fate code per slot: GOOD (answered) or a missing reason.
    delay_ms : ndarray of int64, shape (answered,)
        From due instant to the last byte of the answer. [ms]
    registers : ndarray of uint16, shape (answered, count)
        The whole answers, as they came over the bus.
    """

    fates: UInt16
    delay_ms: Int64
    registers: UInt16


class TapeWriter:
    """Writes a tape span after span; ``finish`` ends it, a tape without its end is refused by every reader."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._header = header
        self._bound, self._requests = open_plan(header)
        self._hash = hashlib.sha256()
        self._next = 0
        self._put(_header_bytes(header))

    @property
    def bound(self) -> BoundPlan:
        """The plan that is followed."""
        return self._bound

    @property
    def requests(self) -> tuple[ReadRequest, ...]:
        """The read plan: one track per request, in this order."""
        return self._requests

    def write(self, tracks: Sequence[Track]) -> None:
        """The next span."""
        from_ms, to_ms = self._header.between(self._next)
        where = f"tape span {self._next}"
        rows = []
        for track, request in zip(tracks, self._requests, strict=True):
            slots = slot_range(from_ms, to_ms, self._bound.intervals_ms[request.scan_class])[1]
            answered = int(np.count_nonzero(track.fates == Fate.GOOD))
            shapes = (track.fates.size, track.delay_ms.size, track.registers.shape)
            if shapes != (slots, answered, (answered, request.count)):
                raise TapeError(where, f"a track of {shapes}, wanted {(slots, answered, (answered, request.count))}")
            words = track.registers.astype(np.uint64)
            block = pack_block(words, np.zeros(request.count, dtype=np.uint64), 1, where)
            rows.append([pack_unsigned(track.fates.astype(np.uint64)), pack_deltas(track.delay_ms), block])
        data = cbor.encode({1: self._next, 2: rows})
        if len(data) > CHUNK_BYTES:
            raise TapeError(where, f"{len(data)} bytes, at most {CHUNK_BYTES}", "take a shorter span")
        self._put(zlib.compress(data, 1))
        self._next += 1

    def finish(self) -> None:
        """The trailer; every span must have been written."""
        if self._next != self._header.spans:
            raise TapeError("tape", f"{self._next} of {self._header.spans} spans are written")
        self._put(cbor.encode({1: self._header.spans, 2: self._hash.digest()}))

    def _put(self, data: bytes) -> None:
        chunk = HEAD + len(data).to_bytes(4, "big") + data
        self._hash.update(chunk)
        self._file.write(chunk)


class TapeReader:
    """Reads a tape from its start, span after span; every bound and the closing digest are checked."""

    def __init__(self, file: BinaryIO, name: str = "tape") -> None:
        self._file = file
        self._name = name
        self._hash = hashlib.sha256()
        try:
            self.header = _read_header(self._take())
            self.bound, self.requests = open_plan(self.header)
        except WireError as error:
            raise self._bad(error) from error

    def spans(self, first: int = 0) -> Iterator[tuple[int, tuple[Track, ...]]]:
        """Index and tracks of every span from ``first`` on; those before it are only passed over."""
        try:
            for index in range(self.header.spans):
                data = self._take()
                if index >= first:
                    yield index, self._read_span(data, index)
            digest = self._hash.digest()
            trailer = record(cbor.decode(self._take()), "trailer", (1, 2))
            if trailer != {1: self.header.spans, 2: digest}:
                refuse("trailer", "it does not close what stands before it")
            if self._file.read(1):
                refuse("trailer", "bytes after it")
        except WireError as error:
            raise self._bad(error) from error

    def _read_span(self, data: bytes, index: int) -> tuple[Track, ...]:
        where = f"span {index}"
        content = record(cbor.decode(decompress(data)), where, (1, 2))
        if content[1] != index:
            refuse(where, f"it calls itself {content[1]!r}")
        rows = array(content[2], where, len(self.requests), len(self.requests))
        from_ms, to_ms = self.header.between(index)
        tracks = []
        for row, request in zip(rows, self.requests, strict=True):
            slots = slot_range(from_ms, to_ms, self.bound.intervals_ms[request.scan_class])[1]
            packed = array(row, where, 3, 3)
            fates = unpack_unsigned(packed[0], slots, f"{where}.fates", 65536).astype(np.uint16)
            _check_fates(fates, f"{where}.fates")
            answered = int(np.count_nonzero(fates == Fate.GOOD))
            delays = unpack_deltas(packed[1], answered, f"{where}.delays", least=1 - _DELAY_MS, below=_DELAY_MS)
            before = np.zeros(request.count, dtype=np.uint64)
            registers = unpack_block(packed[2], before, answered, 1, f"{where}.registers").astype(np.uint16)
            tracks.append(Track(fates, delays, registers))
        return tuple(tracks)

    def _take(self) -> bytes:
        head = self._file.read(5)
        if len(head) != 5 or head[:1] != HEAD:
            refuse("tape", "no chunk begins here" if head else "it ends before its trailer")
        size = int.from_bytes(head[1:], "big")
        if size > CHUNK_BYTES:
            refuse("tape", f"a chunk of {size} bytes, at most {CHUNK_BYTES}")
        data = self._file.read(size)
        if len(data) != size:
            refuse("tape", "it ends inside a chunk")
        self._hash.update(head)
        self._hash.update(data)
        return data

    def _bad(self, error: WireError) -> TapeError:
        return TapeError(self._name, f"not a sound tape: {error.subject}: {error.seen}", "write or copy it again")


def open_plan(header: Header) -> tuple[BoundPlan, tuple[ReadRequest, ...]]:
    """The plan of a tape and its read plan."""
    bound = open_document(header.document)
    return bound, plan_reads(bound)


def _header_bytes(header: Header) -> bytes:
    return cbor.encode(
        {
            1: FORMAT, 2: VERSION, 3: header.document, 4: header.start_ms, 5: header.span_ms, 6: header.spans,
            7: dict(header.made),
        }
    )  # fmt: skip


def _read_header(data: bytes) -> Header:
    value: Any = cbor.decode(data)
    if not isinstance(value, dict) or value.get(1) != FORMAT:
        refuse("header", "not the header of a tape")
    if value.get(2) != VERSION:
        refuse("header", f"version {value.get(2)!r}, this program reads {VERSION}")
    fields = record(value, "header", range(1, 8))
    made = fields[7]
    if not isinstance(made, dict) or len(made) > _MADE:
        refuse("header", "key 7 is not a map of texts")
    return Header(
        document=blob(fields[3], "header.document", limits.DOCUMENT_BYTES),
        start_ms=uint(fields[4], "header.start", limits.TIME_MS),
        span_ms=uint(fields[5], "header.span", LONGEST_SPAN_MS + 1, 1),
        spans=uint(fields[6], "header.spans", SPANS, 1),
        made={text(k, "header.made", 64): text(v, "header.made", limits.TEXT) for k, v in made.items()},
    )


def _check_fates(fates: UInt16, where: str) -> None:
    for code in np.unique(fates).tolist():
        if code & 0xFF not in _CODES or (code >> 8 and code & 0xFF != Fate.EXCEPTION):
            refuse(where, f"{code} is not a fate code")
