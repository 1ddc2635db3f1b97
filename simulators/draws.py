"""Random draws that depend on nothing but their names: same seed and name, same number, on every machine.

A counter-based generator has no state, so a simulator that was killed and started again goes on as if
nothing had happened, and reading a register twice gives the same noise.
"""

from __future__ import annotations

import hashlib
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
_NORMAL = NormalDist()
_SCALE = 1 << 53


def uniform(seed: int, *name: str | int) -> float:
    """A draw from the open interval (0, 1) that belongs to this seed and name."""
    text = "\x1f".join([str(seed), *(str(part) for part in name)])
    bits = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 11
    return (bits + 0.5) / _SCALE


def symmetric(seed: int, *name: str | int) -> float:
    """A draw from (-1, 1), rectangular."""
    return 2.0 * uniform(seed, *name) - 1.0


def normal(seed: int, *name: str | int) -> float:
    """A draw from the standard normal distribution."""
    return _NORMAL.inv_cdf(uniform(seed, *name))


def normals(seed: int, *name: str | int, last: NDArray[np.int64]) -> Float64:
    """For every number n in ``last`` the draw ``normal(seed, *name, n)``, to the bit."""
    prefix = "\x1f".join([str(seed), *(str(part) for part in name), ""]).encode()
    digest = hashlib.blake2b
    data = b"".join([digest(prefix + b"%d" % n, digest_size=8).digest() for n in last.tolist()])
    bits = np.frombuffer(data, dtype=">u8").astype(np.uint64) >> np.uint64(11)
    shares = (bits.astype(np.float64) + 0.5) / _SCALE
    return np.fromiter(map(_NORMAL.inv_cdf, shares.tolist()), dtype=np.float64, count=last.size)
