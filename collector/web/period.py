"""The period that someone asked for in local time: read, and judged before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.hours.cells import cell_of
from collector.web.language import Words

FIRST_MS = 0
LAST_MS = 253_339_228_800_000
"""1970 up to 9998: every time shown in any zone is then a date that exists. [UTC ms]"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PeriodError(ValueError):
    """What is wrong with the period, in the words of the page."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What stood in the form."""

    from_: str
    to: str

    def period(self, words: Words, zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
        """[from, to) at whole hours, begun by ``now_ms``; PeriodError says what to change. [UTC ms]"""
        start, end = (_instant(text, words, zone) for text in (self.from_, self.to))
        if end <= start:
            raise PeriodError(words("period.empty", from_=_plain(self.from_), to=_plain(self.to)))
        for text, at_ms in ((self.from_, start), (self.to, end)):
            if cell_of(at_ms, zone)[0] != at_ms:
                raise PeriodError(words("period.cut", seen=_plain(text)))
        if start > now_ms:
            raise PeriodError(words("period.future", from_=_plain(self.from_)))
        return start, end


def read_instant(text: str, zone: ZoneInfo) -> int:
    """UTC ms of an ISO 8601 text, in the facility's zone where it names none; ValueError where it is no time."""
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=zone)) - _EPOCH) // timedelta(milliseconds=1)


def _instant(text: str, words: Words, zone: ZoneInfo) -> int:
    try:
        at_ms = read_instant(text, zone)
    except ValueError as error:
        raise PeriodError(words("period.unreadable", seen=_plain(text))) from error
    if not FIRST_MS <= at_ms <= LAST_MS:
        raise PeriodError(words("period.far", seen=_plain(text)))
    return at_ms


def _plain(text: str) -> str:
    return text[:40].replace("T", " ")
