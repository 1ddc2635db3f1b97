"""The result of one look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """What was looked at, where, and what was seen; a ``hint`` says what to do and makes it a finding."""

    check: str
    where: str
    seen: str
    hint: str = ""

    @property
    def is_finding(self) -> bool:
        """Whether something is to be done."""
        return bool(self.hint)
