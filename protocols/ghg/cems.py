"""Mass rate of a gas in a stack from flow, volume fraction, temperature, pressure and moisture.

Only ``+ - * /`` on float64, in the order written here, so that edge, collector and verifier get the same bits.
There is no oxygen correction: it belongs to concentration limits and would falsify a mass.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from protocols.errors import EmitraceError
from protocols.ghg.volume import REFERENCE_K, REFERENCE_PRESSURE_KPA, ZERO_CELSIUS_K
from protocols.quantities import Moisture, Reference, Temperature
from protocols.records import Float64

MOLAR_MASS_KG_PER_KMOL: Final = MappingProxyType({"CO2": 44.0095, "CH4": 16.0425, "N2O": 44.0128})
"""Molar masses. Standard atomic weights (IUPAC, conventional values); confidence high."""

MOLAR_VOLUME_M3_PER_KMOL: Final = 22.414
"""Ideal gas at 273.15 K and 101.325 kPa, to the five figures the flow chain of HJ 75-2017 is used with.

CODATA 2018: 22.413 969 54 (0.0002 % less); confidence high.
"""

INPUTS: Final = ("flow", "temperature", "pressure", "moisture", "concentration")
"""Names of the inputs, in the order in which a source's causes of uncertainty are named."""


class CemsError(EmitraceError):
    """A mass rate was asked for that the given inputs cannot make."""


def mass_rate_kg_per_h(
    flow_m3_per_h: Float64,
    gas: str,
    fraction_percent: Float64,
    temperature_c: Float64 | None,
    pressure_kpa: Float64 | None,
    water_percent: Float64 | None,
    flow_reference: Reference,
    fraction_is_dry: bool,
) -> Float64:
    """Mass rate of a gas from its volume fraction and the flow that carries it.

    Parameters
    ----------
    flow_m3_per_h : ndarray, shape (n,)
        Gas flow in the state ``flow_reference`` names. [m3/h]
    gas : str
        CO2, CH4 or N2O.
    fraction_percent : ndarray, shape (n,)
        Volume fraction of the gas, dry or wet as ``fraction_is_dry`` says. [vol%]
    temperature_c, pressure_kpa : ndarray, shape (n,), or None
        Gas temperature [degC] and absolute pressure [kPa]; needed where the flow is actual, else not used.
    water_percent : ndarray, shape (n,), or None
        Water vapour volume fraction; needed where flow and fraction differ in moisture, else not used. [vol%]
    flow_reference : Reference
        Temperature (actual, 0C, 15C, 20C) and moisture (wet, dry) of the flow.
    fraction_is_dry : bool

    Returns
    -------
    ndarray, shape (n,)
        NaN where an input is NaN or no gas can be in that state (absolute temperature or pressure not above
        zero, water at or above 100 %): a gap is never a zero. [kg/h]

    Raises
    ------
    CemsError
        An input that the states make necessary is missing, or the gas has no molar mass here.

    Notes
    -----
    With Q_n the flow at 0 degC and 101.325 kPa, phi the fraction and M/V_m the density there [1]_::

        actual:      Q_n = Q * (273.15 / (273.15 + t)) * (p / 101.325)                      (1)
        0C:          Q_n = Q                                                                (2)
        15C, 20C:    Q_n = Q * (273.15 / 288.15), Q * (273.15 / 293.15)                     (3)
        wet flow, dry fraction:   Q_n * ((100 - w) / 100)                                   (4)
        dry flow, wet fraction:   Q_n / ((100 - w) / 100)                                   (5)
        m = Q_n * (phi / 100) * (M / V_m)                                                   (6)

    The water fraction acts once, on the flow. Ideal gas; real-gas effects of flue gas stay below 0.1 %.

    References
    ----------
    .. [1] HJ 75-2017, appendix: conversion of flow and concentration (read through public code that quotes
       equations A1-A9; the flow part from general knowledge). Confidence: medium.
    """
    normal = _normal_flow(flow_m3_per_h, temperature_c, pressure_kpa, water_percent, flow_reference, fraction_is_dry)
    return np.asarray(normal * (fraction_percent / 100.0) * density_kg_per_m3(gas), dtype=np.float64)


def sensitivities(
    flow_m3_per_h: Float64,
    gas: str,
    fraction_percent: Float64,
    temperature_c: Float64 | None,
    pressure_kpa: Float64 | None,
    water_percent: Float64 | None,
    flow_reference: Reference,
    fraction_is_dry: bool,
) -> dict[str, Float64]:
    """Partial derivatives of the mass rate with respect to each input.

    Parameters
    ----------
    As for ``mass_rate_kg_per_h``.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Keys in the order of ``INPUTS``; zero where the input does not act. flow [kg/m3], temperature
        [kg/h/K], pressure [kg/h/kPa], moisture and concentration [kg/h/vol%].

    Notes
    -----
    From equations (1) to (6) of ``mass_rate_kg_per_h``: dm/dQ = m/Q, dm/dphi = m/phi, and where they act
    dm/dt = -m / (273.15 + t), dm/dp = m / p, dm/dw = -m / (100 - w) for (4) and +m / (100 - w) for (5).
    The first two are formed without dividing, so a flow or a fraction of zero has its slope too.
    """
    one = np.ones_like(flow_m3_per_h, dtype=np.float64)
    state = (temperature_c, pressure_kpa, water_percent, flow_reference, fraction_is_dry)
    density = density_kg_per_m3(gas)
    per_flow = _normal_flow(one, *state) * (fraction_percent / 100.0) * density
    per_percent = _normal_flow(flow_m3_per_h, *state) * density / 100.0
    rate = mass_rate_kg_per_h(flow_m3_per_h, gas, fraction_percent, *state)
    zero = np.zeros_like(one)
    slopes = {"flow": per_flow, "temperature": zero, "pressure": zero, "moisture": zero, "concentration": per_percent}
    with np.errstate(divide="ignore", invalid="ignore"):
        if flow_reference.temperature is Temperature.ACTUAL and temperature_c is not None and pressure_kpa is not None:
            slopes["temperature"] = -rate / (ZERO_CELSIUS_K + temperature_c)
            slopes["pressure"] = rate / pressure_kpa
        change = _moisture_change(flow_reference, fraction_is_dry)
        if change and water_percent is not None:
            slopes["moisture"] = float(change) * rate / (100.0 - water_percent)
    return slopes


def density_kg_per_m3(gas: str) -> float:
    """Density of a pure gas at 0 degC and 101.325 kPa, ideal: M / V_m. [kg/m3]"""
    if gas not in MOLAR_MASS_KG_PER_KMOL:
        raise CemsError("stack", f"no molar mass for gas {gas!r}", f"one of {', '.join(MOLAR_MASS_KG_PER_KMOL)}")
    return MOLAR_MASS_KG_PER_KMOL[gas] / MOLAR_VOLUME_M3_PER_KMOL


def needed_inputs(flow_reference: Reference, fraction_is_dry: bool) -> tuple[str, ...]:
    """Which inputs the states make necessary, in the order of ``INPUTS``."""
    actual = flow_reference.temperature is Temperature.ACTUAL
    change = _moisture_change(flow_reference, fraction_is_dry)
    wanted = {"flow": True, "temperature": actual, "pressure": actual, "moisture": bool(change), "concentration": True}
    return tuple(name for name in INPUTS if wanted[name])


def _moisture_change(flow_reference: Reference, fraction_is_dry: bool) -> int:
    """-1: wet flow to dry, +1: dry flow to wet, 0: flow and fraction agree."""
    if flow_reference.moisture is None:
        raise CemsError("stack flow", "stated neither wet nor dry", "give its moisture in the register map")
    flow_is_dry = flow_reference.moisture is Moisture.DRY
    if flow_is_dry == fraction_is_dry:
        return 0
    return -1 if fraction_is_dry else 1


def _normal_flow(
    flow_m3_per_h: Float64,
    temperature_c: Float64 | None,
    pressure_kpa: Float64 | None,
    water_percent: Float64 | None,
    flow_reference: Reference,
    fraction_is_dry: bool,
) -> Float64:
    """Equations (1) to (5): flow at 0 degC and 101.325 kPa, on the fraction's moisture basis. [m3/h]"""
    state = flow_reference.temperature
    if state is None:
        raise CemsError("stack flow", "no reference temperature", "give actual, 0C, 15C or 20C in the register map")
    if state is Temperature.ACTUAL:
        if temperature_c is None or pressure_kpa is None:
            missing = "temperature" if temperature_c is None else "absolute pressure"
            raise CemsError("stack flow", f"actual, but no gas {missing}", "add the point to the source's inputs")
        kelvin = ZERO_CELSIUS_K + temperature_c
        kelvin = np.where(kelvin > 0.0, kelvin, np.nan)
        pressure = np.where(pressure_kpa > 0.0, pressure_kpa, np.nan)
        normal = flow_m3_per_h * (ZERO_CELSIUS_K / kelvin) * (pressure / REFERENCE_PRESSURE_KPA)
    elif state is Temperature.C0:
        normal = flow_m3_per_h
    else:
        normal = flow_m3_per_h * (ZERO_CELSIUS_K / float(REFERENCE_K[state]))
    change = _moisture_change(flow_reference, fraction_is_dry)
    if change == 0:
        return normal
    if water_percent is None:
        raise CemsError("stack flow", "wet and dry are mixed, but no moisture", "add the point to the source's inputs")
    dry_share = (100.0 - water_percent) / 100.0
    dry_share = np.where(dry_share > 0.0, dry_share, np.nan)
    return normal * dry_share if change < 0 else normal / dry_share
