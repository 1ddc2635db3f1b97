from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.ledger import truth
from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario

DEMO = build_plant(load_scenario("demo"), 7)
SPAN = st.integers(min_value=0, max_value=400 * 86_400_000)


def amounts(from_ms: int, to_ms: int) -> dict[tuple[str, str], int]:
    """Every integer of the truth, flat."""
    t = truth(DEMO, DEMO.start_ms + from_ms, DEMO.start_ms + to_ms)
    flat = {(s, g): mg for s, gases in t.emissions_mg.items() for g, mg in gases.items()}
    flat |= {("import", n): e for n, e in t.import_mwh.items()} | {("export", n): e for n, e in t.export_mwh.items()}
    return flat | {("gas", "mL"): t.gas_ml}


@given(SPAN, SPAN, SPAN)
def test_the_truth_of_a_span_is_the_sum_of_its_parts(a: int, b: int, c: int) -> None:
    """Energy, volume and mass add up over any split, to the last unit, and never run backwards."""
    first, middle, last = sorted((a, b, c))
    whole, left, right = amounts(first, last), amounts(first, middle), amounts(middle, last)

    assert whole == {key: left[key] + right[key] for key in whole}
    assert all(value >= 0 for key, value in whole.items() if key[0] != "grid")


def test_energy_is_the_quadrature_of_power(plant: Plant) -> None:
    """Import less export of every load is the integral of its power."""
    from_ms, length_ms, steps = plant.start_ms + 90_500, 300_000, 60_000
    t = truth(plant, from_ms, from_ms + length_ms)
    times = (np.arange(steps) + 0.5) * (length_ms / steps / 1000) + 90.5
    for name, load in plant.loads.items():
        joules = float(np.sum([load.power(float(s)) for s in times])) * length_ms / steps / 1000
        assert t.import_mwh[name] - t.export_mwh[name] == pytest.approx(joules / 3.6, rel=1e-7, abs=2)


def test_stack_mass_is_the_quadrature_of_flow_conditions_and_fraction(plant: Plant) -> None:
    """What the stack carries, from flow, temperature, pressure, moisture and dry fraction, is the fuel's CO2."""
    length_ms, steps = 600_000, 60_000
    t = truth(plant, plant.start_ms, plant.start_ms + length_ms)
    kg = 0.0
    for i in range(steps):
        gas = plant.boiler.flue_gas((i + 0.5) * 600 / steps)
        moles = gas.pressure * 1000 * gas.flow / 3600 / (8.314462618 * (gas.temperature + 273.15))  # per second
        kg += moles * (1 - gas.water / 100) * gas.co2_dry / 100 * 0.0440095 * 600 / steps

    assert t.emissions_mg["boiler-stack"]["CO2"] == pytest.approx(kg * 1e6, rel=1e-7)
    assert t.emissions_mg["boiler"]["CO2"] == t.emissions_mg["boiler-stack"]["CO2"]


def test_fuel_masses_follow_from_volume_and_true_factors(plant: Plant) -> None:
    """Mass = volume x NCV x factor with the plant's own factors, for all gases."""
    t = truth(plant, plant.start_ms, plant.start_ms + 86_400_000)
    fuel, m3 = plant.boiler.fuel, Fraction(t.gas_ml, 10**6)
    expected = {
        "CO2": m3 * fuel.ncv * fuel.carbon * fuel.oxidation * 44 / 12 * 10**9,
        "CH4": m3 * fuel.ncv * fuel.ch4 / 1000 * 10**6,
        "N2O": m3 * fuel.ncv * fuel.n2o / 1000 * 10**6,
    }
    for gas, mg in expected.items():
        assert t.emissions_mg["boiler"][gas] == pytest.approx(float(mg), rel=1e-9, abs=2)


def test_nothing_is_emitted_while_stopped(plant: Plant) -> None:
    """Gas, CO2 and stack flow are exactly zero in a stopped phase."""
    from_ms = plant.start_ms + 570_000
    t = truth(plant, from_ms, from_ms + 30_000)

    assert (0, {"CO2": 0, "CH4": 0, "N2O": 0}, 0.0) == (
        t.gas_ml, t.emissions_mg["boiler"], plant.instant("stack.flow", from_ms + 15_000)
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_true_factors_stay_inside_the_stated_uncertainty(seed: int) -> None:
    """Whatever the seed, what is true lies inside the interval the plan states."""
    scenario = load_scenario("demo")
    drawn = build_plant(scenario, seed)
    table: Any = scenario.boiler.fuel
    pairs = [(drawn.boiler.fuel.ncv, table.ncv_gj_per_m3), (drawn.boiler.fuel.carbon, table.carbon_t_per_gj)]
    grid: Any = scenario.sources["grid"].factor_kg_per_kwh
    pairs += [(drawn.boiler.fuel.ch4, table.ch4_kg_per_tj), (drawn.factors["grid"], grid)]
    for value, given_range in pairs:
        assert abs(value / Fraction(given_range.centre) - 1) * 100 <= Fraction(given_range.within_percent)


def test_a_span_before_the_start_is_refused(plant: Plant) -> None:
    """The plant knows nothing of the time before its start, and says so."""
    with pytest.raises(ValueError, match="plant starts at"):
        truth(plant, plant.start_ms - 1, plant.start_ms + 1)
    with pytest.raises(ValueError, match="ends before it begins"):
        truth(plant, plant.start_ms + 2, plant.start_ms + 1)
