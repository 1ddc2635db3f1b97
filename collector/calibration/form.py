"""Records of calibration from a form: its fields are named as the columns of a table, test points stand one a line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.encoding import Kept, encode_record
from calibration.events import What
from calibration.evidence import Kind, Result
from calibration.instruments import Level, Use
from collector.calibration.reading import read_record
from collector.calibration.tables import nested
from protocols.errors import InputError
from protocols.plan.model import Regime

MOST = 4000
"""Characters of one field."""
MOST_POINTS = 100
OWN = "-"
_PLAIN = str.maketrans(
    {";": " ", "\uff1b": " ", "\uff05": "%", "\u2212": "-", "\uff0d": "-", "\uff0b": "+", "\u3002": "."}
)
"""Signs as a Chinese keyboard gives them."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form: ``kind`` is text, date, number, choice, check, lines or area; ``words`` prefixes a choice."""

    name: str
    kind: str = "text"
    choices: tuple[str, ...] = ()
    words: str = ""
    required: bool = False


EVENT_FIELDS = (
    Field("instrument", required=True),
    Field("serial", required=True),
    Field("what", "choice", tuple(one.value for one in What), "calibration.what", required=True),
    Field("performed_on", "date", required=True),
    Field("result", "choice", ("", *(one.value for one in Result)), "calibration.result"),
    Field("valid_until", "date"),
    Field("interval.months", "number"),
    Field("document.kind", "choice", ("", *(one.value for one in Kind)), "calibration.kind"),
    Field("document.number"),
    Field("document.laboratory"),
    Field("document.authorization"),
    Field("document.regulation"),
    Field("uncertainty.expanded", "number"),
    Field("uncertainty.k", "number"),
    Field("uncertainty.unit"),
    Field("as_found", "lines"),
    Field("as_left", "lines"),
    Field("approver"),
    Field("basis"),
    Field("official", "check"),
    Field("reason"),
    Field("supersedes"),
    Field("note", "area"),
    Field("id"),
)
INSTRUMENT_FIELDS = (
    Field("id", required=True),
    Field("serial", required=True),
    Field("name_zh"),
    Field("name_en"),
    Field("regime", "choice", tuple(one.value for one in Regime), "regime", required=True),
    Field("regime_basis"),
    Field("uses", "choice", ("", *(one.value for one in Use)), "calibration.use"),
    Field("level", "choice", ("", *(one.value for one in Level)), "calibration.level"),
    Field("maker"),
    Field("model"),
    Field("class_name"),
    Field("mpe.percent_of_reading", "number"),
    Field("mpe.percent_of_span", "number"),
    Field("mpe.span", "number"),
    Field("mpe.absolute", "number"),
    Field("range.low", "number"),
    Field("range.high", "number"),
    Field("range.unit"),
    Field("location"),
    Field("duty_holder"),
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of a form: a record, or the faults by field."""

    record: Kept | None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def mark(self) -> str:
        """What says that just this record was looked at."""
        return "" if self.record is None else hashlib.sha256(encode_record(self.record)).hexdigest()


def read_event(values: Mapping[str, str], sha256: str = "") -> Filled:
    """An event from a form's values; ``sha256`` is that of the file handed in with it."""
    given = {name: value for name, value in values.items() if value.strip()}
    if not given.get("id", "").strip():
        parts = (given.get("instrument", ""), given.get("performed_on", ""), given.get("what", ""))
        given["id"] = "-".join(part.strip() for part in parts)
    faults: list[tuple[str, str]] = []
    if sha256 and not given.get("document.kind", "").strip():
        faults.append(("document.kind", "\u2013"))  # a file that no document names would prove nothing
    elif sha256:
        given["document.sha256"] = sha256
    for when in ("as_found", "as_left"):
        points, wrong = _points(when, given.pop(when, ""))
        given |= points
        faults += wrong
    if "official" in given:
        given["official"] = "true"
    return _read("events", given, faults)


def read_instrument(values: Mapping[str, str]) -> Filled:
    """An instrument from a form's values."""
    return _read("instruments", {name: value for name, value in values.items() if value.strip()}, [])


def _read(table: str, given: Mapping[str, str], faults: list[tuple[str, str]]) -> Filled:
    long = [(name, f"{len(value)} > {MOST}") for name, value in given.items() if len(value) > MOST]
    if faults or long:
        return Filled(None, (*faults, *long))

    def complain(path: Sequence[str | int], seen: str, _hint: str, _valid: Sequence[str]) -> InputError:
        return InputError("", 0, ".".join(str(part + 1) if isinstance(part, int) else part for part in path), seen)

    record, wrong = read_record(table, nested(list(given), list(given.values())), (), complain)
    return Filled(record, tuple((one.field, one.seen) for one in wrong))


def _points(when: str, text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Test points, one a line: where, the error, its unit, and U with k where they are known.

    The unit is ``%``, ``1``, or ``-`` for the instrument's own, as where none stands; any other is a fault, for a
    figure compared with the wrong limit would pass or fail by mistake.
    """
    names = ("nominal", "error", "unit", "uncertainty", "k")
    found: dict[str, str] = {}
    wrong = []
    lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        parts = line.translate(_PLAIN).replace("%", " % ").split()
        known = len(parts) < 3 or parts[2] in ("%", "1", OWN)
        if not 2 <= len(parts) <= len(names) or not known or number > MOST_POINTS:
            wrong.append((f"{when}.{number}", line.strip()[:80]))
            continue
        parts[2:3] = ["" if parts[2] == OWN else parts[2]] if len(parts) > 2 else []
        found |= {f"{when}.{number}.{name}": part for name, part in zip(names, parts, strict=False) if part}
    return found, wrong
