from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest

from protocols.plan.model import Plan
from protocols.quantities import Kind
from simulators.plant import build_plant
from simulators.scenario import ScenarioError, load_register_map, load_scenario, scenario_names


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The demo's monitoring plan."""
    text = (resources.files("simulators") / "scenarios" / "demo-plan.toml").read_text(encoding="utf-8")
    return Plan.model_validate(tomllib.loads(text, parse_float=Decimal))


def test_the_plan_names_the_plants_instruments_with_their_classes(plan: Plan) -> None:
    """Serial, map, unit id, limit of error and repeatability are the same in plan and scenario."""
    believed = {
        i.id: (i.serial, i.map, i.unit, i.accuracy.percent_of_reading, i.accuracy.repeatability_percent)
        for i in plan.instruments
    }
    real = {
        i.id: (i.serial, i.map, i.unit, i.percent_of_reading, i.repeatability_percent)
        for i in load_scenario("demo").instruments
    }

    assert real == believed


def test_the_plans_factors_are_the_centres_of_the_true_ones(plan: Plan) -> None:
    """Value and stated uncertainty of each factor are where the plant draws its truth from."""
    factors = {f.id: (Decimal(f.value), f.uncertainty_percent) for f in plan.factors if f.value != "44/12"}
    scenario = load_scenario("demo")
    fuel, grid = scenario.boiler.fuel, scenario.sources["grid"].factor_kg_per_kwh
    assert grid is not None
    drawn = {
        "ng-ncv": (fuel.ncv_gj_per_m3.centre * 10**4, fuel.ncv_gj_per_m3.within_percent),
        "ng-cc": (fuel.carbon_t_per_gj.centre, fuel.carbon_t_per_gj.within_percent),
        "ng-of": (fuel.oxidation.centre, fuel.oxidation.within_percent),
        "ng-ch4": (fuel.ch4_kg_per_tj.centre, fuel.ch4_kg_per_tj.within_percent),
        "ng-n2o": (fuel.n2o_kg_per_tj.centre, fuel.n2o_kg_per_tj.within_percent),
        "grid-cn-2023": (grid.centre, grid.within_percent),
    }

    assert drawn == factors


def test_every_point_of_the_plan_is_a_register_of_its_map(plan: Plan) -> None:
    """Points name registers that exist, and counters state a plausible greatest rate."""
    maps = {i.id: load_register_map(i.map) for i in plan.instruments}
    for point in plan.points:
        register = maps[point.instrument].register_named(point.register_name)
        assert (register.quantity.definition.kind is Kind.COUNTER) == (point.max_rate is not None), point.id


def test_sources_of_plan_and_ledger_are_the_same(plan: Plan) -> None:
    """The ledger knows the truth of exactly the sources and gases the plan accounts for."""
    assert {s.id: set(s.gases) for s in plan.sources} == {
        name: set(s.gases) for name, s in load_scenario("demo").sources.items()
    }


@pytest.mark.parametrize("model", ["eastron-sdm630", "vaisala-mgp261", "sim-gas-corrector", "sim-stack-flow",
                                   "sim-stack-transmitter", "sim-boiler-plc"])  # fmt: skip
def test_a_map_is_whole(model: str) -> None:
    """Units belong to their quantity, no two registers overlap, the probe exists, and reference states are stated."""
    register_map = load_register_map(model)
    taken: set[tuple[int, int]] = set()
    for register in register_map.registers:
        definition = register.quantity.definition
        addresses = {(register.function, register.address + i) for i in range(register.width)}
        assert register.unit in definition.units
        assert (register.temperature is not None) == definition.needs_temperature
        assert (register.moisture is not None) == definition.needs_moisture
        assert not addresses & taken
        taken |= addresses
    assert register_map.register_named(register_map.probe.register_name).name == register_map.probe.register_name
    assert (register_map.status == "simulator-only") == model.startswith("sim-")


def test_demo_is_listed() -> None:
    """The packaged scenarios are listed by name; plans are none."""
    assert scenario_names() == ["demo"]


def test_an_unknown_scenario_shows_the_known_names() -> None:
    """A misspelt name is an error that lists what there is."""
    with pytest.raises(ScenarioError, match=r"'dmeo'.*Known names: demo"):
        load_scenario("dmeo")


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("closing_s", "closing_seconds", r"toml:\d+: boiler.closing_seconds: unknown .*did you mean 'closing_s'"),
        ("+08:00   #", "   #", "no UTC offset"),
        ("schema = 1", 'schema = "', "not TOML"),
    ],
)  # fmt: skip
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, seen: str) -> None:
    """A scenario file of one's own is checked, and the error names the field."""
    text = (resources.files("simulators") / "scenarios" / "demo.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ScenarioError, match=seen):
        load_scenario(str(path))


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("period_s = 200.0", "period_s = 190.0", "190.0 s does not divide"),
        ("base = 300.0", "base = 50.0", "Keep it above 0"),
        ("base = 27000.0", "base = 2700.0", "net = true"),
        ('"compressors", "office"]', '"compresors", "office"]', "no load 'compresors'"),
    ],
)
def test_an_impossible_plant_is_refused(tmp_path: Path, old: str, new: str, seen: str) -> None:
    """What physics or the closed forms do not allow is refused when the plant is built."""
    text = (resources.files("simulators") / "scenarios" / "demo.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ScenarioError, match=seen):
        build_plant(load_scenario(str(path)), 1)
