"""What a look at the agent found: in Chinese and in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = Literal["agent", "clock", "disk", "key", "collector", "broker", "backlog", "log", "calibration", "adapter"]


@dataclass(frozen=True, slots=True)
class Said:
    """A text in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked at, whether it is well, what was seen, and what to do where it is not."""

    name: Name
    well: bool
    seen: Said
    todo: Said | None = None
