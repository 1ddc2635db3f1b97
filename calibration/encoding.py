"""Canonical bytes of what the evidence log keeps about calibration: events, instruments and chains.

A deterministic CBOR map per record: key 0 is the version, key 1 the kind of record, key n + 2 the n-th field. Dates
are ISO text, decimals their text as written, members of a closed list their value, sets are sorted, and what has its
default is left out. The digest in a leaf is SHA-256 of these bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from calibration.errors import CalibrationError
from calibration.events import Event, Point
from calibration.evidence import Document, Uncertainty
from calibration.instruments import Chain, Instrument, Member, Mpe, Range, Step
from calibration.intervals import Interval
from protocols.wire.cbor import decode, encode
from protocols.wire.errors import WireError

VERSION = 1
"""Version of the canonical form."""

Kept: TypeAlias = Event | Instrument | Chain
"""Records with bytes of their own."""

_KINDS: dict[int, type[Kept]] = {1: Event, 2: Instrument, 3: Chain}

FIELDS: Mapping[type[Any], tuple[str, ...]] = {
    Event: (
        "id", "instrument", "serial", "what", "performed_on", "at_ms", "result", "valid_until", "interval", "as_found",
        "as_left", "document", "uncertainty", "requirements", "basis", "approver", "reason", "official", "supersedes",
        "note",
    ),
    Point: ("nominal", "reference", "indication", "error", "unit", "uncertainty", "k", "limit"),
    Document: (
        "kind", "number", "laboratory", "authorization", "regulation", "issued_on", "class_name", "scope", "in_scope",
        "standards_valid_until", "sha256",
    ),
    Uncertainty: ("expanded", "k", "unit"),
    Interval: ("months", "clock_hours", "operating_hours", "quarters"),
    Range: ("low", "high", "unit"),
    Instrument: (
        "id", "serial", "regime", "regime_basis", "name_zh", "name_en", "model", "maker", "class_name", "mpe", "range",
        "type_code", "uses", "level", "location", "duty_holder",
    ),
    Mpe: ("absolute", "percent_of_reading", "percent_of_span", "span", "steps", "in_service_factor"),
    Step: ("up_to", "limit"),
    Chain: ("id", "members"),
    Member: ("part", "instrument", "from_ms", "to_ms"),
}  # fmt: skip
"""Fields of every record in the order of their keys. Append only."""


def _defaults(type_: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in dataclasses.fields(type_):
        if one.default is not dataclasses.MISSING:
            found[one.name] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            found[one.name] = one.default_factory()
    return found


_DEFAULTS = {type_: _defaults(type_) for type_ in FIELDS}
_READERS: Mapping[type[Any], TypeAdapter[Any]] = {type_: TypeAdapter(type_) for type_ in _KINDS.values()}

_HINT = "export it again, or read it with the program that wrote it"


def encode_record(record: Kept) -> bytes:
    """Canonical bytes of an event, an instrument or a chain."""
    kind = next(number for number, type_ in _KINDS.items() if isinstance(record, type_))
    return encode({0: VERSION, 1: kind, **_fields(record, 2)})


def decode_record(data: bytes) -> Kept:
    """Read canonical bytes back.

    Raises
    ------
    CalibrationError
        They are no record of a known version in canonical form, or one that makes no sense.
    """
    record = read_record(data)
    if encode_record(record) != data:
        raise CalibrationError("calibration record", "bytes are not in canonical form", _HINT)
    return record


def read_record(data: bytes) -> Kept:
    """A record of bytes that ``encode_record`` made, as the books hold them; half the time of ``decode_record``.

    CalibrationError where they are no record of a known version, or one that makes no sense.
    """
    try:
        found = decode(data)
    except WireError as error:
        raise CalibrationError("calibration record", f"unreadable bytes: {error}", _HINT) from error
    if not isinstance(found, dict) or found.get(0) != VERSION or found.get(1) not in _KINDS:
        raise CalibrationError("calibration record", "no record of version 1", _HINT)
    type_ = _KINDS[found[1]]
    fields = _named(type_, {key: value for key, value in found.items() if key not in (0, 1)}, 2)
    try:
        record: Kept = _READERS[type_].validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CalibrationError("calibration record", f"{place}: {first['msg']}", _HINT) from error
    return record


def _fields(record: Any, first: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    defaults = _DEFAULTS[type(record)]
    for place, name in enumerate(FIELDS[type(record)]):
        value = getattr(record, name)
        if name not in defaults or value != defaults[name]:
            found[first + place] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case Decimal():
            return str(value)
        case date():
            return value.isoformat()
        case frozenset():
            return sorted(_plain(one) for one in value)
        case tuple():
            return [_plain(one) for one in value]
        case _:
            return _fields(value, 1) if type(value) in FIELDS else value


INSIDE: Mapping[tuple[type[Any], str], type[Any]] = {
    (Event, "interval"): Interval, (Event, "as_found"): Point, (Event, "as_left"): Point, (Event, "document"): Document,
    (Event, "uncertainty"): Uncertainty, (Document, "scope"): Range, (Instrument, "mpe"): Mpe,
    (Instrument, "range"): Range, (Mpe, "steps"): Step, (Chain, "members"): Member,
}  # fmt: skip
"""Which record stands in which field, alone or in a list."""


def _named(type_: type[Any], fields: object, first: int) -> dict[str, Any]:
    """A map of keys as one of names, and so inside it."""
    names = FIELDS[type_]
    if not isinstance(fields, dict) or not all(
        isinstance(key, int) and first <= key < first + len(names) for key in fields
    ):
        raise CalibrationError("calibration record", f"unknown keys in {type_.__name__.lower()}", _HINT)
    found: dict[str, Any] = {}
    for key, value in fields.items():
        name = names[key - first]
        inside = INSIDE.get((type_, name))
        if inside is None:
            found[name] = value
        elif isinstance(value, list):
            found[name] = [_named(inside, one, 1) for one in value]
        else:
            found[name] = _named(inside, value, 1)
    return found
