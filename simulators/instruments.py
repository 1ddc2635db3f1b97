"""From truth to registers: bias inside the class, noise, resolution, and the words at an address.

The bias of an instrument and quantity is fixed by the seed, rectangular inside the limit of error. Noise is
new in every ``noise_ms`` and the same for everybody who reads in it. Counters carry the bias and no noise: they
only grow. Indications are cut (counters) or rounded (instants) to the register's resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from protocols.modbus.registermap import Register, RegisterMap
from protocols.quantities import Kind
from simulators import draws
from simulators.boiler import SUB
from simulators.checks import CheckCycle, Doing, doing
from simulators.encode import encode
from simulators.plant import Plant
from simulators.scenario import Instrument, ScenarioError, load_register_map

BIAS_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Channel:
    """One register of one instrument and what it shows, in its unit, as a function of UTC ms."""

    register: Register
    signal: str
    bias: Fraction
    shown: Callable[[int], Decimal]

    def words(self, at_ms: int) -> tuple[int, ...]:
        """The register's words."""
        return encode(self.shown(at_ms), self.register)

    @property
    def places(self) -> tuple[int, ...]:
        """Address of each of its words."""
        return self.register.places


@dataclass(frozen=True, slots=True)
class Device:
    """An instrument behind a unit id; ``readable`` are the addresses that answer, by function."""

    instrument: Instrument
    map: RegisterMap
    channels: tuple[Channel, ...]
    readable: dict[int, frozenset[int]]

    def read(
        self, function: int, address: int, count: int, at_ms: int, words_of: WordsOf = Channel.words
    ) -> list[int] | None:
        """Words at ``address``, all of one instant; None where an address belongs to nothing.

        Addresses between two registers that are no further apart than the map's ``max_gap`` read 0, as on
        the hardware the map allows to be read across. ``words_of`` is where a fault gets in between.
        """
        wanted = range(address, address + count)
        if not self.readable.get(function, frozenset()).issuperset(wanted):
            return None
        words = dict.fromkeys(wanted, 0)
        for channel in self.channels:
            if channel.register.function == function and any(place in words for place in channel.places):
                words.update(zip(channel.places, words_of(channel, at_ms), strict=True))
        return [words[a] for a in wanted]


WordsOf = Callable[[Channel, int], tuple[int, ...]]


def readable(register_map: RegisterMap, function: int) -> frozenset[int]:
    """Addresses of a function that answer: those of registers, and the gaps that may be read across."""
    known = sorted({place for r in register_map.registers if r.function == function for place in r.places})
    gaps = [
        range(before + 1, after)
        for before, after in pairwise(known)
        if after - before - 1 <= register_map.quirks.max_gap
    ]
    return frozenset([*known, *(address for gap in gaps for address in gap)])


def relative_bias(seed: int, instrument: Instrument, quantity: str) -> Fraction:
    """Relative bias of an instrument for a quantity: rectangular within its limit of error."""
    percent = min(instrument.percent_of_reading, instrument.tighter.get(quantity, instrument.percent_of_reading))
    share = Decimal(repr(draws.symmetric(seed, "bias", instrument.id, quantity)))
    return Fraction(round(share * percent / 100, BIAS_DIGITS))


def build_devices(plant: Plant) -> tuple[Device, ...]:
    """The plant's instruments.

    Raises
    ------
    ScenarioError
        A register has no signal, a signal does not exist, or two instruments share a unit id.
    """
    devices = tuple(build_device(plant, instrument) for instrument in plant.scenario.instruments)
    units = [d.instrument.unit for d in devices]
    for unit in units:
        if units.count(unit) > 1:
            seen = f"unit id {unit} is given twice"
            raise ScenarioError(f"scenario {plant.scenario.name}: {seen}. Each instrument needs its own")
    return devices


def build_device(plant: Plant, instrument: Instrument) -> Device:
    """One instrument at the plant.

    Raises
    ------
    ScenarioError
        A register has no signal, or a signal does not exist.
    """
    register_map = load_register_map(instrument.map)
    wiring = plant.scenario.signals.get(instrument.map, {})
    channels = []
    for register in register_map.registers:
        where = f"scenario {plant.scenario.name}: instrument {instrument.id}, register {register.name}"
        if instrument.checks is not None and register.name == instrument.checks.status:
            channels.append(_status(plant, instrument.checks, register))
            continue
        if register.name in instrument.constants:
            channels.append(_constant(register, instrument.constants[register.name]))
            continue
        if register.name not in wiring:
            raise ScenarioError(f"{where}: no signal. Name one in [signals.{instrument.map}] or a constant")
        signal = wiring[register.name].format(of=instrument.of)
        if signal not in plant.instants and signal not in plant.counters:
            known = ", ".join(sorted([*plant.instants, *plant.counters]))
            raise ScenarioError(f"{where}: no signal {signal!r}. Signals: {known}")
        channels.append(_channel(plant, instrument, register, signal))
    if instrument.checks is not None:
        seeing = {instrument.checks.status, *instrument.checks.span_gas}
        absent = sorted(seeing - {register.name for register in register_map.registers})
        if absent:
            seen = f"instrument {instrument.id}, checks: no register {absent[0]!r} in {instrument.map}"
            raise ScenarioError(f"scenario {plant.scenario.name}: {seen}. Name one of its registers")
    return Device(instrument, register_map, tuple(channels), {f: readable(register_map, f) for f in (3, 4)})


def _constant(register: Register, value: int) -> Channel:
    return Channel(register, f"constant {value}", Fraction(0), lambda at_ms: Decimal(value))  # noqa: ARG005


def _status(plant: Plant, cycle: CheckCycle, register: Register) -> Channel:
    return Channel(
        register, "check cycle", Fraction(0), lambda at_ms: Decimal(int(doing(cycle, plant.since_start(at_ms))))
    )


def _channel(plant: Plant, instrument: Instrument, register: Register, signal: str) -> Channel:
    kind = register.quantity.definition.kind
    if kind is Kind.STATE:
        return Channel(register, signal, Fraction(0), lambda at_ms: Decimal(int(plant.instant(signal, at_ms))))
    bias = relative_bias(plant.seed, instrument, register.quantity.value)
    if kind is Kind.COUNTER:
        initial = instrument.initial.get(register.name, Decimal(0))
        return Channel(
            register,
            signal,
            bias,
            lambda at_ms: counter_indication(plant, register, signal, bias, initial, at_ms),
        )
    return Channel(
        register, signal, bias, lambda at_ms: instant_indication(plant, instrument, register, signal, bias, at_ms)
    )


def counter_indication(
    plant: Plant, register: Register, signal: str, bias: Fraction, initial: Decimal, at_ms: int
) -> Decimal:
    """What a counter shows: initial reading plus the biased total, cut to the resolution, rolled over."""
    ratio = register.quantity.definition.units[register.unit] * SUB
    index = Fraction(initial) + Fraction(plant.total(signal, at_ms)) * (1 + bias) / ratio
    step = Fraction(register.resolution) if register.resolution is not None else Fraction(1, SUB)
    steps = index // step
    if register.modulus is not None:
        steps %= Fraction(register.modulus) // step
    return _decimal(steps * step)


def instant_indication(
    plant: Plant, instrument: Instrument, register: Register, signal: str, bias: Fraction, at_ms: int
) -> Decimal:
    """What an instrument shows for an instant: truth with bias and noise, rounded to the resolution.

    Truth is the process, or the check gas that the instrument sees instead of it.
    """
    base = plant.instant(signal, at_ms)
    cycle = instrument.checks
    if cycle is not None and register.name in cycle.span_gas:
        span = float(cycle.span_gas[register.name]) * float(register.quantity.definition.units[register.unit])
        gases = {Doing.MEASURING: base, Doing.ZERO: 0.0, Doing.SPAN: span}
        base = gases[doing(cycle, plant.since_start(at_ms))]
    repeatability = float(instrument.repeatability_percent) / 100.0
    quantum = at_ms // plant.scenario.noise_ms
    noise = draws.normal(plant.seed, "noise", instrument.id, register.name, quantum) if repeatability else 0.0
    shown = base * (1.0 + float(bias)) + abs(base) * repeatability * noise
    value = shown / float(register.quantity.definition.units[register.unit])
    if register.resolution is None:
        return Decimal(repr(value))
    return round(Fraction(value) / Fraction(register.resolution)) * register.resolution


def _decimal(value: Fraction) -> Decimal:
    """A fraction whose denominator is a power of ten, as Decimal."""
    return Decimal(value.numerator) / Decimal(value.denominator)
