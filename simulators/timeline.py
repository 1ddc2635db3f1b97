"""Instants on the simulators' one time line: UTC in whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def milliseconds(at: datetime) -> int:
    """UTC time line of an aware instant. [ms]"""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
