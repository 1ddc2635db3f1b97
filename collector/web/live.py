"""What the live pages show of a site: instruments with their calibration, points with value, age and quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from calibration.status import VALID, Status
from collector.api.shapes import fate_name
from collector.hours.lives import Lives
from collector.live.point import AgentNow, Shown, state_of, text_of
from collector.web.language import LANGUAGES, Words
from collector.web.shown import instant
from protocols.plan.bound import BoundPoint
from protocols.plan.model import Instrument, Text
from protocols.quantities import Kind

AGES = (("s", 1, 90), ("min", 60, 5_400), ("h", 3_600, 172_800), ("d", 86_400, None))
"""Unit, its seconds, and up to which age it is used; live.js counts on by the same list. [s]"""
SIGNS = {"Cel": "°C", "m3": "m³", "m3/h": "m³/h", "m3/s": "m³/s"}
SCRIPT_WORDS = ("ago.", "fate.", "line.", "quality.", "state.")
"""What live.js may have to say."""


@dataclass(frozen=True, slots=True)
class PointCard:
    """One point on the page; times are ages at ``at_ms`` of its page. ``shown`` is None where nothing ever came."""

    id: str
    label: str
    unit: str
    shown: Shown | None
    value: str
    meaning: str | None
    quality: str
    says: str
    age_ms: int | None
    stale_ms: int
    is_stale: bool
    held: str | None
    held_age_ms: int | None


@dataclass(frozen=True, slots=True)
class InstrumentCard:
    """An instrument, what its certificates make of it now, and its points."""

    id: str
    name: str
    serial: str
    calibration: Status
    until: str
    points: tuple[PointCard, ...]


@dataclass(frozen=True, slots=True)
class AgentCard:
    """An agent of the site with its instruments; ``unsound`` of them are not within their interval."""

    agent: AgentNow
    instruments: tuple[InstrumentCard, ...]

    @property
    def points(self) -> tuple[PointCard, ...]:
        """Every point."""
        return tuple(point for instrument in self.instruments for point in instrument.points)

    @property
    def newest_ms(self) -> int | None:
        """Age of the newest value. [ms]"""
        return min((p.age_ms for p in self.points if p.age_ms is not None and p.quality != "M"), default=None)

    @property
    def good(self) -> int:
        """How many points have a value in their newest slot that is not stale."""
        return sum(point.quality != "M" and not point.is_stale for point in self.points)

    @property
    def unsound(self) -> int:
        """How many instruments are not within their interval."""
        return sum(one.calibration.state not in VALID for one in self.instruments)


def agent_cards(
    agents: Iterable[AgentNow], lives: Lives, words: Words, at_ms: int
) -> tuple[AgentCard, ...]:
    """Agents as the page shows them at a time. [UTC ms]"""
    return tuple(
        AgentCard(
            agent,
            tuple(
                _instrument_card(agent, place, instrument, lives, words, at_ms)
                for place, instrument in enumerate(agent.plan.plan.instruments)
            ),
        )
        for agent in agents
    )


def ago(words: Words, age_ms: int | None) -> str:
    """How long ago, in the largest fitting unit; a dash where nobody knows."""
    if age_ms is None:
        return "–"
    seconds = age_ms // 1000
    unit, size, _ = next(one for one in AGES if one[2] is None or seconds < one[2])
    return words(f"ago.{unit}", n=seconds // size)


def grouped(value: Decimal | None) -> str:
    """An exact decimal with its whole digits in groups of three; a dash for what is missing, never a nought."""
    if value is None:
        return "–"
    whole, _, rest = text_of(value).partition(".")
    digits = f"{int(whole):,}".replace(",", "\u202f")
    sign = "\u2212" if whole.startswith("-") else ""
    return f"{sign}{digits.lstrip('-')}{'.' if rest else ''}{rest}"


def _instrument_card(
    agent: AgentNow, place: int, instrument: Instrument, lives: Lives, words: Words, at_ms: int
) -> InstrumentCard:
    zone = agent.plan.plan.facility.time_zone
    found = lives.of_planned(instrument, zone).at(at_ms)
    mine = [(index, point) for index, point in enumerate(agent.plan.points) if point.instrument == place]
    alike = Counter(point.quantity for _, point in mine)
    return InstrumentCard(
        instrument.id, _named(instrument.name, words), instrument.serial, found, _last_day(found, zone),
        tuple(
            _point_card(agent, index, point, words, at_ms, alone=alike[point.quantity] == 1) for index, point in mine
        ),
    )


def _point_card(
    agent: AgentNow, index: int, point: BoundPoint, words: Words, at_ms: int, *, alone: bool
) -> PointCard:
    definition = point.quantity.definition
    label = definition.zh if words.language == LANGUAGES[0] else definition.en
    label = label if alone else f"{label} · {point.register.name}"
    unit = "" if point.kind is Kind.STATE else SIGNS.get(point.register.unit, point.register.unit)
    shown = agent.points.get(index)
    if shown is None:
        return PointCard(point.id, label, unit, None, "–", None, "M", words("live.nothing"), None, 0, False, None, None)
    newest, last = shown.newest, shown.last
    state = state_of(agent.plan, index, newest.value)
    age_ms, stale_ms = shown.age_ms(newest, at_ms), shown.stale_after_ms(agent.plan, point)
    held = None if last is None or last is newest else last
    return PointCard(
        point.id, label, unit, shown, grouped(newest.value), None if state is None else words(f"state.{state}"),
        newest.quality, says(words, newest.quality, fate_name(newest.fate)), age_ms, stale_ms, age_ms > stale_ms,
        None if held is None else grouped(held.value), None if held is None else shown.age_ms(held, at_ms),
    )  # fmt: skip


def says(words: Words, quality: str, fate: str) -> str:
    """A quality letter in words, with the reason of what is missing."""
    if quality != "M":
        return words(f"quality.{quality}")
    code = fate.removeprefix("exception-")
    reason = words.of("fate", fate) if code == fate else words("fate.exception", code=code)
    return words("quality.M", reason=reason)


def _named(name: Text, words: Words) -> str:
    return name.zh if words.language == LANGUAGES[0] else name.en


def _last_day(found: Status, zone: str) -> str:
    """The last day on which an interval holds; empty where it is open or over."""
    if found.state not in VALID or found.until_ms is None:
        return ""
    return instant(found.until_ms - 1, ZoneInfo(zone), "%Y-%m-%d")
