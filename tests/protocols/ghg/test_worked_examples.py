from __future__ import annotations

import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.ghg.cems import density_kg_per_m3, mass_rate_kg_per_h
from protocols.ghg.combustion import combustion_mass_mg
from protocols.ghg.energy import energy_mass_mg
from protocols.ghg.factors import coefficient
from protocols.ghg.gwp import co2e_mg
from protocols.ghg.uncertainty import Parts, across, product
from protocols.quantities import NO_REFERENCE, Moisture, Quantity, Reference, Temperature
from tests.protocols.ghg.records import factor

EXAMPLES: dict[str, Any] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "data" / "worked_examples.toml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", ["AR5", "AR6"])
def test_p05_co2_equivalent_of_nitrous_oxide(name: str) -> None:
    """Public methodology notes: 32.9 t N2O in CO2e under AR5 and AR6."""
    given = EXAMPLES["P05"]

    equivalent = co2e_mg(int(Fraction(given["n2o_t"]) * 10**9), "N2O", name)

    assert pytest.approx(given["expected_t"][name], abs=given["tolerance_t"][name]) == equivalent / 1e9


def test_p14_constant_of_the_us_stack_equation() -> None:
    """40 CFR 98.33 eq. C-6: one standard cubic foot (20 C) an hour at one per cent CO2."""
    given = EXAMPLES["P14"]

    rate = mass_rate_kg_per_h(
        np.array([float(given["cubic_foot_m3"])]), "CO2", np.array([float(given["percent_co2"])]), None, None, None,
        Reference(Temperature.C20, Moisture.DRY), fraction_is_dry=True,
    )  # fmt: skip

    assert pytest.approx(given["expected_t_per_h"], abs=given["tolerance_t_per_h"]) == rate[0] / 1000


def test_p17_natural_gas_by_carbon_content() -> None:
    """GB/T 32151.34-2024 Table C.1: CO2 of 10^4 m3 of natural gas."""
    given = EXAMPLES["P17"]
    chain = [
        factor("ncv", given["ncv_gj_per_1e4m3"], "GJ/1e4m3", "0C", "NCV"),
        factor("carbon", given["carbon_tc_per_gj"], "tC/GJ", basis="NCV"),
        factor("oxidised", given["oxidised"], "1"),
        factor("carbon-to-co2", "44/12", "tCO2/tC"),
    ]

    exact = coefficient(chain, "CO2", Quantity.GAS_VOLUME, Reference(Temperature.C0))
    mass = combustion_mass_mg(np.array([given["volume_1e4m3"] * 10**10]), float(exact))

    assert Fraction("21.62188809") == exact * 10**10 / 10**9
    assert pytest.approx(given["expected_t"], abs=given["tolerance_t"]) == mass[0] / 1e9


def test_p19_purchased_electricity() -> None:
    """Announcement 2025 No. 47: 12 500 MWh at the national average."""
    given = EXAMPLES["P19"]
    grid = factor("grid-2023", given["factor_tco2_per_mwh"], "tCO2/MWh")

    exact = coefficient([grid], "CO2", Quantity.ACTIVE_ENERGY_IMPORT, NO_REFERENCE)
    mass = energy_mass_mg(np.array([given["energy_mwh"] * 10**9]), float(exact))

    assert pytest.approx(given["expected_t"], abs=given["tolerance_t"]) == mass[0] / 1e9


def test_g01_error_propagation_of_products_and_sums() -> None:
    """IPCC 2006 Vol. 1 Ch. 3, eq. 3.1 then 3.2."""
    given = EXAMPLES["G01"]
    pairs = zip(given["activity_percent"], given["factor_percent"], strict=True)
    percents = [product(pair) for pair in pairs]
    sources = [Parts(independent=e * u / 100) for e, u in zip(given["emission"], percents, strict=True)]

    total = across(sources).standard / sum(given["emission"]) * 100

    near = given["tolerance_percent"]
    assert pytest.approx(given["expected_percent"], abs=near) == percents
    assert pytest.approx(given["expected_total_percent"], abs=near) == total


def test_c01_stack_hour_on_the_chinese_basis() -> None:
    """HJ 75-2017 flow chain: wet actual flow, dry CO2."""
    given = EXAMPLES["C01"]
    actual = 3600.0 * given["area_m2"] * given["speed_m_per_s"]
    pressure_kpa = (given["barometer_pa"] + given["static_pressure_pa"]) / 1000

    rate = mass_rate_kg_per_h(
        np.array([actual]), "CO2", np.array([given["co2_dry_percent"]]), np.array([float(given["temperature_c"])]),
        np.array([pressure_kpa]), np.array([float(given["water_percent"])]),
        Reference(Temperature.ACTUAL, Moisture.WET), fraction_is_dry=True,
    )[0]  # fmt: skip

    flow = rate / density_kg_per_m3("CO2") / (given["co2_dry_percent"] / 100)
    assert pytest.approx(given["expected_t_per_h"], abs=given["tolerance_t_per_h"]) == rate / 1000
    assert pytest.approx(given["expected_flow_m3_per_h"], abs=given["tolerance_flow_m3_per_h"]) == flow
