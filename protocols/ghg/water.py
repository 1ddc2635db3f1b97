"""Water and steam by IAPWS-IF97: density and enthalpy of regions 1 and 2, and the saturation line (region 4).

All exponents of these regions are whole, so powers are products and the saturation line needs square roots only:
``+ - * / sqrt`` on float64 in the order written here, and every machine gets the same bits. What lies in region 3
(near the critical point), in region 5 (above 800 degC) or outside the formulation is NaN, never a guess.

References
----------
.. [1] IAPWS R7-97(2012), Revised Release on the IAPWS Industrial Formulation 1997 for the Thermodynamic Properties
   of Water and Steam. Confidence: high, the published check values are the tests.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from protocols.records import Float64

GAS_CONSTANT: Final = 0.461526
"""Specific gas constant of water. [kJ/(kg K)] R7-97(2012), eq. 1."""
TRIPLE_K: Final = 273.15
"""Least temperature of the formulation. [K]"""
REGION_1_K: Final = 623.15
"""Greatest temperature of region 1 and of the saturation line as a border. [K]"""
REGION_2_K: Final = 1073.15
"""Greatest temperature of region 2. [K]"""
CORNER_K: Final = 863.15
"""From here on region 2 reaches to the greatest pressure. [K]"""
MOST_MPA: Final = 100.0
"""Greatest pressure. [MPa]"""
CRITICAL_MPA: Final = 22.064
CRITICAL_K: Final = 647.096

# (I, J, n) of R7-97(2012), Table 2
_REGION_1: Final = (
    (0, -2, 0.14632971213167), (0, -1, -0.84548187169114), (0, 0, -3.756360367204), (0, 1, 3.3855169168385),
    (0, 2, -0.95791963387872), (0, 3, 0.15772038513228), (0, 4, -0.016616417199501), (0, 5, 0.00081214629983568),
    (1, -9, 0.00028319080123804), (1, -7, -0.00060706301565874), (1, -1, -0.018990068218419),
    (1, 0, -0.032529748770505), (1, 1, -0.021841717175414), (1, 3, -5.283835796993e-05),
    (2, -3, -0.00047184321073267), (2, 0, -0.00030001780793026), (2, 1, 4.7661393906987e-05),
    (2, 3, -4.4141845330846e-06), (2, 17, -7.2694996297594e-16), (3, -4, -3.1679644845054e-05),
    (3, 0, -2.8270797985312e-06), (3, 6, -8.5205128120103e-10), (4, -5, -2.2425281908e-06),
    (4, -2, -6.5171222895601e-07), (4, 10, -1.4341729937924e-13), (5, -8, -4.0516996860117e-07),
    (8, -11, -1.2734301741641e-09), (8, -6, -1.7424871230634e-10), (21, -29, -6.8762131295531e-19),
    (23, -31, 1.4478307828521e-20), (29, -38, 2.6335781662795e-23), (30, -39, -1.1947622640071e-23),
    (31, -40, 1.8228094581404e-24), (32, -41, -9.3537087292458e-26),
)  # fmt: skip
# (J, n) of Table 10
_IDEAL_2: Final = (
    (0, -9.6927686500217), (1, 10.086655968018), (-5, -0.005608791128302), (-4, 0.071452738081455),
    (-3, -0.40710498223928), (-2, 1.4240819171444), (-1, -4.383951131945), (2, -0.28408632460772),
    (3, 0.021268463753307),
)  # fmt: skip
# (I, J, n) of Table 11
_REGION_2: Final = (
    (1, 0, -0.0017731742473213), (1, 1, -0.017834862292358), (1, 2, -0.045996013696365), (1, 3, -0.057581259083432),
    (1, 6, -0.05032527872793), (2, 1, -3.3032641670203e-05), (2, 2, -0.00018948987516315),
    (2, 4, -0.0039392777243355), (2, 7, -0.043797295650573), (2, 36, -2.6674547914087e-05),
    (3, 0, 2.0481737692309e-08), (3, 1, 4.3870667284435e-07), (3, 3, -3.227767723857e-05),
    (3, 6, -0.0015033924542148), (3, 35, -0.040668253562649), (4, 1, -7.8847309559367e-10),
    (4, 2, 1.2790717852285e-08), (4, 3, 4.8225372718507e-07), (5, 7, 2.2922076337661e-06),
    (6, 3, -1.6714766451061e-11), (6, 16, -0.0021171472321355), (6, 35, -23.895741934104),
    (7, 0, -5.905956432427e-18), (7, 11, -1.2621808899101e-06), (7, 25, -0.038946842435739),
    (8, 8, 1.1256211360459e-11), (8, 36, -8.2311340897998), (9, 13, 1.9809712802088e-08),
    (10, 4, 1.0406965210174e-19), (10, 10, -1.0234747095929e-13), (10, 14, -1.0018179379511e-09),
    (16, 29, -8.0882908646985e-11), (16, 50, 0.10693031879409), (18, 57, -0.33662250574171),
    (20, 20, 8.9185845355421e-25), (20, 35, 3.0629316876232e-13), (20, 48, -4.2002467698208e-06),
    (21, 21, -5.9056029685639e-26), (22, 53, 3.7826947613457e-06), (23, 39, -1.2768608934681e-15),
    (24, 26, 7.3087610595061e-29), (24, 40, 5.5414715350778e-17), (24, 58, -9.436970724121e-07),
)  # fmt: skip
# n of Table 34
_SATURATION: Final = (
    1167.0521452767, -724213.16703206, -17.073846940092, 12020.82470247, -3232555.0322333, 14.91510861353,
    -4823.2657361591, 405113.40542057, -0.23855557567849, 650.17534844798,
)  # fmt: skip
# n of Table 1
_BORDER_23: Final = (
    348.05185628969, -1.1671859879975, 0.0010192970039326, 572.54459862746, 13.91883977887,
)  # fmt: skip


def density_kg_per_m3(temperature_k: Float64, pressure_mpa: Float64) -> Float64:
    """Density of water or steam.

    Parameters
    ----------
    temperature_k : ndarray, shape (n,)
        [K]
    pressure_mpa : ndarray, shape (n,)
        Absolute. [MPa]

    Returns
    -------
    ndarray, shape (n,)
        NaN outside regions 1 and 2. [kg/m3]
    """
    water, steam = regions(temperature_k, pressure_mpa)
    return np.where(
        water,
        density_in(temperature_k, pressure_mpa, is_water=True),
        np.where(steam, density_in(temperature_k, pressure_mpa, is_water=False), np.nan),
    )


def enthalpy_kj_per_kg(temperature_k: Float64, pressure_mpa: Float64) -> Float64:
    """Specific enthalpy of water or steam.

    Parameters
    ----------
    temperature_k : ndarray, shape (n,)
        [K]
    pressure_mpa : ndarray, shape (n,)
        Absolute. [MPa]

    Returns
    -------
    ndarray, shape (n,)
        NaN outside regions 1 and 2. [kJ/kg]
    """
    water, steam = regions(temperature_k, pressure_mpa)
    return np.where(
        water,
        enthalpy_in(temperature_k, pressure_mpa, is_water=True),
        np.where(steam, enthalpy_in(temperature_k, pressure_mpa, is_water=False), np.nan),
    )


def regions(temperature_k: Float64, pressure_mpa: Float64) -> tuple[np.ndarray, np.ndarray]:
    """Where a state is in region 1 (water) and where in region 2 (steam); bool, shape (n,)."""
    temperature_k = np.where(np.abs(temperature_k) <= 2.0 * REGION_2_K, temperature_k, np.nan)
    below = (temperature_k >= TRIPLE_K) & (temperature_k <= REGION_1_K)
    saturated = saturation_pressure_mpa(np.where(below, temperature_k, TRIPLE_K))
    possible = (pressure_mpa > 0.0) & (pressure_mpa <= MOST_MPA)
    border = _BORDER_23[0] + temperature_k * (_BORDER_23[1] + temperature_k * _BORDER_23[2])
    middle = (temperature_k > REGION_1_K) & (temperature_k <= CORNER_K) & (pressure_mpa <= border)
    top = (temperature_k > CORNER_K) & (temperature_k <= REGION_2_K)
    water = possible & below & (pressure_mpa >= saturated)
    steam = possible & ((below & (pressure_mpa < saturated)) | middle | top)
    return water, steam


def density_in(temperature_k: Float64, pressure_mpa: Float64, *, is_water: bool) -> Float64:
    """Density by the equation of region 1 or 2, whatever the state. [kg/m3]

    v = pi gamma_pi R T / p (eq. 7 and 15, derivatives of Tables 4, 13, 14).
    """
    with np.errstate(all="ignore"):
        if is_water:
            pi, tau = pressure_mpa / 16.53, 1386.0 / temperature_k
            a, b = 7.1 - pi, tau - 1.222
            slope = np.zeros_like(pi)
            for i, j, n in _REGION_1:
                if i:
                    slope = slope - n * float(i) * _power(a, i - 1) * _power(b, j)
        else:
            pi, tau = pressure_mpa / 1.0, 540.0 / temperature_k
            b = tau - 0.5
            slope = 1.0 / pi
            for i, j, n in _REGION_2:
                slope = slope + n * float(i) * _power(pi, i - 1) * _power(b, j)
        # p in MPa and R T in kJ/kg: v = R T pi gamma_pi / p in 1e-3 m3/kg
        return np.asarray(1000.0 * pressure_mpa / (GAS_CONSTANT * temperature_k * pi * slope), dtype=np.float64)


def enthalpy_in(temperature_k: Float64, pressure_mpa: Float64, *, is_water: bool) -> Float64:
    """Specific enthalpy by the equation of region 1 or 2, whatever the state. [kJ/kg]

    h = tau gamma_tau R T (eq. 7 and 15).
    """
    with np.errstate(all="ignore"):
        if is_water:
            pi, tau = pressure_mpa / 16.53, 1386.0 / temperature_k
            a, b = 7.1 - pi, tau - 1.222
            slope = np.zeros_like(pi)
            for i, j, n in _REGION_1:
                if j:
                    slope = slope + n * _power(a, i) * float(j) * _power(b, j - 1)
        else:
            pi, tau = pressure_mpa / 1.0, 540.0 / temperature_k
            b = tau - 0.5
            slope = np.zeros_like(pi)
            for j, n in _IDEAL_2:
                if j:
                    slope = slope + n * float(j) * _power(tau, j - 1)
            for i, j, n in _REGION_2:
                if j:
                    slope = slope + n * _power(pi, i) * float(j) * _power(b, j - 1)
        return np.asarray(GAS_CONSTANT * temperature_k * tau * slope, dtype=np.float64)


def saturation_pressure_mpa(temperature_k: Float64) -> Float64:
    """Pressure at which water boils at a temperature from 273.15 K to the critical point, else NaN. [MPa]

    R7-97(2012), eq. 30.
    """
    n = _SATURATION
    possible = (temperature_k >= TRIPLE_K) & (temperature_k <= CRITICAL_K)
    kelvin = np.where(possible, temperature_k, TRIPLE_K)
    theta = kelvin + n[8] / (kelvin - n[9])
    a = (theta + n[0]) * theta + n[1]
    b = (n[2] * theta + n[3]) * theta + n[4]
    c = (n[5] * theta + n[6]) * theta + n[7]
    root = 2.0 * c / (-b + np.sqrt(b * b - 4.0 * a * c))
    square = root * root
    return np.where(possible, square * square, np.nan)


def saturation_temperature_k(pressure_mpa: Float64) -> Float64:
    """Temperature at which water boils at a pressure from 611.213 Pa to the critical point, else NaN. [K]

    R7-97(2012), eq. 31.
    """
    n = _SATURATION
    possible = (pressure_mpa >= 611.213e-6) & (pressure_mpa <= CRITICAL_MPA)
    beta = np.sqrt(np.sqrt(np.where(possible, pressure_mpa, 0.1)))
    e = (beta + n[2]) * beta + n[5]
    f = (n[0] * beta + n[3]) * beta + n[6]
    g = (n[1] * beta + n[4]) * beta + n[7]
    d = 2.0 * g / (-f - np.sqrt(f * f - 4.0 * e * g))
    shifted = n[9] + d
    kelvin = (shifted - np.sqrt(shifted * shifted - 4.0 * (n[8] + n[9] * d))) / 2.0
    return np.where(possible, kelvin, np.nan)


def _power(base: Float64, exponent: int) -> Float64:
    """A whole power by repeated squaring, always in the same order; a negative one divides once."""
    result = np.ones_like(base)
    square, left = base, abs(exponent)
    while left:
        if left & 1:
            result = result * square
        left >>= 1
        if left:
            square = square * square
    return 1.0 / result if exponent < 0 else result
