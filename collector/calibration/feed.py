"""The due list as a calendar (RFC 5545): a day per instrument, its last valid one, with a reminder before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

from collector.calibration.overview import Standing

FOLD = 75
"""Octets of a line, its end not counted (3.1)."""
REMIND = "-P30D"


def calendar(found: Iterable[Standing], base: str, made_ms: int) -> bytes:
    """An iCalendar of every instrument that has a last valid day.

    Parameters
    ----------
    found : iterable of Standing
    base : str
        Address of the collector's pages.
    made_ms : int
        [UTC ms]
    """
    stamp = datetime.fromtimestamp(made_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Emitrace//calibration//EN", "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH", f"X-WR-CALNAME:{_text('检定与校准到期 Calibration due')}",
    ]  # fmt: skip
    for one in found:
        if one.last_day is not None:
            lines += _event(one, one.last_day, base, stamp)
    return b"".join(fold(line) for line in (*lines, "END:VCALENDAR"))


def _event(one: Standing, last: date, base: str, stamp: str) -> Iterator[str]:
    instrument = one.instrument
    uid = sha256(f"{one.site}\n{instrument.id}\n{instrument.serial}".encode()).hexdigest()[:32]
    name = instrument.name_zh or instrument.name_en
    said = f"检定到期 due: {instrument.id}{f' {name}' if name else ''}"
    more = f"编号 serial {instrument.serial}\n状态 state {one.status.state.value}\n{one.site}".rstrip()
    yield "BEGIN:VEVENT"
    yield f"UID:{uid}@emitrace"
    yield f"DTSTAMP:{stamp}"
    yield f"DTSTART;VALUE=DATE:{last:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{last + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{_text(said)}"
    yield f"DESCRIPTION:{_text(more)}"
    if instrument.location:
        yield f"LOCATION:{_text(instrument.location)}"
    yield f"URL:{base}/calibration/instruments/{quote(instrument.id, safe='')}"
    yield "TRANSP:TRANSPARENT"
    yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"TRIGGER:{REMIND}", f"DESCRIPTION:{_text(said)}", "END:VALARM")
    yield "END:VEVENT"


def _text(value: str) -> str:
    """A text as 3.3.11 escapes it; no other control character gets in."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return "".join(sign for sign in escaped if sign.isprintable() or sign == " ")


def fold(line: str) -> bytes:
    """A line in UTF-8 with CRLF, in pieces of at most 75 octets that break no character (3.1)."""
    pieces: list[bytes] = []
    here = b""
    for sign in line:
        data = sign.encode()
        if len(here) + len(data) > FOLD - bool(pieces):
            pieces.append(here)
            here = b""
        here += data
    return b"\r\n ".join([*pieces, here]) + b"\r\n"
