"""The period that someone asked for, in the facility's time: read from an address or a form, and judged first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from collector.hours.calendar import By, span_of
from collector.hours.cells import HOUR_MS, cell_of, day_start, local_time
from collector.web.language import Words

FIRST_MS = 0
LAST_MS = 253_339_228_800_000
"""1970 up to 9998: every time shown in any zone is then a date that exists. [UTC ms]"""
MOST_BUCKETS = 800
"""More steps than this are no picture and no table to read; the next coarser step is offered."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_COARSER = {By.HOUR: By.DAY, By.DAY: By.MONTH, By.MONTH: By.YEAR, By.YEAR: By.YEAR}
_FINER = {By.YEAR: By.MONTH, By.MONTH: By.DAY, By.DAY: By.HOUR}
_SHORTEST = {By.HOUR: HOUR_MS, By.DAY: _DAY_MS, By.MONTH: 28 * _DAY_MS, By.YEAR: 365 * _DAY_MS}
_LONGEST = {By.HOUR: 3 * _DAY_MS, By.DAY: 93 * _DAY_MS, By.MONTH: 1_500 * _DAY_MS}


class PeriodError(ValueError):
    """What is wrong with the period, in the words of the page."""


@dataclass(frozen=True, slots=True)
class Period:
    """[from, to) in steps of ``by``, in a facility's zone. [UTC ms]"""

    from_ms: int
    to_ms: int
    by: By
    zone: ZoneInfo

    @property
    def query(self) -> dict[str, str]:
        """The parameters of an address that name it."""
        return {"from": self.text(self.from_ms), "to": self.text(self.to_ms), "by": self.by.value}

    def text(self, at_ms: int) -> str:
        """An instant as an address names it: a date at the facility's midnight, else a local time with its offset."""
        return _text(at_ms, self.zone)

    @property
    def unit(self) -> By | None:
        """The hour, day, month or year that the period is; None where it is none of them."""
        span = (self.from_ms, self.to_ms)
        return next((by for by in By if span_of(self.from_ms, by, self.zone) == span), None)

    def shifted(self, steps: int) -> Period:
        """The one before (-1) or behind (1): the neighbouring day, month or year, else as many days."""
        if self.unit is not None:
            at_ms = self.from_ms - 1 if steps < 0 else self.to_ms
            return Period(*span_of(at_ms, self.unit, self.zone), self.by, self.zone)
        length = self.to_ms - self.from_ms
        if length < _DAY_MS:
            return Period(self.from_ms + steps * length, self.to_ms + steps * length, self.by, self.zone)
        days = timedelta(days=steps * round(length / _DAY_MS))
        start, end = (_moved(at_ms, days, self.zone) for at_ms in (self.from_ms, self.to_ms))
        return Period(start, end, self.by, self.zone)

    def opened(self, span: tuple[int, int]) -> Period | None:
        """A step of this period as a period of its own, cut one step finer; None for an hour."""
        finer = _FINER.get(self.by)
        return None if finer is None else Period(*span, finer, self.zone)


@dataclass(frozen=True, slots=True)
class Asked:
    """What stood in the form or the address."""

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


def read_period(query: Mapping[str, str], words: Words, zone: ZoneInfo, now_ms: int, usual: Period) -> Period:
    """The period an address names with ``from``, ``to`` and ``by``; ``usual`` where it names none.

    A missing ``to`` means the end of the day, month or year that begins at ``from`` by the form in which ``from``
    is written (2026, 2026-03, 2026-03-15). A missing ``by`` is chosen by the length.

    Raises
    ------
    PeriodError
        In the words of the page: what is wrong, and what to change.
    """
    asked = {name: query.get(name, "").strip() for name in ("from", "to", "by")}
    if asked["by"] and asked["by"] not in {by.value for by in By}:
        raise PeriodError(words("period.by", seen=asked["by"][:16], known=", ".join(by.value for by in By)))
    if not asked["from"] and not asked["to"]:
        span = (usual.from_ms, usual.to_ms)
    else:
        first, last = _written(asked["from"]), asked["to"] or _end(asked["from"], zone)
        span = Asked(first, last).period(words, zone, now_ms)
    by = By(asked["by"]) if asked["by"] else fitting(span)
    if (span[1] - span[0]) // _SHORTEST[by] > MOST_BUCKETS:
        raise PeriodError(words("period.fine", most=MOST_BUCKETS, by=words(f"by.{by.value}"),
                                coarser=words(f"by.{_COARSER[by].value}")))  # fmt: skip
    return Period(*span, by, zone)


def fitting(span: tuple[int, int]) -> By:
    """The step that leaves a readable number of buckets."""
    return next((by for by, longest in _LONGEST.items() if span[1] - span[0] <= longest), By.YEAR)


def around(at_ms: int, unit: By, zone: ZoneInfo) -> Period:
    """The day, month or year that holds an instant, in the steps it is usually seen in."""
    return Period(*span_of(at_ms, unit, zone), _FINER.get(unit, By.HOUR), zone)


def read_instant(text: str, zone: ZoneInfo) -> int:
    """UTC ms of an ISO 8601 text, in the facility's zone where it names none; ValueError where it is no time."""
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=zone)) - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def _text(at_ms: int, zone: ZoneInfo) -> str:
    at = local_time(at_ms, zone)
    return at.date().isoformat() if day_start(at.date(), zone) == at_ms else at.isoformat(timespec="minutes")


def _moved(at_ms: int, days: timedelta, zone: ZoneInfo) -> int:
    at = local_time(at_ms, zone)
    start = day_start(at.date(), zone)
    return day_start(at.date() + days, zone) + (at_ms - start)


def _written(text: str) -> str:
    """A year or a month as its first day; anything else as it is."""
    parts = text.split("-")
    whole = all(part.isascii() and part.isdigit() for part in parts) and len(parts[0]) == 4
    return "-".join([*parts, "01", "01"][:3]) if whole and len(parts) < 3 else text


def _end(text: str, zone: ZoneInfo) -> str:
    """Where the year, month or day that a text names ends; the text itself where it names none."""
    unit = {1: By.YEAR, 2: By.MONTH, 3: By.DAY}.get(len(text.split("-")) if "T" not in text else 0)
    try:
        first = date.fromisoformat(_written(text))
        if unit is None:
            return text
        end = span_of(day_start(first, zone), unit, zone)[1]
    except (ValueError, OverflowError):
        return text
    return Period(end, end, By.DAY, zone).text(end)


def _instant(text: str, words: Words, zone: ZoneInfo) -> int:
    try:
        at_ms = read_instant(text, zone)
    except (ValueError, OverflowError) as error:
        raise PeriodError(words("period.unreadable", seen=_plain(text))) from error
    if not FIRST_MS <= at_ms <= LAST_MS:
        raise PeriodError(words("period.far", seen=_plain(text)))
    return at_ms


def _plain(text: str) -> str:
    return text[:40].replace("T", " ")
