"""Random draws that depend on nothing but their names: same seed and name, same number, on every machine.

A counter-based generator has no state, so a simulator that was killed and started again goes on as if
nothing had happened, and reading a register twice gives the same noise.
"""

from __future__ import annotations

import hashlib
from statistics import NormalDist

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
