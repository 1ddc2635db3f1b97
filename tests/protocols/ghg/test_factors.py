from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ghg.factors import FactorError, coefficient, exact_number, factor_value, parse_unit
from protocols.quantities import NO_REFERENCE, Quantity, Reference, Temperature
from tests.protocols.ghg.records import factor, natural_gas

AT_0C = Reference(Temperature.C0)
AT_20C = Reference(Temperature.C20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0153", Fraction(153, 10000)),
        ("44/12", Fraction(11, 3)),
        ("1e-3", Fraction(1, 1000)),
        (" 0.5306 / 2 ", Fraction(2653, 10000)),
        (Decimal("3.8931E+2"), Fraction("389.31")),
        ("0", Fraction(0)),
    ],
)
def test_a_value_is_taken_exactly(text: str | Decimal, expected: Fraction) -> None:
    """Decimals and ratios become fractions without a float on the way."""
    assert expected == exact_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "-1", "nan", "inf", "", "1/", "1/2/3", "0x10", "1_000", "1,5", "44/0", "1e999", "9" * 31, Decimal("NaN"),
        Decimal("Infinity"), Decimal("1E+999999"), Decimal("-0.5"),
    ],
)  # fmt: skip
def test_a_value_that_is_no_number_of_ordinary_size_is_refused(text: str | Decimal) -> None:
    """Signs, infinities, other bases and monstrous exponents are errors that name the record."""
    record = factor("grid", "1", "1").model_copy(update={"value": text})

    with pytest.raises(FactorError, match="factor grid: value"):
        factor_value(record)


@given(st.decimals(min_value=0, max_value=10**12, places=12, allow_nan=False))
def test_any_decimal_keeps_its_value(number: Decimal) -> None:
    """The fraction of a decimal equals the decimal, as text or as Decimal."""
    assert Fraction(number) == exact_number(number) == exact_number(format(number, "f"))


@pytest.mark.parametrize(
    ("text", "ratio", "dimensions"),
    [
        ("tC/GJ", Fraction(10**9 * 18, 5 * 10**9), (("energy", -1), ("mass of C", 1))),
        ("kgCO2/kWh", Fraction(1), (("energy", -1), ("mass of CO2", 1))),
        ("GJ/1e4m3", Fraction(5 * 10**9, 18) / 10**10, (("energy", 1), ("volume", -1))),
        ("GJ/t", Fraction(5, 18), (("energy", 1), ("mass", -1))),
        ("kgCH4/TJ", Fraction(18, 5 * 10**6), (("energy", -1), ("mass of CH4", 1))),
        ("tCO2/tC", Fraction(1), (("mass of C", -1), ("mass of CO2", 1))),
        ("kg/m3", Fraction(1), (("mass", 1), ("volume", -1))),
        ("1", Fraction(1), ()),
        ("t/kg", Fraction(1000), ()),
        ("gN2O/L", Fraction(1), (("mass of N2O", 1), ("volume", -1))),
    ],
)
def test_a_unit_has_an_exact_size_and_dimensions(
    text: str, ratio: Fraction, dimensions: tuple[tuple[str, int], ...]
) -> None:
    """Prefixes are exact ratios to mg, mL and mWh (1 mWh = 3.6 J)."""
    unit = parse_unit(text)

    assert (ratio, dimensions) == (unit.ratio, unit.dimensions)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("kgCO2e/kWh", "factor per gas"),
        ("GJ/Nm3", "reference state"),
        ("tCO3/GJ", "'tCO3' is not known"),
        ("t/GJ/h", "numerator/denominator"),
        ("/GJ", "numerator/denominator"),
        ("", "numerator/denominator"),
        ("%", "'%' is not known"),
    ],
)
def test_an_unknown_unit_says_what_to_write(text: str, advice: str) -> None:
    """The error holds the unit as written and the way out."""
    with pytest.raises(FactorError, match=advice):
        parse_unit(text)


def test_a_chain_gives_one_exact_coefficient() -> None:
    """Natural gas at 20 C: 389.31 x 0.0153 x 0.99 x 44/12 t per 10^4 m3, in mg per mL."""
    result = coefficient(natural_gas(), "CO2", Quantity.GAS_VOLUME, AT_20C)

    assert Fraction("389.31") * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) / 10 == result


@given(st.permutations(range(4)))
def test_the_order_of_a_chain_does_not_matter(order: list[int]) -> None:
    """Factors multiply."""
    chain = natural_gas()

    shuffled = coefficient([chain[i] for i in order], "CO2", Quantity.GAS_VOLUME, AT_20C)

    assert coefficient(chain, "CO2", Quantity.GAS_VOLUME, AT_20C) == shuffled


def test_other_gases_chain_through_heat() -> None:
    """CH4 of natural gas: NCV x 1 kg/TJ."""
    chain = [natural_gas("0C")[0], factor("ch4", "1", "kgCH4/TJ", basis="NCV")]

    assert Fraction("0.00038931") / 10 == coefficient(chain, "CH4", Quantity.GAS_VOLUME, AT_0C)


def test_fuel_by_mass_needs_no_reference_state() -> None:
    """Diesel in kg: 42.652 GJ/t x 0.0202 tC/GJ x 44/12."""
    chain = [
        factor("ncv", "42.652", "GJ/t", basis="NCV"),
        factor("carbon", "0.0202", "tC/GJ", basis="NCV"),
        factor("carbon-to-co2", "44/12", "tCO2/tC"),
    ]

    expected = Fraction("42.652") * Fraction("0.0202") * Fraction(44, 12)
    assert expected == coefficient(chain, "CO2", Quantity.MASS, NO_REFERENCE)


@pytest.mark.parametrize("reference", [AT_0C, Reference(Temperature.C15), Reference(Temperature.ACTUAL)])
def test_unlike_reference_states_are_refused_with_both_shown(reference: Reference) -> None:
    """A factor at 20 C does not multiply a volume at another state."""
    assert reference.temperature is not None

    with pytest.raises(FactorError) as caught:
        coefficient(natural_gas("20C"), "CO2", Quantity.GAS_VOLUME, reference)

    assert "factor ncv" in str(caught.value)
    assert "20C" in str(caught.value)
    assert reference.temperature.value in str(caught.value)


def test_two_states_inside_a_chain_are_refused() -> None:
    """A density at 15 C and a heating value at 20 C do not join, even from a mass."""
    chain = [
        factor("volume", "1.4", "m3/kg", "15C"),
        *natural_gas("20C"),
    ]

    with pytest.raises(FactorError, match=r"factor ncv: reference state 20C, but factor volume is at 15C"):
        coefficient(chain, "CO2", Quantity.MASS, NO_REFERENCE)


def test_a_factor_per_volume_must_state_its_reference() -> None:
    """No silent normal cubic metre."""
    chain = [natural_gas()[0].model_copy(update={"state": None}), *natural_gas()[1:]]

    with pytest.raises(FactorError, match=r"factor ncv: .* no reference state is given; the volume is at 20C"):
        coefficient(chain, "CO2", Quantity.GAS_VOLUME, AT_20C)


def test_a_volume_must_state_its_reference() -> None:
    """A totaliser of unknown state cannot be joined."""
    with pytest.raises(FactorError, match="input volume: no reference temperature"):
        coefficient(natural_gas(), "CO2", Quantity.GAS_VOLUME, NO_REFERENCE)


def test_calorific_bases_do_not_mix() -> None:
    """HHV x a factor per NCV heat is refused; both are named."""
    chain = natural_gas()
    chain[1] = factor("carbon", "0.0153", "tC/GJ", basis="HHV")

    with pytest.raises(FactorError, match=r"factor carbon: basis HHV, but factor ncv has basis NCV"):
        coefficient(chain, "CO2", Quantity.GAS_VOLUME, AT_20C)


def test_heat_must_state_its_basis() -> None:
    """A heat term without NCV or HHV is refused."""
    chain = natural_gas()
    chain[1] = factor("carbon", "0.0153", "tC/GJ")

    with pytest.raises(FactorError, match=r"factor carbon: .* no calorific basis"):
        coefficient(chain, "CO2", Quantity.GAS_VOLUME, AT_20C)


def test_electricity_is_not_the_heat_of_a_fuel() -> None:
    """A factor per fuel heat does not take an electricity meter's energy."""
    fuel = factor("fuel", "56.1", "tCO2/TJ", basis="NCV")

    with pytest.raises(FactorError, match="electrical energy"):
        coefficient([fuel], "CO2", Quantity.ACTIVE_ENERGY_IMPORT, NO_REFERENCE)


@pytest.mark.parametrize(
    ("gas", "quantity", "seen"),
    [
        ("CH4", Quantity.GAS_VOLUME, "gives mass of CO2, not a mass of CH4"),
        ("CO2", Quantity.MASS, r"gives .*mass.*volume.*, not a mass of CO2"),
        ("CO2", Quantity.ACTIVE_POWER, "is not a counter"),
        ("C", Quantity.GAS_VOLUME, "gas 'C'"),
        ("CO2e", Quantity.GAS_VOLUME, "gas 'CO2e'"),
    ],
)
def test_units_that_do_not_cancel_are_refused(gas: str, quantity: Quantity, seen: str) -> None:
    """What is left over is said."""
    with pytest.raises(FactorError, match=seen):
        coefficient(natural_gas(), gas, quantity, AT_20C)


def test_a_chain_that_cancels_to_nothing_is_refused() -> None:
    """A plain number is no mass."""
    with pytest.raises(FactorError, match="gives a plain number, not a mass of CO2"):
        coefficient([factor("per-energy", "2", "1/kWh")], "CO2", Quantity.ACTIVE_ENERGY_IMPORT, NO_REFERENCE)


def test_an_empty_chain_gives_no_gas() -> None:
    """No factor, no mass of a gas."""
    with pytest.raises(FactorError, match="no factor gives energy"):
        coefficient([], "CO2", Quantity.ACTIVE_ENERGY_IMPORT, NO_REFERENCE)
