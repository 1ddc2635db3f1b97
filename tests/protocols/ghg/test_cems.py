from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ghg.cems import (
    INPUTS,
    CemsError,
    density_kg_per_m3,
    mass_rate_kg_per_h,
    needed_inputs,
    sensitivities,
)
from protocols.quantities import Moisture, Reference, Temperature
from protocols.records import Float64

ARGUMENTS = {
    "flow": "flow_m3_per_h",
    "temperature": "temperature_c",
    "pressure": "pressure_kpa",
    "moisture": "water_percent",
    "concentration": "fraction_percent",
}
STATES = [(Reference(t, m), is_dry) for t in Temperature for m in Moisture for is_dry in (True, False)]


def _inputs(**changed: float) -> dict[str, Any]:
    values = {"flow": 1.2e5, "temperature": 130.0, "pressure": 100.8, "moisture": 11.0, "concentration": 12.5} | changed
    return {ARGUMENTS[name]: np.array([value]) for name, value in values.items()}


def _rate(reference: Reference, fraction_is_dry: bool, **changed: float) -> float:
    rate: Float64 = mass_rate_kg_per_h(
        gas="CO2", flow_reference=reference, fraction_is_dry=fraction_is_dry, **_inputs(**changed)
    )
    return float(rate[0])


@pytest.mark.parametrize(
    ("gas", "expected"), [("CO2", 1.9635), ("CH4", 0.71574), ("N2O", 1.9636)], ids=["CO2", "CH4", "N2O"]
)
def test_density_is_molar_mass_over_molar_volume(gas: str, expected: float) -> None:
    """kg/m3 at 0 C and 101.325 kPa, to the figures usually printed."""
    assert pytest.approx(expected, abs=5e-5) == density_kg_per_m3(gas)


@pytest.mark.parametrize(("reference", "dry"), STATES, ids=[f"{r} {'dry' if d else 'wet'} fraction" for r, d in STATES])
def test_the_rate_agrees_with_exact_arithmetic(reference: Reference, dry: bool) -> None:
    """Every state: float64 is within a few units of the last place of fractions of the same inputs."""
    q, t, p, w, c = (Fraction(x) for x in (120000, 130, "100.8", 11, "12.5"))
    if reference.temperature is Temperature.ACTUAL:
        q = q * Fraction("273.15") / (Fraction("273.15") + t) * p / Fraction("101.325")
    elif reference.temperature is Temperature.C15:
        q = q * Fraction("273.15") / Fraction("288.15")
    elif reference.temperature is Temperature.C20:
        q = q * Fraction("273.15") / Fraction("293.15")
    share = (100 - w) / 100
    if reference.moisture is Moisture.WET and dry:
        q *= share
    elif reference.moisture is Moisture.DRY and not dry:
        q /= share
    exact = q * c / 100 * Fraction("44.0095") / Fraction("22.414")

    assert pytest.approx(float(exact), rel=2e-15) == _rate(reference, dry)


@pytest.mark.parametrize(("reference", "dry"), STATES, ids=[f"{r} {'dry' if d else 'wet'} fraction" for r, d in STATES])
@pytest.mark.parametrize("name", INPUTS)
def test_slopes_are_the_derivatives(reference: Reference, dry: bool, name: str) -> None:
    """Each sensitivity equals a central difference of the rate; where an input does not act it is zero."""
    slope = sensitivities(gas="CO2", flow_reference=reference, fraction_is_dry=dry, **_inputs())[name][0]
    middle = float(_inputs()[ARGUMENTS[name]][0])
    step = middle * 1e-5

    rise = _rate(reference, dry, **{name: middle + step}) - _rate(reference, dry, **{name: middle - step})

    assert pytest.approx(rise / (2 * step), rel=1e-7) == slope
    assert (name in needed_inputs(reference, dry)) == (slope != 0.0)


def test_slopes_exist_at_zero_flow_and_zero_concentration() -> None:
    """A standing stack still says what a unit of flow or of concentration would change."""
    reference = Reference(Temperature.C0, Moisture.DRY)

    flowless = sensitivities(gas="CO2", flow_reference=reference, fraction_is_dry=True, **_inputs(flow=0.0))
    gasless = sensitivities(gas="CO2", flow_reference=reference, fraction_is_dry=True, **_inputs(concentration=0.0))

    assert flowless["flow"][0] > 0.0 == flowless["concentration"][0]
    assert gasless["concentration"][0] > 0.0 == gasless["flow"][0]


@given(st.integers(1, 40), st.integers(0, 39))
def test_splitting_an_array_changes_nothing(size: int, cut: int) -> None:
    """Each element is computed alone: any split gives the same bits."""
    seeded = np.random.default_rng(size)
    columns = {name: seeded.uniform(1.0, 90.0, size) for name in ARGUMENTS.values()}
    reference = Reference(Temperature.ACTUAL, Moisture.WET)

    def rates(part: slice) -> list[float]:
        inputs: dict[str, Any] = {name: values[part] for name, values in columns.items()}
        rate = mass_rate_kg_per_h(gas="CO2", flow_reference=reference, fraction_is_dry=True, **inputs)
        return [float(v) for v in rate]

    assert rates(slice(None)) == rates(slice(0, cut)) + rates(slice(cut, None))


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": -273.15}, {"temperature": -300.0}, {"pressure": 0.0}, {"pressure": -5.0}, {"moisture": 100.0},
        {"moisture": 140.0}, {"flow": float("nan")}, {"concentration": float("nan")}, {"temperature": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_no_gas_can_be_in_is_a_gap_and_not_a_zero(changed: dict[str, float]) -> None:
    """Outside the formula's range the rate is NaN, without a warning."""
    with np.errstate(all="raise"):
        assert np.isnan(_rate(Reference(Temperature.ACTUAL, Moisture.WET), True, **changed))


@pytest.mark.parametrize(
    ("reference", "dry", "missing", "seen"),
    [
        (Reference(Temperature.ACTUAL, Moisture.DRY), True, "temperature", "no gas temperature"),
        (Reference(Temperature.ACTUAL, Moisture.DRY), True, "pressure", "no gas absolute pressure"),
        (Reference(Temperature.C0, Moisture.WET), True, "moisture", "no moisture"),
        (Reference(None, Moisture.WET), False, "", "no reference temperature"),
        (Reference(Temperature.C0), True, "", "neither wet nor dry"),
    ],
)
def test_a_missing_input_is_an_error(reference: Reference, dry: bool, missing: str, seen: str) -> None:
    """What the states make necessary has to be there; nothing is assumed."""
    inputs = _inputs()
    if missing:
        inputs[ARGUMENTS[missing]] = None

    with pytest.raises(CemsError, match=seen):
        mass_rate_kg_per_h(gas="CO2", flow_reference=reference, fraction_is_dry=dry, **inputs)


def test_a_gas_without_a_molar_mass_is_refused() -> None:
    """The error names the gases there are."""
    with pytest.raises(CemsError, match=r"no molar mass for gas 'SF6'\. one of CO2, CH4, N2O"):
        density_kg_per_m3("SF6")
