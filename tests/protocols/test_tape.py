from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from protocols.records import Fate, ReadRequest
from protocols.tape import HEAD, Header, TapeError, TapeReader, TapeWriter, Track
from protocols.windows.series import slot_range
from protocols.wire import cbor
from tests.plans import small_document

SPAN_MS = 60_000
START_MS = 1_760_000_400_000
HEADER = Header(small_document(5), START_MS, SPAN_MS, 3, {"scenario": "none", "seed": "1"})


def track(request: ReadRequest, slots: int, index: int) -> Track:
    """Answers with a fault in every third slot and registers that use all their bits."""
    fates = np.full(slots, Fate.GOOD, dtype=np.uint16)
    fates[::3] = Fate.EXCEPTION | 2 << 8
    fates[1::5] = Fate.TIMEOUT
    answered = int(np.count_nonzero(fates == Fate.GOOD))
    random = np.random.default_rng(index)
    registers = random.integers(0, 65536, (answered, request.count)).astype(np.uint16)
    return Track(fates, random.integers(-5, 900, answered), registers)


def tracks(writer: TapeWriter, index: int) -> list[Track]:
    """Tracks of every request over a span."""
    from_ms, to_ms = HEADER.between(index)
    intervals = writer.bound.intervals_ms
    return [
        track(request, slot_range(from_ms, to_ms, intervals[request.scan_class])[1], index + 10 * position)
        for position, request in enumerate(writer.requests)
    ]


def written() -> tuple[bytes, list[list[Track]]]:
    """A tape of three spans and what was put on it."""
    file = io.BytesIO()
    writer = TapeWriter(file, HEADER)
    put = [tracks(writer, index) for index in range(3)]
    for span in put:
        writer.write(span)
    writer.finish()
    return file.getvalue(), put


TAPE, PUT = written()


def read(data: bytes, first: int = 0) -> list[tuple[int, tuple[Track, ...]]]:
    """All spans of a tape."""
    return list(TapeReader(io.BytesIO(data)).spans(first))


def chunks(data: bytes) -> list[bytes]:
    """The byte strings of the sequence."""
    found = []
    while data:
        size = int.from_bytes(data[1:5], "big")
        found.append(data[5 : 5 + size])
        data = data[5 + size :]
    return found


def joined(parts: list[bytes]) -> bytes:
    """Byte strings as a sequence."""
    return b"".join(HEAD + len(part).to_bytes(4, "big") + part for part in parts)


def test_what_is_written_is_read() -> None:
    """Header, fates, delays and registers come back as they were, span by span."""
    reader = TapeReader(io.BytesIO(TAPE))
    found = list(reader.spans())

    assert reader.header == HEADER
    assert reader.header.digest == HEADER.digest
    assert [index for index, _ in found] == [0, 1, 2]
    for (_, got), put in zip(found, PUT, strict=True):
        for one, other in zip(got, put, strict=True):
            assert (one.fates.tolist(), one.delay_ms.tolist()) == (other.fates.tolist(), other.delay_ms.tolist())
            assert one.registers.tolist() == other.registers.tolist()


def test_reading_may_begin_anywhere() -> None:
    """Spans passed over cost nothing and the rest is the same; past the end there is none."""
    ((index, got),) = read(TAPE, 2)

    assert (2, [one.registers.tolist() for one in PUT[2]]) == (index, [one.registers.tolist() for one in got])
    assert read(TAPE, 3) == []


def test_equal_content_gives_equal_bytes() -> None:
    """A tape is a function of what is on it."""
    assert written()[0] == TAPE


@pytest.mark.parametrize("cut", [0, 3, 200, len(TAPE) // 2, len(TAPE) - 1])
def test_a_tape_that_is_cut_short_is_refused(cut: int) -> None:
    """Wherever it ends too soon, it is no tape."""
    with pytest.raises(TapeError, match="not a sound tape"):
        read(TAPE[:cut])


def _drop_span(parts: list[bytes]) -> list[bytes]:
    return [parts[0], *parts[2:]]


def _swap_spans(parts: list[bytes]) -> list[bytes]:
    return [parts[0], parts[2], parts[1], *parts[3:]]


def _no_trailer(parts: list[bytes]) -> list[bytes]:
    return parts[:-1]


def _more_behind(parts: list[bytes]) -> list[bytes]:
    return [*parts, b""]


def _bomb(parts: list[bytes]) -> list[bytes]:
    return [parts[0], zlib.compress(bytes(9 * 2**20)), *parts[2:]]


def _rewritten(change: Callable[[list[list[bytes]]], None]) -> Callable[[list[bytes]], list[bytes]]:
    """The first span changed inside, decompressed and compressed again."""

    def damage(parts: list[bytes]) -> list[bytes]:
        content = cbor.decode(zlib.decompress(parts[1]))
        assert isinstance(content, dict)
        change(content[2])
        return [parts[0], zlib.compress(cbor.encode(content)), *parts[2:]]

    return damage


def _strange_fate(rows: list[list[bytes]]) -> None:
    rows[0][0] = rows[0][0].replace(b"\x02", b"\x63")


def _no_row(rows: list[list[bytes]]) -> None:
    rows.pop()


def _short_block(rows: list[list[bytes]]) -> None:
    rows[0][2] = rows[0][2][:-1]


@pytest.mark.parametrize(
    "damage",
    [_drop_span, _swap_spans, _no_trailer, _more_behind, _bomb, _rewritten(_strange_fate), _rewritten(_no_row),
     _rewritten(_short_block)],
)  # fmt: skip
def test_a_damaged_tape_is_refused(damage: Callable[[list[bytes]], list[bytes]]) -> None:
    """Spans missing, in another order, too large or of another shape, and anything behind the end."""
    with pytest.raises(TapeError, match="not a sound tape"):
        read(joined(damage(chunks(TAPE))))


def test_one_changed_register_is_noticed_at_the_end() -> None:
    """A change that keeps every shape breaks the closing digest."""

    def change(rows: list[list[bytes]]) -> None:
        rows[0][2] = bytes([rows[0][2][0] ^ 1]) + rows[0][2][1:]

    with pytest.raises(TapeError, match="it does not close what stands before it"):
        read(joined(_rewritten(change)(chunks(TAPE))))


@pytest.mark.parametrize("header", [b"", cbor.encode({1: "other"}), cbor.encode({1: "emitrace-tape", 2: 2})])
def test_another_file_is_no_tape(header: bytes) -> None:
    """A foreign header or a later version is named."""
    with pytest.raises(TapeError, match="not a sound tape"):
        TapeReader(io.BytesIO(joined([header])))


def test_the_writer_refuses_what_no_reader_would_take() -> None:
    """Tracks of a wrong shape and an end too soon are errors of the writer."""
    writer = TapeWriter(io.BytesIO(), HEADER)
    good = tracks(writer, 0)
    with pytest.raises(TapeError, match="a track of"):
        writer.write([replace(good[0], delay_ms=good[0].delay_ms[:-1]), *good[1:]])
    with pytest.raises(TapeError, match="0 of 3 spans"):
        writer.finish()
