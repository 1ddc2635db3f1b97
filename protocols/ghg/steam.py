"""Purchased steam and hot water: the mass rate of a gas from flow, temperature and pressure.

Only ``+ - * / sqrt`` on float64, in the order written here and in ``protocols.ghg.water``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from protocols.ghg import water
from protocols.ghg.volume import ZERO_CELSIUS_K
from protocols.records import Float64

PHASE_MARGIN_K: Final = 0.5
"""Nearer than this to boiling, temperature and pressure do not tell water from steam: no instrument is that good."""
KJ_PER_KWH: Final = 3600.0
STEP_K: Final = 0.0625
"""Step of the slopes with temperature. [K]"""
STEP_SHARE: Final = 0.0009765625
"""Step of the slopes with pressure, as a share of it."""


@dataclass(frozen=True, slots=True)
class SteamRule:
    """How a flow of water or steam is turned into the mass of a gas.

    Attributes
    ----------
    kg_per_kwh : float
        Factor of the purchased heat. [kg of the gas per kWh]
    reference_enthalpy : float
        Enthalpy of the water the supplier starts from; what is counted is the heat above it. [kJ/kg]
    dryness : float or None
        Of saturated steam: mass of steam per mass of steam and water; its temperature follows from the pressure. None
        where temperature and pressure tell the state.
    flow_is_volume : bool
        Whether the flow is m3/h at the state it has, else kg/h.
    """

    kg_per_kwh: float
    reference_enthalpy: float
    dryness: float | None
    flow_is_volume: bool


def steam_rate_kg_per_h(
    flow: Float64, temperature_c: Float64 | None, pressure_kpa: Float64, rule: SteamRule
) -> tuple[Float64, dict[str, Float64]]:
    """Mass rate of a gas behind purchased steam or hot water, and its partial derivatives.

    Parameters
    ----------
    flow : ndarray, shape (n,)
        [kg/h, or m3/h where the rule says volume]
    temperature_c : ndarray, shape (n,), or None
        Needed where the rule has no dryness, else not used. [degC]
    pressure_kpa : ndarray, shape (n,)
        Absolute. [kPa]
    rule : SteamRule

    Returns
    -------
    rate : ndarray, shape (n,)
        NaN where the state is in no region of ``protocols.ghg.water``, or so near to boiling that it could be
        water or steam. [kg/h]
    slopes : dict of str to ndarray, shape (n,)
        By input: flow [kg/h per unit of flow], temperature [kg/h/K], pressure [kg/h/kPa]; differences over a small
        step.

    Notes
    -----
    m = q * (h - h_0) * EF with q = Q or Q * rho(T, p) [1]_; h and rho by IAPWS-IF97 [2]_. For wet steam
    h = h' + x (h'' - h') and 1 / rho = v' + x (v'' - v').

    References
    ----------
    .. [1] GB/T 32150 family, purchased heat: (h - 83.74) kJ/kg, 83.74 kJ/kg being water of 20 degC. Form and figure
       from general knowledge; confidence: medium.
    .. [2] IAPWS R7-97(2012).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _rate_and_slopes(flow, temperature_c, pressure_kpa / 1000.0, rule)


def _rate_and_slopes(
    flow: Float64, temperature_c: Float64 | None, mpa: Float64, rule: SteamRule
) -> tuple[Float64, dict[str, Float64]]:
    per_flow = _per_flow(temperature_c, mpa, rule, mpa)
    rate = flow * per_flow
    step = mpa * STEP_SHARE
    higher = _per_flow(temperature_c, mpa + step, rule, mpa)
    lower = _per_flow(temperature_c, mpa - step, rule, mpa)
    slopes = {"flow": per_flow, "pressure": flow * (higher - lower) / (2.0 * step * 1000.0)}
    slopes["temperature"] = np.zeros_like(rate)
    if temperature_c is not None and rule.dryness is None:
        warmer = _per_flow(temperature_c + STEP_K, mpa, rule, mpa, temperature_c)
        colder = _per_flow(temperature_c - STEP_K, mpa, rule, mpa, temperature_c)
        slopes["temperature"] = flow * (warmer - colder) / (2.0 * STEP_K)
    known = np.isfinite(slopes["pressure"]) & np.isfinite(slopes["temperature"])
    return np.where(known, rate, np.nan), slopes


def _per_flow(
    temperature_c: Float64 | None, mpa: Float64, rule: SteamRule, mpa_of: Float64, celsius_of: Float64 | None = None
) -> Float64:
    """Gas per unit of flow at a state; its region is that of the state ``mpa_of``, ``celsius_of``. [kg per kg or m3]"""
    if rule.dryness is None:
        if temperature_c is None:
            raise ValueError("a temperature is needed where the rule states no dryness")
        kelvin = temperature_c + ZERO_CELSIUS_K
        kelvin_of = kelvin if celsius_of is None else celsius_of + ZERO_CELSIUS_K
        is_water, is_steam = water.regions(kelvin_of, mpa_of)
        boils = water.saturation_temperature_k(mpa_of)
        clear = ~(np.abs(kelvin_of - boils) < PHASE_MARGIN_K)
        wet, dry = is_water & clear, is_steam & clear
        enthalpy = np.where(
            wet,
            water.enthalpy_in(kelvin, mpa, is_water=True),
            np.where(dry, water.enthalpy_in(kelvin, mpa, is_water=False), np.nan),
        )
        density = np.where(
            wet,
            water.density_in(kelvin, mpa, is_water=True),
            np.where(dry, water.density_in(kelvin, mpa, is_water=False), np.nan),
        )
    else:
        kelvin = water.saturation_temperature_k(mpa)
        kelvin = np.where(kelvin <= water.REGION_1_K, kelvin, np.nan)
        low = water.enthalpy_in(kelvin, mpa, is_water=True)
        enthalpy = low + rule.dryness * (water.enthalpy_in(kelvin, mpa, is_water=False) - low)
        volume = 1.0 / water.density_in(kelvin, mpa, is_water=True)
        volume = volume + rule.dryness * (1.0 / water.density_in(kelvin, mpa, is_water=False) - volume)
        density = 1.0 / volume
    per_kg = (enthalpy - rule.reference_enthalpy) * (rule.kg_per_kwh / KJ_PER_KWH)
    return per_kg * density if rule.flow_is_volume else per_kg
