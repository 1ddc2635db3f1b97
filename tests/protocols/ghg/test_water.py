"""IAPWS-IF97 against the check values the release itself publishes, table by table."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.ghg.water import (
    density_kg_per_m3,
    enthalpy_kj_per_kg,
    saturation_pressure_mpa,
    saturation_temperature_k,
)


def one(value: float) -> np.ndarray:
    """A state as the one-element array the functions take."""
    return np.array([value])


@pytest.mark.parametrize(
    ("kelvin", "mpa", "volume", "enthalpy"),
    [
        (300.0, 3.0, 0.100215168e-2, 0.115331273e3),
        (300.0, 80.0, 0.971180894e-3, 0.184142828e3),
        (500.0, 3.0, 0.120241800e-2, 0.975542239e3),
    ],
)
def test_iapws_r7_97_table_5_region_1(kelvin: float, mpa: float, volume: float, enthalpy: float) -> None:
    """Specific volume [m3/kg] and enthalpy [kJ/kg] of water, to the nine digits printed."""
    assert volume == pytest.approx(1.0 / density_kg_per_m3(one(kelvin), one(mpa))[0], rel=5e-9)
    assert enthalpy == pytest.approx(enthalpy_kj_per_kg(one(kelvin), one(mpa))[0], rel=5e-9)


@pytest.mark.parametrize(
    ("kelvin", "mpa", "volume", "enthalpy"),
    [
        (300.0, 0.0035, 0.394913866e2, 0.254991145e4),
        (700.0, 0.0035, 0.923015898e2, 0.333568375e4),
        (700.0, 30.0, 0.542946619e-2, 0.263149474e4),
    ],
)
def test_iapws_r7_97_table_15_region_2(kelvin: float, mpa: float, volume: float, enthalpy: float) -> None:
    """Specific volume [m3/kg] and enthalpy [kJ/kg] of steam, to the nine digits printed."""
    assert volume == pytest.approx(1.0 / density_kg_per_m3(one(kelvin), one(mpa))[0], rel=5e-9)
    assert enthalpy == pytest.approx(enthalpy_kj_per_kg(one(kelvin), one(mpa))[0], rel=5e-9)


@pytest.mark.parametrize(("kelvin", "mpa"), [(300.0, 0.353658941e-2), (500.0, 0.263889776e1), (600.0, 0.123443146e2)])
def test_iapws_r7_97_table_35_saturation_pressure(kelvin: float, mpa: float) -> None:
    """Pressure at which water boils."""
    assert mpa == pytest.approx(saturation_pressure_mpa(one(kelvin))[0], rel=5e-9)


@pytest.mark.parametrize(("mpa", "kelvin"), [(0.1, 0.372755919e3), (1.0, 0.453035632e3), (10.0, 0.584149488e3)])
def test_iapws_r7_97_table_36_saturation_temperature(mpa: float, kelvin: float) -> None:
    """Temperature at which water boils."""
    assert kelvin == pytest.approx(saturation_temperature_k(one(mpa))[0], rel=5e-9)


@pytest.mark.parametrize(
    ("kelvin", "mpa"),
    [
        (273.0, 0.1), (650.0, 25.0), (623.2, 16.6), (1073.2, 1.0), (300.0, 0.0), (300.0, -1.0), (300.0, 100.1),
        (float("nan"), 1.0), (300.0, float("nan")),
    ],
)  # fmt: skip
def test_a_state_that_is_in_no_region_here_is_nan(kelvin: float, mpa: float) -> None:
    """Ice, region 3, region 5, no pressure, too much of it: never a guess."""
    assert np.isnan(density_kg_per_m3(one(kelvin), one(mpa))[0])
    assert np.isnan(enthalpy_kj_per_kg(one(kelvin), one(mpa))[0])


def test_the_border_between_regions_2_and_3_is_where_the_release_puts_it() -> None:
    """R7-97(2012), 4: 623.15 K on the border is 16.5291643 MPa; at it there is steam, above it region 3."""
    just_below, just_above = one(16.5291642), one(16.52917)
    assert not np.isnan(enthalpy_kj_per_kg(one(623.1500001), just_below)[0])
    assert np.isnan(enthalpy_kj_per_kg(one(623.1500001), just_above)[0])


def test_saturation_pressure_and_temperature_undo_each_other() -> None:
    """Along the whole line."""
    kelvin = np.linspace(273.16, 647.0, 200)
    assert kelvin == pytest.approx(saturation_temperature_k(saturation_pressure_mpa(kelvin)), rel=1e-9)
