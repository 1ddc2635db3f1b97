"""The monitoring plan as frozen models: what is measured, with what, and how emissions follow from it.

Field order is the order of the TOML document. Exact decimals stay ``Decimal`` until they are used once.
Cross-field rules (names that must exist, units that must chain, reference states that must agree) live in
``protocols.plan.check``; this module holds only what one table can say about itself.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
PositiveDecimal = Annotated[Decimal, Field(gt=0, max_digits=40)]
NonNegativeDecimal = Annotated[Decimal, Field(ge=0, max_digits=40)]
PlainDecimal = Annotated[Decimal, Field(max_digits=40)]
Code = Annotated[int, Field(ge=0, strict=True)]


class Model(BaseModel):
    """Base of every plan table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Model):
    """A name in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class Organisation(Model):
    """Who answers for the emissions."""

    id: Identifier
    name: Text


class Facility(Model):
    """Where: one site; accounting days end at midnight in its zone (IANA name)."""

    id: Identifier
    name: Text
    time_zone: str


class Windows(Model):
    """The window grid. ``window_s`` divides 3600 and ``batch_s`` is a multiple of it."""

    window_s: Annotated[int, Field(ge=1, le=3600, strict=True)] = 60
    batch_s: Annotated[int, Field(ge=1, le=3600, strict=True)] = 60


class ScanClass(Model):
    """Points due together every ``interval_ms``, aligned to UTC."""

    id: Identifier
    interval_ms: Annotated[int, Field(ge=100, le=3_600_000, strict=True)]


Milliseconds = Annotated[Decimal, Field(ge=0, le=60_000, max_digits=40)]


class Line(Model):
    """What a request costs on a bus; ``baud`` is None on a network, whose bytes cost next to nothing.

    ``bits`` are those of a character with start, parity and stop: 10 for 8N1, 11 for 8E1 and 8N2.
    """

    turnaround_ms: Milliseconds
    baud: Annotated[int, Field(ge=300, le=4_000_000, strict=True)] | None = None
    bits: Literal[10, 11] = 11


class Bus(Model):
    """One line or endpoint; where it is reached is the agent's own configuration."""

    id: Identifier
    line: Line | None = None


class Regime(Enum):
    """Legal regime of an instrument's traceability."""

    MANDATORY_PERIODIC = "mandatory-periodic"
    FIRST_ONLY = "first-only"
    USER_DEFINED = "user-defined"


class Accuracy(Model):
    """Limits of error: half-width a = percent_of_reading x reading + percent_of_span x span; u = a / sqrt(3).

    ``repeatability_percent`` is a standard deviation, per cent of the reading, new in every sample.
    """

    class_name: str = Field(default="", alias="class")
    percent_of_reading: NonNegativeDecimal = Decimal(0)
    percent_of_span: NonNegativeDecimal = Decimal(0)
    span: NonNegativeDecimal = Decimal(0)
    repeatability_percent: NonNegativeDecimal = Decimal(0)
    source: str = ""


class Rating(Model):
    """What an electricity meter can be asked to measure, at its own terminals: beyond it a reading is doubtful.

    ``voltage_v`` is between line and neutral, ``margin_percent`` what each of voltage, current and power may go
    beyond. ``ct_ratio`` and ``pt_ratio`` of the instrument turn the limits into primary values.
    """

    voltage_v: PositiveDecimal
    current_a: PositiveDecimal
    phases: Literal[1, 3] = 3
    margin_percent: NonNegativeDecimal = Decimal(20)


class Instrument(Model):
    """A meter or analyzer with its place on a bus.

    ``registers`` says whether the register values are already primary values; where they are secondary,
    ``ct_ratio`` and ``pt_ratio`` multiply counters and powers.
    """

    id: Identifier
    name: Text
    serial: Annotated[str, Field(min_length=1)]
    map: Identifier
    bus: Identifier
    unit: Annotated[int, Field(ge=0, le=255, strict=True)]
    turnaround_ms: Milliseconds | None = None
    regime: Regime
    registers: Literal["primary", "secondary"]
    ct_ratio: PositiveDecimal = Decimal(1)
    pt_ratio: PositiveDecimal = Decimal(1)
    accuracy: Accuracy
    rating: Rating | None = None


class Status(Model):
    """What an analyzer is doing, by the codes of its status register, and what it should read on each gas.

    ``zero_gas`` and ``span_gas`` are the certified values of the check gases, in the unit of the point's register.
    """

    point: Identifier
    measure: tuple[Code, ...]
    zero: tuple[Code, ...] = ()
    span: tuple[Code, ...] = ()
    maintenance: tuple[Code, ...] = ()
    fault: tuple[Code, ...] = ()
    zero_gas: PlainDecimal | None = None
    span_gas: PlainDecimal | None = None


class Plausible(Model):
    """What an instant can be believed to show, in its register's unit; beyond it a value is uncertain.

    ``max_step`` bounds the change between two readings no further apart than ``hold_ms``; ``frozen_after`` is how
    many equal readings in a row are no longer believed.
    """

    low: PlainDecimal | None = None
    high: PlainDecimal | None = None
    max_step: PositiveDecimal | None = None
    frozen_after: Annotated[int, Field(ge=2, le=1_000_000, strict=True)] | None = None


class Conversion(Model):
    """The reference state a gas volume is converted to.

    From actual conditions it needs the points of gas temperature and absolute pressure; what is usual there serves
    the uncertainty only. ``compressibility`` is Z / Z_n. From another reference state the ratio is exact.
    """

    to: Literal["0C", "15C", "20C"]
    temperature: Identifier | None = None
    pressure: Identifier | None = None
    compressibility: PositiveDecimal = Decimal(1)
    usual_temperature_c: Annotated[Decimal, Field(gt=-273, lt=2000)] | None = None
    usual_pressure_kpa: Annotated[Decimal, Field(gt=0, le=20_000)] | None = None


class Point(Model):
    """One register of one instrument, read in a scan class.

    ``max_rate`` bounds a counter's plausible growth [base unit of the quantity per hour, e.g. kWh/h is
    stated in ``max_rate_unit``]; required for counters whose instrument has no ``rating``. ``hold_ms`` defaults to
    two scan intervals.
    """

    id: Identifier
    instrument: Identifier
    register_name: Identifier = Field(alias="register")
    scan_class: Identifier
    max_rate: PositiveDecimal | None = None
    max_rate_unit: str = ""
    hold_ms: Annotated[int, Field(ge=100, le=86_400_000, strict=True)] | None = None
    status: Status | None = None
    plausible: Plausible | None = None
    conversion: Conversion | None = None


class Method(Enum):
    """How a source's emission follows from its inputs."""

    COMBUSTION = "combustion"
    ELECTRICITY = "electricity"
    CEMS = "cems"
    HEAT = "heat"
    STEAM = "steam"


class Role(Enum):
    """Whether a source counts or only checks another one."""

    PRIMARY = "primary"
    CROSS_CHECK = "cross-check"


class Operating(Model):
    """The operating state of a rate-based source from a state point: which codes mean what."""

    point: Identifier
    running: tuple[Code, ...]
    stopped: tuple[Code, ...]
    starting: tuple[Code, ...] = ()
    standby: tuple[Code, ...] = ()
    standby_is_operating: bool = True


class Inputs(Model):
    """Points a source is computed from. Counter methods use ``add`` and ``subtract``; rates the named rest."""

    add: tuple[Identifier, ...] = ()
    subtract: tuple[Identifier, ...] = ()
    flow: Identifier | None = None
    temperature: Identifier | None = None
    pressure: Identifier | None = None
    moisture: Identifier | None = None
    concentration: dict[str, Identifier] = Field(default_factory=dict)


class Steam(Model):
    """How purchased steam is reckoned.

    ``dryness`` is that of saturated steam, whose temperature follows from its pressure. ``reference_enthalpy`` is
    that of the water heat is counted from, 83.74 kJ/kg being water of 20 degC. [1, kJ/kg]
    """

    dryness: Annotated[Decimal, Field(gt=0, le=1)] | None = None
    reference_enthalpy: NonNegativeDecimal = Decimal("83.74")


class Source(Model):
    """One source: its kind, ISO 14064-1 category, method, inputs and factors per gas.

    ``factors`` lists, per gas, factor ids whose values multiply and whose units must chain from the input's
    unit to a mass of the gas.
    """

    id: Identifier
    name: Text
    kind: Literal["stationary-combustion", "purchased-electricity", "purchased-heat", "stack"]
    category: Annotated[int, Field(ge=1, le=6, strict=True)]
    method: Method
    role: Role = Role.PRIMARY
    cross_check_of: Identifier | None = None
    gases: Annotated[tuple[str, ...], Field(min_length=1)]
    inputs: Inputs
    operating: Operating | None = None
    steam: Steam | None = None
    factors: dict[str, tuple[Identifier, ...]] = Field(default_factory=dict)


class FactorRecord(Model):
    """A factor used at the edge, with its birth certificate.

    ``value`` is an exact decimal or a ratio ("44/12"). ``unit`` is numerator/denominator, for example
    "tC/GJ", "kgCO2/kWh", "GJ/m3", "tCO2/tC", "1". ``state`` and ``basis`` are its reference state and
    calorific basis. ``uncertainty_percent`` is the half-width of a 95 % interval (k = 2).
    """

    id: Identifier
    name: Text
    value: Annotated[str, Field(min_length=1, max_length=80)] | Annotated[Decimal, Field(ge=0, max_digits=40)]
    unit: str
    state: Literal["0C", "15C", "20C"] | None = None
    basis: Literal["NCV", "HHV"] | None = None
    uncertainty_percent: NonNegativeDecimal
    uncertainty_source: str = ""
    source: Annotated[str, Field(min_length=1)]
    page: str = ""
    data_year: int | None = None
    published: date | None = None
    valid_from: date
    valid_to: date | None = None
    confidence: Literal["high", "medium", "low", "unverified", "exact"]


class Plan(Model):
    """One site's monitoring plan; positions in these tuples are the indexes on the wire."""

    schema_version: Literal[1] = Field(alias="schema")
    version: Annotated[str, Field(min_length=1, max_length=64)]
    organisation: Organisation
    facility: Facility
    windows: Windows = Windows()
    scan_classes: Annotated[tuple[ScanClass, ...], Field(min_length=1)]
    buses: Annotated[tuple[Bus, ...], Field(min_length=1)]
    instruments: Annotated[tuple[Instrument, ...], Field(min_length=1)]
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    factors: tuple[FactorRecord, ...] = ()
