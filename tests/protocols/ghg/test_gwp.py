from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ghg.gwp import FOSSIL_METHANE, GwpError, co2e_mg, gwp, gwp_names, gwp_set, species
from protocols.plan.model import Method


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SAR", {"CO2": "1", "CH4": "21", "N2O": "310", "SF6": "23900"}),
        ("TAR", {"CO2": "1", "CH4": "23", "N2O": "296", "SF6": "22200", "NF3": "10800"}),
        ("AR4", {"CO2": "1", "CH4": "25", "N2O": "298", "SF6": "22800", "NF3": "17200"}),
        ("AR5", {"CO2": "1", "CH4": "28", "CH4 (fossil)": "30", "N2O": "265", "SF6": "23500", "NF3": "16100"}),
        ("AR6", {"CO2": "1", "CH4": "27.0", "CH4 (fossil)": "29.8", "N2O": "273", "SF6": "25200", "NF3": "17400"}),
    ],
)
def test_a_set_holds_the_printed_values(name: str, values: dict[str, str]) -> None:
    """GHG Protocol list 2016, TAR, AR5 Table 8.SM.16, AR6 Tables 7.SM.7 and 7.15."""
    assert {gas: Decimal(v) for gas, v in values.items()} == {
        gas: p.value for gas, p in gwp_set(name).potentials.items()
    }


def test_sets_are_dated_and_in_order() -> None:
    """Oldest first, each with its year."""
    assert ["SAR", "TAR", "AR4", "AR5", "AR6"] == gwp_names()
    assert [1995, 2001, 2007, 2013, 2021] == [gwp_set(n).year for n in gwp_names()]


def test_every_potential_has_a_birth_certificate() -> None:
    """Source and confidence are stated; a printed value names its table."""
    for name in gwp_names():
        for gas, record in gwp_set(name).potentials.items():
            assert record.source, (name, gas)
            assert record.confidence in {"exact", "high", "unverified"}, (name, gas)
            assert bool(record.table) == (gas != "CO2"), (name, gas)


def test_unknown_names_are_refused_with_what_there_is() -> None:
    """No nearest value."""
    with pytest.raises(GwpError, match=r"'AR7' is not known\. choose one of SAR, TAR, AR4, AR5, AR6"):
        gwp_set("AR7")
    with pytest.raises(GwpError, match=r"GWP set SAR: no value for 'NF3'\. it has CO2, CH4, N2O, SF6"):
        co2e_mg(1, "NF3", "SAR")


def test_methane_of_combustion_does_not_count_its_carbon_twice() -> None:
    """Carbon content counts all carbon as CO2; a measured stack does not, so there the fossil value stands."""
    ar6, ar4 = gwp_set("AR6"), gwp_set("AR4")

    assert "CH4" == species("CH4", Method.COMBUSTION, ar6)
    assert FOSSIL_METHANE == species("CH4", Method.CEMS, ar6)
    assert "CH4" == species("CH4", Method.CEMS, ar4)
    assert "N2O" == species("N2O", Method.CEMS, ar6)


@pytest.mark.parametrize(("mass", "expected"), [(5, 149), (1, 30), (-1, -30), (0, 0), (10**20 + 1, 298 * 10**19 + 30)])
def test_co2e_is_exact_at_any_size(mass: int, expected: int) -> None:
    """29.8 per milligram, half to even, beyond 64 bits too."""
    assert expected == co2e_mg(mass, FOSSIL_METHANE, gwp_set("AR6"))


@given(st.integers(-(10**24), 10**24))
def test_co2e_is_the_nearest_integer_of_the_exact_product(mass: int) -> None:
    """Half to even, as a fraction rounds."""
    assert round(mass * Fraction("29.8")) == co2e_mg(mass, FOSSIL_METHANE, "AR6")
    assert Fraction("29.8") == gwp(FOSSIL_METHANE, "AR6")
