"""The names under which a log has signed, as a bundle states them: its origins (C2SP), each with its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.transparency.note import NoteKey
from protocols.wire.fields import array, blob, refuse, text, uint

_MOST = 1024
_RECORD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class LogName:
    """An origin and the raw public key that signs its checkpoints.

    One that follows another says so in ``record``, whose SHA-256 the leaf at ``position`` names; the first has none.
    """

    name: str
    public: bytes
    position: int | None = None
    record: bytes | None = None

    @property
    def key(self) -> NoteKey:
        """What verifies its checkpoints."""
        return NoteKey(self.name, self.public)


def names_fields(names: tuple[LogName, ...]) -> list[list[Any]]:
    """As they stand in the manifest."""
    return [[one.name, one.public] + ([] if one.record is None else [one.position, one.record]) for one in names]


def read_names(value: Any) -> tuple[LogName, ...]:
    """The names in a manifest, the first one first; WireError where there are none."""
    found = tuple(_name(row, first=not place) for place, row in enumerate(array(value, "manifest.log", _MOST)))
    if not found:
        refuse("manifest.log", "the log has no name")
    places = [one.position or 0 for one in found]
    if len({one.name for one in found}) != len(found) or places != sorted(places):
        refuse("manifest.log", "names stand twice or out of order")
    return found


def _name(row: Any, *, first: bool) -> LogName:
    fields = array(row, "manifest.log", 4, 2 if first else 4)
    name, public = text(fields[0], "manifest.log.name", 128), blob(fields[1], "manifest.log.key", 32, 32)
    if not name or any(c.isspace() or c == "+" for c in name):
        refuse("manifest.log.name", "is empty, or has a space or a plus sign")
    if first:
        return LogName(name, public)
    position = uint(fields[2], "manifest.log.position", 2**63)
    return LogName(name, public, position, blob(fields[3], "manifest.log.record", _RECORD_BYTES))
