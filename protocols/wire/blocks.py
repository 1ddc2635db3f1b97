"""Raw blocks: the register words of one request and width over a span.

Words are differenced along time in the block's own width (16, 32 or 64 bits, modular), the first row against
the point's last words of the opening state, zigzag coded in that width and written byte plane after byte
plane, least significant plane first; inside a plane point after point, so that the bytes of one point's
successive times are neighbours (measured: 10 to 14 % smaller after compression than time after time).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.records import UInt64
from protocols.wire.fields import blob, refuse

WIDTHS = (1, 2, 4)
"""Registers per word."""


def pack_block(words: UInt64, last_words: UInt64, width: int, where: str) -> bytes:
    """Bytes of a block.

    Parameters
    ----------
    words : ndarray of uint64, shape (times, points)
        Every word below 2**(16 width).
    last_words : ndarray of uint64, shape (points,)
        The words before the first row.
    width : int
        Registers per word: 1, 2 or 4.
    where : str
        Named in errors.
    """
    unsigned, signed, bits = _types(width)
    if bits < 64 and ((words >> np.uint64(bits)).any() or (last_words >> np.uint64(bits)).any()):
        refuse(where, f"a word of more than {bits} bits in a block of {width} registers per word")
    rows = np.concatenate((last_words[np.newaxis, :], words)).astype(unsigned)
    steps = (rows[1:] - rows[:-1]).view(signed)
    coded = (steps << 1) ^ (steps >> (bits - 1))
    planes = np.ascontiguousarray(coded).view(np.uint8).reshape(*words.shape, bits // 8)
    return planes.transpose(2, 1, 0).tobytes()


def unpack_block(data: object, last_words: UInt64, times: int, width: int, where: str) -> UInt64:
    """Words of a block, shape (times, points): the way back of ``pack_block``."""
    unsigned, _, bits = _types(width)
    points = last_words.size
    size = times * points * bits // 8
    packed = blob(data, where, size, size)
    if bits < 64 and (last_words >> np.uint64(bits)).any():
        refuse(where, f"the opening state holds a word of more than {bits} bits for such a block")
    planes = np.frombuffer(packed, dtype=np.uint8).reshape(bits // 8, points, times)
    coded = np.ascontiguousarray(planes.transpose(2, 1, 0)).view(unsigned).reshape(times, points)
    one = unsigned.type(1)
    steps = (coded >> one) ^ (~(coded & one) + one)
    steps = steps.astype(np.dtype(f"u{bits // 8}"), copy=False)
    if times:
        steps[0] += last_words.astype(steps.dtype)
    return np.add.accumulate(steps, axis=0, dtype=steps.dtype).astype(np.uint64)


def _types(width: int) -> tuple[np.dtype[Any], np.dtype[Any], int]:
    size = 2 * width
    return np.dtype(f"<u{size}"), np.dtype(f"<i{size}"), 8 * size
