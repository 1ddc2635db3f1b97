"""Reading decoded CBOR field by field: type and range checked before anything is allocated for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from protocols.wire.errors import Reason, WireError


def refuse(where: str, seen: str) -> NoReturn:
    """Refuse a field that breaks the schema."""
    raise WireError(Reason.SCHEMA, where, seen, "see protocols/wire/schema.cddl")


def record(value: object, where: str, keys: Iterable[int]) -> dict[int, Any]:
    """A map with exactly these keys."""
    if type(value) is not dict:
        refuse(where, f"{_kind(value)} instead of a map")
    wanted = set(keys)
    if value.keys() != wanted:
        odd = sorted(map(repr, value.keys() ^ wanted))[:8]
        refuse(where, f"missing or unknown keys {', '.join(odd)}")
    return value


def array(value: object, where: str, most: int, exactly: int | None = None) -> list[Any]:
    """An array of at most ``most`` items, or of exactly so many."""
    if type(value) is not list:
        refuse(where, f"{_kind(value)} instead of an array")
    if exactly is not None and len(value) != exactly:
        refuse(where, f"{len(value)} items instead of {exactly}")
    if len(value) > most:
        refuse(where, f"{len(value)} items, at most {most} are allowed")
    return value


def uint(value: object, where: str, below: int, least: int = 0) -> int:
    """An integer in [least, below)."""
    if type(value) is not int:
        refuse(where, f"{_kind(value)} instead of an integer")
    if not least <= value < below:
        refuse(where, f"{_short(value)} is outside {least}..{below - 1}")
    return value


def sint(value: object, where: str, below: int) -> int:
    """An integer in (-below, below)."""
    return uint(value, where, below, 1 - below)


def blob(value: object, where: str, most: int, exactly: int | None = None) -> bytes:
    """A byte string of at most ``most`` bytes, or of exactly so many."""
    if type(value) is not bytes:
        refuse(where, f"{_kind(value)} instead of a byte string")
    if exactly is not None and len(value) != exactly:
        refuse(where, f"{len(value)} bytes instead of {exactly}")
    if len(value) > most:
        refuse(where, f"{len(value)} bytes, at most {most} are allowed")
    return value


def text(value: object, where: str, most: int) -> str:
    """A text of at most ``most`` characters."""
    if type(value) is not str:
        refuse(where, f"{_kind(value)} instead of text")
    if len(value) > most:
        refuse(where, f"{len(value)} characters, at most {most} are allowed")
    return value


def _kind(value: object) -> str:
    return type(value).__name__


def _short(value: int) -> str:
    return str(value) if -(2**80) < value < 2**80 else f"an integer of {value.bit_length()} bits"
