"""What was truly consumed and emitted between two instants, as integers that add up.

Every total counts from the scenario's start and is rounded once; a span is the difference of two totals. So
the truth of a span is the sum of the truths of its parts, to the last milligram. The gas integral is closed
form, and the stack's CO2 is the fuel's CO2 (``simulators.boiler``), so nothing here is quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from simulators.boiler import SUB
from simulators.plant import Plant


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
    """

    from_ms: int
    to_ms: int
    emissions_mg: dict[str, dict[str, int]]
    import_mwh: dict[str, int]
    export_mwh: dict[str, int]
    gas_ml: int

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
    return Truth(from_ms, to_ms, emissions, imported, exported, used("boiler.gas"))


def emitted(plant: Plant, source: str, gas: str, at_ms: int) -> int:
    """Mass of a gas a source has truly emitted since the start. [mg]"""
    table = plant.scenario.sources[source]
    if table.kind == "fuel":
        return round(Fraction(plant.total("boiler.gas", at_ms), SUB) * plant.boiler.fuel.mg_per_ml(gas))
    net = sum(plant.total(f"{n}.import", at_ms) - plant.total(f"{n}.export", at_ms) for n in table.loads)
    return round(Fraction(net, SUB) * plant.factors[source])  # kg/kWh is mg/mWh
