"""The collector's wall clock: it labels what came in, and no figure rests on it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """UTC now. [ms]"""
    return time.time_ns() // 1_000_000
