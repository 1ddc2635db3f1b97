"""Gas volume from one state to another: temperature, pressure and compressibility (PTZ).

Only ``+ - * /`` on float64, in the order written here; between two reference states an exact ratio.
"""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType
from typing import Final

import numpy as np

from protocols.quantities import Temperature
from protocols.records import Float64

ZERO_CELSIUS_K: Final = 273.15
"""Temperature of the 0 degC reference state (SI definition of the Celsius scale; exact). [K]"""

REFERENCE_PRESSURE_KPA: Final = 101.325
"""Pressure of every reference state (standard atmosphere, CGPM 1954; exact). [kPa]"""

REFERENCE_K: Final = MappingProxyType(
    {Temperature.C0: Fraction("273.15"), Temperature.C15: Fraction("288.15"), Temperature.C20: Fraction("293.15")}
)
"""Temperature of each reference state; exact. [K]"""

MOST_FACTOR: Final = 200.0
"""A volume that shrinks more, as from 20 MPa, is none of a metered fuel gas but a garbled word."""


def between_references(register: Temperature, to: Temperature) -> Fraction:
    """Volume at ``to`` per volume at ``register``, both at 101.325 kPa: the ratio of the temperatures, exact."""
    return REFERENCE_K[to] / REFERENCE_K[register]


def volume_factor(temperature_c: Float64, pressure_kpa: Float64, to: Temperature, compressibility: float) -> Float64:
    """Volume at a reference state per volume at measured conditions.

    Parameters
    ----------
    temperature_c : ndarray, shape (n,)
        Of the gas. [degC]
    pressure_kpa : ndarray, shape (n,)
        Absolute. [kPa]
    to : Temperature
        The reference state, 0C, 15C or 20C at 101.325 kPa.
    compressibility : float
        Z / Z_n, of the gas at its usual conditions over that at the reference state. [1]

    Returns
    -------
    ndarray, shape (n,)
        NaN where an input is NaN, no gas can be in that state, or the factor is beyond ``MOST_FACTOR``. [1]

    Notes
    -----
    V_n = V * (p / p_n) * (T_n / T) / (Z / Z_n) [1]_.

    References
    ----------
    .. [1] Ideal gas law with compressibility, as volume conversion devices apply it (EN 12405-1). Form from general
       knowledge; confidence: high.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        kelvin = ZERO_CELSIUS_K + temperature_c
        kelvin = np.where(kelvin > 0.0, kelvin, np.nan)
        pressure = np.where(pressure_kpa > 0.0, pressure_kpa, np.nan)
        factor = (pressure / REFERENCE_PRESSURE_KPA) * (float(REFERENCE_K[to]) / kelvin) / compressibility
        return np.where(factor <= MOST_FACTOR, factor, np.nan)
