"""Where the time goes: a profile of each program in a pass of its own, after the figures, which it would distort."""

from __future__ import annotations

import cProfile
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path("bench-profiles")
"""In the current folder; ``python -m pstats FILE`` reads what is in it."""


def keep(name: str, work: Callable[[], object]) -> None:
    """Run work once and keep its profile."""
    profile = cProfile.Profile()
    profile.runcall(work)
    profile.dump_stats(_path(name))


def profiled(name: str) -> list[str]:
    """The begin of a command line that keeps the profile of a program's main thread when it ends."""
    return [sys.executable, "-m", "cProfile", "-o", str(_path(name))]


def _path(name: str) -> Path:
    FOLDER.mkdir(exist_ok=True)
    return FOLDER.resolve() / f"{name}.pstats"
