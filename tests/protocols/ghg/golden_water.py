"""Golden vectors of water, steam and volume: the same formulas, one scalar operation at a time in Python's own floats.

The coefficients are those of ``protocols.ghg.water``, which ``test_water`` holds to the published check values; here
only the arithmetic is done a second time.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

from protocols.ghg import water
from protocols.ghg.volume import volume_factor
from protocols.quantities import Temperature

Case = dict[str, Any]


def computed_states(case: Case) -> Case:
    """Results of a case by the code under test."""
    first, second = (np.array([float.fromhex(v) for v in case[name]]) for name in ("first", "second"))
    if case["method"] == "volume":
        return {"factor": _hex(volume_factor(first, second, Temperature(case["to"]), 0.98).tolist())}
    boils = water.saturation_temperature_k(second)
    return {
        "density": _hex(water.density_kg_per_m3(first, second).tolist()),
        "enthalpy": _hex(water.enthalpy_kj_per_kg(first, second).tolist()),
        "boils_k": _hex(boils.tolist()),
        "boils_mpa": _hex(water.saturation_pressure_mpa(boils).tolist()),
    }


def expected_states(case: Case) -> Case:
    """The same by scalars."""
    rows = [(float.fromhex(a), float.fromhex(b)) for a, b in zip(case["first"], case["second"], strict=True)]
    if case["method"] == "volume":
        kelvin = {"0C": 273.15, "15C": 288.15, "20C": 293.15}[case["to"]]
        return {"factor": _hex([(p / 101.325) * (kelvin / (273.15 + t)) / 0.98 for t, p in rows])}
    boils = [_boils_k(p) for _, p in rows]
    return {
        "density": _hex([_density(t, p, case["region"]) for t, p in rows]),
        "enthalpy": _hex([_enthalpy(t, p, case["region"]) for t, p in rows]),
        "boils_k": _hex(boils),
        "boils_mpa": _hex([_boils_mpa(t) for t in boils]),
    }


def made_states() -> list[Case]:
    """States from a fixed seed; 35 of each kind, so that no vector width divides them."""
    seeded = random.Random(20261127)
    cases: list[Case] = []
    for region, kelvin, mpa in ((1, (280.0, 420.0), (0.5, 20.0)), (2, (480.0, 900.0), (0.01, 1.0))):
        cases.append({"method": "water", "region": region, **_drawn(seeded, kelvin, mpa)})
    cases.extend({"method": "volume", "to": to, **_drawn(seeded, (-20.0, 60.0), (90.0, 900.0))} for to in ("0C", "20C"))
    return cases


def _drawn(seeded: random.Random, first: tuple[float, float], second: tuple[float, float]) -> Case:
    return {
        "first": [seeded.uniform(*first).hex() for _ in range(35)],
        "second": [seeded.uniform(*second).hex() for _ in range(35)],
    }


def _hex(values: list[float]) -> list[str]:
    return [value.hex() for value in values]


def _power(base: float, exponent: int) -> float:
    result, square, left = 1.0, base, abs(exponent)
    while left:
        if left & 1:
            result = result * square
        left >>= 1
        if left:
            square = square * square
    return 1.0 / result if exponent < 0 else result


def _density(kelvin: float, mpa: float, region: int) -> float:
    if region == 1:
        pi, b, slope = mpa / 16.53, 1386.0 / kelvin - 1.222, 0.0
        for i, j, n in water._REGION_1:
            if i:
                slope = slope - n * float(i) * _power(7.1 - pi, i - 1) * _power(b, j)
    else:
        pi, b = mpa, 540.0 / kelvin - 0.5
        slope = 1.0 / pi
        for i, j, n in water._REGION_2:
            slope = slope + n * float(i) * _power(pi, i - 1) * _power(b, j)
    return 1000.0 * mpa / (0.461526 * kelvin * pi * slope)


def _enthalpy(kelvin: float, mpa: float, region: int) -> float:
    slope = 0.0
    if region == 1:
        pi, tau = mpa / 16.53, 1386.0 / kelvin
        for i, j, n in water._REGION_1:
            if j:
                slope = slope + n * _power(7.1 - pi, i) * float(j) * _power(tau - 1.222, j - 1)
    else:
        pi, tau = mpa, 540.0 / kelvin
        for j, n in water._IDEAL_2:
            if j:
                slope = slope + n * float(j) * _power(tau, j - 1)
        for i, j, n in water._REGION_2:
            if j:
                slope = slope + n * _power(pi, i) * float(j) * _power(tau - 0.5, j - 1)
    return 0.461526 * kelvin * tau * slope


def _boils_mpa(kelvin: float) -> float:
    n = water._SATURATION
    theta = kelvin + n[8] / (kelvin - n[9])
    a = (theta + n[0]) * theta + n[1]
    b = (n[2] * theta + n[3]) * theta + n[4]
    c = (n[5] * theta + n[6]) * theta + n[7]
    root = 2.0 * c / (-b + math.sqrt(b * b - 4.0 * a * c))
    square = root * root
    return square * square


def _boils_k(mpa: float) -> float:
    n = water._SATURATION
    beta = math.sqrt(math.sqrt(mpa))
    e = (beta + n[2]) * beta + n[5]
    f = (n[0] * beta + n[3]) * beta + n[6]
    g = (n[1] * beta + n[4]) * beta + n[7]
    d = 2.0 * g / (-f - math.sqrt(f * f - 4.0 * e * g))
    shifted = n[9] + d
    return (shifted - math.sqrt(shifted * shifted - 4.0 * (n[8] + n[9] * d))) / 2.0
