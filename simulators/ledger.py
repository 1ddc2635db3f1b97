"""What was truly consumed and emitted between two instants, as integers that add up.

Every total counts from the scenario's start and is rounded once; a span is the difference of two totals. So
the truth of a span is the sum of the truths of its parts, to the last milligram. The gas integral is closed
form, and the stack's CO2 is the fuel's CO2 (``simulators.boiler``), so nothing here is quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from protocols.quantities import Kind
from simulators.boiler import SUB
from simulators.faults.fault import instant_ms
from simulators.faults.process import Stop
from simulators.faults.shown import CounterReset, MeterSwap
from simulators.instruments import build_device
from simulators.plant import Plant
from simulators.scenario import Instrument


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth of a span [from_ms, to_ms).

    Attributes
    ----------
    emissions_mg : dict of source to dict of gas to int
        Negative only where a source gave more energy than it took. [mg]
    import_mwh, export_mwh : dict of load to int
        Electrical energy. [mWh, milliwatt hours]
    gas_ml : int
        Fuel gas at 0 degC and 101.325 kPa. [mL]
    events : tuple of dict
        What a faultless plant does not have: stops, exchanged meters and counters begun anew, in order of time.
    """

    from_ms: int
    to_ms: int
    emissions_mg: dict[str, dict[str, int]]
    import_mwh: dict[str, int]
    export_mwh: dict[str, int]
    gas_ml: int
    events: tuple[dict[str, object], ...] = ()

    def as_json(self, plant: Plant) -> dict[str, object]:
        """The truth with what it was computed for, ready for JSON; all amounts are integers."""
        return {
            "scenario": plant.scenario.name,
            "seed": plant.seed,
            "start_ms": plant.start_ms,
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "sources_mg": self.emissions_mg,
            "activity": {
                "import_milliwatt_hours": self.import_mwh,
                "export_milliwatt_hours": self.export_mwh,
                "gas_ml_at_0c": self.gas_ml,
            },
            "events": list(self.events),
        }


def truth(plant: Plant, from_ms: int, to_ms: int) -> Truth:
    """The truth of [from_ms, to_ms).

    Raises
    ------
    ValueError
        The span begins before the plant does, or ends before it begins.
    """
    if from_ms < plant.start_ms:
        hint = "Take a later instant or an earlier --start"
        raise ValueError(f"truth from {from_ms}: the plant starts at {plant.start_ms}. {hint}")
    if to_ms < from_ms:
        raise ValueError(f"truth from {from_ms} to {to_ms}: ends before it begins. Exchange the two")
    emissions = {
        source: {gas: emitted(plant, source, gas, to_ms) - emitted(plant, source, gas, from_ms) for gas in table.gases}
        for source, table in plant.scenario.sources.items()
    }

    def used(signal: str) -> int:
        return round(Fraction(plant.total(signal, to_ms), SUB)) - round(Fraction(plant.total(signal, from_ms), SUB))

    imported = {name: used(f"{name}.import") for name in plant.loads}
    exported = {name: used(f"{name}.export") for name in plant.loads}
    return Truth(from_ms, to_ms, emissions, imported, exported, used("boiler.gas"), events(plant, from_ms, to_ms))


def emitted(plant: Plant, source: str, gas: str, at_ms: int) -> int:
    """Mass of a gas a source has truly emitted since the start. [mg]"""
    table = plant.scenario.sources[source]
    if table.kind == "fuel":
        return round(Fraction(plant.total("boiler.gas", at_ms), SUB) * plant.boiler.fuel.mg_per_ml(gas))
    net = sum(plant.total(f"{n}.import", at_ms) - plant.total(f"{n}.export", at_ms) for n in table.loads)
    return round(Fraction(net, SUB) * plant.factors[source])  # kg/kWh is mg/mWh


def events(plant: Plant, from_ms: int, to_ms: int) -> tuple[dict[str, object], ...]:
    """Stops, exchanged meters and counters begun anew in [from_ms, to_ms), in order of time."""
    found: list[tuple[int, dict[str, object]]] = []
    for fault in plant.scenario.faults:
        at_ms = fault.begins_ms(plant.start_ms)
        if isinstance(fault, Stop):
            end_ms = instant_ms(fault.ends, plant.start_ms)
            if at_ms < to_ms and end_ms > from_ms:
                found.append((at_ms, {"kind": fault.kind, "of": fault.of, "from_ms": at_ms, "to_ms": end_ms}))
        elif isinstance(fault, MeterSwap | CounterReset) and from_ms <= at_ms < to_ms:
            found += [(at_ms, _exchange(plant, fault, i)) for i in plant.scenario.instruments if fault.is_of(i.unit)]
    return tuple(event for _, event in sorted(found, key=lambda pair: pair[0]))


def _exchange(plant: Plant, fault: MeterSwap | CounterReset, instrument: Instrument) -> dict[str, object]:
    """Serial numbers and indexes before and after, in the register's unit."""
    at_ms = fault.begins_ms(plant.start_ms)
    counters = [
        channel
        for channel in build_device(plant, instrument).channels
        if channel.register.quantity.definition.kind is Kind.COUNTER and fault.covers(channel.register)
    ]
    return {
        "kind": fault.kind,
        "instrument": instrument.id,
        "at_ms": at_ms,
        "old_serial": instrument.serial,
        "new_serial": fault.serial(instrument.serial),
        "closing": {channel.register.name: str(channel.shown(at_ms)) for channel in counters},
        "opening": {channel.register.name: str(fault.opening) for channel in counters},
    }
