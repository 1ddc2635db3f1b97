"""The two sides meet here only: the simulators' encoder against the decoder, the truth against the formulas."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from fractions import Fraction
from importlib import resources

import numpy as np
import pytest

from protocols.ghg.cems import mass_rate_kg_per_h
from protocols.ghg.factors import coefficient
from protocols.modbus.decode import indexes, join_words, values
from protocols.modbus.maps import load_map
from protocols.modbus.planner import plan_reads
from protocols.plan.bind import bind
from protocols.plan.bound import BoundPlan
from protocols.plan.load import parse_plan
from protocols.quantities import Kind, Moisture, Reference, Temperature
from simulators.instruments import build_devices
from simulators.ledger import truth
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario

PLAN_TEXT = (resources.files("simulators") / "scenarios" / "demo-plan.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bound() -> BoundPlan:
    """The demo's plan, loaded, checked and bound to its maps."""
    plan = parse_plan(PLAN_TEXT, "demo-plan.toml")
    return bind(plan, {i.map: load_map(i.map)[0] for i in plan.instruments}, bytes(32))


def read_all(plant: Plant, bound: BoundPlan, at_ms: int) -> dict[str, float]:
    """Every point's decoded value at an instant, through the plan's own read requests. [base unit]"""
    devices = {d.instrument.unit: d for d in build_devices(plant)}
    shown: dict[str, float] = {}
    for request in plan_reads(bound):
        words = devices[request.unit].read(request.function, request.address, request.count, at_ms)
        assert words is not None, request
        joined = join_words(np.array([words], dtype=np.uint16), request)
        for column, index in enumerate(request.points):
            point = bound.points[index]
            decode = indexes if point.kind is Kind.COUNTER else values
            number, available = decode(joined[:, column], point)
            assert available[0], point.id
            shown[point.id] = float(number[0])
    return shown


def test_the_read_plan_gets_every_point_and_decodes_it_to_the_truth(plant: Plant, bound: BoundPlan) -> None:
    """Encoded by the simulators and decoded by the protocols, each point is its signal within class and noise."""
    at_ms = plant.start_ms + 200_000
    shown = read_all(plant, bound, at_ms)
    expected = {
        "em-1.power": ("workshop.power", 1.5), "em-3.power": ("office.power", 1.5),
        "em-2.frequency": ("compressors.frequency", 0.3), "gas-1.flow": ("boiler.gas_flow", 1.6),
        "stack.flow": ("stack.flow", 9.0), "stack.temperature": ("stack.temperature", 1.2),
        "stack.pressure": ("stack.pressure", 1.2), "stack.o2": ("stack.o2_wet", 1.3),
        "stack.co2-dry": ("stack.co2_dry", 5.0), "stack.h2o": ("stack.water", 5.0), "boiler.state": ("boiler.state", 0),
    }  # fmt: skip

    assert len(shown) == len(bound.points)
    for point, (signal, percent) in expected.items():
        true = plant.instant(signal, at_ms)
        assert shown[point] == pytest.approx(true, abs=abs(true) * percent / 100 + 1e-12), point


def test_indexes_grow_by_the_truth_within_the_class(plant: Plant, bound: BoundPlan) -> None:
    """Counter differences over an hour are the ledger's amounts within the limit of error, over a rollover too."""
    from_ms, to_ms = plant.start_ms + 60_000, plant.start_ms + 3_660_000
    first, last = (read_all(plant, bound, at) for at in (from_ms, to_ms))
    t = truth(plant, from_ms, to_ms)
    modulus = 10_000_000 * 10**6
    grown = {
        "em-1.import": t.import_mwh["workshop"], "em-2.import": t.import_mwh["compressors"],
        "em-3.import": t.import_mwh["office"], "em-3.export": t.export_mwh["office"], "gas-1.volume": t.gas_ml,
    }  # fmt: skip

    for point, amount in grown.items():
        step = 20_000 if point == "gas-1.volume" else 3_000
        assert (last[point] - first[point]) % modulus == pytest.approx(amount, rel=0.01, abs=step), point


def test_the_stack_formula_gives_the_fuels_carbon(plant: Plant) -> None:
    """The CEMS formula on true conditions yields true CO2; the difference is the molar volume's fifth figure."""
    reference = Reference(Temperature.ACTUAL, Moisture.WET)
    for second in (25, 100, 333, 560):
        gas = plant.boiler.flue_gas(float(second))
        dry, wet, t, p, w, flow = (
            np.array([x]) for x in (gas.co2_dry, gas.co2_wet, gas.temperature, gas.pressure, gas.water, gas.flow)
        )
        true_kg_per_h = plant.boiler.gas_flow(float(second)) * float(plant.boiler.fuel.mg_per_ml("CO2"))
        from_dry = mass_rate_kg_per_h(flow, "CO2", dry, t, p, w, reference, True)[0]
        from_wet = mass_rate_kg_per_h(flow, "CO2", wet, t, p, None, reference, False)[0]

        assert [from_dry, from_wet] == pytest.approx([true_kg_per_h, true_kg_per_h], rel=2e-6)


def test_the_plans_chain_has_the_form_of_the_truth(bound: BoundPlan) -> None:
    """With the plan's factors put in as true ones, the ledger's coefficient is the plan's, exactly."""
    scenario = load_scenario("demo")
    exact = scenario.model_copy(
        update={"boiler": scenario.boiler.model_copy(update={"fuel": scenario.boiler.fuel.model_copy(update={
            name: getattr(scenario.boiler.fuel, name).model_copy(update={"within_percent": Decimal(0)})
            for name in ("ncv_gj_per_m3", "carbon_t_per_gj", "oxidation", "ch4_kg_per_tj", "n2o_kg_per_tj")
        })})}
    )  # fmt: skip
    fuel = build_plant(exact, 1).boiler.fuel
    records = {f.id: f for f in bound.plan.factors}
    source = next(s for s in bound.plan.sources if s.id == "boiler")
    volume = next(p for p in bound.points if p.id == "gas-1.volume")

    for gas, chain in source.factors.items():
        believed = coefficient([records[i] for i in chain], gas, volume.quantity, volume.reference)
        assert believed == fuel.mg_per_ml(gas), gas


def test_over_many_seeds_the_plan_misses_the_truth_by_its_stated_uncertainty() -> None:
    """Believed less true CO2 of fuel, in stated standard uncertainties, has unit spread: the game is fair."""
    scenario = load_scenario("demo")
    factors = {f["id"]: f for f in tomllib.loads(PLAN_TEXT, parse_float=Decimal)["factors"]}
    stated = [factors[i]["uncertainty_percent"] / 200 for i in ("ng-ncv", "ng-cc", "ng-of")]
    relative = float(sum(u * u for u in stated).sqrt())
    believed = Fraction("0.038931") * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) * 1000
    true = [build_plant(scenario, seed).boiler.fuel.mg_per_ml("CO2") for seed in range(300)]
    scores = [(float(t / believed) - 1) / relative for t in true]

    assert (sum(z * z for z in scores) / len(scores)) ** 0.5 == pytest.approx(1.0, abs=0.1)
    assert abs(sum(scores) / len(scores)) < 0.2
