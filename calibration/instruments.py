"""Instruments as metrology sees them: limits of error, range, legal regime, and the chain a figure rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from calibration.errors import CalibrationError
from protocols.plan.model import Instrument as PlannedInstrument
from protocols.plan.model import Regime

_HUNDRED = Decimal(100)
_ZERO = Decimal(0)


class Use(Enum):
    """What an instrument is used for, as far as the law of metrology asks."""

    TRADE = "trade"
    SAFETY = "safety"
    MEDICAL = "medical"
    ENVIRONMENT = "environment"
    INTERNAL = "internal"


LEGAL_USES = frozenset({Use.TRADE, Use.SAFETY, Use.MEDICAL, Use.ENVIRONMENT})
"""The four fields in which an instrument on the mandatory list falls under mandatory verification."""


def regime_of(uses: Iterable[Use], listed: bool, first_only: bool = False) -> Regime:
    """Legal regime that follows from the mandatory list and the use.

    Parameters
    ----------
    uses : iterable of Use
    listed : bool
        Whether the instrument's type is on the list of mandatory verification.
    first_only : bool
        Whether the list asks for first verification only, then a limited life.

    Notes
    -----
    Mandatory where the type is listed *and* used for trade settlement, safety, medical care or environmental
    monitoring [1]_. Otherwise the user sets the interval.

    References
    ----------
    .. [1] Metrology Law of the PRC, art. 9. Confidence: seen as quoted by secondary pages.
    """
    if not listed or not LEGAL_USES.intersection(uses):
        return Regime.USER_DEFINED
    return Regime.FIRST_ONLY if first_only else Regime.MANDATORY_PERIODIC


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a step table (scales): up to and including ``up_to`` the limit is ``limit``. [instrument's unit]"""

    up_to: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class Mpe:
    """Maximum permissible error: half-width of the limits, in the instrument's unit.

    ``at(x) = absolute + percent_of_reading / 100 * |x| + percent_of_span / 100 * span``, or the step table's limit
    where there is one. A class c of reading is ``percent_of_reading = c``; of span ``percent_of_span = c``; a
    resistance thermometer a + b|t| is ``absolute = a`` and ``percent_of_reading = 100 b``.

    Attributes
    ----------
    absolute, span : Decimal
        [instrument's unit]
    percent_of_reading, percent_of_span : Decimal
        [%]; 0.2 means 0.2 %, not 20 %.
    steps : tuple of Step
        Ascending; beyond the last one its limit holds on.
    in_service_factor : Decimal
        Limits in service over limits at verification; 2 for most scales. [1]
    """

    absolute: Decimal = _ZERO
    percent_of_reading: Decimal = _ZERO
    percent_of_span: Decimal = _ZERO
    span: Decimal = _ZERO
    steps: tuple[Step, ...] = ()
    in_service_factor: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        sizes = (self.absolute, self.percent_of_reading, self.percent_of_span, self.span)
        if min(sizes) < 0 or self.in_service_factor < 1:
            raise CalibrationError("limits of error", "a negative size, or an in-service factor below 1", "correct it")
        if self.percent_of_span and not self.span:
            raise CalibrationError("limits of error", "a percentage of span without the span", "state the span")
        bounds = [step.up_to for step in self.steps]
        if bounds != sorted(set(bounds)):
            raise CalibrationError("limits of error", "steps that do not ascend", "order them by up_to")

    @property
    def stated(self) -> bool:
        """Whether there is any limit at all."""
        return bool(self.steps or self.absolute or self.percent_of_reading or self.percent_of_span)

    def at(self, reading: Decimal, *, in_service: bool = False) -> Decimal:
        """Half-width of the limits at a reading. [instrument's unit]"""
        size = abs(reading)
        if self.steps:
            limit = next((step.limit for step in self.steps if size <= step.up_to), self.steps[-1].limit)
        else:
            part = self.percent_of_reading * size + self.percent_of_span * self.span
            limit = self.absolute + part / _HUNDRED
        return limit * self.in_service_factor if in_service else limit

    def relative_at(self, reading: Decimal, *, in_service: bool = False) -> Decimal:
        """Half-width of the limits as a fraction of a reading other than zero. [1]"""
        if not self.steps and not self.absolute and not self.percent_of_span:
            whole = self.percent_of_reading / _HUNDRED
            return whole * self.in_service_factor if in_service else whole
        if not reading:
            raise CalibrationError(
                "limits of error", "a relative limit at a reading of zero", "ask for the absolute one"
            )
        return self.at(reading, in_service=in_service) / abs(reading)


@dataclass(frozen=True, slots=True)
class Range:
    """What an instrument or a certificate covers, both ends inclusive, in ``unit``."""

    low: Decimal
    high: Decimal
    unit: str

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise CalibrationError("range", f"from {self.low} to {self.high} {self.unit}", "the low end comes first")

    def covers(self, other: Range) -> bool:
        """Whether the other range lies inside this one, in the same unit."""
        return self.unit == other.unit and self.low <= other.low and other.high <= self.high


class Level(Enum):
    """Where in the organisation an instrument meters, as GB 17167 has it."""

    ORGANISATION = "organisation"
    SECONDARY_UNIT = "secondary-unit"
    EQUIPMENT = "equipment"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One physical instrument: what a certificate is about. Another serial number is another instrument.

    Attributes
    ----------
    id : str
    serial : str
        As on the name plate.
    regime : Regime
    regime_basis : str
        Why this regime: the list's entry and the use, or the user's own procedure.
    mpe : Mpe
    range : Range or None
        Where it is used.
    type_code : str
        Row of the interval table (``schemes/jjg.toml``), such as ``EM_STATIC_02S05S``.
    duty_holder : str
        Who has to have it verified, where that is a third party such as the grid company; else empty.
    """

    id: str
    serial: str
    regime: Regime
    regime_basis: str = ""
    name_zh: str = ""
    name_en: str = ""
    model: str = ""
    maker: str = ""
    class_name: str = ""
    mpe: Mpe = field(default_factory=Mpe)
    range: Range | None = None
    type_code: str = ""
    uses: frozenset[Use] = frozenset()
    level: Level | None = None
    location: str = ""
    duty_holder: str = ""

    def __post_init__(self) -> None:
        if not self.id or not self.serial:
            raise CalibrationError(f"instrument {self.id!r}", "no id or no serial number", "give both")


def from_plan(planned: PlannedInstrument) -> Instrument:
    """The instrument of a monitoring plan, with its limits of error."""
    accuracy = planned.accuracy
    limits = Mpe(
        percent_of_reading=accuracy.percent_of_reading,
        percent_of_span=accuracy.percent_of_span,
        span=accuracy.span,
    )
    return Instrument(
        planned.id, planned.serial, planned.regime, name_zh=planned.name.zh, name_en=planned.name.en,
        model=planned.map, class_name=accuracy.class_name, mpe=limits,
    )  # fmt: skip


class Part(Enum):
    """What a member does in a chain."""

    SENSOR = "sensor"
    TRANSMITTER = "transmitter"
    CURRENT_TRANSFORMER = "ct"
    VOLTAGE_TRANSFORMER = "pt"
    FLOW_COMPUTER = "flow-computer"
    METER = "meter"


@dataclass(frozen=True, slots=True)
class Member:
    """An instrument's time in a chain, [from, to). [UTC ms]; None where it has no end or no known beginning."""

    part: Part
    instrument: str
    from_ms: int | None = None
    to_ms: int | None = None

    def __post_init__(self) -> None:
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise CalibrationError(
                f"member {self.instrument}", "it ends in its place before it begins", "correct the times of the swap"
            )

    def holds_at(self, t_ms: int) -> bool:
        """Whether it is in its place at an instant. [UTC ms]"""
        return (self.from_ms is None or self.from_ms <= t_ms) and (self.to_ms is None or t_ms < self.to_ms)


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything a figure passes through: a sensor with its transmitter, a meter with its transformers.

    A swap ends one member and begins another with the same part.
    """

    id: str
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise CalibrationError(f"chain {self.id}", "no members", "name the instruments it is made of")

    def swapped(self, part: Part, old: str, new: str, at_ms: int) -> Chain:
        """The chain after an instrument was replaced by another one at an instant. [UTC ms]

        Raises
        ------
        CalibrationError
            No such member is in its place just then.
        """
        leaving = [one for one in self.members if (one.part, one.instrument) == (part, old) and one.holds_at(at_ms)]
        if not leaving:
            raise CalibrationError(
                f"chain {self.id}",
                f"no {part.value} {old} in its place at the time of the swap",
                "check the swap event",
            )
        kept = tuple(one for one in self.members if one is not leaving[0])
        before = Member(part, old, leaving[0].from_ms, at_ms)
        return Chain(self.id, (*kept, before, Member(part, new, at_ms, leaving[0].to_ms)))
