"""A plan bound to its register maps: everything the fold needs, resolved once, names gone to indexes.

``protocols.plan.bind.bind`` makes it; nothing here reads files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from protocols.ghg.steam import SteamRule
from protocols.modbus.registermap import Quirks, Register
from protocols.plan.model import Method, Plan, Role
from protocols.quantities import Kind, Quantity, Reference, Temperature
from protocols.records import Phase


@dataclass(frozen=True, slots=True)
class BoundStatus:
    """What an analyzer is doing: phase of each code of its status point, and the check gases.

    ``phases`` are (code, phase) pairs. ``zero_gas`` and ``span_gas`` are what it should read. [base unit]
    """

    point: int
    phases: tuple[tuple[int, Phase], ...]
    zero_gas: float | None
    span_gas: float | None


@dataclass(frozen=True, slots=True)
class BoundPlausible:
    """What an instant can be believed to show. [base unit]"""

    low: float
    high: float
    max_step: float | None
    frozen_after: int | None


@dataclass(frozen=True, slots=True)
class BoundConversion:
    """Where the conditions of a volume counter are measured, and to which reference state it is converted.

    ``usual`` is the volume at the reference state per volume at usual conditions, for uncertainties.
    """

    temperature: int
    pressure: int
    to: Temperature
    compressibility: float
    usual: float


@dataclass(frozen=True, slots=True)
class BoundPoint:
    """One point, ready to decode.

    Attributes
    ----------
    ratio : Fraction
        Base-unit value = register number x ratio (scale, unit, CT and PT together, exact) + offset; a scale factor
        of the device multiplies the ratio.
    modulus : int or None
        Where the counter rolls over. [base unit]
    resolution : Fraction
        Least step of the indication; 0 where unknown. [base unit]
    max_per_hour : int or None
        Greatest plausible growth of a counter. [base unit/h]
    mpe_percent_of_reading, mpe_absolute, repeatability_percent : float
        Limits of error: relative part [%], absolute part [base unit], repeatability [% of reading].
    offset : Fraction
        Added to an instant's value; 0 for a counter. [base unit]
    status, plausible : BoundStatus, BoundPlausible or None
        Rules for an instant's values; None where the plan states none.
    conversion : BoundConversion or None
        For a volume counted at actual conditions: its differences are converted, ``reference`` is where they end.
    """

    id: str
    instrument: int
    register: Register
    quantity: Quantity
    kind: Kind
    reference: Reference
    scan_class: int
    interval_ms: int
    hold_ms: int
    ratio: Fraction
    modulus: int | None
    resolution: Fraction
    max_per_hour: int | None
    mpe_percent_of_reading: float
    mpe_absolute: float
    repeatability_percent: float
    offset: Fraction = Fraction(0)
    status: BoundStatus | None = None
    plausible: BoundPlausible | None = None
    conversion: BoundConversion | None = None

    @property
    def is_judged(self) -> bool:
        """Whether its samples are judged one after the other, so that the fold carries a state for it."""
        return self.status is not None or self.plausible is not None


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of shared uncertainty, e.g. ``instrument:em-1`` or ``factor:grid-2023``.

    ``relative`` is the standard uncertainty relative to the mass it acts on; 0 for the causes of a CEMS
    source, whose part follows from the readings.
    """

    name: str
    relative: float


@dataclass(frozen=True, slots=True)
class CounterSeries:
    """One (input, gas) of a counter-based source: mass = sign x rint(activity x coefficient).

    ``coefficient`` is mg of the gas per base unit of the counter, rounded once from the exact chain.
    """

    input: int
    gas: int
    point: int
    sign: int
    coefficient: float
    causes: tuple[Cause, ...]
    conditions: tuple[int, ...] = ()
    """Points of the temperature and pressure its counter is converted by."""


@dataclass(frozen=True, slots=True)
class CemsSeries:
    """One gas of a CEMS source. Positions of points; None where the reference state makes it needless.

    ``fraction_is_dry`` with a wet flow means the water fraction converts once, here.
    ``causes`` names the instruments in the order flow, temperature, pressure, moisture, concentration,
    without repeats; an instrument serving several inputs is one cause and adds linearly.
    """

    gas: int
    flow: int
    temperature: int | None
    pressure: int | None
    moisture: int | None
    concentration: int
    flow_reference: Reference
    fraction_is_dry: bool
    causes: tuple[Cause, ...]

    @property
    def inputs(self) -> dict[str, int]:
        """Position of the point behind each input that the states make necessary, in the order of the causes."""
        named = {
            "flow": self.flow,
            "temperature": self.temperature,
            "pressure": self.pressure,
            "moisture": self.moisture,
            "concentration": self.concentration,
        }
        return {name: point for name, point in named.items() if point is not None}


@dataclass(frozen=True, slots=True)
class SteamSeries:
    """One gas behind purchased steam or hot water. Positions of points; no temperature for saturated steam.

    ``causes`` names the instruments as in ``CemsSeries``, then the factors that are not exact.
    """

    gas: int
    flow: int
    temperature: int | None
    pressure: int
    rule: SteamRule
    causes: tuple[Cause, ...]

    @property
    def inputs(self) -> dict[str, int]:
        """Position of the point behind each input, in the order of the causes."""
        named = {"flow": self.flow, "temperature": self.temperature, "pressure": self.pressure}
        return {name: point for name, point in named.items() if point is not None}


RateSeries: TypeAlias = CemsSeries | SteamSeries


@dataclass(frozen=True, slots=True)
class BoundOperating:
    """Operating state from a state point: codes by meaning."""

    point: int
    operating: frozenset[int]
    stopped: frozenset[int]


@dataclass(frozen=True, slots=True)
class BoundSource:
    """One source with its series; exactly one of ``counters`` and ``rates`` is not empty.

    ``operating`` is None where counters count by themselves, and where a flow tells for itself whether there is one.
    """

    id: str
    method: Method
    role: Role
    category: int
    gases: tuple[str, ...]
    counters: tuple[CounterSeries, ...]
    rates: tuple[RateSeries, ...]
    operating: BoundOperating | None


@dataclass(frozen=True, slots=True)
class BoundPlan:
    """The plan with every name resolved.

    ``digest`` is the plan document's SHA-256; ``quirks`` are the reading limits of each instrument's model, by
    position of the instrument. ``kinds`` numbers the points: equal where words mean the same, so that they can be
    decoded and folded together.
    """

    plan: Plan
    digest: bytes
    window_ms: int
    batch_ms: int
    intervals_ms: tuple[int, ...]
    points: tuple[BoundPoint, ...]
    sources: tuple[BoundSource, ...]
    quirks: tuple[Quirks, ...]
    kinds: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbered: dict[tuple[object, ...], int] = {}
        kinds = tuple(numbered.setdefault(_kind(point), len(numbered)) for point in self.points)
        object.__setattr__(self, "kinds", kinds)


def _kind(point: BoundPoint) -> tuple[object, ...]:
    register = point.register
    order = (register.word_order, register.byte_order)
    coded = (register.type, *order, register.bits, register.scale_factor, register.sentinels)
    return (*coded, point.ratio, point.modulus, point.hold_ms) if point.kind is Kind.COUNTER else coded
